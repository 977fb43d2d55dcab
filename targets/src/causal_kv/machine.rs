//! The machine of every node.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tribunal_results::{Answer, NodeId, Operation};

use super::Bug;
use super::store::{Store, Write};
use crate::Status;
use crate::client::translate::CONTEXT;
use crate::clock::{HybridClock, VectorClock};
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox, receive};
use crate::wire::{Body, Message, WireError, operation};

/// How often writes that are not acknowledged are sent again, and waiting sessions looked at.
const TICK_EVERY: Nanos = 25 * MILLISECOND;
/// How long a session may wait for what it depends on.
const WAIT_MAX: Nanos = 150 * MILLISECOND;
/// How many sessions may wait.
const WAITING_MAX: usize = 10_000;
/// How many writes, and about how many bytes, one message may have.
const WRITES_PER_MESSAGE: usize = 200;
const BYTES_PER_MESSAGE: usize = 256 << 10;
/// How far ahead of what is shown here writes of one origin are kept.
const AHEAD_MAX: u64 = 1_000;
/// How many of its own writes a node keeps for others; beyond it, it refuses more.
const OWN_MAX: usize = 100_000;
/// How many registers there may be.
const KEYS_MAX: usize = 1_000_000;
/// The most bytes of a key or value.
const SCALAR_BYTES_MAX: usize = 32 << 10;
/// The log is written anew when it has so many records more than four for each write kept.
const LOG_SLACK: usize = 10_000;

/// What the log holds.
#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
enum Record {
    /// A write is shown from now on.
    Shown { origin: NodeId, write: Write },
    /// In place of all before: up to where writes are shown. The registers follow, and what other
    /// nodes may lack.
    Whole { shown: VectorClock },
    /// A write of the node itself that other nodes may lack.
    Kept { write: Write },
}

/// A request of a session that has seen what is not shown here yet.
#[derive(Debug)]
struct Waiting {
    client: NodeId,
    msg_id: Option<u64>,
    asked: Operation,
    context: VectorClock,
    until: Nanos,
}

/// A node of the store.
#[derive(Debug)]
pub(super) struct Replica {
    id: NodeId,
    peers: Vec<NodeId>,
    bug: Option<Bug>,
    store: Store,
    clock: HybridClock,
    /// What physical time had come to when the node started.
    epoch: Nanos,
    /// Its own writes that some peer has not acknowledged.
    own: BTreeMap<u64, Write>,
    /// Up to which of them each peer shows all.
    acked: BTreeMap<NodeId, u64>,
    /// Writes of others that are not shown yet.
    held: BTreeMap<NodeId, BTreeMap<u64, Write>>,
    waiting: Vec<Waiting>,
    records: usize,
}

impl Replica {
    pub(super) fn new(id: NodeId, peers: Vec<NodeId>, bug: Option<Bug>) -> Self {
        Self {
            id,
            bug,
            store: Store::default(),
            clock: HybridClock::new(),
            epoch: 0,
            own: BTreeMap::new(),
            acked: peers.iter().map(|peer| (peer.clone(), 0)).collect(),
            held: BTreeMap::new(),
            waiting: Vec::new(),
            records: 0,
            peers,
        }
    }

    /// Whether all of this is shown here. What the node did itself always is.
    fn shows(&self, past: &VectorClock) -> bool {
        let shown = self.store.shown();
        let mut others = past.entries().filter(|(node, _)| **node != self.id);
        self.bug == Some(Bug::IgnoreDependencies) || others.all(|(node, n)| shown.get(node) >= n)
    }

    fn persist(&mut self, record: &Record, out: &mut Outbox) {
        self.records += 1;
        out.persist(record);
        let kept = self.store.len() + self.own.len();
        if self.records > kept * 4 + LOG_SLACK {
            let shown = self.store.shown().clone();
            let registers = self.store.writes();
            let registers = registers.map(|(origin, write)| Record::Shown { origin, write });
            let own = self.own.values().cloned();
            let own = own.map(|write| Record::Kept { write });
            let whole = std::iter::once(Record::Whole { shown });
            let records: Vec<Record> = whole.chain(registers).chain(own).collect();
            self.records = records.len();
            out.compact(records);
        }
    }

