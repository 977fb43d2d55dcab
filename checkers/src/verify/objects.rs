//! Objects of every type: one order of many calls, and all orders of a few.

mod effect;
mod orders;

use std::collections::{BTreeMap, BTreeSet};

use tribunal_results::{Assumptions, Call, History, Operation, Outcome, Scalar};

use effect::{State, effects, lapse, named, touched};

/// The most calls of one contradiction that are tried in every order.
const CALLS_MAX: usize = 64;
/// The most other calls that may have had an effect meanwhile.
const OTHERS_MAX: usize = 512;

/// The end of a call that took effect for certain, or told something for certain.
fn end(call: &Call) -> Option<u64> {
    match (&call.outcome, call.completed) {
        (Outcome::Ok(_) | Outcome::Fail(_), Some(stamp)) => Some(stamp.index),
        _ => None,
    }
}

/// Whether an order explains all answers of an object's calls: each that returned is in it, none
/// after one that was only invoked when it had returned, and each finds what the ones before
/// left. Calls are named by the index of their invocation. A drain is named once for each element
/// that it took and once more when it found nothing; one of unknown end for each element; a grant
/// once more when its lease ran out.
///
/// # Errors
/// The first call that does not fit, and why.
pub fn order<'a>(
    calls: impl Iterator<Item = &'a Call>,
    order: &[u64],
    assume: &Assumptions,
) -> Result<(), String> {
    let calls: BTreeMap<u64, &Call> = calls.map(|call| (call.invoked.index, call)).collect();
    let all: Vec<&Call> = calls.values().copied().collect();
    let mut done: BTreeMap<u64, usize> = BTreeMap::new();
    let (mut state, mut latest) = (State::default(), 0);
    for index in order {
        let refuse = |why: &str| Err(format!("the call at event {index} {why}"));
        let Some(call) = calls.get(index) else {
            return refuse("is unknown");
        };
        let parts = effects(call, assume);
        let part = done.entry(*index).or_insert(0);
        let lapsed = || lapse(call, &all, assume).filter(|_| *part == 1);
        let (effect, from) = match parts
            .get(*part)
            .map_or_else(lapsed, |effect| Some((call.invoked.index, effect.clone())))
        {
            Some((from, effect)) => (effect, from),
            // One of unknown end may take any number of elements.
            None => match parts.last() {
                Some(last)
                    if matches!(call.operation, Operation::Drain { .. }) && end(call).is_none() =>
                {
                    (last.clone(), call.invoked.index)
                }
                _ => return refuse("had no such effect, or not so often"),
            },
        };
        let lapsed = *part >= parts.len();
        *part += 1;
        if !lapsed && end(call).is_some_and(|end| end < latest) {
            return refuse("had returned before another was invoked that comes before it");
        }
        let Some(after) = state.after(&effect, assume) else {
            return refuse("does not fit what was there");
        };
        latest = latest.max(from);
        state = after;
    }
    let unfinished = |call: &&&Call| {
        let times = done.get(&call.invoked.index).copied().unwrap_or(0);
        end(call).is_some() && times < effects(call, assume).len()
    };
    match all.iter().find(unfinished) {
        Some(call) => Err(format!(
            "the call at event {} is missing, or a part of it",
            call.invoked.index
        )),
        None => Ok(()),
    }
}

/// Whether no order of these calls explains their answers, whatever else was called. Other calls
/// on the same object may have their effect at any time after they were invoked, or never.
///
/// # Errors
/// An order exists, or there are too many to tell.
pub(super) fn contradiction(
    history: &History,
    calls: &[u64],
    assume: &Assumptions,
) -> Result<(), String> {
    let found = |index: &u64| history.call_at(*index).ok_or(*index);
    let calls: Vec<&Call> = calls
        .iter()
        .map(found)
        .collect::<Result<_, _>>()
        .map_err(|index| format!("no call was invoked by event {index}"))?;
    if calls.len() > CALLS_MAX {
        return Err(format!("{} calls are too many to try", calls.len()));
    }
    let last = calls.iter().filter_map(|call| end(call)).max().unwrap_or(0);
    let keys = together(history, &calls);
    let near = |call: &&Call| touched(call).iter().any(|key| keys.contains(*key));
    let all: Vec<&Call> = history.calls().iter().filter(near).collect();
    let values: BTreeSet<&Scalar> = calls.iter().flat_map(|call| named(call)).collect();
    let chosen: BTreeSet<u64> = calls.iter().map(|call| call.invoked.index).collect();
    let mut orders = orders::Orders::new(assume);
    let mut others = Vec::new();
    for &call in all.iter().filter(|call| call.invoked.index < last) {
        if let Some((from, effect)) = lapse(call, &all, assume) {
            orders.optional(from, effect);
        }
        if chosen.contains(&call.invoked.index) {
            orders.call(call.invoked.index, end(call), effects(call, assume));
        }
        // A drain of unknown end may have taken more than once.
        let again = matches!(call.operation, Operation::Drain { .. }) && call.is_info();
        if again || !(call.is_fail() || chosen.contains(&call.invoked.index)) {
            others.push(call);
        }
    }
    for (from, effect) in effect::possible(&others, values, assume) {
        orders.optional(from, effect);
    }
    if orders.options() > OTHERS_MAX {
        return Err("too many other calls may have had an effect".to_owned());
    }
    match orders.exists()? {
        true => Err("an order explains these calls".to_owned()),
        false => Ok(()),
    }
}

/// The keys of these calls, and all that transactions touch together with them.
fn together<'a>(history: &'a History, calls: &[&'a Call]) -> BTreeSet<&'a Scalar> {
    let mut keys: BTreeSet<&Scalar> = calls.iter().flat_map(|call| touched(call)).collect();
    loop {
        let before = keys.len();
        for call in history.calls() {
            let own = touched(call);
            if own.len() > 1 && own.iter().any(|key| keys.contains(key)) {
                keys.extend(own);
            }
        }
        if keys.len() == before {
            return keys;
        }
    }
}
