//! Checks what the checkers say, with code of its own: none of it is shared with them.
//!
//! A contradiction is derived again from the few calls that it names ([`witness`]); an order that
//! is said to explain all answers is replayed (by one of the functions `*_order`). Both are short
//! and plain on purpose, and know nothing of how the checkers came to their answer.

mod amounts;
mod cache;
mod clocks;
mod elements;
mod levels;
mod lists;
mod locks;
mod logs;
mod numbers;
mod objects;
mod register;
mod rows;
mod serial;
mod sessions;
mod settled;
mod snapshots;
mod stale;
mod waits;

pub use objects::order as object_order;
pub use register::order as register_order;
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

/// What a cache may not do.
const CACHES: [&str; 6] = [
    "unwritten-value",
    "deleted-value",
    "expired-value",
    "too-few-replicas",
    "over-capacity",
    "not-least-recently-used",
];

/// What a log may not do, and an echo.
const LOGS: [&str; 9] = [
    "wrong-echo",
    "lost-message",
    "skipped-message",
    "phantom-message",
    "inconsistent-offset",
    "duplicate-message",
    "offset-went-back",
    "phantom-commit",
    "unordered-poll",
];

/// What the message journal shows.
const CLOCKS: [&str; 10] = [
    "lamport-clock-not-rising",
    "lamport-clock-not-after-send",
    "lamport-clock-not-exact",
    "hybrid-clock-not-rising",
    "hybrid-clock-not-after-send",
    "hybrid-clock-behind",
    "hybrid-clock-ahead",
    "missed-causality",
    "false-causality",
    "delivered-before-cause",
];

/// What transactions on lists show; `-process` and `-realtime` may follow.
const LISTS: [&str; 13] = [
    "internal",
    "duplicate-elements",
    "phantom-value",
    "dirty-update",
    "G1a",
    "incompatible-order",
    "G1b",
    "lost-update",
    "G0",
    "G1c",
    "G-single",
    "G-nonadjacent",
    "G2-item",
];

fn is_kind(name: &str, kind: &str) -> bool {
    let rest = name.strip_prefix(kind);
    rest.is_some_and(|rest| ["", "-process", "-realtime"].contains(&rest))
}

/// Derives the contradiction again from the calls of an anomaly. All else that it rests on (what is
/// assumed, messages, faults) is the record's.
///
/// # Errors
/// Why the calls do not contradict each other, or why that cannot be told.
pub fn witness(record: &Record, anomaly: &Anomaly) -> Result<(), String> {
    let (history, assume) = (&record.history, &record.assume);
    let name = anomaly.name.as_str();
    let calls = named(history, anomaly)?;
    let is_txn = |call: &&Call| call.operation.kind() == Kind::Txn;
    let of_transactions = calls.iter().any(is_txn);
    let of_lists = calls.iter().any(|call| lists::on_lists(call));
    match name {
        name if of_lists && LISTS.iter().any(|kind| is_kind(name, kind)) => {
            lists::contradiction(history, name, &calls)
        }
        "cyclic-causality" | "non-monotonic-read" if calls.iter().all(on_register) => {
            sessions::contradiction(history, name, &calls)
        }
        "write-co-read"
        | "write-co-init-read"
        | "cyclic-conflict"
        | "cyclic-happens-before"
        | "write-hb-init-read"
        | "not-sequential"
        | "lost-own-write"
        | "writes-reordered"
        | "writes-not-following-reads" => sessions::contradiction(history, name, &calls),
        "aborted-read" if of_transactions => levels::contradiction(history, name, &anomaly.calls),
        "stale-read" | "phantom-read" | "aborted-read" if calls.iter().all(of_register) => {
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
        | "causality-violation" => levels::contradiction(history, name, &anomaly.calls),
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
        "cyclic-versions" => serial::cyclic_versions(&calls),
        "internal" | "phantom-value" | "G1a" | "G1b" | "lost-update" => {
            serial::contradiction(history, anomaly)
        }
        name if SERIAL.iter().any(|kind| is_kind(name, kind)) => {
            serial::contradiction(history, anomaly)
        }
        "long-fork" => snapshots::fork(&calls),
        "causal-reverse" => snapshots::reverse(history, &calls),
        "diverged"
        | "lost-update-after-settling"
        | "unexplained-value"
        | "resurrected"
        | "replica-went-back" => settled::contradiction(record, anomaly),
        "too-stale" => stale::contradiction(record, anomaly),
        "lost-signal" | "passed-over" => waits::contradiction(record, anomaly),
        name if CACHES.contains(&name) => cache::contradiction(record, anomaly),
        name if LOGS.contains(&name) => logs::contradiction(history, anomaly, &calls),
        name if CLOCKS.contains(&name) => clocks::contradiction(record, anomaly),
        name => of_object(record, name, anomaly, calls),
    }
}

/// Whether a call reads or writes a register by itself.
fn of_register(call: &&Call) -> bool {
    matches!(call.operation.kind(), Kind::Read | Kind::Write | Kind::Cas)
}

/// Whether it is a plain read or write.
fn on_register(call: &&Call) -> bool {
    matches!(
        call.operation,
        Operation::Read { .. } | Operation::Write { .. }
    )
}

/// Contradictions between calls on one object, or on some that transactions join.
fn of_object(
    record: &Record,
    name: &str,
    anomaly: &Anomaly,
    calls: Vec<&Call>,
) -> Result<(), String> {
    let (history, assume) = (&record.history, &record.assume);
    match name {
        "not-linearizable" | "phantom-read" | "aborted-read" | "out-of-order" | "wrongly-empty" => {
            unordered(history, anomaly, assume)
        }
        // So it is called too where a set or queue was only asked for what it lost.
        "lost-element" | "duplicate-element" => {
            let lost = of_one(calls).and_then(|calls| of_one_object(history, assume, name, &calls));
            lost.or_else(|_| unordered(history, anomaly, assume))
        }
        name => of_one_object(history, assume, name, &of_one(calls)?),
    }
}

/// Contradictions between calls on one set, queue, counter, generator, bank or table.
fn of_one_object(
    history: &History,
    assume: &Assumptions,
    name: &str,
    calls: &[&Call],
) -> Result<(), String> {
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
        "wrong-total" => numbers::totals(calls, assume.bank_total),
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
    let calls = of_one(named(history, anomaly).ok()?).ok()?;
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
fn of_one(calls: Vec<&Call>) -> Result<Vec<&Call>, String> {
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
