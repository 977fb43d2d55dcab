//! Calls in the words that people use about them.

use tribunal_results::{Call, Nanos, Outcome};

/// A time in seconds with three decimals: `12.402 s`.
pub(crate) fn seconds(nanos: Nanos) -> String {
    let millis = nanos / 1_000_000;
    format!("{}.{:03} s", millis / 1000, millis % 1000)
}

/// The node in brackets, with a space before; empty if the client is bound to none.
pub(crate) fn place(call: &Call) -> String {
    call.node
        .as_ref()
        .map(|node| format!(" ({node})"))
        .unwrap_or_default()
}

/// When the call ended; its invocation if the record ends first.
pub(crate) fn ended(call: &Call) -> Nanos {
    call.completed.unwrap_or(call.invoked).time
}

/// What happened in full: `p4 read k7 → 3 at 12.402 s (n2)`.
pub(crate) fn done(call: &Call) -> String {
    let answer = match &call.outcome {
        Outcome::Ok(answer) => answer.to_string(),
        Outcome::Fail(_) => "refused".into(),
        Outcome::Info(_) => "unknown".into(),
    };
    let arrow = if answer.is_empty() { "" } else { " → " };
    let when = seconds(ended(call));
    format!(
        "p{} {}{arrow}{answer} at {when}{}",
        call.process,
        call.operation,
        place(call)
    )
}

/// That it was answered: `p1's write k7 = 5 was acknowledged at 11.980 s (n1)`.
pub(crate) fn acknowledged(call: &Call) -> String {
    let when = seconds(ended(call));
    format!(
        "p{}'s {} was acknowledged at {when}{}",
        call.process,
        call.operation,
        place(call)
    )
}

/// That it was asked: `p1's write k7 = 5 was invoked at 11.930 s (n1)`.
pub(crate) fn invoked(call: &Call) -> String {
    let when = seconds(call.invoked.time);
    format!(
        "p{}'s {} was invoked at {when}{}",
        call.process,
        call.operation,
        place(call)
    )
}

/// `1 key`, `2 keys`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}

/// The indexes and the span of an anomaly's calls: in order of invocation, each once.
pub(crate) fn extent(calls: &[&Call]) -> (Vec<u64>, (Nanos, Nanos)) {
    let mut indexes: Vec<u64> = calls.iter().map(|call| call.invoked.index).collect();
    indexes.sort_unstable();
    indexes.dedup();
    let from = calls.iter().map(|call| call.invoked.time).min();
    let to = calls.iter().map(|call| ended(call)).max();
    (indexes, (from.unwrap_or_default(), to.unwrap_or_default()))
}
