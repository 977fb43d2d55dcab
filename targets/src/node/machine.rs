//! A node as a state machine without I/O: the runtime feeds it inputs and carries out what it
//! asks for, and a test can do the same step by step.

use serde::Serialize;
use serde_json::json;
use tribunal_results::NodeId;

use crate::Status;
use crate::wire::{Body, Message, WireError};

/// Nanoseconds of one monotonic clock that starts with the node's process.
pub type Nanos = u64;

/// Nanoseconds in a millisecond.
pub const MILLISECOND: Nanos = 1_000_000;

/// What happens to a node.
#[derive(Clone, Debug)]
pub enum Input {
    /// It begins, after every record of its log has gone through [`Machine::recover`].
    Start,
    /// A message for it arrived.
    Message(Message),
    /// A timer that it set is due.
    Timer(u64),
    /// Its own connection to a peer came up or went down. A message sent while it is down is
    /// dropped, like a datagram; one sent while it is up may still be lost.
    Link {
        /// The peer.
        peer: NodeId,
        /// Whether there is a connection now.
        up: bool,
    },
}

/// The logic of a node.
pub trait Machine: Send {
    /// Takes up one record that an earlier life persisted, the oldest first.
    ///
    /// # Errors
    /// The record is whole, yet not one of this machine's.
    fn recover(&mut self, record: &[u8]) -> serde_json::Result<()>;

    /// Does what `input` calls for, at the time `now`. Nothing else changes the machine.
    fn step(&mut self, input: Input, now: Nanos, out: &mut Outbox);

    /// Takes note of the time of day, in nanoseconds since 1970, before each step. It may jump
    /// either way, unlike `now`. A machine that is never told (in a test, say) does without.
    fn wall(&mut self, _wall: Nanos) {}

    /// How the node is.
    fn status(&self, now: Nanos) -> Status;
}

/// What a machine does with what somebody says to it.
///
/// # Errors
/// It cannot be done, or makes no sense.
pub type Handler<M> = fn(&mut M, &NodeId, &Body, Nanos, &mut Outbox) -> Result<(), WireError>;

/// Gives a message to a machine: it hears what a peer says, and serves a client, which is told of
/// errors. A peer that sends nonsense is not answered: errors would go to and fro for ever.
pub fn receive<M>(
    machine: &mut M,
    message: &Message,
    from_peer: bool,
    now: Nanos,
    out: &mut Outbox,
    [hear, serve]: [Handler<M>; 2],
) {
    let Message { src, body, .. } = message;
    if body.kind() == "error" {
        return;
    }
    if from_peer {
        return hear(machine, src, body, now, out).unwrap_or_default();
    }
    if let Err(error) = serve(machine, src, body, now, out) {
        out.send(src, error.body().in_reply(body.msg_id()));
    }
}

/// What a machine asks for. The runtime writes the records first, waits until they are durable,
/// and only then sends the messages: whatever a message promises survives a crash.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Records that take the place of the whole log until now, before `records`.
    pub compacted: Option<Vec<Vec<u8>>>,
    /// Records to persist, in order.
    pub records: Vec<Vec<u8>>,
    /// Messages to send, in order: whom to, and what.
    pub messages: Vec<(NodeId, Body)>,
    /// Timers to set: when due, and the number that [`Input::Timer`] gives back.
    pub timers: Vec<(Nanos, u64)>,
}

impl Outbox {
    /// Makes a record durable before any message leaves.
    pub fn persist(&mut self, record: &impl Serialize) {
        self.records.push(json!(record).to_string().into_bytes());
    }

    /// Replaces the whole log, and what is to be added to it, by records that say the same more
    /// shortly: after a crash there is either the old log or the new one.
    pub fn compact<R: Serialize>(&mut self, records: impl IntoIterator<Item = R>) {
        self.records.clear();
        let bytes = |record| json!(record).to_string().into_bytes();
        self.compacted = Some(records.into_iter().map(bytes).collect());
    }

    /// Sends a message. A client is reached on the connection on which it last spoke.
    pub fn send(&mut self, dest: &NodeId, body: Body) {
        self.messages.push((dest.clone(), body));
    }

    /// Asks for [`Input::Timer`] with `id` at the time `at` or soon after, never before. Timers
    /// are not cancelled: a machine ignores those that it no longer needs.
    pub fn timer(&mut self, at: Nanos, id: u64) {
        self.timers.push((at, id));
    }
}
