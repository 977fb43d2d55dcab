//! The machine of every node: answers its clients from what it knows, and gossips.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tribunal_results::message::Hybrid;
use tribunal_results::{Answer, NodeId, Operation, Scalar};

use super::Bug;
use super::store::{Delta, Store};
use super::update::{Change, Dot, Update};
use crate::Status;
use crate::clock::{HybridClock, VectorClock};
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox, receive};
use crate::wire::{Body, Message, WireError, operation};

/// The number of the timer for gossip.
const GOSSIP_TIMER: u64 = 0;
/// How often a node sends its digest to one of its peers, each in turn.
const GOSSIP_EVERY: Nanos = 20 * MILLISECOND;
/// A peer that was silent for so long counts as lost, until it is heard of again.
const SILENCE_MAX: Nanos = 350 * MILLISECOND;
/// The most updates that are kept; beyond it, clients' updates are refused.
const UPDATES_MAX: usize = 1_000_000;
/// The most bytes of a key or value.
const SCALAR_BYTES_MAX: usize = 32 << 10;
/// The most additions that one removal can take back.
const TAGS_MAX: usize = 500;
/// The log is written anew when it has so many records more than four for each update kept.
const LOG_SLACK: usize = 10_000;

/// What the log holds.
#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
enum Record {
    /// The node started once more.
    Started,
    /// An update of the node itself.
    Made { update: Update },
    /// What the node learnt from a peer.
    Learnt { delta: Delta },
    /// In place of all before: how often it had started, and all that it knew.
    Whole { starts: u64, seen: VectorClock },
}

/// A node of the store.
#[derive(Debug)]
pub(super) struct Replica {
    id: NodeId,
    peers: Vec<NodeId>,
    bug: Option<Bug>,
    store: Store,
    clock: HybridClock,
    /// What physical time had come to when the node started: its monotonic clock begins at 0 in
    /// every life.
    epoch: Nanos,
    /// The time of day, if it was told.
    wall: Option<Nanos>,
    starts: u64,
    /// How many identifiers it gave away in this life.
    generated: u64,
    /// How many digests it sent.
    rounds: u64,
    heard: BTreeMap<NodeId, Nanos>,
    /// Peers that are never gossiped with again: only if planted.
    abandoned: BTreeSet<NodeId>,
    /// How many records the log has.
    records: usize,
}

impl Replica {
    pub(super) fn new(id: NodeId, peers: Vec<NodeId>, bug: Option<Bug>) -> Self {
        Self {
            id,
            peers,
            bug,
            store: Store::default(),
            clock: HybridClock::new(),
            epoch: 0,
            wall: None,
            starts: 0,
            generated: 0,
            rounds: 0,
            heard: BTreeMap::new(),
            abandoned: BTreeSet::new(),
            records: 0,
        }
    }

    /// The time of day, or what there is in its place.
    fn physical(&self, now: Nanos) -> Nanos {
        self.wall.unwrap_or(self.epoch.saturating_add(now))
    }

    fn persist(&mut self, record: &Record, out: &mut Outbox) {
        self.records += 1;
        out.persist(record);
        if self.records > self.store.len() * 4 + LOG_SLACK {
            let whole = Record::Whole {
                starts: self.starts,
                seen: self.store.seen().clone(),
            };
            let made = self.store.updates().map(|update| Record::Made { update });
            let records: Vec<Record> = std::iter::once(whole).chain(made).collect();
            self.records = records.len();
            out.compact(records);
        }
    }

    fn message(&mut self, message: &Message, now: Nanos, out: &mut Outbox) {
        let from_peer = self.peers.contains(&message.src);
        let handlers = [Self::peer_message, Self::request];
        receive(self, message, from_peer, now, out, handlers);
    }

    fn request(
        &mut self,
        src: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        let answer = self.answer(&operation::parse(body)?, now, out)?;
        out.send(src, answer.in_reply(body.msg_id()));
        Ok(())
    }

