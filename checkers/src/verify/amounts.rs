//! Counters and semaphores: contradictions of amounts, counted again over the whole history.
//!
//! Few calls contradict each other here because of how many others there may have been: those are
//! looked up, not named.

use tribunal_results::{Answer, Assumptions, Call, History, Operation, Outcome, Scalar};

use super::{end, of_key};

/// Of so many calls that are named others may be needed that are not.
const NAMED_MAX: usize = 40;

/// A count that was returned.
fn count(call: &Call) -> Option<i128> {
    match (&call.operation, &call.outcome) {
        (Operation::Count { .. }, Outcome::Ok(Answer::Value(Some(Scalar::Int(count))))) => {
            Some(i128::from(*count))
        }
        _ => None,
    }
}

/// How much a call adds; nothing if it does not, or failed.
fn increment(call: &Call) -> Option<i128> {
    match &call.operation {
        Operation::Increment { by, .. } if !call.is_fail() => Some(i128::from(*by)),
        _ => None,
    }
}

/// A count that is more than can have been reached, or less than had been, since another that is
/// named, or since the beginning.
///
/// # Errors
/// There is none, or something else than increments happened.
pub(super) fn counted(history: &History, calls: &[&Call]) -> Result<(), String> {
    let first = calls.first().ok_or("no call is named")?;
    let all: Vec<&Call> = of_key(history, first).collect();
    if all
        .iter()
        .any(|call| increment(call).is_some_and(|by| by < 0))
    {
        return Err("a counter that falls is not counted again".to_owned());
    }
    let total = |within: &dyn Fn(&Call) -> bool| -> i128 {
        let within = all.iter().filter(|call| within(call));
        within.filter_map(|call| increment(call)).sum()
    };
    let named: Vec<(&Call, i128)> = calls
        .iter()
        .filter_map(|call| Some((*call, count(call)?)))
        .collect();
    for (read, seen) in &named {
        let called = |call: &Call| call.invoked.index < end(read);
        if *seen > total(&called) {
            return Ok(());
        }
        let is_named = |call: &Call| calls.iter().any(|named| std::ptr::eq(*named, call));
        let done = |call: &Call| end(call) < read.invoked.index && is_named(call);
        if *seen < total(&done) {
            return Ok(());
        }
        for (other, base) in &named {
            let since = |call: &Call| called(call) && end(call) > other.invoked.index;
            let after = |call: &Call| done(call) && call.invoked.index > end(other);
            let sooner = end(other) < read.invoked.index;
            if *seen > base + total(&since) || (sooner && *seen < base + total(&after)) {
                return Ok(());
            }
        }
    }
    Err("every count that is named can have been reached".to_owned())
}

/// How many permits a call takes, or gives back if negative; `None` if it has a lease, or is no
/// such call.
fn permits(call: &Call) -> Option<i128> {
    match (&call.operation, &call.outcome) {
        (_, Outcome::Fail(_) | Outcome::Ok(Answer::Grant(_))) => None,
        (Operation::AcquirePermits { permits, .. }, _) => Some(i128::from(*permits)),
        (Operation::ReleasePermits { permits, .. }, _) => Some(-i128::from(*permits)),
        _ => None,
    }
}

