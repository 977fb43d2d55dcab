//! One event of an outside history, before anybody asks what it means.

use super::edn::Value;
use super::{ImportError, Where};
use crate::event::LineType;

/// One event.
#[derive(Debug)]
pub(super) struct Entry {
    /// Where it stands in its file.
    pub(super) at: Where,
    /// The client; `None` of the nemesis and of whatever else is no client.
    pub(super) client: Option<u64>,
    /// Invocation, or kind of completion.
    pub(super) kind: LineType,
    /// The operation's name, without a colon.
    pub(super) f: String,
    /// Argument or answer.
    pub(super) value: Value,
    /// Nanoseconds since the origin of its file.
    pub(super) time: Option<i64>,
    /// Position in the history that it claims.
    pub(super) index: Option<i64>,
    /// Why it failed or nobody knows.
    pub(super) error: Value,
}

impl Entry {
    /// Reads the map that Jepsen writes for an event: `:type`, `:process`, `:f`, and perhaps
    /// `:value`, `:time`, `:index`, `:error`. Its other keys tell nothing that is judged.
    pub(super) fn of_map(value: &Value, at: Where) -> Result<Self, ImportError> {
        let wrong = |reason: &str| ImportError::wrong(at, reason);
        let map = match untagged(value) {
            Value::Map(map) => map,
            _ => return Err(wrong("an event must be a map")),
        };
        let field = |name: &str| {
            let form = map.get(&Value::Keyword(name.into()));
            form.map_or(&Value::Nil, |form| &form.value)
        };
        let number = |name: &str| match field(name) {
            Value::Nil => Ok(None),
            Value::Int(n) => Ok(Some(*n)),
            _ => Err(wrong(&format!(":{name} must be an integer of 64 bits"))),
        };
        let kind = name_of(field("type")).and_then(kind_of);
        Ok(Self {
            at,
            client: client_of(field("process")).map_err(|reason| wrong(&reason))?,
            kind: kind.ok_or_else(|| wrong(":type must be :invoke, :ok, :fail or :info"))?,
            f: name_of(field("f")).unwrap_or_default().to_owned(),
            value: field("value").clone(),
            time: number("time")?,
            index: number("index")?,
            error: field("error").clone(),
        })
    }
}

/// The type of that name.
pub(super) fn kind_of(name: &str) -> Option<LineType> {
    Some(match name {
        "invoke" => LineType::Invoke,
        "ok" => LineType::Ok,
        "fail" => LineType::Fail,
        "info" => LineType::Info,
        _ => return None,
    })
}

/// The client that a `:process` names, if it names one: a thread such as `:nemesis` is none.
pub(super) fn client_of(process: &Value) -> Result<Option<u64>, String> {
    match process {
        Value::Int(n) => match u64::try_from(*n) {
            Ok(n) => Ok(Some(n)),
            Err(_) => Ok(None),
        },
        Value::Keyword(_) | Value::Text(_) | Value::Symbol(_) => Ok(None),
        _ => Err("a process must be an integer of 64 bits, or a name such as :nemesis".into()),
    }
}

/// A keyword or a text as a name. Texts are names in JSON, with or without the colon.
pub(super) fn name_of(value: &Value) -> Option<&str> {
    match value {
        Value::Keyword(name) => Some(name),
        Value::Text(name) => Some(name.strip_prefix(':').unwrap_or(name)),
        _ => None,
    }
}

/// What a tag such as `#jepsen.history.Op` stands before.
pub(super) fn untagged(value: &Value) -> &Value {
    let mut value = value;
    while let Value::Tagged(_, form) = value {
        value = &form.value;
    }
    value
}