    fn answer(
        &mut self,
        asked: &Operation,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<Body, WireError> {
        let objects = &self.store.objects;
        let answer = match asked {
            Operation::Read { key } => Answer::Value(objects.read(key).cloned()),
            Operation::Count { key } => Answer::Value(Some(Scalar::Int(objects.count(key)))),
            Operation::Members { key } => Answer::Values(objects.members(key)),
            Operation::Contains { key, value } => {
                Answer::Flag(!objects.tags(key, value).is_empty())
            }
            Operation::Generate { .. } => self.generate(),
            _ => match self.change(asked, now)? {
                // Nothing to remove.
                Change::Remove { tags, .. } if tags.is_empty() => Answer::Flag(false),
                change => self.make(change, out),
            },
        };
        Ok(operation::reply(asked, &answer))
    }

    /// An identifier that no other node gives, nor this one in another life or twice.
    fn generate(&mut self) -> Answer {
        self.generated += 1;
        let id = format!("{}-{}-{}", self.id, self.starts, self.generated);
        Answer::Value(Some(id.into()))
    }

    /// The change that an operation asks for.
    fn change(&mut self, asked: &Operation, now: Nanos) -> Result<Change, WireError> {
        operation::check_size(asked, SCALAR_BYTES_MAX)?;
        if self.store.len() >= UPDATES_MAX {
            return Err(WireError::unavailable("the store is full"));
        }
        let objects = &self.store.objects;
        Ok(match asked.clone() {
            Operation::Write { key, value } => Change::Write {
                key,
                value,
                at: self.clock.tick(self.physical(now)),
            },
            Operation::Increment { key, by } => {
                let (plus, minus) = objects.share(&key, &self.id);
                let most = || WireError::precondition("the counter would overflow");
                let (more, less) = match by < 0 {
                    true => (0, by.unsigned_abs()),
                    false => (by.unsigned_abs(), 0),
                };
                Change::Increment {
                    key,
                    plus: plus.checked_add(more).ok_or_else(most)?,
                    minus: minus.checked_add(less).ok_or_else(most)?,
                }
            }
            Operation::Add { key, value } => {
                if objects.tags(&key, &value).len() >= TAGS_MAX {
                    let text = "added too often; remove it first";
                    return Err(WireError::unavailable(text));
                }
                Change::Add { key, value }
            }
            Operation::Remove { key, value } => Change::Remove {
                tags: objects.tags(&key, &value),
                key,
                value,
            },
            other => return Err(WireError::not_supported(other.kind().name())),
        })
    }

    /// Makes a change: takes it up, durably before anybody hears of it.
    fn make(&mut self, change: Change, out: &mut Outbox) -> Answer {
        let found = matches!(change, Change::Remove { .. });
        let number = self.store.seen().get(&self.id).saturating_add(1);
        let origin = self.id.clone();
        let update = Update {
            dot: Dot { origin, number },
            change,
        };
        self.store.take(&update);
        self.persist(&Record::Made { update }, out);
        match found {
            true => Answer::Flag(true),
            false => Answer::Done,
        }
    }

    fn peer_message(
        &mut self,
        src: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        if self.is_abandoned(src, now) {
            return Ok(());
        }
        self.heard.insert(src.clone(), now);
        if let Some(stamp) = body.field::<Option<Hybrid>>("clock")? {
            let physical = self.physical(now);
            self.clock.observe(stamp, physical);
        }
        match body.kind() {
            "digest" => {
                let mut seen: VectorClock = body.field("seen")?;
                seen.retain(|node| self.knows(node));
                if let Some(delta) = self.store.delta(&seen) {
                    let body = Body::new("updates").with("delta", json!(delta));
                    out.send(src, self.stamped(body));
                }
                if body.field("asks")? && !self.store.seen().covers(&seen) {
                    self.send_digest(src, false, out);
                }
            }
            "updates" => self.learn(body.field("delta")?, out),
            _ => {}
        }
        Ok(())
    }

    fn knows(&self, node: &NodeId) -> bool {
        *node == self.id || self.peers.contains(node)
    }

    /// Takes up what a peer sent; only if nothing is missing before it.
    fn learn(&mut self, mut delta: Delta, out: &mut Outbox) {
        // What this node did itself it knows best.
        let foreign = |node: &NodeId| self.peers.contains(node);
        delta.until.retain(foreign);
        delta.updates.retain(|update| foreign(&update.dot.origin));
        let seen = self.store.seen();
        delta.since.retain(foreign);
        if !seen.covers(&delta.since) || seen.covers(&delta.until) {
            return;
        }
        if self.bug == Some(Bug::KeepMine) {
            delta.updates.retain(|update| match &update.change {
                Change::Write { key, .. } => self.store.objects.read(key).is_none(),
                _ => true,
            });
        }
        self.take(&delta);
        self.persist(&Record::Learnt { delta }, out);
    }

    fn take(&mut self, delta: &Delta) {
        for update in &delta.updates {
            self.take_one(update);
        }
        self.store.has_seen(&delta.until);
    }

    fn take_one(&mut self, update: &Update) {
        if let Change::Write { at, .. } = &update.change {
            self.clock.observe(*at, 0);
        }
        self.store.take(update);
    }

    fn stamped(&mut self, body: Body) -> Body {
        body.with("clock", json!(self.clock.latest()))
    }

    /// Tells a peer what is known here; `asks` for its digest in turn if it knows more.
    fn send_digest(&mut self, peer: &NodeId, asks: bool, out: &mut Outbox) {
        let body = Body::new("digest")
            .with("seen", json!(self.store.seen()))
            .with("asks", asks);
        let body = self.stamped(body);
        out.send(peer, body);
    }

    /// Sends a digest to the peer whose turn it is.
    fn gossip(&mut self, now: Nanos, out: &mut Outbox) {
        out.timer(now + GOSSIP_EVERY, GOSSIP_TIMER);
        self.rounds += 1;
        let turn = self.rounds % self.peers.len().max(1) as u64;
        let peer = usize::try_from(turn).ok().and_then(|i| self.peers.get(i));
        if let Some(peer) = peer.cloned()
            && !self.is_abandoned(&peer, now)
        {
            self.send_digest(&peer, true, out);
        }
    }

    fn is_heard(&self, peer: &NodeId, now: Nanos) -> bool {
        let heard = self.heard.get(peer);
        heard.is_some_and(|at| now.saturating_sub(*at) < SILENCE_MAX)
    }

    /// Right nodes never give a peer up: they gossip with it whether it was heard of or not.
    fn is_abandoned(&mut self, peer: &NodeId, now: Nanos) -> bool {
        if self.bug == Some(Bug::NoGossipAfterHeal) {
            let lost = self.heard.contains_key(peer) && !self.is_heard(peer, now);
            if lost {
                self.abandoned.insert(peer.clone());
            }
            return self.abandoned.contains(peer);
        }
        false
    }

    /// A connection came up or broke.
    fn link(&mut self, peer: &NodeId, up: bool, out: &mut Outbox) {
        if self.bug == Some(Bug::NoGossipAfterHeal) && !up && self.heard.contains_key(peer) {
            self.abandoned.insert(peer.clone());
        }
        if up && self.peers.contains(peer) && !self.abandoned.contains(peer) {
            self.send_digest(peer, true, out);
        }
    }
}

impl Machine for Replica {
    fn recover(&mut self, record: &[u8]) -> serde_json::Result<()> {
        self.records += 1;
        match serde_json::from_slice(record)? {
            Record::Started => self.starts += 1,
            Record::Made { update } => self.take_one(&update),
            Record::Learnt { delta } => self.take(&delta),
            Record::Whole { starts, seen } => {
                self.starts = starts;
                self.store.has_seen(&seen);
            }
        }
        Ok(())
    }

    fn step(&mut self, input: Input, now: Nanos, out: &mut Outbox) {
        match input {
            Input::Start => {
                self.epoch = self.clock.latest().wall;
                self.starts += 1;
                self.persist(&Record::Started, out);
                self.gossip(now, out);
            }
            Input::Message(message) => self.message(&message, now, out),
            Input::Timer(_) => self.gossip(now, out),
            Input::Link { peer, up } => self.link(&peer, up, out),
        }
    }

    fn wall(&mut self, wall: Nanos) {
        self.wall = Some(wall);
    }

    fn status(&self, now: Nanos) -> Status {
        let heard = self.peers.iter().filter(|peer| self.is_heard(peer, now));
        Status {
            ready: true,
            role: "replica".to_owned(),
            leader: None,
            detail: format!("{} of {} peers heard of", heard.count(), self.peers.len()),
            ..Status::default()
        }
    }
}
