//! The message journal of a run: every message between nodes, sent, taken or lost.
//!
//! Nodes keep the order of their events and what their clocks showed ([`stamp`]); the fabric says
//! when each message passed, arrived or was lost, and of what kind it was. Both together are the
//! journal, written when the nodes have stopped.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;
use serde::Deserialize;
use tribunal_nemesis::fabric::Tap;
use tribunal_results::message::{Act, Alteration, Clocks, Loss, MessageEvent, MessagesWriter};
use tribunal_results::run::RunDir;
use tribunal_results::{Nanos, NodeId};
use tribunal_targets::node::stamp::{self, Kept};

use crate::clock::Clock;

/// How many messages are followed; of later ones nobody knows when they arrived.
const MESSAGES_MAX: usize = 1 << 22;
/// How much is written at once, in bytes.
const WRITTEN_BYTES: usize = 1 << 16;

/// What the fabric saw of messages.
#[derive(Debug)]
pub struct Journal {
    clock: Clock,
    nodes: Vec<NodeId>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    messages: FxHashMap<u64, Message>,
    /// What was done to messages on their way.
    alterations: Vec<(u64, Nanos, &'static str)>,
    /// The kinds of messages, and their numbers.
    kinds: Vec<String>,
    numbers: FxHashMap<String, u32>,
}

/// What the fabric saw of one message.
#[derive(Clone, Copy, Debug)]
struct Message {
    to: u32,
    kind: u32,
    sent: Nanos,
    end: Option<(Nanos, End)>,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Delivered,
    Lost(&'static str),
}

impl Journal {
    /// Nothing was seen yet.
    pub fn new(nodes: &[NodeId], clock: Clock) -> Self {
        Self {
            clock,
            nodes: nodes.to_vec(),
            seen: Mutex::default(),
        }
    }

    /// Writes the journal of nodes that have stopped.
    ///
    /// # Errors
    /// What the nodes kept cannot be read, or the file cannot be written.
    pub fn write(&self, dir: &RunDir) -> std::io::Result<()> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pages = Pages {
            seen: &seen,
            writer: MessagesWriter::new(self.nodes.iter().map(ToString::to_string).collect())?,
            file: BufWriter::new(File::create(dir.messages())?),
        };
        let mut lines = Vec::new();
        for (own, id) in self.nodes.iter().enumerate() {
            let kept = stamp::kept(&dir.node(id).join("data"), self.nodes.len(), own)?;
            lines.push(seen.dated(kept).peekable());
        }
        // The next event of all nodes is that with the earliest time.
        while let Some((_, node)) = (0..lines.len())
            .filter_map(|at| Some((lines.get_mut(at)?.peek()?.0, at)))
            .min()
        {
            let next = lines.get_mut(node).and_then(Iterator::next);
            if let Some((time, kept)) = next {
                pages.add(node as u32, time, kept)?;
            }
        }
        pages.end()
    }

    fn ended(&self, message: u64, end: End) {
        let now = self.clock.now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(message) = seen.messages.get_mut(&message) {
            message.end = Some((now, end));
        }
    }
}

impl Seen {
    /// The events of a node with their times. Where the fabric knows none, because a message was
    /// never on its way, it is that of the event before.
    fn dated(&self, kept: impl Iterator<Item = Kept>) -> impl Iterator<Item = (Nanos, Kept)> {
        let mut last = 0;
        kept.map(move |event| {
            let message = self.messages.get(&event.stamp.message);
            let time = match (message, event.sent) {
                (Some(message), true) => Some(message.sent),
                (Some(message), false) => message.end.map(|(time, _)| time),
                (None, _) => None,
            };
            last = time.unwrap_or(last).max(last);
            (last, event)
        })
    }

    fn number(&mut self, kind: String) -> u32 {
        if let Some(number) = self.numbers.get(&kind) {
            return *number;
        }
        let number = self.kinds.len() as u32;
        self.kinds.push(kind.clone());
        self.numbers.insert(kind, number);
        number
    }
}

/// What matters of a line.
#[derive(Deserialize)]
struct Line {
    body: Inside,
}

#[derive(Deserialize)]
struct Inside {
    #[serde(rename = "type", default)]
    kind: String,
    clocks: Option<Number>,
}

#[derive(Deserialize)]
struct Number {
    message: u64,
}

impl Tap for Journal {
    fn sent(&self, _from: &NodeId, to: &NodeId, line: &[u8]) -> Option<u64> {
        let Inside { kind, clocks } = serde_json::from_slice::<Line>(line).ok()?.body;
        let number = clocks?.message;
        let to = self.nodes.iter().position(|node| node == to)? as u32;
        let now = self.clock.now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.messages.len() == MESSAGES_MAX {
            return None;
        }
        let message = Message {
            to,
            kind: seen.number(kind),
            sent: now,
            end: None,
        };
        seen.messages.insert(number, message);
        Some(number)
    }

    fn delivered(&self, message: u64) {
        self.ended(message, End::Delivered);
    }

    fn lost(&self, message: u64, why: &'static str) {
        self.ended(message, End::Lost(why));
    }

    fn altered(&self, message: u64, how: &'static str) {
        let now = self.clock.now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.alterations.len() < MESSAGES_MAX {
            seen.alterations.push((message, now, how));
        }
    }
}

/// The journal's lines on their way to the file.
struct Pages<'s> {
    seen: &'s Seen,
    writer: MessagesWriter,
    file: BufWriter<File>,
}

impl Pages<'_> {
    fn add(&mut self, node: u32, time: Nanos, kept: Kept) -> std::io::Result<()> {
        let number = kept.stamp.message;
        let message = self.seen.messages.get(&number);
        let act = match kept.sent {
            true => Act::Send {
                message: number,
                to: message.map(|message| message.to),
            },
            false => Act::Receive { message: number },
        };
        let event = MessageEvent {
            node,
            step: kept.step,
            time,
            act,
            clocks: Clocks {
                lamport: Some(kept.stamp.lamport),
                vector: Some(kept.stamp.vector.into()),
                ..Clocks::default()
            },
        };
        let kind = message.and_then(|message| self.seen.kinds.get(message.kind as usize));
        match kind.filter(|_| kept.sent) {
            Some(kind) => self.writer.append_named(&event, kind)?,
            None => self.writer.append(&event)?,
        }
        if kept.sent {
            self.loss(number, time, message)?;
        }
        self.write_beyond(WRITTEN_BYTES)
    }

    /// Says so if the message that was sent then is lost.
    fn loss(&mut self, number: u64, sent: Nanos, message: Option<&Message>) -> std::io::Result<()> {
        let (time, why) = match message {
            Some(&Message {
                end: Some((time, End::Lost(why))),
                ..
            }) => (time, why),
            None if self.seen.messages.len() < MESSAGES_MAX => (sent, "it never left its node"),
            _ => return Ok(()),
        };
        let loss = Loss {
            message: number,
            time,
            why: why.into(),
        };
        Ok(self.writer.lost(&loss)?)
    }

    fn write_beyond(&mut self, bytes: usize) -> std::io::Result<()> {
        if self.writer.pending() > bytes {
            self.file.write_all(&self.writer.take())?;
        }
        Ok(())
    }

    fn end(mut self) -> std::io::Result<()> {
        for &(message, time, how) in &self.seen.alterations {
            let how = how.into();
            let alteration = Alteration { message, time, how };
            self.writer.altered(&alteration)?;
            self.write_beyond(WRITTEN_BYTES)?;
        }
        self.write_beyond(0)?;
        self.file.flush()
    }
}