    fn message(&mut self, message: &Message, now: Nanos, out: &mut Outbox) {
        let from_peer = self.peers.contains(&message.src);
        let handlers = [Self::peer_message, Self::request];
        receive(self, message, from_peer, now, out, handlers);
    }

    /// Answers a request at once, or lets it wait for what its session has seen.
    fn request(
        &mut self,
        src: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        let asked = operation::parse(body)?;
        if !matches!(asked, Operation::Read { .. } | Operation::Write { .. }) {
            return Err(WireError::not_supported(body.kind()));
        }
        operation::check_size(&asked, SCALAR_BYTES_MAX)?;
        let context: Option<VectorClock> = body.field(CONTEXT)?;
        let mut context = context.unwrap_or_default();
        context.retain(|node| *node == self.id || self.peers.contains(node));
        let waiting = Waiting {
            client: src.clone(),
            msg_id: body.msg_id(),
            asked,
            context,
            until: now + WAIT_MAX,
        };
        if self.shows(&waiting.context) {
            self.answer(waiting, now, out);
        } else if self.waiting.len() >= WAITING_MAX {
            return Err(behind());
        } else {
            self.waiting.push(waiting);
        }
        Ok(())
    }

    fn answer(&mut self, waiting: Waiting, now: Nanos, out: &mut Outbox) {
        let mut past = waiting.context;
        let answer = match &waiting.asked {
            Operation::Write { .. } if self.is_full() => {
                Err(WireError::unavailable("too many keys, or writes to send"))
            }
            Operation::Write { key, value } => {
                let number = self.store.shown().get(&self.id).saturating_add(1);
                let write = Write {
                    number,
                    after: past.clone(),
                    key: key.clone(),
                    value: value.clone(),
                    at: self.clock.tick(self.epoch.saturating_add(now)),
                };
                self.write(write, out);
                past.raise(&self.id, number);
                Ok(Answer::Done)
            }
            other => {
                let version = other.key().and_then(|key| self.store.get(key));
                if let Some(version) = version {
                    past.merge(&version.past());
                }
                Ok(Answer::Value(version.map(|version| version.value.clone())))
            }
        };
        let answer = match answer {
            Ok(answer) => operation::reply(&waiting.asked, &answer),
            Err(error) => error.body(),
        };
        let answer = answer.with(CONTEXT, json!(past));
        out.send(&waiting.client, answer.in_reply(waiting.msg_id));
    }

    fn is_full(&self) -> bool {
        self.own.len() >= OWN_MAX || self.store.len() >= KEYS_MAX
    }

    /// Makes a write of this node: shown here at once, durably, and sent to all others.
    fn write(&mut self, write: Write, out: &mut Outbox) {
        for peer in &self.peers {
            out.send(peer, writes(std::slice::from_ref(&write)));
        }
        if !self.peers.is_empty() {
            self.own.insert(write.number, write.clone());
        }
        self.show(&self.id.clone(), write, out);
    }

    fn show(&mut self, origin: &NodeId, write: Write, out: &mut Outbox) {
        self.clock.observe(write.at, 0);
        self.store.show(origin, &write);
        let origin = origin.clone();
        self.persist(&Record::Shown { origin, write }, out);
    }

    fn peer_message(
        &mut self,
        src: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        match body.kind() {
            "writes" => {
                for write in body.field::<Vec<Write>>("writes")? {
                    self.hold(src, write);
                }
                self.show_all(now, out);
                let until = self.store.shown().get(src);
                out.send(src, Body::new("ack").with("until", until));
            }
            "ack" => self.acknowledged(src, body.field("until")?),
            _ => {}
        }
        Ok(())
    }

    /// Keeps a write until all that it depends on is shown.
    fn hold(&mut self, origin: &NodeId, mut write: Write) {
        let shown = self.store.shown().get(origin);
        let ahead = shown.saturating_add(1)..=shown.saturating_add(AHEAD_MAX);
        if ahead.contains(&write.number) {
            let known = |node: &NodeId| *node == self.id || self.peers.contains(node);
            write.after.retain(known);
            let held = self.held.entry(origin.clone()).or_default();
            held.insert(write.number, write);
        }
    }

