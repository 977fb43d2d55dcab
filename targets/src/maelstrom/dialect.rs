//! The ten workloads' messages: operations as requests, and answers as outcomes.
//!
//! Objects are small integers on the wire, as third-party nodes' types expect: `k3` is 3.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};
use tribunal_results::{Answer, Kind, Micro, Operation, Outcome, Reason, Scalar};

use crate::client::unknown;
use crate::wire::error::outcome_of;
use crate::wire::{Body, Code};

/// One of Maelstrom's workloads, by its name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// What is said comes back.
    Echo,
    /// Identifiers that nobody else gets.
    UniqueIds,
    /// Messages that every node is to have in the end.
    Broadcast,
    /// A set that grows.
    GSet,
    /// A counter that grows.
    GCounter,
    /// A counter that rises and falls.
    PnCounter,
    /// Registers.
    LinKv,
    /// Transactions on lists.
    TxnListAppend,
    /// Transactions on registers.
    TxnRwRegister,
    /// Logs.
    Kafka,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Echo,
        Self::UniqueIds,
        Self::Broadcast,
        Self::GSet,
        Self::GCounter,
        Self::PnCounter,
        Self::LinKv,
        Self::TxnListAppend,
        Self::TxnRwRegister,
        Self::Kafka,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::UniqueIds => "unique-ids",
            Self::Broadcast => "broadcast",
            Self::GSet => "g-set",
            Self::GCounter => "g-counter",
            Self::PnCounter => "pn-counter",
            Self::LinKv => "lin-kv",
            Self::TxnListAppend => "txn-list-append",
            Self::TxnRwRegister => "txn-rw-register",
            Self::Kafka => "kafka",
        }
    }

    /// The operations that can be said in it.
    pub const fn operations(self) -> &'static [Kind] {
        match self {
            Self::Echo | Self::Kafka => &[Kind::Custom],
            Self::UniqueIds => &[Kind::Generate],
            Self::Broadcast | Self::GSet => &[Kind::Add, Kind::Members],
            Self::GCounter | Self::PnCounter => &[Kind::Increment, Kind::Count],
            Self::LinKv => &[Kind::Read, Kind::Write, Kind::Cas],
            Self::TxnListAppend | Self::TxnRwRegister => &[Kind::Txn],
        }
    }

    /// The request for an operation; `None` if it cannot be said.
    pub(super) fn request(self, operation: &Operation) -> Option<Body> {
        let body = Body::new;
        Some(match (self, operation) {
            (Self::Echo, Operation::Custom { name, value }) if name == "echo" => {
                body("echo").with("echo", value.clone())
            }
            (Self::Kafka, Operation::Custom { name, value }) => {
                let fields = value.as_object()?.clone().into_iter();
                fields.fold(body(&name.replace('-', "_")), |body, (name, value)| {
                    body.with(&name, value)
                })
            }
            (Self::UniqueIds, Operation::Generate { .. }) => body("generate"),
            (Self::Broadcast, Operation::Add { value, .. }) => {
                body("broadcast").with("message", json!(value))
            }
            (Self::GSet, Operation::Add { value, .. }) => body("add").with("element", json!(value)),
            (Self::Broadcast | Self::GSet, Operation::Members { .. }) => body("read"),
            (Self::GCounter | Self::PnCounter, Operation::Increment { by, .. }) => {
                body("add").with("delta", *by)
            }
            (Self::GCounter | Self::PnCounter, Operation::Count { .. }) => body("read"),
            (Self::LinKv, Operation::Read { key }) => body("read").with("key", number(key)),
            (Self::LinKv, Operation::Write { key, value }) => body("write")
                .with("key", number(key))
                .with("value", json!(value)),
            (Self::LinKv, Operation::Cas { key, from, to }) => body("cas")
                .with("key", number(key))
                .with("from", json!(from))
                .with("to", json!(to)),
            (Self::TxnListAppend | Self::TxnRwRegister, Operation::Txn { micros }) => {
                body("txn").with("txn", steps(micros))
            }
            _ => return None,
        })
    }

    /// How an operation ended, by the body that answers it.
    pub(super) fn outcome(self, operation: &Operation, text: &str) -> Outcome {
        let bad = |text: String| unknown(operation, Reason::new("bad-answer", text));
        let body: Body = match serde_json::from_str(text) {
            Ok(body) => body,
            Err(e) => return bad(e.to_string()),
        };
        if body.kind() == "error" {
            return refused(operation, &body);
        }
        let asked = self.request(operation).unwrap_or_default();
        let expected = format!("{}_ok", asked.kind());
        if body.kind() != expected {
            return bad(format!("a {:?} instead of {expected:?}", body.kind()));
        }
        self.answer(operation, &body, text)
            .map_or_else(bad, Outcome::Ok)
    }

    fn answer(self, operation: &Operation, body: &Body, text: &str) -> Result<Answer, String> {
        let value = |name: &str| operation.parse_answer(body.json(name).cloned());
        match operation {
            Operation::Custom { .. } if self == Self::Echo => {
                Ok(Answer::Custom(field(body, "echo")?))
            }
            Operation::Custom { .. } => Ok(Answer::Custom(said(body))),
            Operation::Generate { .. } => identifier(text).map(|id| Answer::Value(Some(id))),
            Operation::Members { .. } if self == Self::Broadcast => {
                field(body, "messages")?;
                value("messages")
            }
            Operation::Members { .. } | Operation::Count { .. } => {
                field(body, "value")?;
                value("value")
            }
            Operation::Read { .. } => value("value"),
            Operation::Txn { micros } => transaction(operation, micros, &field(body, "txn")?),
            _ => Ok(Answer::Done),
        }
    }
}

