//! The envelope of a line, `{id?, src, dest, body}`; the body stays as it was written, so that
//! whatever it holds passes unchanged, numbers of any size too.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// The longest line of a node, in bytes. Of a longer one nothing is kept.
pub(super) const LINE_BYTES_MAX: usize = 16 << 20;

/// How much of a bad line is quoted, in characters.
const QUOTED_MAX: usize = 120;

/// One message as its sender wrote it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope<'a> {
    #[serde(default, rename = "id")]
    _id: Option<IgnoredAny>,
    /// Who says that it sent it.
    #[serde(borrow)]
    pub(super) src: Cow<'a, str>,
    /// Whom it is for.
    #[serde(borrow)]
    pub(super) dest: Cow<'a, str>,
    /// What it says.
    #[serde(borrow)]
    pub(super) body: &'a RawValue,
}

/// What is wrong with a line, and what may help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) hint: &'static str,
}

impl<'a> Envelope<'a> {
    /// Reads a line, given without its end.
    pub(super) fn read(line: &'a [u8]) -> Result<Self, Wrong> {
        let wrong = |what, hint| Err(Wrong { what, hint });
        if line.trim_ascii().is_empty() {
            let hint = "print exactly one line end after each message";
            return wrong("a blank line".to_owned(), hint);
        }
        let read: Result<Self, _> = serde_json::from_slice(line);
        let message = match read {
            Ok(message) => message,
            Err(e) if e.is_data() => {
                let hint =
                    "a message is {\"src\", \"dest\", \"body\"}, with `src` and `dest` texts";
                return wrong(format!("no message ({e}): {}", quoted(line)), hint);
            }
            Err(e) => {
                let hint = "only messages go to stdout, whole and one a line; logs go to stderr";
                return wrong(format!("not JSON ({e}): {}", quoted(line)), hint);
            }
        };
        match message.body.get().starts_with('{') {
            true => Ok(message),
            false => wrong(
                format!("a body that is no object: {}", quoted(line)),
                "a body is an object with a `type`",
            ),
        }
    }
}

fn quoted(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut short: String = text.chars().take(QUOTED_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Writes a line for a node, its end included, in place of what `line` holds; returns where the
/// body begins and ends. The id comes first: real nodes parse strictly.
pub(super) fn write(
    line: &mut Vec<u8>,
    id: u64,
    [src, dest]: [&str; 2],
    body: &str,
) -> std::ops::Range<usize> {
    line.clear();
    line.extend_from_slice(b"{\"id\":");
    line.extend_from_slice(id.to_string().as_bytes());
    for (name, value) in [("src", src), ("dest", dest)] {
        line.extend_from_slice(b",\"");
        line.extend_from_slice(name.as_bytes());
        line.extend_from_slice(b"\":");
        push_text(line, value);
    }
    line.extend_from_slice(b",\"body\":");
    let start = line.len();
    line.extend_from_slice(body.as_bytes());
    let end = line.len();
    line.extend_from_slice(b"}\n");
    start..end
}

/// A text as JSON.
fn push_text(line: &mut Vec<u8>, text: &str) {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        line.push(b'"');
        line.extend_from_slice(text.as_bytes());
        line.push(b'"');
    } else {
        line.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_passes_as_it_was_written_whatever_the_size_of_its_numbers() {
        let body = r#"{"type":"x", "big": 123456789012345678901234567890, "f": 1.50}"#;
        let text = format!(r#"{{"src":"n1","dest":"n2","body":{body}}}"#);
        let message = Envelope::read(text.as_bytes()).unwrap();
        let mut line = b"scrap".to_vec();
        let at = write(
            &mut line,
            7,
            [&message.src, &message.dest],
            message.body.get(),
        );
        assert_eq!(&line[at], body.as_bytes());
        let expected = format!("{{\"id\":7,\"src\":\"n1\",\"dest\":\"n2\",\"body\":{body}}}\n");
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn names_are_escaped() {
        let mut line = Vec::new();
        write(&mut line, 0, ["a\"b", "n1"], "{}");
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"id\":0,\"src\":\"a\\\"b\",\"dest\":\"n1\",\"body\":{}}\n"
        );
    }

    #[test]
    fn each_bad_line_is_told_with_what_may_help() {
        for (line, what, hint) in [
            ("", "blank", "line end"),
            ("  \t", "blank", "line end"),
            ("starting up", "not JSON", "stderr"),
            (r#"{"src":"n1","dest":"#, "not JSON", "stderr"),
            (
                r#"{"src":"n1","dest":"c1","body":{},"to":1}"#,
                "unknown field `to`",
                "src",
            ),
            (r#"{"src":"n1","body":{}}"#, "missing field `dest`", "src"),
            (r#"{"src":1,"dest":"c1","body":{}}"#, "no message", "texts"),
            (
                r#"{"src":"n1","dest":"c1","body":3}"#,
                "no object",
                "object",
            ),
            ("[]", "no message", "src"),
        ] {
            let wrong = Envelope::read(line.as_bytes()).unwrap_err();
            assert!(wrong.what.contains(what), "{line}: {wrong:?}");
            assert!(wrong.hint.contains(hint), "{line}: {wrong:?}");
        }
        let long = "x".repeat(1000);
        assert!(Envelope::read(long.as_bytes()).unwrap_err().what.len() < 300);
    }

    #[test]
    fn an_id_of_the_nodes_own_does_not_matter() {
        assert!(Envelope::read(br#"{"id":"x","src":"n1","dest":"c1","body":{}}"#).is_ok());
    }
}
