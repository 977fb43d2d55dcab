//! The message journal of a run whose lines the controller carries: it sees itself when each was
//! sent, arrived or was lost, and why.
//!
//! The nodes stamp nothing, so events have no clocks; the steps of an end are in the order in which
//! its lines were carried. Clients are one end, and so is each service.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use tribunal_nemesis::fabric::Tap;
use tribunal_results::message::{Act, Alteration, Clocks, Loss, MessageEvent, MessagesWriter};
use tribunal_results::{Nanos, NodeId};

use crate::clock::Clock;

/// How many messages are followed; of later ones nothing is written.
const MESSAGES_MAX: u64 = 1 << 20;
/// How much is written at once, in bytes.
const WRITTEN_BYTES: usize = 1 << 16;

/// The journal while it is written.
#[derive(Debug)]
pub struct LineJournal {
    clock: Clock,
    ends: Vec<NodeId>,
    pages: Mutex<Pages>,
}

#[derive(Debug)]
struct Pages {
    writer: MessagesWriter,
    file: BufWriter<File>,
    messages: u64,
    /// The receiver of each message.
    receivers: Vec<u32>,
    /// How many events each end had.
    steps: Vec<u64>,
    /// The first thing that went wrong.
    error: Option<io::Error>,
}

/// What matters of a line.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    src: std::borrow::Cow<'a, str>,
    body: Inside,
}

#[derive(Deserialize)]
struct Inside {
    #[serde(rename = "type", default)]
    kind: String,
}

impl LineJournal {
    /// Begins the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(path: &Path, ends: &[NodeId], clock: Clock) -> io::Result<Self> {
        let names = ends.iter().map(ToString::to_string).collect();
        let pages = Pages {
            writer: MessagesWriter::new(names)?,
            file: BufWriter::new(File::create(path)?),
            messages: 0,
            receivers: Vec::new(),
            steps: vec![0; ends.len()],
            error: None,
        };
        Ok(Self {
            clock,
            ends: ends.to_vec(),
            pages: Mutex::new(pages),
        })
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what has not been written yet.
    ///
    /// # Errors
    /// The first thing that went wrong since the beginning.
    pub fn finish(&self) -> io::Result<()> {
        let mut pages = self.pages();
        pages.write_beyond(0)?;
        pages.file.flush()?;
        pages.error.take().map_or(Ok(()), Err)
    }

    /// Where somebody is among the ends.
    fn place(&self, end: &NodeId) -> Option<u32> {
        let at = self.ends.iter().position(|known| known == end)?;
        u32::try_from(at).ok()
    }
}

impl Pages {
    fn event(&mut self, node: u32, time: Nanos, act: Act, what: Option<&str>) -> io::Result<()> {
        let steps = self.steps.get_mut(node as usize);
        let step = steps.map_or(0, |steps| std::mem::replace(steps, *steps + 1));
        let event = MessageEvent {
            node,
            step,
            time,
            act,
            clocks: Clocks::default(),
        };
        match what {
            Some(what) => self.writer.append_named(&event, what)?,
            None => self.writer.append(&event)?,
        }
        self.write_beyond(WRITTEN_BYTES)
    }

    fn write_beyond(&mut self, bytes: usize) -> io::Result<()> {
        if self.writer.pending() > bytes {
            self.file.write_all(&self.writer.take())?;
        }
        Ok(())
    }

    fn keep(&mut self, done: io::Result<()>) {
        if let Err(error) = done {
            self.error.get_or_insert(error);
        }
    }
}

impl Tap for LineJournal {
    fn sent(&self, from: &NodeId, to: &NodeId, line: &[u8]) -> Option<u64> {
        let (node, receiver) = (self.place(from)?, self.place(to)?);
        let line: Line<'_> = serde_json::from_slice(line).ok()?;
        // Whoever sends in the name of another does so openly.
        let is_own = *line.src == **from || node + 1 == self.ends.len() as u32;
        let what = match is_own {
            true => line.body.kind,
            false => format!("{} in the name of another", line.body.kind),
        };
        let now = self.clock.now();
        let mut pages = self.pages();
        let message = pages.messages;
        if message == MESSAGES_MAX {
            return None;
        }
        pages.messages += 1;
        pages.receivers.push(receiver);
        let act = Act::Send {
            message,
            to: Some(receiver),
        };
        let done = pages.event(node, now, act, Some(&what));
        pages.keep(done);
        Some(message)
    }

    fn delivered(&self, message: u64) {
        let now = self.clock.now();
        let mut pages = self.pages();
        let receiver = usize::try_from(message)
            .ok()
            .and_then(|at| pages.receivers.get(at));
        if let Some(receiver) = receiver.copied() {
            let done = pages.event(receiver, now, Act::Receive { message }, None);
            pages.keep(done);
        }
    }

    fn lost(&self, message: u64, why: &'static str) {
        let (time, why) = (self.clock.now(), why.into());
        let mut pages = self.pages();
        let done = pages.writer.lost(&Loss { message, time, why });
        pages.keep(done.map_err(Into::into));
    }

    fn altered(&self, message: u64, how: &'static str) {
        let (time, how) = (self.clock.now(), how.into());
        let mut pages = self.pages();
        let done = pages.writer.altered(&Alteration { message, time, how });
        pages.keep(done.map_err(Into::into));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tribunal_results::message;

    #[test]
    fn what_was_sent_taken_and_lost_is_read_back_with_names_and_reasons() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("messages.jsonl");
        let ends = ["n1", "n2", "clients"].map(NodeId::from);
        let journal = LineJournal::create(&path, &ends, Clock::start()).unwrap();
        let line = br#"{"id":1,"src":"c7","dest":"n1","body":{"type":"read"}}"#;
        let asked = journal.sent(&ends[2], &ends[0], line).unwrap();
        journal.delivered(asked);
        let relayed = journal.sent(&ends[0], &ends[1], line).unwrap();
        journal.altered(relayed, "it was duplicated");
        journal.delivered(relayed);
        journal.delivered(relayed);
        let lost = journal.sent(&ends[1], &ends[0], br#"{"src":"n2","body":{"type":"ok"}}"#);
        journal.lost(lost.unwrap(), "the link was cut");
        assert_eq!(journal.sent(&"n9".into(), &ends[0], line), None);
        journal.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("read in the name of another"), "{text}");
        assert!(text.contains("the link was cut"), "{text}");
        let messages = message::read(text.as_bytes()).unwrap();
        assert_eq!(messages.events.len(), 6);
        assert_eq!(messages.losses.len(), 1);
    }
}
