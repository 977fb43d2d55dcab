//! Histories that others recorded.
//!
//! A [`Format`] is a row of [`FORMATS`]: how to tell it, how to read it. Adding one: a file here
//! and a row there. All but our own reach a [`History`] by way of `assemble`, which knows what
//! Jepsen's operations mean; `FORMAT.md` tells users the same under *Other formats*.

pub(crate) mod assemble;
mod dbcop;
pub mod edn;
mod entry;
mod input;
mod jepsen_edn;
mod jepsen_json;
mod json;
mod jsonl;
mod lines;
pub(crate) mod objects;
mod plume;
mod porcupine;
pub(crate) mod value;
pub(crate) mod words;

use std::fmt;
use std::io::{BufRead, BufReader, Cursor, Read as _};

use crate::journal::ReadError;
use crate::{Assumptions, History};
use assemble::Assembly;
pub use input::FORM_BYTES_MAX;
pub use objects::Object;
pub(crate) use value::is_word;

/// How much of a file's beginning is looked at to tell its format, in bytes.
const HEAD_BYTES: u64 = 8 << 10;

/// A way to write a history down.
#[derive(Debug)]
pub struct Format {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    detect: fn(&Head<'_>) -> bool,
    read: Read,
}

/// How a format is read.
#[derive(Debug)]
enum Read {
    /// By itself.
    Whole(fn(&mut dyn BufRead) -> Result<Imported, ImportError>),
    /// As events that mean what Jepsen's mean, one after the other.
    Entries(fn(&mut dyn BufRead, &mut Assembly) -> Result<(), ImportError>),
}

/// Every format; the first that claims a file has it.
pub static FORMATS: [&Format; 6] = [
    &jsonl::FORMAT,
    &dbcop::FORMAT,
    &plume::FORMAT,
    &porcupine::FORMAT,
    &jepsen_json::FORMAT,
    &jepsen_edn::FORMAT,
];

/// The format of that name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.into_iter().find(|format| format.name == name)
}

/// A history as read, and what its reader has to say of it.
#[derive(Debug)]
pub struct Imported {
    /// The history.
    pub history: History,
    /// What its objects and clocks are taken to be.
    pub assume: Assumptions,
    /// What was left out or changed on the way, each in one sentence.
    pub notes: Vec<String>,
    /// Whether its events are in the order of real time. If not, only the order within each
    /// process means something.
    pub timed: bool,
    /// Whether operations of clients were left out because nobody knows what they do.
    pub partial: bool,
}

/// Where in a file something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// In a line, from 1.
    Line(u64),
    /// At a line and a column.
    Place(edn::Place),
    /// At a byte, from 0.
    Byte(u64),
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(n) => write!(f, "line {n}"),
            Self::Place(place) => place.fmt(f),
            Self::Byte(n) => write!(f, "byte {n}"),
        }
    }
}

/// Why a file is not a history.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It could not be read at all.
    #[error("cannot read it: {0}")]
    Io(#[from] std::io::Error),
    /// It begins like no format.
    #[error("it begins like no known format; name one of {}", names())]
    Unrecognised,
    /// Something in it is wrong.
    #[error("{at}: {reason}")]
    Wrong {
        /// The place.
        at: Where,
        /// What is wrong there.
        reason: String,
    },
    /// As the reader of our own format says it.
    #[error(transparent)]
    Journal(ReadError),
}

impl From<edn::EdnError> for ImportError {
    fn from(error: edn::EdnError) -> Self {
        Self::wrong(Where::Place(error.place), error.reason)
    }
}

impl ImportError {
    fn wrong(at: Where, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::Wrong { at, reason }
    }
}

fn names() -> String {
    FORMATS.map(|format| format.name).join(", ")
}

/// The beginning of a file, to tell its format by.
struct Head<'a> {
    bytes: &'a [u8],
    text: &'a str,
    name: Option<&'a str>,
}

