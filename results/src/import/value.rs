//! What the parts of an outside event mean: keys, values, lists, reasons.

use std::collections::BTreeMap;

use super::edn::{Form, Value};
use crate::{Micro, Reason, Scalar, Seen};

/// The halves of `[key value]`; `None` if the value is of the only object.
pub(super) fn keyed(value: &Value) -> Result<Option<(&Value, &Value)>, String> {
    match value {
        Value::Vector(_) | Value::List(_) | Value::Tagged(..) => pair(value)
            .map(Some)
            .ok_or_else(|| "a list that is not [key value]".into()),
        _ => Ok(None),
    }
}

/// The two elements of a vector, a list, or a tagged tuple (`#jepsen.independent/tuple [k v]`).
pub(super) fn pair(value: &Value) -> Option<(&Value, &Value)> {
    match value {
        Value::Vector(forms) | Value::List(forms) => match forms.as_slice() {
            [Form { value: a, .. }, Form { value: b, .. }] => Some((a, b)),
            _ => None,
        },
        Value::Tagged(..) => tuple(value),
        _ => None,
    }
}

/// The halves of a pair that is tagged as a tuple.
pub(super) fn tuple(value: &Value) -> Option<(&Value, &Value)> {
    match value {
        Value::Tagged(tag, form) if tag.to_lowercase().ends_with("tuple") => pair(&form.value),
        _ => None,
    }
}

/// A key or a value. Different values never become the same: a keyword keeps its colon, and a
/// text that begins like one gets quotes.
pub(super) fn scalar(value: &Value) -> Result<Scalar, String> {
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

/// A number, such as what is added to a counter.
pub(super) fn integer(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(n) => Ok(*n),
        other => Err(format!("{}, not an integer of 64 bits", kind_of(other))),
    }
}

/// The elements of a vector, a list or a set; `None` of anything else.
pub(super) fn elements(value: &Value) -> Option<Vec<&Value>> {
    match value {
        Value::Vector(forms) | Value::List(forms) => Some(forms.iter().map(|f| &f.value).collect()),
        Value::Set(values) => Some(values.iter().collect()),
        _ => None,
    }
}

/// What a map says under a name: a keyword, or in JSON a text.
pub(super) fn field<'a>(map: &'a BTreeMap<Value, Form>, name: &str) -> Option<&'a Value> {
    map.get(&Value::Keyword(name.into()))
        .or_else(|| map.get(&Value::Text(name.into())))
        .map(|form| &form.value)
}

/// An account of a bank as a map names it. JSON's names are texts: one that is an integer, as
/// transfers write it, is that.
pub(super) fn account(name: &Value) -> Result<Scalar, String> {
    match name {
        Value::Text(text) => match text.parse::<i64>() {
            Ok(n) if n.to_string() == *text => Ok(Scalar::Int(n)),
            _ => scalar(name),
        },
        _ => scalar(name),
    }
}

/// Whether a value is a list of micro-operations, such as `[[:r 1 nil] [:append 2 3]]`.
pub(super) fn is_micros(value: &Value) -> bool {
    let named = |step: &Value| match step {
        Value::Vector(parts) | Value::List(parts) => match parts.as_slice() {
            [name, _] | [name, _, _] => {
                matches!(step_name(&name.value), Some("r" | "w" | "append"))
            }
            _ => false,
        },
        _ => false,
    };
    match value {
        Value::Vector(steps) | Value::List(steps) => {
            !steps.is_empty() && steps.iter().all(|step| named(&step.value))
        }
        _ => false,
    }
}

fn step_name(value: &Value) -> Option<&str> {
    super::entry::name_of(value)
}

/// The steps of a transaction.
pub(super) fn micros(value: &Value) -> Result<Vec<Micro>, String> {
    let steps = match value {
        Value::Nil => Vec::new(),
        value => elements(value).ok_or("the value of a txn must be a list of steps")?,
    };
    steps.into_iter().map(micro).collect()
}

fn micro(step: &Value) -> Result<Micro, String> {
    let parts = match step {
        Value::Vector(parts) | Value::List(parts) => parts.as_slice(),
        _ => &[],
    };
    let (name, key, value) = match parts {
        [name, key] => (&name.value, &key.value, &Value::Nil),
        [name, key, value] => (&name.value, &key.value, &value.value),
        _ => return Err("a step of a txn must be [:r key value], [:w …] or [:append …]".into()),
    };
    let key = scalar(key).map_err(|e| format!("a step on {e}"))?;
    let written = || scalar(value).map_err(|e| format!("a step with {e}"));
    match step_name(name) {
        Some("r") => {
            let seen = seen(value)?;
            Ok(Micro::Read { key, seen })
        }
        Some("append") => written().map(|value| Micro::Append { key, value }),
        Some("w") => written().map(|value| Micro::Write { key, value }),
        _ => Err("a step of a txn that is neither :r, :w nor :append".into()),
    }
}

fn seen(value: &Value) -> Result<Seen, String> {
    Ok(match value {
        Value::Nil => Seen::Nothing,
        Value::Vector(_) | Value::List(_) => Seen::List(scalars(value)?),
        value => Seen::Value(scalar(value).map_err(|e| format!("a step that read {e}"))?),
    })
}

/// The elements of a list or a set.
pub(super) fn scalars(value: &Value) -> Result<Vec<Scalar>, String> {
    let elements = elements(value).ok_or("not a list")?;
    let element = |value| scalar(value).map_err(|e| format!("an element that is {e}"));
    elements.into_iter().map(element).collect()
}

/// Why a completion failed or nobody knows: from its error, or, as old clients wrote it, from a
/// keyword in the place of its value.
pub(crate) fn reason(error: &Value, value: &Value, otherwise: &str) -> Reason {
    let parts: Vec<&Value> = match (error, value) {
        (Value::Nil, Value::Keyword(_)) => vec![value],
        (Value::List(forms) | Value::Vector(forms), _) => forms.iter().map(|f| &f.value).collect(),
        _ => vec![error],
    };
    let code = parts.iter().find_map(|part| code_of(part));
    let texts = parts.iter().filter_map(|part| match part {
        Value::Text(text) if code_of(part).is_none() => Some(text.as_str()),
        _ => None,
    });
    Reason::new(
        code.unwrap_or(otherwise),
        texts.collect::<Vec<_>>().join(" "),
    )
}

/// A keyword; in JSON a text that looks like one.
fn code_of(part: &Value) -> Option<&str> {
    match part {
        Value::Keyword(code) => Some(code),
        Value::Text(text) => text.strip_prefix(':').filter(|code| is_word(code)),
        _ => None,
    }
}

/// Whether text can be written as a keyword that every reader of EDN takes as one.
pub(crate) fn is_word(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.*+!?".contains(c))
    };
    match text.split_once('/') {
        Some((space, name)) => part(space) && part(name),
        None => part(text),
    }
}