/// A stretch, from the call of one that is named or from the beginning until the last of a kind of
/// them returned, in which more was taken or given back than there can have been.
///
/// # Errors
/// There is none, or permits have owners or leases.
pub(super) fn held(history: &History, calls: &[&Call], assume: &Assumptions) -> Result<(), String> {
    let first = calls.first().ok_or("no call is named")?;
    let all: Vec<&Call> = of_key(history, first).collect();
    let leased = |call: &&Call| matches!(call.outcome, Outcome::Ok(Answer::Grant(_)));
    if assume.owned || all.iter().any(leased) {
        return Err("permits with owners or leases are not counted again".to_owned());
    }
    let last = |takes: bool| {
        let of_kind = |call: &&&Call| permits(call).is_some_and(|it| (it > 0) == takes);
        let returned = calls.iter().filter(|call| call.is_ok()).filter(of_kind);
        returned.map(|call| end(call)).max()
    };
    let most = i128::from(assume.permits);
    let excessive = |all: &[&Call], takes: bool, until: u64| {
        let mut stretches = calls.iter().map(|call| call.invoked.index);
        let from_start = if takes { most } else { 0 };
        moved(all, takes, (0, until)) > from_start
            || stretches.any(|since| moved(all, takes, (since, until)) > most)
    };
    let too_many = |takes: bool| {
        // A few calls must be too many by themselves; of many, only some are named.
        last(takes).is_some_and(|until| {
            excessive(&all, takes, until)
                && (calls.len() >= NAMED_MAX || excessive(calls, takes, until))
        })
    };
    if too_many(true) || too_many(false) {
        return Ok(());
    }
    let in_several = |takes: bool| {
        let stretches = stretches(calls, &all, takes, most);
        let beyond = |calls: &[&Call]| excess(calls, &stretches, takes, most) > 0;
        beyond(&all) && beyond(calls)
    };
    if in_several(true) || in_several(false) {
        return Ok(());
    }
    Err("no stretch that is named has too many".to_owned())
}

/// How many permits more were taken for certain (or given back) in a stretch than were given back
/// (or taken) perhaps.
fn moved(calls: &[&Call], takes: bool, (from, until): (u64, u64)) -> i128 {
    let sign = if takes { 1 } else { -1 };
    let share = |call: &&Call| {
        let amount = sign * permits(call)?;
        let certain = call.invoked.index >= from && end(call) <= until;
        let possible = call.invoked.index < until && end(call) > from;
        let counts = if amount > 0 { certain } else { possible };
        counts.then_some(amount)
    };
    calls.iter().filter_map(share).sum()
}

/// The stretches that the named calls of a kind fill for certain. Between two of them is joined
/// what adds less of the other kind than may be held at the beginning or end of a stretch.
fn stretches(named: &[&Call], all: &[&Call], takes: bool, most: i128) -> Vec<(u64, u64)> {
    let is_of = |call: &Call, kind: bool| permits(call).is_some_and(|it| (it > 0) == kind);
    let certain = named
        .iter()
        .filter(|call| call.is_ok() && is_of(call, takes));
    let mut spans: Vec<(u64, u64)> = certain
        .map(|call| (call.invoked.index, end(call)))
        .collect();
    spans.sort_unstable();
    let against = |from: u64, until: u64| -> i128 {
        let inside =
            |call: &&&Call| is_of(call, !takes) && call.invoked.index >= from && end(call) <= until;
        let amounts = all.iter().filter(inside).filter_map(|call| permits(call));
        amounts.map(i128::abs).sum()
    };
    let mut joined: Vec<(u64, u64)> = Vec::new();
    // No permit is taken at the beginning: a stretch from there on has none to give back.
    if !takes {
        joined.push((0, 0));
    }
    for (from, until) in spans {
        match joined.last_mut() {
            Some(last) if from <= last.1 || against(last.1, from) < most => {
                last.1 = last.1.max(until);
            }
            _ => joined.push((from, until)),
        }
    }
    joined
}

/// How many permits more were taken for certain (or given back) in these stretches than were
/// given back (or taken) perhaps in any of them, and than can be held at their ends.
fn excess(calls: &[&Call], stretches: &[(u64, u64)], takes: bool, most: i128) -> i128 {
    let sign = if takes { 1 } else { -1 };
    let share = |call: &&Call| {
        let amount = sign * permits(call)?;
        let (called, ended) = (call.invoked.index, end(call));
        let mut within = stretches.iter();
        let counts = if amount > 0 {
            within.any(|(from, until)| called >= *from && ended <= *until)
        } else {
            within.any(|(from, until)| called < *until && ended > *from)
        };
        counts.then_some(amount)
    };
    let from_start = usize::from(!takes);
    let ends = stretches.len().saturating_sub(from_start);
    calls.iter().filter_map(share).sum::<i128>() - most * i128::try_from(ends).unwrap_or(i128::MAX)
}
