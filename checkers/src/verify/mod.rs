//! Checks what the checkers say, with code of its own: none of it is shared with them.
//!
//! A contradiction is derived again from the few calls that it names ([`witness`]); an order that
//! is said to explain all answers is replayed ([`order`]). Both are short and plain on purpose,
//! and know nothing of how the checkers came to their answer.

mod locks;
mod register;

pub use register::order;
use tribunal_results::{Anomaly, Assumptions, History};

/// Derives the contradiction again from the calls of an anomaly.
///
/// # Errors
/// Why the calls do not contradict each other, or why that cannot be told.
pub fn witness(history: &History, anomaly: &Anomaly) -> Result<(), String> {
    witness_assuming(history, &Assumptions::default(), anomaly)
}

/// The same where something else is assumed of the objects or the clocks than by default.
///
/// # Errors
/// Why the calls do not contradict each other, or why that cannot be told.
pub fn witness_assuming(
    history: &History,
    assume: &Assumptions,
    anomaly: &Anomaly,
) -> Result<(), String> {
    match anomaly.name.as_str() {
        "stale-read" | "phantom-read" | "aborted-read" | "not-linearizable" => {
            register::contradiction(history, &anomaly.calls)
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
        name => Err(format!("nothing is known here of {name}")),
    }
}
