//! The interface of the key-value services: `read`, `write`, and `cas`, which may create.

use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;

use super::Service;
use super::value::Value;
use crate::wire::{Code, WireError};

/// A store behind the interface.
pub(super) struct Kv<S>(pub(super) S);

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(borrow, default)]
    msg_id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    key: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    value: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    from: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    to: Option<&'a RawValue>,
    #[serde(default)]
    create_if_not_exists: bool,
    #[serde(default)]
    in_reply_to: Option<serde::de::IgnoredAny>,
}

/// A field that is there, though it may say `null`.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A field that must be there. One that says `null` is.
fn needed<'a>(name: &str, field: Option<&'a RawValue>) -> Result<&'a RawValue, WireError> {
    field.ok_or_else(|| WireError::malformed(format!("this request needs a field {name:?}")))
}

impl<S: Store> Kv<S> {
    /// What is in the reply besides its type.
    fn perform(&mut self, src: &str, request: &Request<'_>) -> Result<String, WireError> {
        let key = || needed("key", request.key).map(|key| Value::new(key).canonical());
        match request.kind.as_str() {
            "read" => {
                let key = key()?;
                let absent = || WireError::new(Code::KeyDoesNotExist, format!("no key {key}"));
                let value = self.0.read(src, &key).ok_or_else(absent)?;
                Ok(format!(",\"value\":{}", value.text()))
            }
            "write" => {
                let value = Value::new(needed("value", request.value)?);
                let mut change = |_: Option<&Value>| Ok(value.clone());
                self.0.update(src, key()?, &mut change)?;
                Ok(String::new())
            }
            "cas" => {
                let from = Value::new(needed("from", request.from)?);
                let to = Value::new(needed("to", request.to)?);
                let creates = request.create_if_not_exists;
                let mut change = |held: Option<&Value>| match held {
                    None if creates => Ok(to.clone()),
                    None => Err(WireError::new(Code::KeyDoesNotExist, "no such key")),
                    Some(held) if *held == from => Ok(to.clone()),
                    Some(held) => Err(WireError::precondition(format!(
                        "expected {}, but it holds {}",
                        from.text(),
                        held.text()
                    ))),
                };
                self.0.update(src, key()?, &mut change)?;
                Ok(String::new())
            }
            other => Err(WireError::not_supported(other)),
        }
    }
}

/// A reply as it is written.
pub(super) fn reply(
    kind: &str,
    msg_id: Option<&RawValue>,
    done: Result<String, WireError>,
) -> String {
    let reply_to = msg_id.map_or(String::new(), |id| format!(",\"in_reply_to\":{id}"));
    match done {
        Ok(fields) => format!("{{\"type\":\"{kind}_ok\"{reply_to}{fields}}}"),
        Err(error) => format!(
            "{{\"type\":\"error\"{reply_to},\"code\":{},\"text\":{}}}",
            error.code.number(),
            json!(error.text)
        ),
    }
}

/// What keeps keys and values, each in its own way. Keys are in canonical form.
pub(super) trait Store: Send {
    /// What a client reads.
    fn read(&mut self, src: &str, key: &str) -> Option<Value>;

    /// Changes a key for a client: `change` says by what it holds what it is to hold.
    ///
    /// # Errors
    /// Those of `change`; then nothing is changed.
    fn update(
        &mut self,
        src: &str,
        key: String,
        change: &mut dyn FnMut(Option<&Value>) -> Result<Value, WireError>,
    ) -> Result<(), WireError>;

    /// What it does by itself, every now and then.
    fn tick(&mut self) {}
}

impl<S: Store> Service for Kv<S> {
    fn answer(&mut self, src: &str, body: &RawValue) -> Option<String> {
        let request: Request<'_> = match serde_json::from_str(body.get()) {
            Ok(request) => request,
            Err(e) => {
                let error = WireError::malformed(e.to_string());
                return Some(reply("", None, Err(error)));
            }
        };
        if request.in_reply_to.is_some() {
            return None;
        }
        let done = self.perform(src, &request);
        Some(reply(&request.kind, request.msg_id, done))
    }

    fn tick(&mut self) {
        self.0.tick();
    }
}

#[cfg(test)]
mod tests {
    use super::super::linear;
    use super::*;
    use serde_json::Value as Json;

    fn ask(kv: &mut Kv<linear::Store>, body: &str) -> Json {
        let raw: Box<RawValue> = serde_json::from_str(body).unwrap();
        serde_json::from_str(&kv.answer("n1", &raw).unwrap()).unwrap()
    }

    #[test]
    fn it_reads_writes_swaps_and_creates_as_documented() {
        let kv = &mut Kv(linear::Store::default());
        for (asked, kind, code) in [
            (r#"{"type":"read","key":1,"msg_id":1}"#, "error", 20),
            (
                r#"{"type":"cas","key":1,"from":1,"to":2,"msg_id":1}"#,
                "error",
                20,
            ),
            (
                r#"{"type":"cas","key":1,"from":1,"to":2,"create_if_not_exists":true,"msg_id":1}"#,
                "cas_ok",
                0,
            ),
            (
                r#"{"type":"cas","key":1,"from":1,"to":3,"msg_id":1}"#,
                "error",
                22,
            ),
            (
                r#"{"type":"cas","key":1,"from":2,"to":null,"msg_id":1}"#,
                "cas_ok",
                0,
            ),
            (
                r#"{"type":"cas","key":1,"from":null,"to":[9],"msg_id":1}"#,
                "cas_ok",
                0,
            ),
            (r#"{"type":"write","key":1,"msg_id":1}"#, "error", 12),
            (r#"{"type":"explode","msg_id":1}"#, "error", 10),
        ] {
            let answer = ask(kv, asked);
            assert_eq!(answer["type"], kind, "{asked}: {answer}");
            assert_eq!(answer["code"].as_u64().unwrap_or(0), code, "{asked}");
            assert_eq!(answer["in_reply_to"], 1, "{asked}");
        }
        let read = ask(kv, r#"{"type":"read","key":1,"msg_id":"x"}"#);
        assert_eq!(
            read.to_string(),
            r#"{"in_reply_to":"x","type":"read_ok","value":[9]}"#
        );
    }

    #[test]
    fn numbers_of_any_size_come_back_as_they_were_written() {
        let kv = &mut Kv(linear::Store::default());
        let big = "123456789012345678901234567890";
        ask(
            kv,
            &format!(r#"{{"type":"write","key":"k","value":{big}}}"#),
        );
        let raw: Box<RawValue> = serde_json::from_str(r#"{"type":"read","key":"k"}"#).unwrap();
        assert!(kv.answer("n1", &raw).unwrap().contains(big));
    }

    #[test]
    fn an_answer_is_not_answered() {
        let kv = &mut Kv(linear::Store::default());
        let raw: Box<RawValue> = serde_json::from_str(r#"{"type":"x","in_reply_to":3}"#).unwrap();
        assert_eq!(kv.answer("n1", &raw), None);
    }
}
