//! Checks what the checkers say, with code of its own: none of it is shared with them.
//!
//! A contradiction is derived again from the few calls that it names ([`witness`]); an order that
//! is said to explain all answers is replayed ([`order`]). Both are short and plain on purpose,
//! and know nothing of how the checkers came to their answer.

mod levels;
mod register;

pub use register::order;
use tribunal_results::{Anomaly, History, Kind};

/// Derives the contradiction again from the calls of an anomaly.
///
/// # Errors
/// Why the calls do not contradict each other, or why that cannot be told.
pub fn witness(history: &History, anomaly: &Anomaly) -> Result<(), String> {
    let of_transactions = |index: &u64| {
        let call = history.call_at(*index);
        call.is_some_and(|call| call.operation.kind() == Kind::Txn)
    };
    match anomaly.name.as_str() {
        "aborted-read" if anomaly.calls.iter().any(of_transactions) => {
            levels::contradiction(history, &anomaly.name, &anomaly.calls)
        }
        "stale-read" | "phantom-read" | "aborted-read" | "not-linearizable" => {
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
        name => Err(format!("nothing is known here of {name}")),
    }
}
