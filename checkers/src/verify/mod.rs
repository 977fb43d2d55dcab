//! Checks what the checkers say, with code of its own: none of it is shared with them.
//!
//! A contradiction is derived again from the few calls that it names ([`witness`]); an order that
//! is said to explain all answers is replayed ([`order`]). Both are short and plain on purpose,
//! and know nothing of how the checkers came to their answer.

mod objects;
mod register;

pub use objects::order as order_of;
pub use register::order;
use tribunal_results::{Anomaly, Assumptions, Call, History, Operation};

/// Derives the contradiction again from the calls of an anomaly of registers.
///
/// # Errors
/// Why the calls do not contradict each other, or why that cannot be told.
pub fn witness(history: &History, anomaly: &Anomaly) -> Result<(), String> {
    match anomaly.name.as_str() {
        "stale-read" | "phantom-read" | "aborted-read" => {
            register::contradiction(history, &anomaly.calls)
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
}
