//! The history file: JSON Lines, append-only, readable after any crash.
//!
//! The first line is a [`Header`], each further line an event. [`JournalWriter`] turns events
//! into bytes and hands them out in batches: whoever owns the clock decides when they go to disk.
//! [`read`] takes a file that ends in the middle of a line, as one does after a kill.

use std::io::BufRead;

use serde::{Deserialize, Serialize};

use crate::Assumptions;
use crate::event::{Event, Line, process_of};
use crate::history::{History, HistoryBuilder};

/// What the first line's `format` says.
pub const FORMAT: &str = "tribunal-history";
/// The version of the format that this crate writes. It reads this one and all before it.
pub const VERSION: u32 = 1;
/// The longest line that the reader takes, in bytes.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// The first line of a history file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(title = "Tribunal history header")]
pub struct Header {
    /// Always `tribunal-history`.
    pub format: String,
    /// Version of the format.
    pub version: u32,
    /// When the run began, in UTC, as ISO 8601; the origin of all times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The nodes, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// What the checkers have to be told; the usual if absent.
    #[serde(default, skip_serializing_if = "Assumptions::is_default")]
    pub assume: Assumptions,
}

impl Header {
    /// A header of the current version.
    pub fn new(origin: Option<String>, nodes: Vec<String>) -> Self {
        Self {
            format: FORMAT.into(),
            version: VERSION,
            origin,
            nodes,
            assume: Assumptions::default(),
        }
    }
}

/// Turns events into the bytes of a history file.
#[derive(Debug)]
pub struct JournalWriter {
    pending: Vec<u8>,
    next: u64,
}

impl JournalWriter {
    /// Begins a file with its header.
    ///
    /// # Errors
    /// If the header has no JSON form (it always has one).
    pub fn new(header: &Header) -> serde_json::Result<Self> {
        let mut pending = serde_json::to_vec(header)?;
        pending.push(b'\n');
        Ok(Self { pending, next: 0 })
    }

    /// The index that the next event gets.
    pub const fn next_index(&self) -> u64 {
        self.next
    }

    /// Adds an event, which must carry [`next_index`](Self::next_index).
    ///
    /// # Errors
    /// If the event has no JSON form (it always has one); nothing was added then.
    pub fn append(&mut self, event: &Event) -> serde_json::Result<()> {
        let whole = self.pending.len();
        if let Err(error) = serde_json::to_writer(&mut self.pending, &event.to_line()) {
            self.pending.truncate(whole);
            return Err(error);
        }
        self.pending.push(b'\n');
        self.next = event.index.saturating_add(1);
        Ok(())
    }

    /// The bytes that wait to be written.
    pub fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Hands over the bytes that wait to be written; whole lines only.
    pub fn take(&mut self) -> Vec<u8> {
        let room = Vec::with_capacity(self.pending.capacity().min(1 << 20));
        std::mem::replace(&mut self.pending, room)
    }
}

/// Why a history file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be read at all.
    #[error("cannot read the history: {0}")]
    Io(#[from] std::io::Error),
    /// A line is wrong.
    #[error("line {line}: {reason}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// A history file as read.
#[derive(Debug)]
pub struct Journal {
    /// Its first line.
    pub header: Header,
    /// Its events, paired.
    pub history: History,
    /// Whether the last line was cut off, as by a kill, and left out.
    pub truncated: bool,
}

/// Reads a history file.
///
/// # Errors
/// The first line that is not what the format says; only a last line without its line end is
/// left out instead.
pub fn read(mut input: impl BufRead) -> Result<Journal, ReadError> {
    let mut lines = Lines::new(&mut input);
    let mut buffer = Vec::new();
    let whole = lines.next(&mut buffer)?;
    if whole == Ending::Nothing {
        return Err(lines.wrong("empty; a history begins with its header".into()));
    }
    let header: Header = parse(&buffer).map_err(|reason| {
        lines.wrong(format!(
            "{reason}; the first line must be the header of a {FORMAT}"
        ))
    })?;
    if header.format != FORMAT {
        return Err(lines.wrong(format!(
            "format is {:?}; the first line must say \"format\":\"{FORMAT}\"",
            header.format
        )));
    }
    if header.version > VERSION || header.version == 0 {
        let version = header.version;
        return Err(lines.wrong(format!(
            "version {version}; this program reads up to {VERSION}"
        )));
    }
    let mut builder = HistoryBuilder::default();
    let mut truncated = whole == Ending::Cut;
    while !truncated {
        match lines.next(&mut buffer)? {
            Ending::Nothing => break,
            Ending::Cut => truncated = true,
            Ending::Newline if buffer.iter().all(u8::is_ascii_whitespace) => {}
            Ending::Newline => {
                parse(&buffer)
                    .and_then(|line| push(&mut builder, line))
                    .map_err(|reason| lines.wrong(reason))?;
            }
        }
    }
    Ok(Journal {
        header,
        history: builder.finish(),
        truncated,
    })
}

fn push(builder: &mut HistoryBuilder, line: Line) -> Result<(), String> {
    let process = process_of(&line.process)?;
    let event = Event::from_line(line, builder.outstanding(process))?;
    builder.push(event).map_err(|e| e.reason)
}

/// Reads one line's JSON. Errors give the column only: the line that serde_json would name is
/// always the first, since it sees no other.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|e| {
        let text = e.to_string();
        let place = format!(" at line {} column {}", e.line(), e.column());
        match text.strip_suffix(&place) {
            Some(what) => format!("{what}, at column {}", e.column()),
            None => text,
        }
    })
}

/// How a line ended.
#[derive(PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a line end.
    Newline,
    /// With the file, as after a kill.
    Cut,
    /// There was none.
    Nothing,
}

/// The lines of a file, counted and bounded.
pub(crate) struct Lines<'a, R> {
    input: &'a mut R,
    number: u64,
}

impl<'a, R: BufRead> Lines<'a, R> {
    pub(crate) const fn new(input: &'a mut R) -> Self {
        Self { input, number: 0 }
    }

    /// How many lines were read.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line, bounded, without its line end.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> Result<Ending, ReadError> {
        line.clear();
        self.number += 1;
        let limit = LINE_BYTES_MAX as u64 + 1;
        let read = std::io::Read::take(&mut *self.input, limit).read_until(b'\n', line)?;
        if line.last() == Some(&b'\n') {
            line.pop();
            return Ok(Ending::Newline);
        }
        if read > LINE_BYTES_MAX {
            return Err(self.wrong(format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        Ok(if read == 0 {
            Ending::Nothing
        } else {
            Ending::Cut
        })
    }

    /// That the line read last is not what it should be.
    pub(crate) fn wrong(&self, reason: String) -> ReadError {
        ReadError::Line {
            line: self.number,
            reason,
        }
    }
}
