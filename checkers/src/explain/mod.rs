//! Calls in the words that people use about them.

use tribunal_results::{Call, Kind, Nanos, Outcome};

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

/// The call with its answer, to begin a sentence: `p4's read k7 → 3`.
pub(crate) fn whose(call: &Call) -> String {
    format!("p{}'s {}{}", call.process, call.operation, answer(call))
}

/// With an arrow and a space before; empty if there is nothing to tell.
fn answer(call: &Call) -> String {
    let answer = match &call.outcome {
        Outcome::Ok(answer) => answer.to_string(),
        Outcome::Fail(_) => "refused".into(),
        Outcome::Info(_) => "unknown".into(),
    };
    let arrow = if answer.is_empty() { "" } else { " → " };
    format!("{arrow}{answer}")
}

/// What a read saw: `p4 read k7 → 3 at 12.402 s (n2)`; of anything else, when it returned.
pub(crate) fn done(call: &Call) -> String {
    if call.operation.kind() != Kind::Read {
        return returned(call);
    }
    format!(
        "p{} {}{} at {}{}",
        call.process,
        call.operation,
        answer(call),
        seconds(ended(call)),
        place(call)
    )
}

/// When it returned, and with what: `p4's read k7 → 3 returned at 12.402 s (n2)`.
pub(crate) fn returned(call: &Call) -> String {
    let verb = match (call.operation.kind(), call.is_ok()) {
        (Kind::Write, true) => "was acknowledged",
        _ => "returned",
    };
    let (when, place) = (seconds(ended(call)), place(call));
    format!("{} {verb} at {when}{place}", whose(call))
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

/// The verb to so many.
pub(crate) const fn are(n: usize) -> &'static str {
    if n == 1 { "is" } else { "are" }
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
