//! The message journal: what nodes sent each other, and what their clocks showed.
//!
//! JSON Lines like the history, described in `FORMAT.md`. Each event belongs to one node and says
//! with `step` where in that node's own order it stands; lines may be in any order, so that nodes,
//! or a proxy that reads the stamps of their messages, may write it. [`MessagesWriter`] makes the
//! bytes, [`read`] takes them, also if the last line was cut off.

use std::collections::HashMap;
use std::io::BufRead;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::journal::{ReadError, parse};
use crate::lines::{Ending, Lines};
use crate::{Nanos, NodeId};

/// What the first line's `format` says.
pub const FORMAT: &str = "tribunal-messages";
/// The version of the format that this crate writes and reads.
pub const VERSION: u32 = 1;
/// The most nodes that a journal may name.
pub const NODES_MAX: usize = 1024;
/// The most lines that a journal may have.
pub const LINES_MAX: u64 = 1 << 25;

/// A hybrid logical clock (Kulkarni et al. 2014). Ordered as such clocks are: by `wall` first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(into = "(u64, u64)", from = "(u64, u64)")]
#[schemars(with = "(u64, u64)")]
pub struct Hybrid {
    /// The largest physical time known, in nanoseconds.
    pub wall: Nanos,
    /// Counts events within it.
    pub logical: u64,
}

impl From<(u64, u64)> for Hybrid {
    fn from((wall, logical): (u64, u64)) -> Self {
        Self { wall, logical }
    }
}

impl From<Hybrid> for (u64, u64) {
    fn from(clock: Hybrid) -> Self {
        (clock.wall, clock.logical)
    }
}

/// What the clocks of a node showed right after an event: those that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Its Lamport clock.
    pub lamport: Option<u64>,
    /// Its vector clock: one entry for each of [`Messages::nodes`].
    pub vector: Option<Box<[u64]>>,
    /// Its hybrid logical clock.
    pub hybrid: Option<Hybrid>,
    /// Its physical clock, in nanoseconds since any origin that all nodes share.
    pub physical: Option<Nanos>,
}

/// What a node did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It sent a message.
    Send {
        /// The message's number, unique in the journal.
        message: u64,
        /// The place of the receiver in [`Messages::nodes`]; `None` for all.
        to: Option<u32>,
    },
    /// A message arrived. One that was duplicated on its way arrives more than once.
    Receive {
        /// Its number.
        message: u64,
    },
    /// It handed a message on to its application, perhaps after holding it back.
    Deliver {
        /// Its number.
        message: u64,
    },
    /// Something that concerns no message.
    Local,
}

/// One event of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageEvent {
    /// The place of the node in [`Messages::nodes`].
    pub node: u32,
    /// Orders the events of the node; unique among them, gaps are allowed.
    pub step: u64,
    /// When it was recorded.
    pub time: Nanos,
    /// What it was.
    pub act: Act,
    /// What the node's clocks showed after it.
    pub clocks: Clocks,
}

/// A message, or a copy of it, that never arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The message's number.
    pub message: u64,
    /// When it was lost.
    pub time: Nanos,
    /// Why, in a short phrase.
    pub why: String,
}

/// What was done to a message that arrived all the same, or to a copy of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alteration {
    /// The message's number.
    pub message: u64,
    /// When it was done.
    pub time: Nanos,
    /// What, in a short phrase.
    pub how: String,
}

/// A message journal as read. Nothing but the form of each line is checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// The nodes, in the order in which vector clocks list them.
    pub nodes: Vec<NodeId>,
    /// The events of all nodes, in the order in which they were recorded.
    pub events: Vec<MessageEvent>,
    /// What was lost, in the same order.
    pub losses: Vec<Loss>,
    /// What was doubled, changed or held back on its way, in the same order.
    pub alterations: Vec<Alteration>,
    /// Of what kind messages were.
    pub kinds: Kinds,
}

/// The kinds of messages, for people, where the journal names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    names: Vec<String>,
    of: FxHashMap<u64, u8>,
}

impl Kinds {
    /// The kind of a message; `None` if the journal does not say, or names too many.
    pub fn of(&self, message: u64) -> Option<&str> {
        let at = *self.of.get(&message)?;
        self.names.get(usize::from(at)).map(String::as_str)
    }

    fn note(&mut self, message: u64, name: String) {
        let known = self.names.iter().position(|n| *n == name);
        let Ok(at) = u8::try_from(known.unwrap_or(self.names.len())) else {
            return;
        };
        if known.is_none() {
            self.names.push(name);
        }
        self.of.insert(message, at);
    }
}

/// The first line of a message journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(title = "Tribunal message journal header")]
pub struct MessagesHeader {
    /// Always `tribunal-messages`.
    pub format: String,
    /// Version of the format.
    pub version: u32,
    /// The nodes, in the order in which vector clocks list them.
    pub nodes: Vec<String>,
}

