//! What is said to an adapter, and what it says: one JSON object a line.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tribunal_results::{Operation, Outcome, Reason, Scalar};

use crate::ClientSpec;
use crate::client::unknown;

/// The longest text of a line that messages quote, in characters.
const QUOTED_MAX: usize = 200;

/// What is asked of an adapter, besides the number under which it is answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Request {
    /// Connect to a node, as a client that has asked nothing yet.
    Open {
        /// The client's number.
        process: u64,
        /// The node's name.
        node: String,
        /// Where the node is reached, as `host:port`.
        addr: String,
        /// The same address's host.
        host: String,
        /// The same address's port.
        port: u16,
        /// How long an operation may take until its answer must be `info`, in milliseconds.
        timeout_ms: u64,
    },
    /// Ask for an operation.
    Invoke {
        /// Its kind.
        f: String,
        /// What it works on; null where it has none.
        key: Option<Scalar>,
        /// Its argument; null where it has none.
        value: Json,
    },
    /// Close the connection.
    Close,
}

impl Request {
    /// To connect as that client.
    pub fn open(spec: &ClientSpec) -> Self {
        // An adapter that waits for no longer answers by itself, and need not be killed.
        let patience = spec.timeout.mul_f64(0.8).as_millis();
        Self::Open {
            process: spec.process,
            node: spec.node.to_string(),
            addr: spec.address.to_string(),
            host: spec.address.ip().to_string(),
            port: spec.address.port(),
            timeout_ms: u64::try_from(patience).unwrap_or(u64::MAX),
        }
    }

    /// To ask for that operation.
    pub fn invoke(operation: &Operation) -> Self {
        Self::Invoke {
            f: operation.kind().name().to_owned(),
            key: operation.key().cloned(),
            value: operation.value().unwrap_or_default(),
        }
    }

    /// Its line, under that number.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn line(&self, id: u64) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Numbered<'a> {
            id: u64,
            #[serde(flatten)]
            request: &'a Request,
        }
        let mut line = serde_json::to_vec(&Numbered { id, request: self })?;
        line.push(b'\n');
        Ok(line)
    }
}

/// How a request ended, in an adapter's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// It was done.
    Ok,
    /// It definitely had no effect and never will.
    Fail,
    /// Nobody knows.
    Info,
}

/// What an adapter answers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The number of the request.
    pub id: u64,
    /// How it ended.
    #[serde(rename = "type")]
    pub ending: Ending,
    /// What was answered, where there is something.
    #[serde(default)]
    pub value: Option<Json>,
    /// Why it failed, or why nobody knows: a text, or an object with `code` and `text`.
    #[serde(default)]
    pub error: Json,
}

impl Answer {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn read(line: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|e| {
            let quoted: String = String::from_utf8_lossy(line)
                .chars()
                .take(QUOTED_MAX)
                .collect();
            format!(
                "the adapter wrote {quoted:?}, which is no answer ({e}); an answer is one line \
                 like {{\"id\":1,\"type\":\"ok\"}}, and all else belongs on standard error"
            )
        })
    }

    /// Why it did not end with `ok`.
    pub fn reason(&self) -> Reason {
        let word = match self.ending {
            Ending::Info => "unknown",
            _ => "failed",
        };
        match &self.error {
            Json::String(text) => Reason::new(code_in(text).unwrap_or(word), text),
            Json::Object(fields) => {
                let text = |name| fields.get(name).and_then(Json::as_str);
                Reason::new(
                    text("code").unwrap_or(word),
                    text("text").unwrap_or_default(),
                )
            }
            _ => Reason::new(word, ""),
        }
    }

    /// How an operation ended that was answered so.
    pub fn outcome(&self, operation: &Operation) -> Outcome {
        match self.ending {
            Ending::Fail => Outcome::Fail(self.reason()),
            Ending::Info => unknown(operation, self.reason()),
            Ending::Ok => match operation.parse_answer(self.value.clone()) {
                Ok(answer) => Outcome::Ok(answer),
                Err(why) => unknown(operation, Reason::new("bad-answer", why)),
            },
        }
    }
}