/// A field that must be there.
fn field(body: &Body, name: &str) -> Result<Json, String> {
    let missing = || format!("a {:?} without {name:?}", body.kind());
    body.json(name).cloned().ok_or_else(missing)
}

/// How an error ends an operation. Error 20 answers a read: there is nothing.
fn refused(operation: &Operation, body: &Body) -> Outcome {
    let is_absent = body.field::<u64>("code") == Ok(Code::KeyDoesNotExist.number());
    match (operation, outcome_of(body)) {
        (Operation::Read { .. }, _) if is_absent => Outcome::Ok(Answer::Value(None)),
        (_, Outcome::Info(reason)) => unknown(operation, reason),
        (_, decided) => decided,
    }
}

/// An object as a number, if its name ends with one.
fn number(key: &Scalar) -> Json {
    let Scalar::Text(name) = key else {
        return json!(key);
    };
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits
        .parse::<u64>()
        .map_or_else(|_| json!(key), Json::from)
}

fn steps(micros: &[Micro]) -> Json {
    let step = |micro: &Micro| match micro {
        Micro::Read { key, .. } => json!(["r", number(key), null]),
        Micro::Append { key, value } => json!(["append", number(key), value]),
        Micro::Write { key, value } => json!(["w", number(key), value]),
    };
    micros.iter().map(step).collect()
}

/// A transaction that was carried out: the steps that were asked for, with what reads saw.
fn transaction(operation: &Operation, micros: &[Micro], done: &Json) -> Result<Answer, String> {
    let asked = steps(micros);
    let (asked, done) = (asked.as_array(), done.as_array());
    let (Some(asked), Some(done)) = (asked, done) else {
        return Err("a transaction that is no list of steps".into());
    };
    let differs = || format!("the steps {done:?} instead of {asked:?}");
    if asked.len() != done.len() {
        return Err(differs());
    }
    let mut named = Vec::with_capacity(micros.len());
    for ((micro, asked), done) in micros.iter().zip(asked).zip(done) {
        let same = |at: usize| asked.get(at) == done.get(at);
        let is_read = matches!(micro, Micro::Read { .. });
        if !same(0) || !same(1) || !(is_read || same(2)) {
            return Err(differs());
        }
        let (Micro::Read { key, .. } | Micro::Append { key, .. } | Micro::Write { key, .. }) =
            micro;
        named.push(json!([done.get(0), key, done.get(2)]));
    }
    operation.parse_answer(Some(Json::Array(named)))
}

/// All that a body says, without what every body has.
fn said(body: &Body) -> Json {
    let mut body = body.clone();
    for name in ["type", "msg_id", "in_reply_to"] {
        body.remove(name);
    }
    match Json::from(body) {
        Json::Object(fields) => Json::Object(fields),
        _ => Json::Object(Map::new()),
    }
}

/// An identifier may be any JSON: integers and texts are themselves, all else is its text.
fn identifier(text: &str) -> Result<Scalar, String> {
    #[derive(Deserialize)]
    struct Identified<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }
    let read: Identified<'_> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if let Ok(scalar) = serde_json::from_str::<Scalar>(read.id.get()) {
        return Ok(scalar);
    }
    match read.id.get() {
        "null" => Err("an identifier that is null".into()),
        other => Ok(Scalar::Text(format!("json:{other}").into())),
    }
}

#[cfg(test)]
#[path = "dialect_tests.rs"]
mod tests;
