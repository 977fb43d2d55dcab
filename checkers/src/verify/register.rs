//! Registers: all orders of a few calls, and one order of many.

use std::collections::{BTreeMap, HashSet};

use tribunal_results::{Answer, Call, History, Operation, Outcome, Scalar};

/// The most calls of one contradiction that are tried in every order.
const CALLS_MAX: usize = 64;
/// The most combinations of calls done and value present that are tried.
const VISITS_MAX: usize = 200_000;

/// What a register holds, if anything.
type Content<'a> = Option<&'a Scalar>;

/// What a call found there and what it left there; `None` where it does not matter. `Err` if the
/// call does nothing with a register, or did nothing for certain.
fn effect(call: &Call) -> Result<(Option<Content<'_>>, Option<&Scalar>), ()> {
    match (&call.operation, &call.outcome) {
        (_, Outcome::Fail(_)) => Err(()),
        (Operation::Read { .. }, Outcome::Ok(Answer::Value(seen))) => {
            Ok((Some(seen.as_ref()), None))
        }
        (Operation::Write { value, .. }, _) => Ok((None, Some(value))),
        (Operation::Cas { from, to, .. }, _) => Ok((Some(Some(from)), Some(to))),
        _ => Err(()),
    }
}

const fn key(call: &Call) -> Option<&Scalar> {
    match &call.operation {
        Operation::Read { key } | Operation::Write { key, .. } | Operation::Cas { key, .. } => {
            Some(key)
        }
        _ => None,
    }
}

/// The end of a call that took effect for certain.
fn end(call: &Call) -> Option<u64> {
    match (&call.outcome, call.completed) {
        (Outcome::Ok(_), Some(stamp)) => Some(stamp.index),
        _ => None,
    }
}

/// What a compare-and-set did not find, if it was refused for that reason.
fn missed(call: &Call) -> Option<&Scalar> {
    match (&call.operation, &call.outcome) {
        (Operation::Cas { from, .. }, Outcome::Fail(reason))
            if reason.code == "precondition-failed" =>
        {
            Some(from)
        }
        _ => None,
    }
}

/// The end of a call that took effect or told something for certain.
fn told(call: &Call) -> Option<u64> {
    let ended = || call.completed.map(|stamp| stamp.index);
    end(call).or_else(|| missed(call).and_then(|_| ended()))
}

/// Whether an order explains all answers of a register's calls: each that succeeded or found
/// something else than it expected is in it, none twice, no other that failed, none after one that
/// was only invoked when it had returned, and each finds what the ones before left. Calls are
/// named by the index of their invocation.
///
/// # Errors
/// The first call that does not fit, and why.
pub fn order<'a>(calls: impl Iterator<Item = &'a Call>, order: &[u64]) -> Result<(), String> {
    let mut left: Vec<(u64, Option<&Call>)> =
        calls.map(|call| (call.invoked.index, Some(call))).collect();
    left.sort_by_key(|(index, _)| *index);
    let (mut content, mut latest): (Content<'_>, u64) = (None, 0);
    for index in order {
        let refuse = |why: &str| Err(format!("the call at event {index} {why}"));
        let at = left.binary_search_by_key(index, |(index, _)| *index);
        let call = at.ok().and_then(|at| left.get_mut(at)?.1.take());
        let Some(call) = call else {
            return refuse("is in the order twice, or unknown");
        };
        if told(call).is_some_and(|end| end < latest) {
            return refuse("had returned before another was invoked that comes before it");
        }
        latest = latest.max(call.invoked.index);
        if let Some(missed) = missed(call) {
            if content == Some(missed) {
                return refuse("did not find what was there");
            }
            continue;
        }
        let Ok((found, leaves)) = effect(call) else {
            return refuse("had no effect");
        };
        if found.is_some_and(|found| found != content) {
            return refuse("found something else than was there");
        }
        content = leaves.or(content);
    }
    let mut left = left.into_iter().filter_map(|(_, call)| call);
    match left.find(|call| told(call).is_some()) {
        Some(call) => Err(format!(
            "the call at event {} is missing",
            call.invoked.index
        )),
        None => Ok(()),
    }
}

/// Whether no order of these calls explains their answers, whatever else was called. Other calls
/// may leave their values behind at any time after they were invoked, as often as they like.
///
/// # Errors
/// An order exists, or there are too many to tell.
pub(super) fn contradiction(history: &History, calls: &[u64]) -> Result<(), String> {
    let found = |index: &u64| history.call_at(*index).ok_or(*index);
    let calls: Vec<&Call> = calls
        .iter()
        .map(found)
        .collect::<Result<_, _>>()
        .map_err(|index| format!("no call was invoked by event {index}"))?;
    if calls.len() > CALLS_MAX {
        return Err(format!("{} calls are too many to try", calls.len()));
    }
    let mut named = calls.iter().filter_map(|call| key(call));
    let register = named.next().ok_or("no call is of a register")?;
    if named.any(|key| key != register) {
        return Err("the calls are of several registers".to_owned());
    }
    let last = calls.iter().filter_map(|call| end(call)).max().unwrap_or(0);
    let named: HashSet<u64> = calls.iter().map(|call| call.invoked.index).collect();
    let other = |call: &&Call| {
        key(call) == Some(register)
            && call.invoked.index < last
            && !named.contains(&call.invoked.index)
    };
    // The first call to leave a value behind could do so first.
    let mut others: BTreeMap<&Scalar, u64> = BTreeMap::new();
    for call in history.calls().iter().filter(other) {
        // One that must find the value itself does not bring it in.
        if let Ok((found, Some(value))) = effect(call)
            && found != Some(Some(value))
        {
            others.entry(value).or_insert(call.invoked.index);
        }
    }
    let had_effect = |call: &&Call| effect(call).is_ok();
    let mut orders = Orders {
        calls: calls.into_iter().filter(had_effect).collect(),
        others,
        visited: HashSet::new(),
    };
    match orders.exists(0, None)? {
        true => Err("an order explains these calls".to_owned()),
        false => Ok(()),
    }
}

struct Orders<'a> {
    calls: Vec<&'a Call>,
    others: BTreeMap<&'a Scalar, u64>,
    visited: HashSet<(u64, Content<'a>)>,
}

impl<'a> Orders<'a> {
    /// Whether those that are not done yet can follow when this is there.
    fn exists(&mut self, done: u64, content: Content<'a>) -> Result<bool, String> {
        if !self.visited.insert((done, content)) {
            return Ok(false);
        }
        if self.visited.len() > VISITS_MAX {
            return Err("there are too many orders to try".to_owned());
        }
        let open = |at: &usize| done >> at & 1 == 0;
        let left: Vec<(usize, &'a Call)> = (0..self.calls.len())
            .filter(open)
            .filter_map(|at| Some((at, *self.calls.get(at)?)))
            .collect();
        let Some(due) = left.iter().filter_map(|(_, call)| end(call)).min() else {
            return Ok(true);
        };
        for (at, call) in left
            .into_iter()
            .filter(|(_, call)| call.invoked.index < due)
        {
            let Ok((found, leaves)) = effect(call) else {
                continue;
            };
            let by_another = |wanted: Content<'a>| {
                wanted.is_some_and(|value| self.others.get(value).is_some_and(|&from| from < due))
            };
            if found.is_some_and(|found| found != content && !by_another(found)) {
                continue;
            }
            let after = leaves.or(found.unwrap_or(content));
            if self.exists(done | 1 << at, after)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
