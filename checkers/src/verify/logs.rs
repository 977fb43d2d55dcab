//! Contradictions between what was sent to a log, polled from it and committed; and echoes.

use serde_json::Value as Json;
use tribunal_results::{Anomaly, Answer, Call, History, Operation, Outcome};

/// A message at its offset, as a call tells it.
type Told<'a> = (u64, &'a Json);

/// Derives the contradiction from the calls.
///
/// # Errors
/// Why they don't contradict each other.
pub(super) fn contradiction(
    history: &History,
    anomaly: &Anomaly,
    calls: &[&Call],
) -> Result<(), String> {
    let key = anomaly.key.as_ref().map(ToString::to_string);
    let key = key.as_deref().unwrap_or_default();
    let holds = match (anomaly.name.as_str(), calls) {
        ("wrong-echo", [call]) => answer(call).is_some_and(|said| Some(said) != request(call)),
        ("lost-message", [send, poll]) => {
            let before = send.returned().is_some_and(|end| end < poll.invoked.index);
            before
                && placed(send, key)
                    .iter()
                    .any(|told| is_missed(poll, key, told.0))
        }
        ("skipped-message", [one, other]) => in_any_order(one, other, |teller, poll| {
            placed(teller, key)
                .iter()
                .any(|told| is_missed(poll, key, told.0))
        }),
        ("phantom-message", [poll]) => placed(poll, key)
            .iter()
            .any(|told| !history.calls().iter().any(|call| sends(call, key, told.1))),
        ("phantom-message", [one, other]) => in_any_order(one, other, |send, poll| {
            let too_late = poll.returned().is_some_and(|end| end < send.invoked.index);
            let polled = placed(poll, key);
            let is_there = polled.iter().any(|told| sends(send, key, told.1));
            is_there && is_named(poll, "poll") && (send.is_fail() || too_late)
        }),
        ("inconsistent-offset", [one, other]) => {
            differ(one, other, key, |a, b| a.0 == b.0 && a.1 != b.1)
        }
        ("duplicate-message", [one, other]) => {
            differ(one, other, key, |a, b| a.0 != b.0 && a.1 == b.1)
        }
        ("offset-went-back", [one, other]) => {
            let in_turn = one.process == other.process && one.invoked.index < other.invoked.index;
            let both_send = is_named(one, "send") && is_named(other, "send");
            in_turn && both_send && differ(one, other, key, |a, b| a.0 > b.0)
        }
        ("phantom-commit", [told]) => {
            let offset =
                offset_of(answer(told), key).filter(|_| is_named(told, "list-committed-offsets"));
            offset.is_some_and(|offset| {
                offset > 0
                    && !history
                        .calls()
                        .iter()
                        .any(|c| commits(c, key, offset, told))
            })
        }
        ("unordered-poll", [poll]) => {
            let offsets: Vec<u64> = placed(poll, key).iter().map(|told| told.0).collect();
            let falls = offsets
                .windows(2)
                .any(|pair| matches!(pair, [a, b] if a >= b));
            falls || offsets.iter().any(|offset| *offset < begun_at(poll, key))
        }
        (name, calls) => return Err(format!("{} calls are no {name}", calls.len())),
    };
    match holds {
        true => Ok(()),
        false => Err(format!(
            "no {} of log {key} follows from them",
            anomaly.name
        )),
    }
}

/// Calls are told in the order of their beginnings, whichever is the cause.
fn in_any_order(one: &Call, other: &Call, holds: impl Fn(&Call, &Call) -> bool) -> bool {
    holds(one, other) || holds(other, one)
}

fn request(call: &Call) -> Option<&Json> {
    match &call.operation {
        Operation::Custom { value, .. } => Some(value),
        _ => None,
    }
}

fn answer(call: &Call) -> Option<&Json> {
    match &call.outcome {
        Outcome::Ok(Answer::Custom(said)) => Some(said),
        _ => None,
    }
}

fn is_named(call: &Call, wanted: &str) -> bool {
    matches!(&call.operation, Operation::Custom { name, .. } if name == wanted)
}

/// The name of a log: a text, or a number.
fn is_key(json: &Json, key: &str) -> bool {
    match json {
        Json::String(text) => text == key,
        number => key.parse().is_ok_and(|key: Json| *number == key),
    }
}

/// The messages of that log that a call tells the places of.
fn placed<'a>(call: &'a Call, key: &str) -> Vec<Told<'a>> {
    let Some((asked, said)) = request(call).zip(answer(call)) else {
        return Vec::new();
    };
    if is_named(call, "send") {
        let of_key = asked.get("key").is_some_and(|of| is_key(of, key));
        let offset = said.get("offset").and_then(Json::as_u64);
        let told = offset.zip(asked.get("msg")).filter(|_| of_key);
        return told.into_iter().collect();
    }
    let messages = said.get("msgs").and_then(|logs| logs.get(key)?.as_array());
    let pair = |pair: &'a Json| Some((pair.get(0)?.as_u64()?, pair.get(1)?));
    let polled = messages.filter(|_| is_named(call, "poll"));
    polled.into_iter().flatten().filter_map(pair).collect()
}

/// Whether a call sends that message to that log, whatever became of it.
fn sends(call: &Call, key: &str, message: &Json) -> bool {
    let asked = request(call).filter(|_| is_named(call, "send"));
    asked.is_some_and(|asked| {
        asked.get("key").is_some_and(|of| is_key(of, key)) && asked.get("msg") == Some(message)
    })
}

fn offset_of(json: Option<&Json>, key: &str) -> Option<u64> {
    json?.get("offsets")?.get(key)?.as_u64()
}

/// From where a poll asked for the log.
fn begun_at(poll: &Call, key: &str) -> u64 {
    offset_of(request(poll), key).unwrap_or(0)
}

/// Whether a poll passed over that offset: it asked for it, and got later ones without it.
fn is_missed(poll: &Call, key: &str, offset: u64) -> bool {
    let polled = placed(poll, key);
    is_named(poll, "poll")
        && begun_at(poll, key) <= offset
        && polled.iter().any(|told| told.0 > offset)
        && polled.iter().all(|told| told.0 != offset)
}

fn differ(
    one: &Call,
    other: &Call,
    key: &str,
    contradict: impl Fn(Told<'_>, Told<'_>) -> bool,
) -> bool {
    let (one, other) = (placed(one, key), placed(other, key));
    one.iter().any(|a| other.iter().any(|b| contradict(*a, *b)))
}

/// Whether a call may have committed that offset, or a later one, before another was told.
fn commits(call: &Call, key: &str, offset: u64, told: &Call) -> bool {
    let asked = request(call).filter(|_| is_named(call, "commit-offsets") && !call.is_fail());
    let early = told.returned().is_some_and(|end| call.invoked.index < end);
    early && offset_of(asked, key).is_some_and(|asked| asked >= offset)
}
