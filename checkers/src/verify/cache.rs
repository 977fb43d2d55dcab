//! What a cache may not return, and what its nodes may not say of themselves.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use tribunal_results::{Anomaly, Answer, Call, Operation, Outcome, Record, Scalar};

/// Derives again that one of the calls returned, or told, what it may not by the others.
pub(super) fn contradiction(record: &Record, anomaly: &Anomaly) -> Result<(), String> {
    let find = |index: &u64| record.history.call_at(*index);
    let calls: Option<Vec<&Call>> = anomaly.calls.iter().map(find).collect();
    let calls = calls.ok_or("no such call")?;
    let wrong = calls.iter().any(|call| match &*anomaly.name {
        "unwritten-value" => read(call).is_some_and(|seen| is_unwritten(record, call, seen)),
        "deleted-value" => read(call).is_some_and(|seen| is_deleted(record, &calls, call, seen)),
        "expired-value" => read(call).is_some_and(|seen| is_expired(record, &calls, call, seen)),
        name => told(call).is_some_and(|told| tells(name, told)),
    });
    match wrong {
        true => Ok(()),
        false => Err("these calls do not contradict each other".into()),
    }
}

/// The key and the value that a read found.
fn read(call: &Call) -> Option<(&Scalar, &Scalar)> {
    match (&call.operation, &call.outcome) {
        (Operation::Read { key }, Outcome::Ok(Answer::Value(Some(value)))) => Some((key, value)),
        _ => None,
    }
}

fn is_write(call: &Call, (key, value): (&Scalar, &Scalar)) -> bool {
    let of = |k: &Scalar, v: &Scalar| k == key && v == value;
    matches!(&call.operation, Operation::Write { key, value } if of(key, value)) && !call.is_fail()
}

fn is_unwritten(record: &Record, read: &Call, seen: (&Scalar, &Scalar)) -> bool {
    let end = read.completed.map_or(u64::MAX, |end| end.index);
    let mut calls = record.history.calls().iter();
    !calls.any(|call| is_write(call, seen) && call.invoked.index < end)
}

/// The write of the value, if it is among the calls, was acknowledged, and is the only one.
fn only_write<'a>(
    record: &Record,
    calls: &[&'a Call],
    seen: (&Scalar, &Scalar),
) -> Option<&'a Call> {
    let all = record.history.calls().iter();
    let write = calls
        .iter()
        .find(|call| is_write(call, seen) && call.is_ok());
    write
        .copied()
        .filter(|_| all.filter(|call| is_write(call, seen)).count() == 1)
}

fn is_deleted(record: &Record, calls: &[&Call], read: &Call, seen: (&Scalar, &Scalar)) -> bool {
    let Some(written) = only_write(record, calls, seen).and_then(|write| write.completed) else {
        return false;
    };
    calls.iter().any(|call| {
        let Operation::Custom { name, value } = &call.operation else {
            return false;
        };
        let key: Option<Scalar> = serde_json::from_value(value["key"].clone()).ok();
        name == "delete"
            && call.is_ok()
            && key.as_ref() == Some(seen.0)
            && call.invoked > written
            && call.completed.is_some_and(|end| end < read.invoked)
    })
}

fn is_expired(record: &Record, calls: &[&Call], read: &Call, seen: (&Scalar, &Scalar)) -> bool {
    let written = only_write(record, calls, seen).and_then(|write| write.completed);
    let (Some(written), Some(ttl_ms)) = (written, record.assume.staleness_ms) else {
        return false;
    };
    let age = u128::from(read.invoked.time.saturating_sub(written.time));
    // The slowest clock that may have counted it.
    let drift = u128::from(record.assume.clock_drift_ppm);
    let counted = age * 1_000_000_u128.saturating_sub(drift);
    counted > u128::from(ttl_ms) * 1_000_000 * 1_000_000
}

/// What a node said when it was asked to inspect itself.
fn told(call: &Call) -> Option<&Json> {
    match (&call.operation, &call.outcome) {
        (Operation::Custom { name, .. }, Outcome::Ok(Answer::Custom(told)))
            if name == "inspect" =>
        {
            Some(told)
        }
        _ => None,
    }
}

fn tells(name: &str, told: &Json) -> bool {
    let more = |one: &str, other: &str| {
        let both = told[one].as_u64().zip(told[other].as_u64());
        both.is_some_and(|(one, other)| one > other)
    };
    match name {
        "over-capacity" => more("bytes", "capacity"),
        "not-least-recently-used" => more("evicted-used", "oldest-used"),
        "too-few-replicas" => {
            let owners = told["owners"].as_array();
            let different =
                owners.map(|all| all.iter().map(Json::to_string).collect::<BTreeSet<_>>());
            let needed = told["replicas"].as_u64();
            different
                .zip(needed)
                .is_some_and(|(owners, needed)| (owners.len() as u64) < needed)
        }
        _ => false,
    }
}
