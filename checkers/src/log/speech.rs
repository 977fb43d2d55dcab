//! What clients say to logs, and what they are told, out of JSON.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::{Answer, Call, History, Operation, Outcome, Scalar};

/// A message at its offset.
pub(super) type Placed = (u64, Json);

/// One call, if it is about logs.
#[derive(Debug)]
pub(super) enum Speech {
    /// A message, and its offset if it was acknowledged.
    Send {
        key: Scalar,
        message: Json,
        offset: Option<u64>,
    },
    /// What was polled of each log, with the offset from which it was asked for.
    Poll(Vec<(Scalar, u64, Vec<Placed>)>),
    /// Offsets that were committed.
    Commit(BTreeMap<Scalar, u64>),
    /// Offsets that were committed as far as the system says.
    Committed(BTreeMap<Scalar, u64>),
}

#[derive(Deserialize)]
struct Sent {
    key: Scalar,
    msg: Json,
}

#[derive(Deserialize)]
struct Offset {
    offset: u64,
}

#[derive(Deserialize)]
struct Offsets {
    #[serde(default)]
    offsets: BTreeMap<Scalar, Option<u64>>,
}

#[derive(Deserialize)]
struct Messages {
    #[serde(default)]
    msgs: BTreeMap<Scalar, Vec<Placed>>,
}

fn read<T: for<'de> Deserialize<'de>>(json: &Json) -> Option<T> {
    T::deserialize(json).ok()
}

fn known(offsets: Offsets) -> BTreeMap<Scalar, u64> {
    let known = |(key, offset): (Scalar, Option<u64>)| Some((key, offset?));
    offsets.offsets.into_iter().filter_map(known).collect()
}

impl Speech {
    /// What a call is about. Answers in another form than they should have tell nothing.
    pub(super) fn of(call: &Call) -> Option<Self> {
        let Operation::Custom { name, value } = &call.operation else {
            return None;
        };
        let answer = match &call.outcome {
            Outcome::Ok(Answer::Custom(answer)) => Some(answer),
            _ => None,
        };
        match name.as_str() {
            "send" => {
                let Sent { key, msg } = read(value)?;
                let offset = answer.and_then(read::<Offset>).map(|told| told.offset);
                Some(Self::Send {
                    key,
                    message: msg,
                    offset,
                })
            }
            "poll" => {
                let asked = known(read(value)?);
                let told: Messages = read(answer?)?;
                let from = |key: &Scalar| asked.get(key).copied().unwrap_or(0);
                let logs = told.msgs.into_iter();
                Some(Self::Poll(
                    logs.map(|(key, messages)| (key.clone(), from(&key), messages))
                        .collect(),
                ))
            }
            "commit-offsets" => Some(Self::Commit(known(read(value)?))),
            "list-committed-offsets" => Some(Self::Committed(known(read(answer?)?))),
            _ => None,
        }
    }
}

/// How many polls returned a message that another client had sent.
pub(crate) fn cross_polls(history: &History) -> u64 {
    let mut senders: FxHashMap<String, u64> = FxHashMap::default();
    let mut crossings = 0;
    for call in history.calls() {
        match Speech::of(call) {
            Some(Speech::Send { message, .. }) => {
                senders.insert(message.to_string(), call.process);
            }
            Some(Speech::Poll(logs)) => {
                let mut messages = logs.iter().flat_map(|(_, _, messages)| messages);
                let is_others = |(_, message): &Placed| {
                    let sender = senders.get(&message.to_string());
                    sender.is_some_and(|sender| *sender != call.process)
                };
                crossings += u64::from(messages.any(is_others));
            }
            _ => {}
        }
    }
    crossings
}
