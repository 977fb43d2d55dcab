//! Operations and answers in Jepsen's words: the reverse of what the reader makes of them.

use std::collections::BTreeMap;

use crate::import::edn::{Form, Place, Value};
use crate::import::{Object, is_word};
use crate::{Answer, Micro, Operation, Reason, Row, Scalar, Seen};

/// How words are written that are keywords in EDN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// With keywords.
    Edn,
    /// As texts.
    Json,
}

impl Style {
    /// A word of Jepsen's, such as a step's name.
    pub(super) fn word(self, name: &str) -> Value {
        match self {
            Self::Edn if is_word(name) => Value::Keyword(name.into()),
            _ => Value::Text(name.into()),
        }
    }

    fn scalar(self, scalar: &Scalar) -> Value {
        match scalar {
            Scalar::Int(n) => Value::Int(*n),
            Scalar::Text(text) => match text.strip_prefix(':') {
                Some(name) if self == Self::Edn => self.word(name),
                _ => Value::Text(text.to_string()),
            },
        }
    }

    /// A name within a map: JSON's are texts.
    fn name(self, scalar: &Scalar) -> Value {
        match self {
            Self::Edn => self.scalar(scalar),
            Self::Json => Value::Text(scalar.to_string()),
        }
    }

    /// Why an operation failed, or why nobody knows: its code, then the sentence.
    pub(super) fn reason(self, reason: &Reason) -> Value {
        let code = match self {
            Self::Edn => self.word(&reason.code),
            Self::Json => Value::Text(format!(":{}", reason.code)),
        };
        match reason.text.as_str() {
            "" => vector([code]),
            text => vector([code, Value::Text(text.into())]),
        }
    }

    fn map(self, fields: [(&str, Value); 3]) -> Value {
        let fields = fields.map(|(name, value)| (self.word(name), form(value)));
        Value::Map(BTreeMap::from(fields))
    }
}

/// A value without a place of its own.
fn form(value: Value) -> Form {
    let place = Place { line: 0, column: 0 };
    Form { value, place }
}

fn vector(values: impl IntoIterator<Item = Value>) -> Value {
    Value::Vector(values.into_iter().map(form).collect())
}

/// The name of an operation, and what the object is called that need not be named; `None` if
/// Jepsen's workloads have no such operation.
#[rustfmt::skip]
pub(super) fn name(operation: &Operation) -> Option<(&'static str, &'static str)> {
    let of = |f, object: Object| Some((f, object.name()));
    match operation {
        Operation::Read { .. } => of("read", Object::Register),
        Operation::Write { .. } => of("write", Object::Register),
        Operation::Cas { .. } => of("cas", Object::Register),
        Operation::Append { .. } => of("append", Object::List),
        Operation::Elements { .. } => of("read", Object::List),
        Operation::Add { .. } => of("add", Object::Set),
        Operation::Remove { .. } => of("remove", Object::Set),
        Operation::Contains { .. } => of("contains", Object::Set),
        Operation::Members { .. } => of("read", Object::Set),
        Operation::Increment { .. } => of("increment", Object::Counter),
        Operation::Count { .. } => of("read", Object::Counter),
        Operation::Transfer { .. } => of("transfer", Object::Bank),
        Operation::Balances { .. } => of("read", Object::Bank),
        Operation::Advance { .. } => of("add", Object::Table),
        Operation::Rows { .. } => of("read", Object::Table),
        Operation::Enqueue { .. } => Some(("enqueue", "queue")),
        Operation::Dequeue { .. } => Some(("dequeue", "queue")),
        Operation::Drain { .. } => Some(("drain", "queue")),
        Operation::Push { .. } => Some(("push", "stack")),
        Operation::Pop { .. } => Some(("pop", "stack")),
        Operation::AcquirePermits { .. } => Some(("acquire", "lock")),
        Operation::ReleasePermits { .. } => Some(("release", "lock")),
        Operation::Generate { .. } => Some(("generate", "ids")),
        Operation::Txn { .. } => Some(("txn", "")),
        Operation::Request { .. } | Operation::Acquire { .. } | Operation::TryAcquire { .. }
        | Operation::Renew { .. } | Operation::Release { .. } | Operation::GuardedWrite { .. }
        | Operation::Custom { .. } => None,
    }
}

