//! The wire protocol of the reference nodes: one JSON message a line, `{src, dest, body}`, in the
//! form that Maelstrom documents (<https://github.com/jepsen-io/maelstrom>, `doc/protocol.md`).
//!
//! | module | what it holds |
//! |---|---|
//! | [`error`] | error codes, and which of them are definite |
//! | [`lines`] | lines of bounded length out of a stream of bytes |
//! | [`operation`] | operations as requests, answers as replies |

pub mod error;
pub mod lines;
pub mod operation;

pub use error::{Code, WireError};
pub use lines::{LINE_BYTES_MAX, Line, LineReader};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use tribunal_results::NodeId;

/// One message between two nodes, or between a client and a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who sent it: a node (`n1`) or a client (`c7`).
    pub src: NodeId,
    /// Whom it is for.
    pub dest: NodeId,
    /// What it says.
    pub body: Body,
}

impl Message {
    /// Reads one line, without its end.
    ///
    /// # Errors
    /// [`Code::MalformedRequest`] if it is not a message.
    pub fn decode(line: &[u8]) -> Result<Self, WireError> {
        serde_json::from_slice(line).map_err(|e| {
            WireError::malformed(format!(
                "this line is not a message {{src, dest, body}}: {e}"
            ))
        })
    }

    /// The message as a line, its end included.
    ///
    /// # Errors
    /// [`Code::MalformedRequest`] if the line would be longer than [`LINE_BYTES_MAX`].
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut line = serde_json::to_vec(self).map_err(|e| WireError::malformed(e.to_string()))?;
        line.push(b'\n');
        if line.len() > LINE_BYTES_MAX {
            return Err(WireError::malformed(format!(
                "a message of {} bytes is longer than the {LINE_BYTES_MAX} that a line may have",
                line.len()
            )));
        }
        Ok(line)
    }
}

/// What a message says: its `type`, and fields by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Body(Map<String, Json>);

impl Body {
    /// A body of a type, without fields.
    pub fn new(kind: &str) -> Self {
        Self(Map::from_iter([("type".to_owned(), Json::from(kind))]))
    }

    /// The same body with one more field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) -> Option<Json> {
        self.0.remove(name)
    }

    /// The same body as the answer to the request numbered `msg_id`.
    #[must_use]
    pub fn in_reply(self, msg_id: Option<u64>) -> Self {
        match msg_id {
            Some(msg_id) => self.with("in_reply_to", msg_id),
            None => self,
        }
    }

    /// Its type; empty if it has none.
    pub fn kind(&self) -> &str {
        self.0.get("type").and_then(Json::as_str).unwrap_or("")
    }

    /// The number that its sender gave it.
    pub fn msg_id(&self) -> Option<u64> {
        self.0.get("msg_id").and_then(Json::as_u64)
    }

    /// The number of the request that it answers.
    pub fn in_reply_to(&self) -> Option<u64> {
        self.0.get("in_reply_to").and_then(Json::as_u64)
    }

    /// A field as it is, if it is there and not `null`.
    pub fn json(&self, name: &str) -> Option<&Json> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A field. An absent one is read as `null`, so that an `Option` may be absent.
    ///
    /// # Errors
    /// [`Code::MalformedRequest`] if the field is missing or has another type.
    pub fn field<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Result<T, WireError> {
        T::deserialize(self.0.get(name).unwrap_or(&Json::Null))
            .map_err(|e| WireError::malformed(format!("field {name:?} of {:?}: {e}", self.kind())))
    }
}

impl From<Body> for Json {
    fn from(body: Body) -> Self {
        Self::Object(body.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_back_as_it_was_written() {
        let message = Message {
            src: "c1".into(),
            dest: "n1".into(),
            body: Body::new("read").with("key", u64::MAX).with("msg_id", 3),
        };
        let line = message.encode().unwrap();
        assert_eq!(line.last(), Some(&b'\n'));
        assert_eq!(Message::decode(&line).unwrap(), message);
    }

    #[test]
    fn unknown_keys_of_the_envelope_are_ignored() {
        let line = br#"{"id":7,"src":"c1","dest":"n1","body":{"type":"read"}}"#;
        assert_eq!(Message::decode(line).unwrap().body.kind(), "read");
    }

    #[test]
    fn anything_else_is_malformed() {
        for line in ["", "x", "[]", "{}", r#"{"src":"a","dest":"b","body":3}"#] {
            let error = Message::decode(line.as_bytes()).unwrap_err();
            assert_eq!(error.code, Code::MalformedRequest, "{line}");
        }
    }

    #[test]
    fn a_message_longer_than_a_line_may_be_is_not_encoded() {
        let message = Message {
            src: "c1".into(),
            dest: "n1".into(),
            body: Body::new("write").with("value", "x".repeat(LINE_BYTES_MAX)),
        };
        assert!(message.encode().is_err());
    }

    #[test]
    fn a_wrong_field_names_itself_and_the_type() {
        let body = Body::new("renew").with("token", "seven");
        let error = body.field::<u64>("token").unwrap_err();
        assert!(error.text.contains("\"token\" of \"renew\""), "{error}");
        assert_eq!(body.field::<Option<u64>>("ticket").unwrap(), None);
    }
}
