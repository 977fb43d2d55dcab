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
pub const VERSION: u32 = 2;
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
    let mut reader = JournalReader::default();
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            return reader.finish();
        }
        let taken = bytes.len();
        reader.take(bytes)?;
        input.consume(taken);
    }
}

/// Reads a history file piece by piece, while it may still be written.
#[derive(Debug, Default)]
pub struct JournalReader {
    header: Option<Header>,
    builder: HistoryBuilder,
    /// The beginning of a line that has not ended yet.
    begun: Vec<u8>,
    /// How many lines have ended.
    lines: u64,
}

impl JournalReader {
    /// Takes the next bytes of the file, however they are cut.
    ///
    /// # Errors
    /// The first line that is not what the format says.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<(), ReadError> {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            let mut begun = std::mem::take(&mut self.begun);
            let line = match begun.is_empty() {
                true => line,
                false => {
                    begun.extend_from_slice(line);
                    &begun
                }
            };
            self.lines += 1;
            self.bounded(line.len())?;
            self.line(line).map_err(|reason| self.wrong(reason))?;
            begun.clear();
            self.begun = begun;
        }
        self.begun.extend_from_slice(bytes);
        self.lines += 1;
        self.bounded(self.begun.len())?;
        self.lines -= 1;
        Ok(())
    }

    /// The first line, once it was read.
    pub const fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// What was read so far.
    pub const fn history(&self) -> &History {
        self.builder.history()
    }

    /// Ends the reading: a last line without its line end was cut off and is left out.
    ///
    /// # Errors
    /// If there is not even a header.
    pub fn finish(mut self) -> Result<Journal, ReadError> {
        let truncated = !self.begun.is_empty();
        let header = match self.header.take() {
            Some(header) => header,
            None => {
                self.lines += 1;
                // It may lack nothing but its line end.
                match truncated {
                    true => header(&self.begun).map_err(|reason| self.wrong(reason))?,
                    false => {
                        return Err(self.wrong("empty; a history begins with its header".into()));
                    }
                }
            }
        };
        Ok(Journal {
            header,
            history: self.builder.finish(),
            truncated,
        })
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        if self.header.is_none() {
            self.header = Some(header(line)?);
            return Ok(());
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let line: Line = parse(line)?;
        let process = process_of(&line.process)?;
        let event = Event::from_line(line, self.builder.outstanding(process))?;
        self.builder.push(event).map_err(|e| e.reason)
    }

    fn bounded(&self, length: usize) -> Result<(), ReadError> {
        if length > LINE_BYTES_MAX {
            return Err(self.wrong(format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    const fn wrong(&self, reason: String) -> ReadError {
        ReadError::Line {
            line: self.lines,
            reason,
        }
    }
}

fn header(line: &[u8]) -> Result<Header, String> {
    let header: Header = parse(line)
        .map_err(|reason| format!("{reason}; the first line must be the header of a {FORMAT}"))?;
    if header.format != FORMAT {
        return Err(format!(
            "format is {:?}; the first line must say \"format\":\"{FORMAT}\"",
            header.format
        ));
    }
    if header.version > VERSION || header.version == 0 {
        let version = header.version;
        return Err(format!(
            "version {version}; this program reads up to {VERSION}"
        ));
    }
    Ok(header)
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
