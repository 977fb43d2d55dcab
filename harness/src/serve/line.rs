//! History files read line by line without keeping what they hold: a line says who did what when,
//! and where it lies in the file.

use std::borrow::Cow;
use std::io::BufRead;

use serde::Deserialize;
use tribunal_results::event::{Line, LineType};
use tribunal_results::journal::LINE_BYTES_MAX;
use tribunal_results::{Event, Nanos, Scalar};

/// What is read of a line; its value is passed over.
#[derive(Debug, Deserialize)]
pub(super) struct Lean<'a> {
    /// Position in the history.
    pub index: u64,
    /// When, since the origin.
    pub time: Nanos,
    /// A client, or the nemesis.
    pub process: Who,
    /// The node, if one is named.
    pub node: Option<String>,
    /// `invoke`, `ok`, `fail` or `info`.
    #[serde(rename = "type")]
    pub kind: LineType,
    /// The operation, or what the nemesis did.
    #[serde(borrow)]
    pub f: Cow<'a, str>,
    /// The object.
    pub key: Option<Scalar>,
}

/// Whose line it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Who {
    /// A client.
    Client(u64),
    /// `"nemesis"`.
    Nemesis(String),
}

/// Reads a line; `None` if it is not one (the header, a blank, what another program wrote).
pub(super) fn lean(line: &[u8]) -> Option<Lean<'_>> {
    serde_json::from_slice(line).ok()
}

/// Reads a line of the nemesis whole.
pub(super) fn event(line: &[u8]) -> Option<Event> {
    let line: Line = serde_json::from_slice(line).ok()?;
    Event::from_line(line, None).ok()
}

/// Hands on every whole line with the byte at which it begins; stops where the file ends in the
/// middle of one, or at one that is too long. Returns the byte after the last whole line.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn each(
    mut input: impl BufRead,
    mut at: u64,
    mut take: impl FnMut(u64, &[u8]),
) -> std::io::Result<u64> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.read_until(b'\n', &mut line)?;
        if read > LINE_BYTES_MAX || line.last() != Some(&b'\n') {
            return Ok(at);
        }
        take(at, &line);
        at += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_waits_for_its_end() {
        let text = b"{\"a\":1}\n\n{\"b\"";
        let mut seen = Vec::new();
        let end = each(&text[..], 10, |at, line| seen.push((at, line.len()))).unwrap();
        assert_eq!((seen, end), (vec![(10, 8), (18, 1)], 19));
    }

    #[test]
    fn values_are_passed_over_and_headers_are_no_lines() {
        let line = br#"{"index":3,"time":9,"process":2,"node":"n\u0031","type":"ok","f":"read","key":"k","value":[{"x":1}]}"#;
        let read = lean(line).unwrap();
        assert_eq!(
            (read.index, read.process, read.node.as_deref()),
            (3, Who::Client(2), Some("n1"))
        );
        assert!(lean(br#"{"format":"tribunal-history","version":1}"#).is_none());
    }
}
