//! Reads of several things at once that miss what others must have made them see.

use std::collections::BTreeMap;

use tribunal_results::{Answer, Call, History, Micro, Operation, Outcome, Scalar, Seen};

use super::end;

/// The keys that a transaction read before it wrote them, and whether they were there.
fn keys_read(call: &Call) -> BTreeMap<&Scalar, bool> {
    let mut keys = BTreeMap::new();
    let mut written: Vec<&Scalar> = Vec::new();
    if let Outcome::Ok(Answer::Txn(micros)) = &call.outcome {
        for micro in micros {
            match micro {
                Micro::Read { key, seen } if !written.contains(&key) => {
                    let there = *seen != Seen::Nothing && *seen != Seen::List(Vec::new());
                    keys.entry(key).or_insert(there);
                }
                _ => written.push(micro.key()),
            }
        }
    }
    keys
}

/// Two reads each saw a key written that the other did not.
pub(super) fn fork(calls: &[&Call]) -> Result<(), String> {
    let ahead = |one: &BTreeMap<&Scalar, bool>, other: &BTreeMap<&Scalar, bool>| {
        one.iter()
            .any(|(key, there)| *there && other.get(key) == Some(&false))
    };
    let reads: Vec<_> = calls.iter().map(|call| keys_read(call)).collect();
    for (at, one) in reads.iter().enumerate() {
        for other in reads.iter().skip(at + 1) {
            if ahead(one, other) && ahead(other, one) {
                return Ok(());
            }
        }
    }
    Err("what the named reads saw can have come one after the other".to_owned())
}

/// What a call wrote: keys of registers and lists, or an element of a set with its key.
fn written(call: &Call) -> Vec<(&Scalar, Option<&Scalar>)> {
    if call.is_fail() {
        return Vec::new();
    }
    match &call.operation {
        Operation::Add { key, value } => vec![(key, Some(value))],
        Operation::Write { key, .. } | Operation::Append { key, .. } => vec![(key, None)],
        Operation::Txn { micros } => {
            let writes = micros
                .iter()
                .filter(|micro| !matches!(micro, Micro::Read { .. }));
            writes.map(|micro| (micro.key(), None)).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a read saw that; `None` if it did not look.
fn saw(read: &Call, (key, element): (&Scalar, Option<&Scalar>)) -> Option<bool> {
    match (&read.operation, &read.outcome, element) {
        (Operation::Members { key: set }, Outcome::Ok(Answer::Values(values)), Some(element)) => {
            (set == key).then(|| values.contains(element))
        }
        (Operation::Txn { .. }, _, None) => keys_read(read).get(key).copied(),
        _ => None,
    }
}

/// A read saw what can only have been written after an acknowledged write, and not that one.
pub(super) fn reverse(history: &History, calls: &[&Call]) -> Result<(), String> {
    for read in calls {
        for missed in calls.iter().filter(|call| call.is_ok()) {
            let lacks = |what: &(&Scalar, Option<&Scalar>)| {
                let removed = |call: &Call| {
                    !call.is_fail()
                        && matches!(&call.operation, Operation::Remove { key, value }
                            if key == what.0 && Some(value) == what.1)
                };
                saw(read, *what) == Some(false) && !history.calls().iter().any(removed)
            };
            if !written(missed).iter().any(lacks) {
                continue;
            }
            for seen in calls {
                let brought = |what: &(&Scalar, Option<&Scalar>)| {
                    let early = |call: &&Call| {
                        call.invoked.index < end(missed) && written(call).contains(what)
                    };
                    saw(read, *what) == Some(true) && !history.calls().iter().any(|c| early(&c))
                };
                if written(seen).iter().any(brought) {
                    return Ok(());
                }
            }
        }
    }
    Err("no named read misses what had ended before something it saw began".to_owned())
}
