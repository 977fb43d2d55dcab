//! Checks what the checkers say, with code of its own: none of it is shared with them.
//!
//! A contradiction is derived again from the few calls that it names ([`witness`]); an order that
//! is said to explain all answers is replayed ([`order`]). Both are short and plain on purpose,
//! and know nothing of how the checkers came to their answer.

mod elements;
mod numbers;
mod objects;
mod register;
mod rows;
mod snapshots;

pub use objects::order as order_of;
pub use register::order;
use tribunal_results::{Anomaly, Assumptions, Call, History, Operation};

/// Derives the contradiction again from the calls of an anomaly.
///
/// # Errors
/// Why the calls do not contradict each other, or why that cannot be told.
pub fn witness(history: &History, anomaly: &Anomaly) -> Result<(), String> {
    match anomaly.name.as_str() {
        "stale-read" | "phantom-read" | "aborted-read" => {
            register::contradiction(history, &anomaly.calls)
        }
        "lost-element" if elements::is_queue(&of_one(history, anomaly)?) => {
            elements::lost(history, &of_one(history, anomaly)?)
        }
        "lost-element" => elements::missing(history, &of_one(history, anomaly)?, false),
        "stale-element" => elements::missing(history, &of_one(history, anomaly)?, true),
        "unexpected-element" => elements::unexpected(history, &of_one(history, anomaly)?),
        "duplicate-element" => elements::duplicate(&of_one(history, anomaly)?),
        "duplicate-id" => numbers::same_id(&of_one(history, anomaly)?),
        "out-of-bounds" => numbers::out_of_bounds(history, &of_one(history, anomaly)?),
        "non-monotonic-count" => numbers::fell(history, &of_one(history, anomaly)?),
        "unexpected-account" | "missing-account" => numbers::accounts(&of_one(history, anomaly)?),
        "wrong-total" => numbers::totals(&of_one(history, anomaly)?),
        "negative-balance" => numbers::overdrawn(&of_one(history, anomaly)?),
        "long-fork" => snapshots::fork(&named(history, anomaly)?),
        "causal-reverse" => snapshots::reverse(history, &named(history, anomaly)?),
        "lost-row"
        | "duplicate-row"
        | "revived-row"
        | "skipped-value"
        | "unsorted-rows"
        | "off-order"
        | "off-order-in-process"
        | "off-order-on-node" => {
            rows::contradiction(history, &anomaly.name, &of_one(history, anomaly)?)
        }
        "not-linearizable" => witness_under(history, anomaly, &Assumptions::default()),
        name => Err(format!("nothing is known here of {name}")),
    }
}

/// The same where the history does not tell all: how many permits there are, whose they are.
///
/// # Errors
/// Why the calls do not contradict each other, or why that cannot be told.
pub fn witness_under(
    history: &History,
    anomaly: &Anomaly,
    assume: &Assumptions,
) -> Result<(), String> {
    if anomaly.name != "not-linearizable" {
        return witness(history, anomaly);
    }
    let plain = |call: &Call| {
        let register = matches!(
            call.operation,
            Operation::Read { .. } | Operation::Write { .. } | Operation::Cas { .. }
        );
        register && !call.is_fail()
    };
    let calls = anomaly.calls.iter();
    let alone = |call: &Call| !touched_by_others(history, call);
    match calls
        .flat_map(|&index| history.call_at(index))
        .all(|call| plain(call) && alone(call))
    {
        true => register::contradiction(history, &anomaly.calls),
        false => objects::contradiction(history, &anomaly.calls, assume),
    }
}

/// Whether a transaction touches the call's key too.
fn touched_by_others(history: &History, call: &Call) -> bool {
    history.calls().iter().any(|other| match &other.operation {
        Operation::Txn { micros } => micros.iter().any(|m| Some(m.key()) == call.operation.key()),
        _ => false,
    })

/// The calls that an anomaly names.
fn named<'a>(history: &'a History, anomaly: &Anomaly) -> Result<Vec<&'a Call>, String> {
    let find = |index: &u64| {
        let missing = || format!("no call was invoked by event {index}");
        history.call_at(*index).ok_or_else(missing)
    };
    anomaly.calls.iter().map(find).collect()
}

/// The same, if all are of one object.
fn of_one<'a>(history: &'a History, anomaly: &Anomaly) -> Result<Vec<&'a Call>, String> {
    let calls = named(history, anomaly)?;
    let key = |call: &&Call| call.operation.key().cloned();
    if calls
        .iter()
        .any(|call| key(call) != calls.first().and_then(key))
    {
        return Err("the calls are of several objects".to_owned());
    }
    Ok(calls)
}

/// The event by which a call took effect, if it did; the end of time if it may do so later.
fn end(call: &Call) -> u64 {
    let certain = call.completed.filter(|_| !call.is_info());
    certain.map_or(u64::MAX, |stamp| stamp.index)
}

/// All calls on the object of this one.
fn of_key<'a>(history: &'a History, call: &Call) -> impl Iterator<Item = &'a Call> {
    let key = call.operation.key().cloned();
    let same = move |other: &&Call| other.operation.key() == key.as_ref();
    history.calls().iter().filter(same)
}
