//! Requests with variables of the operation: `/kv/{{key}}`, `{"v":{{json:value}}}`.

use std::fmt::Write as _;

use serde_json::Value as Json;
use tribunal_results::Operation;

/// The variables, as messages list them.
const KNOWN: &str = "key, value, from and to (of a cas), value.FIELD (of a value with fields), \
    process; and json: before each, for the value as JSON";

/// What is filled in.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The operation.
    pub operation: &'a Operation,
    /// The client that asks.
    pub process: u64,
}

impl Asked<'_> {
    /// A body.
    ///
    /// # Errors
    /// The variable that the operation does not have.
    pub fn body(&self, text: &str) -> Result<String, String> {
        filled(text, |name| self.value(name))
    }

    /// A path: what is filled in can't change its parts.
    ///
    /// # Errors
    /// The variable that the operation does not have.
    pub fn path(&self, text: &str) -> Result<String, String> {
        filled(text, |name| self.value(name).map(|value| escaped(&value)))
    }

    fn value(&self, name: &str) -> Option<String> {
        let (is_json, name) = match name.strip_prefix("json:") {
            Some(name) => (true, name.trim()),
            None => (false, name),
        };
        let argument = self.operation.value();
        let found = match name {
            "key" => serde_json::to_value(self.operation.key()?).ok()?,
            "process" => self.process.into(),
            "value" => argument?,
            "from" | "to" => {
                let argument = argument?;
                let place = usize::from(name == "to");
                argument.get(name).or_else(|| argument.get(place))?.clone()
            }
            _ => argument?.get(name.strip_prefix("value.")?)?.clone(),
        };
        Some(match found {
            Json::String(text) if !is_json => text,
            other => other.to_string(),
        })
    }
}

/// Whether every variable of a text may exist.
///
/// # Errors
/// The first that can't, and which ones there are.
pub fn check(text: &str) -> Result<(), String> {
    let known = |name: &str| {
        let name = name.strip_prefix("json:").unwrap_or(name).trim();
        let is_known = ["key", "value", "from", "to", "process"].contains(&name);
        (is_known || name.starts_with("value.")).then(String::new)
    };
    filled(text, known).map(drop)
}

fn filled(text: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let closed = after.split_once("}}");
        let (name, after) = closed.ok_or_else(|| format!("`{{{{` is not closed in {text:?}"))?;
        let name = name.trim();
        let unknown = || format!("there is no `{{{{{name}}}}}` here; there are: {KNOWN}");
        filled.push_str(&value(name).ok_or_else(unknown)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Percent-encoding of all but unreserved characters (RFC 3986, 2.3).
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => {
                // Writing to a string does not fail.
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_those_of_the_operation() {
        let operation = Operation::Cas {
            key: "a/b".into(),
            from: "x".into(),
            to: 2.into(),
        };
        let asked = Asked {
            operation: &operation,
            process: 7,
        };
        assert_eq!(
            asked.path("/kv/{{key}}?p={{process}}").unwrap(),
            "/kv/a%2Fb?p=7"
        );
        assert_eq!(asked.body("{{from}} {{ to }}").unwrap(), "x 2");
        assert_eq!(
            asked.body(r#"{"from":{{json:from}}}"#).unwrap(),
            r#"{"from":"x"}"#
        );
        assert_eq!(asked.body("{{json:value}}").unwrap(), r#"["x",2]"#);
        let renew = Operation::Renew {
            lock: "a".into(),
            token: 9,
        };
        let asked = Asked {
            operation: &renew,
            process: 7,
        };
        assert_eq!(asked.body("{{value.token}}").unwrap(), "9");
        assert!(asked.body("{{from}}").unwrap_err().contains("value.FIELD"));
    }
}
