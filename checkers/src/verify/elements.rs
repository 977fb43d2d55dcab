//! Sets and queues: elements that must be there and are not, and the other way round.

use tribunal_results::{Answer, Call, History, Operation, Outcome, Scalar};

use super::{end, of_key};

/// What a call returned of a whole set, or took out of a queue.
fn returned(call: &Call) -> &[Scalar] {
    match &call.outcome {
        Outcome::Ok(Answer::Values(values)) => values,
        Outcome::Ok(Answer::Value(Some(value))) => std::slice::from_ref(value),
        _ => &[],
    }
}

const fn put_in(call: &Call) -> Option<&Scalar> {
    match &call.operation {
        Operation::Add { value, .. } | Operation::Enqueue { value, .. } => Some(value),
        _ => None,
    }
}

/// Whether the calls are of a queue.
pub(super) fn is_queue(calls: &[&Call]) -> bool {
    let of_queue = |call: &&Call| {
        matches!(
            call.operation,
            Operation::Enqueue { .. } | Operation::Dequeue { .. } | Operation::Drain { .. }
        )
    };
    calls.iter().any(of_queue)
}

fn is_read(call: &Call) -> bool {
    matches!(call.operation, Operation::Members { .. }) && call.is_ok()
}

/// An element was known when a read was invoked that does not have it, and nobody removed it;
/// where it is only stale, a later read has it.
pub(super) fn missing(history: &History, calls: &[&Call], again: bool) -> Result<(), String> {
    for absent in calls.iter().filter(|call| is_read(call)) {
        let earlier = calls
            .iter()
            .filter(|call| call.is_ok() && end(call) < absent.invoked.index);
        for known in earlier {
            let candidates = put_in(known).into_iter().chain(returned(known));
            for element in candidates.filter(|element| !returned(absent).contains(element)) {
                let removes = |call: &&Call| {
                    matches!(&call.operation, Operation::Remove { value, .. } if value == element)
                        && !call.is_fail()
                };
                let later = |call: &&&Call| {
                    call.invoked.index > absent.invoked.index && returned(call).contains(element)
                };
                if !of_key(history, absent).any(|call| removes(&call))
                    && (!again || calls.iter().any(|call| later(&call)))
                {
                    return Ok(());
                }
            }
        }
    }
    Err("no named read misses an element that was known when it was invoked".to_owned())
}

/// A call got an element that nobody can have put in by then.
pub(super) fn unexpected(history: &History, calls: &[&Call]) -> Result<(), String> {
    for got in calls.iter().filter(|call| put_in(call).is_none()) {
        for element in returned(got) {
            let explains = |call: &Call| {
                put_in(call) == Some(element) && !call.is_fail() && call.invoked.index < end(got)
            };
            if !of_key(history, got).any(explains) {
                return Ok(());
            }
        }
    }
    Err("all that the named calls got was put in".to_owned())
}

/// A read of a set has an element twice.
pub(super) fn duplicate(calls: &[&Call]) -> Result<(), String> {
    let twice = |call: &&&Call| {
        let mut values: Vec<&Scalar> = returned(call).iter().collect();
        values.sort();
        is_read(call) && values.windows(2).any(|pair| pair[0] == pair[1])
    };
    let found = calls.iter().find(twice);
    found
        .map(|_| ())
        .ok_or("no named read has an element twice".to_owned())
}

/// More elements went in before the queue was seen empty, and never came out, than dequeues of
/// unknown end can have taken until then.
pub(super) fn lost(history: &History, calls: &[&Call]) -> Result<(), String> {
    let saw_empty = |call: &&&Call| match (&call.operation, &call.outcome) {
        (Operation::Dequeue { .. }, Outcome::Ok(answer)) => *answer == Answer::Value(None),
        (Operation::Drain { .. }, outcome) => matches!(outcome, Outcome::Ok(_)),
        _ => false,
    };
    let empties: Vec<&Call> = calls.iter().filter(saw_empty).copied().collect();
    let last = empties.iter().map(|call| end(call)).max();
    let last = last.ok_or("no named call saw the queue empty")?;
    let one = empties.first().ok_or("no named call saw the queue empty")?;
    let mut elements: Vec<&Scalar> = Vec::new();
    for call in calls
        .iter()
        .filter(|call| put_in(call).is_some() && call.is_ok())
    {
        if empties.iter().any(|empty| end(call) < empty.invoked.index) {
            elements.extend(put_in(call));
        }
    }
    let all: Vec<&Call> = of_key(history, one).collect();
    // Anyone may see the queue empty by then.
    let empty_by_then = |enqueue: &Call| {
        let empty = |call: &&&Call| {
            saw_empty(call) && end(call) <= last && end(enqueue) < call.invoked.index
        };
        all.iter().any(|call| empty(&call))
    };
    for element in &elements {
        let went_in =
            |call: &&&Call| put_in(call) == Some(element) && call.is_ok() && empty_by_then(call);
        let put = all.iter().filter(went_in).count();
        let takers = all.iter().filter(|call| put_in(call).is_none());
        let same = |value: &&Scalar| value == element;
        let taken: usize = takers
            .map(|call| returned(call).iter().filter(same).count())
            .sum();
        let named = elements.iter().filter(|other| *other == element).count();
        if put < taken + named {
            return Err(format!("{element} came out"));
        }
    }
    let unknown = |call: &&&Call| call.is_info() && call.invoked.index < last;
    let drained = |call: &&Call| matches!(call.operation, Operation::Drain { .. });
    let dequeued = |call: &&Call| matches!(call.operation, Operation::Dequeue { .. });
    if all.iter().filter(unknown).any(drained) {
        return Err("a drain of unknown end may have taken everything".to_owned());
    }
    let takers = all
        .iter()
        .filter(unknown)
        .filter(|call| dequeued(call))
        .count();
    if elements.len() <= takers {
        return Err(format!(
            "{takers} dequeues of unknown end may have taken them"
        ));
    }
    Ok(())
}
