//! One event of an outside history, before anybody asks what it means.

use super::edn::{Form, Value};
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
    pub(super) fn of_map(form: Form) -> Result<Self, ImportError> {
        let at = Where::Place(form.place);
        let wrong = |reason: &str| ImportError::wrong(at, reason);
        let Value::Map(map) = untagged(form.value) else {
            return Err(wrong("an event must be a map"));
        };
        let (mut kind, mut process, mut f) = (Value::Nil, Value::Nil, Value::Nil);
        let (mut time, mut index) = (Value::Nil, Value::Nil);
        let (mut value, mut error) = (Value::Nil, Value::Nil);
        for (name, form) in map {
            let field = match name_of(&name) {
                Some("type") => &mut kind,
                Some("process") => &mut process,
                Some("f") => &mut f,
                Some("value") => &mut value,
                Some("time") => &mut time,
                Some("index") => &mut index,
                Some("error") => &mut error,
                _ => continue,
            };
            *field = form.value;
        }
        let number = |name: &str, value: &Value| match value {
            Value::Nil => Ok(None),
            Value::Int(n) => Ok(Some(*n)),
            _ => Err(wrong(&format!(":{name} must be an integer of 64 bits"))),
        };
        let kind = name_of(&kind).and_then(kind_of);
        Ok(Self {
            at,
            client: client_of(&process).map_err(|reason| wrong(&reason))?,
            kind: kind.ok_or_else(|| wrong(":type must be :invoke, :ok, :fail or :info"))?,
            f: name_of(&f).unwrap_or_default().to_owned(),
            time: number("time", &time)?,
            index: number("index", &index)?,
            value,
            error,
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
pub(super) fn untagged(mut value: Value) -> Value {
    while let Value::Tagged(_, form) = value {
        value = form.value;
    }
    value
}