/// A text that is one short word is a code by itself.
fn code_in(text: &str) -> Option<&str> {
    let tame = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (!text.is_empty() && text.len() <= 40 && text.chars().all(tame)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tribunal_results::Answer as Result_;

    fn write() -> Operation {
        Operation::Write {
            key: "k1".into(),
            value: 5.into(),
        }
    }

    fn read() -> Operation {
        Operation::Read { key: "k1".into() }
    }

    fn outcome(line: &str, of: &Operation) -> Outcome {
        Answer::read(line.as_bytes()).unwrap().outcome(of)
    }

    #[test]
    fn requests_are_lines_with_their_number() {
        let line = |request: Request| String::from_utf8(request.line(7).unwrap()).unwrap();
        assert_eq!(
            line(Request::invoke(&write())),
            "{\"id\":7,\"type\":\"invoke\",\"f\":\"write\",\"key\":\"k1\",\"value\":5}\n"
        );
        assert_eq!(
            line(Request::invoke(&read())),
            "{\"id\":7,\"type\":\"invoke\",\"f\":\"read\",\"key\":\"k1\",\"value\":null}\n"
        );
        assert_eq!(line(Request::Close), "{\"id\":7,\"type\":\"close\"}\n");
        let spec = ClientSpec {
            process: 3,
            node: "n1".into(),
            address: ([127, 0, 0, 1], 80).into(),
            nodes: [].into(),
            timeout: std::time::Duration::from_secs(1),
        };
        assert_eq!(
            line(Request::open(&spec)),
            "{\"id\":7,\"type\":\"open\",\"process\":3,\"node\":\"n1\",\"addr\":\"127.0.0.1:80\",\
             \"host\":\"127.0.0.1\",\"port\":80,\"timeout_ms\":800}\n"
        );
    }

    #[test]
    fn a_write_of_unknown_outcome_is_info_and_a_read_fail() {
        let line = r#"{"id":1,"type":"info","error":"timeout"}"#;
        let reason = Reason::new("timeout", "timeout");
        assert_eq!(outcome(line, &write()), Outcome::Info(reason.clone()));
        assert_eq!(outcome(line, &read()), Outcome::Fail(reason));
        let bad = r#"{"id":1,"type":"ok","value":{"no":"value"}}"#;
        assert!(matches!(outcome(bad, &read()), Outcome::Fail(r) if r.code == "bad-answer"));
    }

    #[test]
    fn answers_say_how_an_operation_ended_and_why() {
        let ok = r#"{"id":1,"type":"ok","value":5}"#;
        assert_eq!(
            outcome(ok, &read()),
            Outcome::Ok(Result_::Value(Some(5.into())))
        );
        let absent = r#"{"id":1,"type":"ok","value":null}"#;
        assert_eq!(outcome(absent, &read()), Outcome::Ok(Result_::Value(None)));
        assert_eq!(
            outcome(r#"{"id":1,"type":"ok"}"#, &write()),
            Outcome::Ok(Result_::Done)
        );
        let fail =
            r#"{"id":1,"type":"fail","error":{"code":"precondition-failed","text":"was 4"}}"#;
        let reason = Reason::new("precondition-failed", "was 4");
        assert_eq!(outcome(fail, &write()), Outcome::Fail(reason));
        let sentence = r#"{"id":1,"type":"fail","error":"it was 4"}"#;
        let reason = Reason::new("failed", "it was 4");
        assert_eq!(outcome(sentence, &write()), Outcome::Fail(reason));
    }

    #[test]
    fn a_line_that_is_no_answer_is_told_with_what_would_be_right() {
        for line in [
            "connected!",
            "{}",
            r#"{"id":1,"type":"maybe"}"#,
            "",
            r#"{"id":1,"type":"ok","val":1}"#,
        ] {
            let error = Answer::read(line.as_bytes()).unwrap_err();
            assert!(error.contains("standard error"), "{error}");
        }
    }
}
