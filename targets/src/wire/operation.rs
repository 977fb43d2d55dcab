//! Operations as requests, and their answers as replies: one mapping for clients and nodes.
//!
//! A request's type is the operation's name with `_` for `-`; its object is the field `key` (of a
//! lock, `lock`), and what else it says is in `value`, or in fields of their own where it says
//! several things (`from` and `to`, `token`, `permits`, …), or in `txn`. The reply has the type
//! with `_ok` after it and the answer in the same manner. So the messages of registers and
//! transactions are Maelstrom's.

use serde_json::{Map, Value as Json, json};
use tribunal_results::{Answer, Kind, Operation, Scalar};

use super::{Body, Code, WireError};

/// The request that asks for an operation.
pub fn request(operation: &Operation) -> Body {
    let kind = operation.kind();
    let body = Body::new(&type_of(kind));
    let body = match operation.key() {
        Some(key) => body.with(object_field(kind), json!(key)),
        None => body,
    };
    match (operation, operation.value()) {
        (Operation::Cas { from, to, .. }, _) => {
            body.with("from", json!(from)).with("to", json!(to))
        }
        (Operation::Txn { .. }, Some(steps)) => body.with("txn", steps),
        (_, Some(Json::Object(fields))) => body.extended(fields),
        (_, Some(value)) => body.with("value", value),
        (_, None) => body,
    }
}

/// The operation that a request asks for: the inverse of [`request`].
///
/// # Errors
/// [`Code::NotSupported`] if there is no such operation, [`Code::MalformedRequest`] if its form is
/// wrong.
pub fn parse(body: &Body) -> Result<Operation, WireError> {
    let kind = Kind::from_name(&body.kind().replace('_', "-"))
        .ok_or_else(|| WireError::not_supported(body.kind()))?;
    let key: Option<Scalar> = body.field(object_field(kind))?;
    let value = match kind {
        Kind::Cas => Some(json!([body.json("from"), body.json("to")])),
        Kind::Txn => body.json("txn").cloned(),
        Kind::Acquire if body.json("ticket").is_none() => None,
        _ if has_fields(kind) => Some(body.clone().into()),
        _ => body.json("value").cloned(),
    };
    Operation::parse(kind, key, value).map_err(WireError::malformed)
}

/// The reply to a request that was carried out. A read that found nothing is an error of its own.
pub fn reply(operation: &Operation, answer: &Answer) -> Body {
    let kind = operation.kind();
    if (kind, answer) == (Kind::Read, &Answer::Value(None)) {
        return WireError::new(Code::KeyDoesNotExist, "nothing was written there yet").body();
    }
    let body = Body::new(&(type_of(kind) + "_ok"));
    let value = match answer {
        Answer::Done => return body,
        _ => operation.answer_value(answer),
    };
    match value {
        Some(steps) if kind == Kind::Txn => body.with("txn", steps),
        Some(Json::Object(fields)) if answers_fields(kind) => body.extended(fields),
        Some(value) => body.with("value", value),
        None => body,
    }
}

/// What a reply, that is no error, answers to an operation: the inverse of [`reply`].
///
/// # Errors
/// It is no reply to this operation, or its form is wrong.
pub fn answer(operation: &Operation, reply: &Body) -> Result<Answer, String> {
    let kind = operation.kind();
    let expected = type_of(kind) + "_ok";
    if reply.kind() != expected {
        return Err(format!("a {:?} instead of {expected:?}", reply.kind()));
    }
    let value = match kind {
        Kind::Txn => reply.json("txn").cloned(),
        _ if answers_fields(kind) => Some(reply.clone().into()),
        _ => reply.json("value").cloned(),
    };
    operation.parse_answer(value)
}

/// Checks that the key of an operation, and the value that it writes, adds or removes, are short
/// enough for a node to pass on in messages of its own.
///
/// # Errors
/// [`Code::PreconditionFailed`] if one has more than `bytes_max` bytes.
pub fn check_size(operation: &Operation, bytes_max: usize) -> Result<(), WireError> {
    let bytes = |scalar: Option<&Scalar>| match scalar {
        Some(Scalar::Text(text)) => text.len(),
        _ => 0,
    };
    let value = match operation {
        Operation::Write { value, .. }
        | Operation::Add { value, .. }
        | Operation::Remove { value, .. } => Some(value),
        _ => None,
    };
    match bytes(operation.key()).max(bytes(value)) > bytes_max {
        true => Err(WireError::precondition(format!(
            "keys and values may have {bytes_max} bytes at most"
        ))),
        false => Ok(()),
    }
}

fn type_of(kind: Kind) -> String {
    kind.name().replace('-', "_")
}

/// The field that names what the operation works on.
const fn object_field(kind: Kind) -> &'static str {
    match kind {
        Kind::Request | Kind::Acquire | Kind::TryAcquire | Kind::Renew | Kind::Release => "lock",
        _ => "key",
    }
}

/// Whether a request of this kind says several things.
const fn has_fields(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Acquire
            | Kind::Renew
            | Kind::Release
            | Kind::GuardedWrite
            | Kind::AcquirePermits
            | Kind::ReleasePermits
            | Kind::Transfer
            | Kind::Custom
    )
}

/// Whether the answer to an operation of this kind says several things.
const fn answers_fields(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Request
            | Kind::Acquire
            | Kind::TryAcquire
            | Kind::Renew
            | Kind::AcquirePermits
            | Kind::Advance
    )
}