impl Head<'_> {
    /// Whether the file's name ends so.
    fn named(&self, ending: &str) -> bool {
        self.name.is_some_and(|name| name.ends_with(ending))
    }
}

/// Reads a history in the given format; if none is given, in the one that its first bytes, or
/// else its name, tell.
///
/// # Errors
/// If it is of no known format, or not what its format says: then the place and the reason.
pub fn read(
    input: impl BufRead,
    name: Option<&str>,
    format: Option<&Format>,
) -> Result<Imported, ImportError> {
    read_as(input, name, format, None)
}

/// The same where all objects that `:read` and `:add` are asked of are of the given kind.
///
/// # Errors
/// As [`read`], and where something does not fit that kind.
pub fn read_as(
    mut input: impl BufRead,
    name: Option<&str>,
    format: Option<&Format>,
    object: Option<Object>,
) -> Result<Imported, ImportError> {
    let mut bytes = Vec::new();
    (&mut input).take(HEAD_BYTES).read_to_end(&mut bytes)?;
    let format = match format {
        Some(format) => format,
        None => detect(&bytes, name).ok_or(ImportError::Unrecognised)?,
    };
    let mut whole = BufReader::new(Cursor::new(bytes).chain(input));
    match format.read {
        Read::Whole(read) => read(&mut whole),
        Read::Entries(read) => {
            let mut assembly = Assembly::new(object);
            read(&mut whole, &mut assembly)?;
            Ok(assembly.finish())
        }
    }
}

/// Tells a format by a file's first bytes and its name.
pub fn detect(bytes: &[u8], name: Option<&str>) -> Option<&'static Format> {
    let valid = match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        // The end may cut a character.
        Err(e) => e.valid_up_to(),
    };
    let text = bytes.get(..valid).and_then(|b| str::from_utf8(b).ok());
    let text = text.unwrap_or_default().trim_start();
    let head = Head { bytes, text, name };
    FORMATS.into_iter().find(|format| (format.detect)(&head))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn told(bytes: &[u8], name: Option<&str>) -> Option<&'static str> {
        detect(bytes, name).map(|format| format.name)
    }

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let header = br#"{"format":"tribunal-history","version":1}"#;
        assert_eq!(told(header, None), Some("jsonl"));
        assert_eq!(told(header, Some("history.json")), Some("jsonl"));
        let log = b"INFO  jepsen.util - 0\t:invoke\t:read\tnil\n";
        assert_eq!(told(log, None), Some("porcupine"));
        assert_eq!(told(b"0 :invoke :read nil", None), Some("porcupine"));
        assert_eq!(told(b"[{\"type\": \"invoke\"", None), Some("jepsen-json"));
        assert_eq!(told(b" {\"process\": 1", None), Some("jepsen-json"));
        assert_eq!(told(b"[{:type :invoke", None), Some("jepsen-edn"));
        assert_eq!(told(b"; mine\n{:f :read}", None), Some("jepsen-edn"));
        assert_eq!(
            told(b"#jepsen.history.Op{:f :read}", None),
            Some("jepsen-edn")
        );
    }

    #[test]
    fn a_name_tells_what_first_bytes_do_not() {
        assert_eq!(told(b"", Some("history.jsonl")), Some("jsonl"));
        assert_eq!(told(b"[]", Some("history.edn")), Some("jepsen-edn"));
        assert_eq!(told(b"[]", Some("history.json")), Some("jepsen-json"));
        assert_eq!(told(b"", Some("etcd.log")), Some("porcupine"));
        assert_eq!(told(b"", None), None);
        assert_eq!(told(b"[]", None), None);
        assert_eq!(told(b"\xff\xfe\x00", Some("history")), None);
        assert_eq!(told(b"hello world", Some("notes.txt")), None);
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_refused_with_their_line() {
        let error = read(&b"{:type :info :process :nemesis}\n\xff"[..], None, None).unwrap_err();
        assert_eq!(error.to_string(), "line 2, column 1: not UTF-8");
    }
}