/// The `type` of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageType {
    /// A node sent a message.
    Send,
    /// A message arrived.
    Receive,
    /// A message was handed on to the application.
    Deliver,
    /// Something that concerns no message.
    Local,
    /// A message was lost on its way; no event of a node.
    Drop,
    /// A message was doubled, changed or held back on its way; no event of a node.
    Alter,
}

/// The JSON object of a line, field by field.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Tribunal message journal event")]
pub struct MessageLine {
    /// Nanoseconds since the run's origin.
    pub time: Nanos,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: MessageType,
    /// The node that did it; absent of `drop` and `alter`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Its position in the node's own order; absent of `drop` and `alter`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// The message's number; absent of `local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<u64>,
    /// With `send`: the receiver; absent if all are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// With `send`: the kind of message, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// The node's Lamport clock after the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lamport: Option<u64>,
    /// Its vector clock, one entry for each node of the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Box<[u64]>>,
    /// Its hybrid logical clock: physical part in nanoseconds, and counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hybrid: Option<Hybrid>,
    /// Its physical clock, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical: Option<Nanos>,
    /// With `drop`: why it was lost. With `alter`: what was done to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Turns events into the bytes of a message journal.
#[derive(Debug)]
pub struct MessagesWriter {
    nodes: Vec<String>,
    pending: Vec<u8>,
}

impl MessagesWriter {
    /// Begins a file with its header.
    ///
    /// # Errors
    /// If the header has no JSON form (it always has one).
    pub fn new(nodes: Vec<String>) -> serde_json::Result<Self> {
        let header = MessagesHeader {
            format: FORMAT.into(),
            version: VERSION,
            nodes,
        };
        let mut pending = serde_json::to_vec(&header)?;
        pending.push(b'\n');
        Ok(Self {
            nodes: header.nodes,
            pending,
        })
    }

    /// Adds an event.
    ///
    /// # Errors
    /// If the event has no JSON form (it always has one); nothing was added then.
    pub fn append(&mut self, event: &MessageEvent) -> serde_json::Result<()> {
        self.add(event, None)
    }

    /// Adds the sending of a message of that kind.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_named(&mut self, event: &MessageEvent, what: &str) -> serde_json::Result<()> {
        self.add(event, (!what.is_empty()).then(|| what.to_owned()))
    }

    fn add(&mut self, event: &MessageEvent, what: Option<String>) -> serde_json::Result<()> {
        let name = |at: u32| self.nodes.get(at as usize).cloned();
        let (kind, message, to) = match event.act {
            Act::Send { message, to } => (MessageType::Send, Some(message), to.and_then(name)),
            Act::Receive { message } => (MessageType::Receive, Some(message), None),
            Act::Deliver { message } => (MessageType::Deliver, Some(message), None),
            Act::Local => (MessageType::Local, None, None),
        };
        self.push(&MessageLine {
            time: event.time,
            kind,
            node: name(event.node),
            step: Some(event.step),
            message,
            to,
            what,
            lamport: event.clocks.lamport,
            vector: event.clocks.vector.clone(),
            hybrid: event.clocks.hybrid,
            physical: event.clocks.physical,
            why: None,
        })
    }

    /// Adds the loss of a message.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn lost(&mut self, loss: &Loss) -> serde_json::Result<()> {
        self.on_its_way(MessageType::Drop, loss.message, loss.time, &loss.why)
    }

    /// Adds what was done to a message.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn altered(&mut self, alteration: &Alteration) -> serde_json::Result<()> {
        let Alteration { message, time, how } = alteration;
        self.on_its_way(MessageType::Alter, *message, *time, how)
    }

    fn on_its_way(
        &mut self,
        kind: MessageType,
        message: u64,
        time: Nanos,
        why: &str,
    ) -> serde_json::Result<()> {
        self.push(&MessageLine {
            time,
            kind,
            node: None,
            step: None,
            message: Some(message),
            to: None,
            what: None,
            lamport: None,
            vector: None,
            hybrid: None,
            physical: None,
            why: Some(why.to_owned()),
        })
    }

    /// How many bytes wait to be written.
    pub const fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Hands over the bytes that wait to be written; whole lines only.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    fn push(&mut self, line: &MessageLine) -> serde_json::Result<()> {
        let whole = self.pending.len();
        if let Err(error) = serde_json::to_writer(&mut self.pending, line) {
            self.pending.truncate(whole);
            return Err(error);
        }
        self.pending.push(b'\n');
        Ok(())
    }
}

