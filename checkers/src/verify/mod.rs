//! Checks what the checkers say, with code of its own: none of it is shared with them.
//!
//! A contradiction is derived again from the few calls that it names ([`witness`]); an order that
//! is said to explain all answers is replayed ([`order`]). Both are short and plain on purpose,
//! and know nothing of how the checkers came to their answer.

mod register;

pub use register::order;
use tribunal_results::{Anomaly, History};

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
