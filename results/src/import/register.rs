//! What Jepsen's register operations mean: `:read`, `:write`, `:cas`, of one register or, with
//! `[key value]`, of independent ones.

use super::edn::{Form, Value};
use crate::{Answer, Operation, Reason, Scalar};

/// The register of a history that names none.
const ONLY_KEY: &str = "register";

/// The names of the operations.
pub(super) const NAMES: [&str; 3] = ["read", "write", "cas"];

/// The operation that an invocation asks for.
pub(super) fn operation(f: &str, value: &Value) -> Result<Operation, String> {
    Ok(match f {
        "read" => Operation::Read {
            key: keyed(value)?.map_or_else(|| Ok(ONLY_KEY.into()), |(key, _)| scalar(key))?,
        },
        "write" => {
            let (key, value) = key_and_value(value)?;
            let value = scalar(value).map_err(|e| format!("a write of {e}"))?;
            Operation::Write { key, value }
        }
        "cas" => {
            let (key, value) = match pair(value) {
                // A pair whose second half is a pair has the key first.
                Some((key, both)) if pair(both).is_some() => (scalar(key)?, both),
                _ => (ONLY_KEY.into(), value),
            };
            let Some((from, to)) = pair(value) else {
                return Err("the value of a cas must be [from to], or [key [from to]]".into());
            };
            let part = |value| scalar(value).map_err(|e| format!("a cas with {e}"));
            let (from, to) = (part(from)?, part(to)?);
            Operation::Cas { key, from, to }
        }
        _ => return Err(format!("{f} is no operation of a register")),
    })
}

/// The answer of the completion of an operation that took effect.
pub(super) fn answer(operation: &Operation, value: &Value) -> Result<Answer, String> {
    let Operation::Read { key } = operation else {
        // A client may leave out what it invoked, but not say otherwise.
        let said = match value {
            Value::Nil => return Ok(Answer::Done),
            value => self::operation(operation.kind().name(), value)?,
        };
        return match said == *operation {
            true => Ok(Answer::Done),
            false => Err(format!("invoked as {operation}, but {said} completes")),
        };
    };
    let (of, read) = key_and_value(value)?;
    if of != *key {
        return Err(format!("a read of {key} completes as one of {of}"));
    }
    let read = match read {
        Value::Nil => None,
        value => Some(scalar(value).map_err(|e| format!("a read of {e}"))?),
    };
    Ok(Answer::Value(read))
}

/// Why a completion failed or nobody knows: from its error, or, as old clients wrote it, from a
/// keyword in the place of its value.
pub(super) fn reason(error: &Value, value: &Value, otherwise: &str) -> Reason {
    let parts: Vec<&Value> = match (error, value) {
        (Value::Nil, Value::Keyword(_)) => vec![value],
        (Value::List(forms) | Value::Vector(forms), _) => forms.iter().map(|f| &f.value).collect(),
        _ => vec![error],
    };
    let code = parts.iter().find_map(|part| match part {
        Value::Keyword(code) => Some(code.as_str()),
        _ => None,
    });
    let texts = parts.iter().filter_map(|part| match part {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    });
    Reason::new(
        code.unwrap_or(otherwise),
        texts.collect::<Vec<_>>().join(" "),
    )
}

fn key_and_value(value: &Value) -> Result<(Scalar, &Value), String> {
    keyed(value)?.map_or_else(
        || Ok((ONLY_KEY.into(), value)),
        |(key, value)| Ok((scalar(key)?, value)),
    )
}

/// The halves of `[key value]`; `None` if the value is of the only register.
fn keyed(value: &Value) -> Result<Option<(&Value, &Value)>, String> {
    match value {
        Value::Vector(_) | Value::List(_) | Value::Tagged(..) => pair(value)
            .map(Some)
            .ok_or_else(|| "a list that is not [key value]".into()),
        _ => Ok(None),
    }
}

/// The two elements of a vector, a list, or a tagged tuple (`#jepsen.independent/tuple [k v]`).
fn pair(value: &Value) -> Option<(&Value, &Value)> {
    match value {
        Value::Vector(forms) | Value::List(forms) => match forms.as_slice() {
            [Form { value: a, .. }, Form { value: b, .. }] => Some((a, b)),
            _ => None,
        },
        Value::Tagged(tag, form) if tag.to_lowercase().ends_with("tuple") => pair(&form.value),
        _ => None,
    }
}

/// A key or a value of a register. Different values never become the same: a keyword keeps its
/// colon, and a text that begins like one gets quotes.
fn scalar(value: &Value) -> Result<Scalar, String> {
    Ok(match value {
        Value::Int(n) => Scalar::Int(*n),
        Value::Keyword(name) => format!(":{name}").into(),
        Value::Text(text) if text.starts_with([':', '"']) => format!("{text:?}").into(),
        Value::Text(text) => text.as_str().into(),
        Value::Nil => {
            return Err("nil, which only a read can have: it says that nothing is there".into());
        }
        value => {
            let what = kind_of(value);
            return Err(format!(
                "{what}; keys and values must be integers of 64 bits, texts or keywords"
            ));
        }
    })
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "a boolean",
        Value::Float(_) => "a float",
        Value::Exact(_) => "a number of another kind",
        Value::Char(_) => "a character",
        Value::Symbol(_) => "a symbol",
        Value::Map(_) => "a map",
        Value::Set(_) => "a set",
        _ => "a list",
    }
}