/// Reads a message journal. A last line that was cut off is left out.
///
/// # Errors
/// The first line that is not what the format says, or one too many.
pub fn read(mut input: impl BufRead) -> Result<Messages, ReadError> {
    let mut lines = Lines::new(&mut input);
    let mut buffer = Vec::new();
    let first = lines.next(&mut buffer)?;
    if first == Ending::Nothing {
        return Err(lines.wrong("empty; a message journal begins with its header".into()));
    }
    let header = parse(&buffer).and_then(check_header);
    let header = header.map_err(|reason| lines.wrong(reason))?;
    let mut builder = Builder::new(header).map_err(|reason| lines.wrong(reason))?;
    let mut cut = first == Ending::Cut;
    while !cut {
        match lines.next(&mut buffer)? {
            Ending::Nothing => break,
            Ending::Cut => cut = true,
            Ending::Newline if buffer.iter().all(u8::is_ascii_whitespace) => {}
            Ending::Newline if lines.number() > LINES_MAX => {
                return Err(lines.wrong(format!("more than {LINES_MAX} lines")));
            }
            Ending::Newline => parse(&buffer)
                .and_then(|line| builder.push(line))
                .map_err(|reason| lines.wrong(reason))?,
        }
    }
    Ok(builder.messages)
}

fn check_header(header: MessagesHeader) -> Result<MessagesHeader, String> {
    if header.format != FORMAT {
        let format = header.format;
        return Err(format!(
            "format is {format:?}; the first line must say \"format\":\"{FORMAT}\""
        ));
    }
    if header.version != VERSION {
        let version = header.version;
        return Err(format!("version {version}; this program reads {VERSION}"));
    }
    if header.nodes.len() > NODES_MAX {
        return Err(format!("more than {NODES_MAX} nodes"));
    }
    Ok(header)
}

struct Builder {
    places: HashMap<String, u32>,
    messages: Messages,
}

impl Builder {
    fn new(header: MessagesHeader) -> Result<Self, String> {
        let mut places = HashMap::new();
        let mut nodes = Vec::new();
        for (at, name) in (0..).zip(header.nodes) {
            nodes.push(NodeId::from(name.as_str()));
            if let Some(name) = places.insert(name.clone(), at).map(|_| name) {
                return Err(format!("the node {name} is named twice"));
            }
        }
        let messages = Messages {
            nodes,
            ..Messages::default()
        };
        Ok(Self { places, messages })
    }

    fn place(&self, name: &str) -> Result<u32, String> {
        let place = self.places.get(name).copied();
        place.ok_or_else(|| format!("the header names no node {name}"))
    }

    fn push(&mut self, line: MessageLine) -> Result<(), String> {
        if line.kind == MessageType::Drop {
            let (message, time, why) = on_its_way(line)?;
            self.messages.losses.push(Loss { message, time, why });
            return Ok(());
        }
        if line.kind == MessageType::Alter {
            let (message, time, how) = on_its_way(line)?;
            let alteration = Alteration { message, time, how };
            self.messages.alterations.push(alteration);
            return Ok(());
        }
        let node = line.node.as_deref().ok_or("an event needs a node")?;
        let node = self.place(node)?;
        let to = line.to.as_deref().map(|to| self.place(to)).transpose()?;
        if to.is_some() && line.kind != MessageType::Send {
            return Err("only a send has a receiver".into());
        }
        if line.why.is_some() {
            return Err("only a drop and an alter have a reason".into());
        }
        let entries = line.vector.as_ref().map(|vector| vector.len());
        if let Some(entries) = entries.filter(|&n| n != self.messages.nodes.len()) {
            let nodes = self.messages.nodes.len();
            return Err(format!("a vector of {entries} entries for {nodes} nodes"));
        }
        let act = match (line.kind, line.message) {
            (MessageType::Send, Some(message)) => Act::Send { message, to },
            (MessageType::Receive, Some(message)) => Act::Receive { message },
            (MessageType::Deliver, Some(message)) => Act::Deliver { message },
            (MessageType::Local, None) => Act::Local,
            (MessageType::Local, Some(_)) => return Err("a local event has no message".into()),
            _ => return Err("the message's number is missing".into()),
        };
        if let (Act::Send { message, .. }, Some(what)) = (act, line.what) {
            self.messages.kinds.note(message, what);
        }
        self.messages.events.push(MessageEvent {
            node,
            step: line.step.ok_or("an event needs its step")?,
            time: line.time,
            act,
            clocks: Clocks {
                lamport: line.lamport,
                vector: line.vector,
                hybrid: line.hybrid,
                physical: line.physical,
            },
        });
        Ok(())
    }
}

/// The number, time and reason of what happened to a message between nodes.
fn on_its_way(line: MessageLine) -> Result<(u64, Nanos, String), String> {
    let clocks = line.lamport.is_some()
        || line.vector.is_some()
        || line.hybrid.is_some()
        || line.physical.is_some();
    if line.node.is_some() || line.step.is_some() || line.to.is_some() || clocks {
        return Err("a drop or alter has a time, a message and a reason only".into());
    }
    let message = line.message.ok_or("the message's number is missing")?;
    Ok((message, line.time, line.why.unwrap_or_default()))
}