impl Body {
    /// The same body with more fields.
    fn extended(self, fields: Map<String, Json>) -> Self {
        let with = |body: Self, (name, value): (String, Json)| body.with(&name, value);
        fields.into_iter().fold(self, with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tribunal_results::{Grant, Micro, Row, Seen};

    fn scalar(text: &str) -> Scalar {
        text.into()
    }

    #[rustfmt::skip]
    fn operations() -> Vec<(Operation, Answer)> {
        let (key, value) = (scalar("k"), Scalar::Int(7));
        let token = Some(4);
        let grant = Answer::Grant(Grant { token: 4, lease_ms: 100 });
        let read = |seen| Micro::Read { key: scalar("x"), seen };
        let write = Micro::Append { key: scalar("x"), value: value.clone() };
        let values = Answer::Values(vec![value.clone(), scalar("a")]);
        let one = Answer::Value(Some(value.clone()));
        vec![
            (Operation::Read { key: key.clone() }, one.clone()),
            (Operation::Write { key: key.clone(), value: value.clone() }, Answer::Done),
            (Operation::Cas { key: key.clone(), from: scalar("a"), to: value.clone() }, Answer::Done),
            (Operation::Request { lock: key.clone() }, Answer::Ticket(3)),
            (Operation::Acquire { lock: key.clone(), ticket: Some(3) }, grant.clone()),
            (Operation::Acquire { lock: key.clone(), ticket: None }, grant.clone()),
            (Operation::TryAcquire { lock: key.clone() }, grant.clone()),
            (Operation::Renew { lock: key.clone(), token: 4 }, grant.clone()),
            (Operation::Release { lock: key.clone(), token: 4 }, Answer::Done),
            (Operation::GuardedWrite { key: key.clone(), value: value.clone(), token: 4 }, Answer::Done),
            (Operation::Append { key: key.clone(), value: value.clone() }, Answer::Done),
            (Operation::Elements { key: key.clone() }, values.clone()),
            (Operation::Add { key: key.clone(), value: value.clone() }, Answer::Flag(true)),
            (Operation::Remove { key: key.clone(), value: value.clone() }, Answer::Done),
            (Operation::Contains { key: key.clone(), value: value.clone() }, Answer::Flag(false)),
            (Operation::Members { key: key.clone() }, values.clone()),
            (Operation::Increment { key: key.clone(), by: -2 }, Answer::Done),
            (Operation::Count { key: key.clone() }, one.clone()),
            (Operation::Enqueue { key: key.clone(), value: value.clone() }, Answer::Done),
            (Operation::Dequeue { key: key.clone() }, Answer::Value(None)),
            (Operation::Drain { key: key.clone() }, values),
            (Operation::Push { key: key.clone(), value: value.clone() }, Answer::Done),
            (Operation::Pop { key: key.clone() }, one.clone()),
            (Operation::AcquirePermits { key: key.clone(), permits: 2 }, grant),
            (Operation::AcquirePermits { key: key.clone(), permits: 2 }, Answer::Done),
            (Operation::ReleasePermits { key: key.clone(), permits: 2, token }, Answer::Done),
            (Operation::Generate { key: key.clone() }, one),
            (
                Operation::Transfer { key: key.clone(), from: 1.into(), to: 2.into(), amount: 5 },
                Answer::Done,
            ),
            (
                Operation::Balances { key: key.clone() },
                Answer::Balances(vec![(1.into(), Some(5)), (2.into(), None)]),
            ),
            (Operation::Advance { key: key.clone() }, Answer::Row(Row { value: 1, timestamp: 9 })),
            (Operation::Rows { key }, Answer::Rows(vec![Row { value: 1, timestamp: 9 }])),
            (
                Operation::Txn { micros: vec![read(Seen::Nothing), write.clone()] },
                Answer::Txn(vec![read(Seen::List(vec![value])), write]),
            ),
            (
                Operation::Custom { name: "poke".into(), value: json!({ "hard": true }) },
                Answer::Custom(json!([1, 2])),
            ),
        ]
    }

    #[test]
    fn every_operation_and_answer_comes_back_as_it_was_sent() {
        let told = operations();
        for kind in Kind::ALL {
            assert!(told.iter().any(|(asked, _)| asked.kind() == kind), "{kind}");
        }
        for (operation, answered) in told {
            let body = request(&operation).with("msg_id", 5).with("wait_ms", 9);
            assert_eq!(parse(&body).unwrap(), operation);
            let replied = reply(&operation, &answered).in_reply(Some(5));
            assert_eq!(
                answer(&operation, &replied).unwrap(),
                answered,
                "{replied:?}"
            );
        }
    }

    #[test]
    fn registers_and_transactions_speak_as_maelstrom_does() {
        let shown = |operation| Json::from(request(&operation)).to_string();
        let cas = Operation::Cas {
            key: 1.into(),
            from: 2.into(),
            to: 3.into(),
        };
        assert_eq!(shown(cas), r#"{"from":2,"key":1,"to":3,"type":"cas"}"#);
        let micros = vec![Micro::Read {
            key: 1.into(),
            seen: Seen::Nothing,
        }];
        let txn = Operation::Txn { micros };
        assert_eq!(shown(txn), r#"{"txn":[["r",1,null]],"type":"txn"}"#);
    }

    #[test]
    fn what_is_no_operation_is_refused_with_the_reason() {
        let unknown = parse(&Body::new("explode")).unwrap_err();
        assert_eq!(unknown.code, Code::NotSupported);
        let partial = parse(&Body::new("write").with("key", 1)).unwrap_err();
        assert_eq!(partial.code, Code::MalformedRequest);
        assert!(partial.text.contains("needs a value"), "{partial}");
    }
}
