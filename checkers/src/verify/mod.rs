//! Checks what the checkers say, with code of its own: none of it is shared with them.
//!
//! A contradiction is derived again from the few calls that it names ([`witness`]); an order that
//! is said to explain all answers is replayed ([`order`]). Both are short and plain on purpose,
//! and know nothing of how the checkers came to their answer.

mod amounts;
mod clocks;
mod elements;
mod levels;
mod locks;
mod numbers;
mod objects;
mod register;
mod rows;
mod serial;
mod settled;
mod snapshots;
mod stale;

pub use objects::order as order_of;
pub use register::order;
pub use serial::{Kept, serial_order, snapshot_order};
use tribunal_results::{Anomaly, Assumptions, Call, History, Kind, Operation, Record};

/// Cycles of transactions on registers; `-process` and `-realtime` may follow.
const SERIAL: [&str; 7] = [
    "G0",
    "G1c",
    "G-single",
    "G-nonadjacent",
    "G2-item",
    "not-serializable",
    "not-snapshot-isolated",
];

fn is_kind(name: &str, kind: &str) -> bool {
    let rest = name.strip_prefix(kind);
    rest.is_some_and(|rest| ["", "-process", "-realtime"].contains(&rest))
}

/// Derives the contradiction again from the calls of an anomaly, if nothing unusual is assumed.
///
/// # Errors
/// Why the calls do not contradict each other, or why that cannot be told.
pub fn witness(history: &History, anomaly: &Anomaly) -> Result<(), String> {
    witness_under(history, anomaly, &Assumptions::default())
}

/// The same where the history does not tell all: how many permits there are, whose they are, how
/// far clocks are apart.
///
/// # Errors
/// Why the calls do not contradict each other, or why that cannot be told.
pub fn witness_under(
    history: &History,
    anomaly: &Anomaly,
    assume: &Assumptions,
) -> Result<(), String> {
    match anomaly.name.as_str() {
        "aborted-read" if of_transactions(history, anomaly) => {
            levels::contradiction(history, &anomaly.name, &anomaly.calls)
        }
        "stale-read" | "phantom-read" | "aborted-read" if of_registers(history, anomaly) => {
            register::contradiction(history, &anomaly.calls)
        }
        "thin-air-read"
        | "intermediate-read"
        | "future-read"
        | "not-own-write"
        | "not-last-own-write"
        | "cyclic-causality"
        | "non-repeatable-read"
        | "non-monotonic-read"
        | "fractured-read"
        | "causality-violation" => levels::contradiction(history, &anomaly.name, &anomaly.calls),
        "not-linearizable" | "phantom-read" | "aborted-read" | "out-of-order" | "wrongly-empty" => {
            unordered(history, anomaly, assume)
        }
        // So it is called too where a set or queue was only asked for what it lost.
        "lost-element" | "duplicate-element" => {
            let lost = of_one(history, anomaly)
                .and_then(|calls| of_object(history, &anomaly.name, &calls));
            lost.or_else(|_| unordered(history, anomaly, assume))
        }
        "double-hold"
        | "foreign-release"
        | "excess-release"
        | "token-not-monotonic"
        | "stale-token-accepted"
        | "overtaking"
        | "over-grant"
        | "too-many-entries"
        | "token-changed"
        | "lease-cut-short"
        | "expired-lease-honoured" => locks::contradiction(history, assume, anomaly),
        "internal" | "phantom-value" | "G1a" | "G1b" | "lost-update" => {
            serial::contradiction(history, anomaly)
        }
        name if SERIAL.iter().any(|kind| is_kind(name, kind)) => {
            serial::contradiction(history, anomaly)
        }
        "long-fork" => snapshots::fork(&named(history, anomaly)?),
        "causal-reverse" => snapshots::reverse(history, &named(history, anomaly)?),
        name => of_object(history, name, &of_one(history, anomaly)?),
    }
}