    /// Shows all writes that are held and whose dependencies are shown, and then answers those who
    /// waited for them.
    fn show_all(&mut self, now: Nanos, out: &mut Outbox) {
        let mut any = false;
        while let Some((origin, write)) = self.next_held() {
            self.show(&origin, write, out);
            any = true;
        }
        if any {
            let waiting = std::mem::take(&mut self.waiting);
            for one in waiting {
                match self.shows(&one.context) {
                    true => self.answer(one, now, out),
                    false => self.waiting.push(one),
                }
            }
        }
    }

    /// Takes out a write that can be shown now.
    fn next_held(&mut self) -> Option<(NodeId, Write)> {
        let ready = self.held.iter().find_map(|(origin, held)| {
            let next = self.store.shown().get(origin).saturating_add(1);
            let write = held.get(&next)?;
            self.shows(&write.after).then(|| (origin.clone(), next))
        });
        let (origin, number) = ready?;
        let held = self.held.get_mut(&origin)?;
        let write = held.remove(&number)?;
        Some((origin, write))
    }

    fn acknowledged(&mut self, peer: &NodeId, until: u64) {
        if let Some(acked) = self.acked.get_mut(peer) {
            *acked = until.max(*acked);
        }
        let all = self.acked.values().min().copied().unwrap_or(u64::MAX);
        self.own = self.own.split_off(&all.saturating_add(1));
    }

    /// Sends writes again that a peer has not acknowledged.
    fn send_again(&self, peer: &NodeId, out: &mut Outbox) {
        let acked = self.acked.get(peer).copied().unwrap_or(0);
        let mut room = BYTES_PER_MESSAGE;
        let mut batch: Vec<Write> = Vec::new();
        for write in self.own.range(acked.saturating_add(1)..).map(|own| own.1) {
            let size = serde_json::to_string(write).map_or(0, |text| text.len());
            if room < size || batch.len() >= WRITES_PER_MESSAGE {
                break;
            }
            room -= size;
            batch.push(write.clone());
        }
        if !batch.is_empty() {
            out.send(peer, writes(&batch));
        }
    }

    fn tick(&mut self, now: Nanos, out: &mut Outbox) {
        out.timer(now + TICK_EVERY, 0);
        for peer in &self.peers {
            self.send_again(peer, out);
        }
        let (late, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|one| one.until <= now);
        self.waiting = waiting;
        let late: Vec<Waiting> = late;
        for one in late {
            out.send(&one.client, behind().body().in_reply(one.msg_id));
        }
    }
}

fn writes(writes: &[Write]) -> Body {
    Body::new("writes").with("writes", json!(writes))
}

fn behind() -> WireError {
    WireError::unavailable("this node does not show yet what the session has seen")
}

impl Machine for Replica {
    fn recover(&mut self, record: &[u8]) -> serde_json::Result<()> {
        self.records += 1;
        let (origin, write) = match serde_json::from_slice(record)? {
            Record::Whole { shown } => {
                self.store.has_shown(&shown);
                return Ok(());
            }
            Record::Kept { write } => {
                self.own.insert(write.number, write);
                return Ok(());
            }
            Record::Shown { origin, write } => (origin, write),
        };
        self.clock.observe(write.at, 0);
        self.store.show(&origin, &write);
        if origin == self.id && !self.peers.is_empty() {
            self.own.insert(write.number, write);
        }
        Ok(())
    }

    fn step(&mut self, input: Input, now: Nanos, out: &mut Outbox) {
        match input {
            Input::Start => {
                if self.bug == Some(Bug::LostClock) {
                    self.clock = HybridClock::new();
                    self.store.forget_shown(&self.id);
                    self.own.clear();
                }
                self.epoch = self.clock.latest().wall;
                self.tick(now, out);
            }
            Input::Message(message) => self.message(&message, now, out),
            Input::Timer(_) => self.tick(now, out),
            Input::Link { peer, up: true } => self.send_again(&peer, out),
            Input::Link { up: false, .. } => {}
        }
    }

    fn status(&self, _now: Nanos) -> Status {
        let held: usize = self.held.values().map(BTreeMap::len).sum();
        Status {
            ready: true,
            role: "replica".to_owned(),
            leader: None,
            detail: format!("{held} writes and {} sessions wait", self.waiting.len()),
            ..Status::default()
        }
    }
}
