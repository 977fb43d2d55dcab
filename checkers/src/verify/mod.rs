//! Checks what the checkers say, with code of its own: none of it is shared with them.
//!
//! A contradiction is derived again from the few calls that it names ([`witness`]); an order that
//! is said to explain all answers is replayed ([`order`]). Both are short and plain on purpose,
//! and know nothing of how the checkers came to their answer.

mod clocks;
mod register;
mod settled;
mod stale;

pub use register::order;
use tribunal_results::{Anomaly, History, Record};

/// Derives the contradiction again from the calls of an anomaly of registers.
///
/// # Errors
/// Why the calls do not contradict each other, or why that cannot be told.
pub fn witness(history: &History, anomaly: &Anomaly) -> Result<(), String> {
    match anomaly.name.as_str() {
        "stale-read" | "phantom-read" | "aborted-read" | "not-linearizable" => {
            register::contradiction(history, &anomaly.calls)
        }
        name => Err(format!("nothing is known here of {name}")),
    }
}

/// Derives a contradiction again that rests on more than calls: on assumptions, faults, or the
/// message journal. All others as [`witness`] does.
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
        _ => witness(&record.history, anomaly),
    }
}