/// What an operation is invoked with.
pub(super) fn asked(style: Style, operation: &Operation) -> Value {
    let value = match operation {
        Operation::Write { value, .. }
        | Operation::Append { value, .. }
        | Operation::Add { value, .. }
        | Operation::Remove { value, .. }
        | Operation::Contains { value, .. }
        | Operation::Enqueue { value, .. }
        | Operation::Push { value, .. } => style.scalar(value),
        Operation::Cas { from, to, .. } => vector([style.scalar(from), style.scalar(to)]),
        Operation::Increment { by, .. } => Value::Int(*by),
        Operation::Transfer {
            from, to, amount, ..
        } => style.map([
            ("from", style.scalar(from)),
            ("to", style.scalar(to)),
            ("amount", Value::Int(*amount)),
        ]),
        Operation::Txn { micros } => steps(style, micros),
        _ => Value::Nil,
    };
    keyed(style, operation, value)
}

/// What an operation that took effect returned.
pub(super) fn answered(style: Style, operation: &Operation, answer: &Answer) -> Value {
    let scalars = |values: &[Scalar]| vector(values.iter().map(|value| style.scalar(value)));
    let value = match answer {
        Answer::Done | Answer::Ticket(_) | Answer::Grant(_) | Answer::Custom(_) => {
            return asked(style, operation);
        }
        Answer::Value(value) => value.as_ref().map_or(Value::Nil, |v| style.scalar(v)),
        Answer::Values(values) => scalars(values),
        Answer::Txn(micros) => steps(style, micros),
        // These are told by themselves, whatever the object.
        Answer::Flag(yes) => return Value::Bool(*yes),
        Answer::Row(row) => return self::row(style, *row),
        Answer::Rows(rows) => vector(rows.iter().map(|row| self::row(style, *row))),
        Answer::Balances(accounts) => {
            let account = |(name, balance): &(Scalar, Option<i64>)| {
                let balance = balance.map_or(Value::Nil, Value::Int);
                (style.name(name), form(balance))
            };
            Value::Map(accounts.iter().map(account).collect())
        }
    };
    keyed(style, operation, value)
}

/// `[key value]`, or only the value if the key is what the object is called anyway.
fn keyed(style: Style, operation: &Operation, value: Value) -> Value {
    let (Some(key), Some((_, only))) = (operation.key(), name(operation)) else {
        return value;
    };
    match *key == Scalar::from(only) {
        true => value,
        false => vector([style.scalar(key), value]),
    }
}

fn steps(style: Style, micros: &[Micro]) -> Value {
    let step = |micro: &Micro| {
        let (name, value) = match micro {
            Micro::Read { seen, .. } => ("r", self::seen(style, seen)),
            Micro::Append { value, .. } => ("append", style.scalar(value)),
            Micro::Write { value, .. } => ("w", style.scalar(value)),
        };
        vector([style.word(name), style.scalar(micro.key()), value])
    };
    vector(micros.iter().map(step))
}

fn seen(style: Style, seen: &Seen) -> Value {
    match seen {
        Seen::Nothing => Value::Nil,
        Seen::Value(value) => style.scalar(value),
        Seen::List(values) => vector(values.iter().map(|value| style.scalar(value))),
    }
}

/// A row as CockroachDB's *monotonic* test wrote them.
fn row(style: Style, row: Row) -> Value {
    // Beyond 63 bits it is not the same any more, which the comparison finds.
    let timestamp = i64::try_from(row.timestamp).unwrap_or(i64::MAX);
    Value::Map(BTreeMap::from(
        [("val", row.value), ("sts", timestamp)]
            .map(|(name, n)| (style.word(name), form(Value::Int(n)))),
    ))
}