/// The same where it may rest on more than calls: on faults, or the message journal.
///
/// # Errors
/// Why there is no contradiction, or why that cannot be told.
pub fn of_record(record: &Record, anomaly: &Anomaly) -> Result<(), String> {
    match anomaly.name.as_str() {
        "diverged"
        | "lost-update-after-settling"
        | "unexplained-value"
        | "resurrected"
        | "replica-went-back" => settled::contradiction(record, anomaly),
        "too-stale" => stale::contradiction(record, anomaly),
        "lamport-clock-not-rising"
        | "lamport-clock-not-after-send"
        | "lamport-clock-not-exact"
        | "hybrid-clock-not-rising"
        | "hybrid-clock-not-after-send"
        | "hybrid-clock-behind"
        | "hybrid-clock-ahead"
        | "missed-causality"
        | "false-causality"
        | "delivered-before-cause" => clocks::contradiction(record, anomaly),
        _ => witness_under(&record.history, anomaly, &record.assume),
    }
}

/// Contradictions between calls on one set, queue, counter, generator, bank or table.
fn of_object(history: &History, name: &str, calls: &[&Call]) -> Result<(), String> {
    match name {
        "lost-element" if elements::is_queue(calls) => elements::lost(history, calls),
        "lost-element" => elements::missing(history, calls, false),
        "stale-element" => elements::missing(history, calls, true),
        "unexpected-element" => elements::unexpected(history, calls),
        "duplicate-element" => elements::duplicate(calls),
        "duplicate-id" => numbers::same_id(calls),
        "out-of-bounds" => numbers::out_of_bounds(history, calls),
        "non-monotonic-count" => numbers::fell(history, calls),
        "unexpected-account" | "missing-account" => numbers::accounts(calls),
        "wrong-total" => numbers::totals(calls),
        "negative-balance" => numbers::overdrawn(calls),
        "lost-row"
        | "duplicate-row"
        | "revived-row"
        | "skipped-value"
        | "unsorted-rows"
        | "off-order"
        | "off-order-in-process"
        | "off-order-on-node" => rows::contradiction(history, name, calls),
        name => Err(format!("nothing is known here of {name}")),
    }
}

/// Whether all of the calls are of registers.
fn of_registers(history: &History, anomaly: &Anomaly) -> bool {
    let mut calls = anomaly
        .calls
        .iter()
        .filter_map(|index| history.call_at(*index));
    calls.all(|call| matches!(call.operation.kind(), Kind::Read | Kind::Write | Kind::Cas))
}

/// Whether one of the calls is a transaction.
fn of_transactions(history: &History, anomaly: &Anomaly) -> bool {
    let mut calls = anomaly
        .calls
        .iter()
        .filter_map(|index| history.call_at(*index));
    calls.any(|call| call.operation.kind() == Kind::Txn)
}

/// Calls on any object that have no order.
fn unordered(history: &History, anomaly: &Anomaly, assume: &Assumptions) -> Result<(), String> {
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
        false => objects::contradiction(history, &anomaly.calls, assume)
            .or_else(|why| amount(history, anomaly, assume).unwrap_or(Err(why))),
    }
}

/// The same of an amount; `None` if it is none.
fn amount(
    history: &History,
    anomaly: &Anomaly,
    assume: &Assumptions,
) -> Option<Result<(), String>> {
    let calls = of_one(history, anomaly).ok()?;
    match calls.first()?.operation.kind() {
        Kind::Increment | Kind::Count => Some(amounts::counted(history, &calls)),
        Kind::AcquirePermits | Kind::ReleasePermits => Some(amounts::held(history, &calls, assume)),
        _ => None,
    }
}

/// Whether a transaction touches the call's key too.
fn touched_by_others(history: &History, call: &Call) -> bool {
    history.calls().iter().any(|other| match &other.operation {
        Operation::Txn { micros } => micros.iter().any(|m| Some(m.key()) == call.operation.key()),
        _ => false,
    })
}

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
