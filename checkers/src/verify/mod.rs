//! Checks what the checkers say, with code of its own: none of it is shared with them.
//!
//! A contradiction is derived again from the few calls that it names ([`witness`]); an order that
//! is said to explain all answers is replayed ([`order`]). Both are short and plain on purpose,
//! and know nothing of how the checkers came to their answer.

mod register;
mod serial;

pub use register::order;
pub use serial::{Kept, serial_order, snapshot_order};
use tribunal_results::{Anomaly, History};

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

/// Derives the contradiction again from the calls of an anomaly of registers, or of transactions
/// on registers.
///
/// # Errors
/// Why the calls do not contradict each other, or why that cannot be told.
pub fn witness(history: &History, anomaly: &Anomaly) -> Result<(), String> {
    match anomaly.name.as_str() {
        "stale-read" | "phantom-read" | "aborted-read" | "not-linearizable" => {
            register::contradiction(history, &anomaly.calls)
        }
        "internal" | "phantom-value" | "G1a" | "G1b" | "lost-update" => {
            serial::contradiction(history, anomaly)
        }
        name if SERIAL.iter().any(|kind| is_kind(name, kind)) => {
            serial::contradiction(history, anomaly)
        }
        name => Err(format!("nothing is known here of {name}")),
    }
}
