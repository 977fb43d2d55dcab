//! The machine of every node: passes requests on, and keeps what it owns.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tribunal_results::{Answer, NodeId, Operation, Scalar};

use super::entries::Entries;
use super::ring::Ring;
use super::{Bug, Options};
use crate::Status;
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox, receive};
use crate::wire::{Body, Message, WireError, operation};

/// How many requests may be under way; the oldest is forgotten for one more.
const UNDER_WAY_MAX: usize = 10_000;
/// How many keys a node remembers the last write of.
const KEYS_MAX: usize = 100_000;
/// The most bytes of a key or value.
const SCALAR_BYTES_MAX: usize = 64 << 10;

/// What the log holds: the entries are not worth keeping.
#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
enum Record {
    /// The node started once more.
    Started,
}

/// A client's request that was passed on.
#[derive(Debug)]
struct Asked {
    client: NodeId,
    msg_id: Option<u64>,
    operation: Operation,
}

/// A change that other owners don't all have yet: who asked for it, under which number.
#[derive(Debug)]
struct Change {
    asker: NodeId,
    number: u64,
    missing: BTreeSet<NodeId>,
}

/// A node of the cache.
#[derive(Debug)]
pub(super) struct Node {
    id: NodeId,
    nodes: Vec<NodeId>,
    ttl: Nanos,
    bug: Option<Bug>,
    /// The other nodes to which there is a connection: what is sent to others is lost.
    linked: BTreeSet<NodeId>,
    ring: Ring,
    entries: Entries,
    /// The number of the last change of each key that arrived here.
    latest: BTreeMap<Scalar, u64>,
    starts: u64,
    /// Numbers requests and changes, in this life and beyond those of all before.
    next: u64,
    asked: BTreeMap<u64, Asked>,
    changes: BTreeMap<u64, Change>,
}

impl Node {
    pub(super) fn new(id: NodeId, nodes: Vec<NodeId>, options: Options, bug: Option<Bug>) -> Self {
        Self {
            id,
            ttl: options.ttl_ms.saturating_mul(MILLISECOND),
            bug,
            ring: Ring::new(&nodes, options.replicas, bug),
            nodes,
            linked: BTreeSet::new(),
            entries: Entries::new(options.capacity, bug),
            latest: BTreeMap::new(),
            starts: 0,
            next: 0,
            asked: BTreeMap::new(),
            changes: BTreeMap::new(),
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn message(&mut self, message: &Message, now: Nanos, out: &mut Outbox) {
        let from_peer = self.nodes.contains(&message.src);
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
        let operation = operation::parse(body)?;
        operation::check_size(&operation, SCALAR_BYTES_MAX)?;
        let asked = Asked {
            client: src.clone(),
            msg_id: body.msg_id(),
            operation: operation.clone(),
        };
        match operation {
            Operation::Read { key } => self.read(asked, &key, now, out),
            Operation::Write { key, value } => self.ask(asked, &key, Some(value), now, out),
            Operation::Custom { name, value } => {
                let key: Scalar = serde_json::from_value(value["key"].clone())
                    .map_err(|e| WireError::malformed(format!("{name} needs a key: {e}")))?;
                match &*name {
                    "delete" => self.ask(asked, &key, None, now, out),
                    "inspect" => {
                        let answer = Answer::Custom(self.inspect(&key));
                        asked.answer(&answer, out);
                        Ok(())
                    }
                    _ => Err(WireError::not_supported(&name)),
                }
            }
            other => Err(WireError::not_supported(other.kind().name())),
        }
    }

    /// What the node says of itself, and of a key.
    fn inspect(&self, key: &Scalar) -> Json {
        let evicted = self.entries.last_eviction();
        json!({
            "node": &*self.id,
            "owners": self.ring.owners(key),
            "replicas": self.ring.replicas(),
            "bytes": self.entries.bytes(),
            "capacity": self.entries.capacity(),
            "evicted-used": evicted.map(|e| e.used),
            "oldest-used": evicted.map(|e| e.oldest_kept),
        })
    }

    fn owners(&self, key: &Scalar) -> Result<Vec<NodeId>, WireError> {
        match self.ring.owners(key) {
            owners if owners.is_empty() => Err(WireError::unavailable("nobody keeps this key")),
            owners => Ok(owners),
        }
    }

    /// Refuses what would be lost: nothing was sent yet.
    fn check_linked(&self, node: &NodeId) -> Result<(), WireError> {
        match *node == self.id || self.linked.contains(node) {
            true => Ok(()),
            false => Err(WireError::unavailable(format!("no connection to {node}"))),
        }
    }

    /// Remembers a request that is passed on; its number.
    fn pass_on(&mut self, asked: Asked) -> u64 {
        let number = self.number();
        self.asked.insert(number, asked);
        if self.asked.len() > UNDER_WAY_MAX {
            self.asked.pop_first();
        }
        number
    }

    fn read(
        &mut self,
        asked: Asked,
        key: &Scalar,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        let owners = self.owners(key)?;
        if owners.contains(&self.id) {
            let value = self.entries.get(key, now);
            asked.answer(&Answer::Value(value), out);
            return Ok(());
        }
        let turn = usize::try_from(self.next % owners.len() as u64).unwrap_or_default();
        if let Some(owner) = owners.get(turn) {
            self.check_linked(owner)?;
            let fetch = Body::new("fetch").with("number", self.pass_on(asked));
            out.send(owner, fetch.with("key", json!(key)));
        }
        Ok(())
    }

    /// Asks the first owner of a key for a change.
    fn ask(
        &mut self,
        asked: Asked,
        key: &Scalar,
        value: Option<Scalar>,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        let owners = self.owners(key)?;
        if let Some(first) = owners.first() {
            self.check_linked(first)?;
        }
        let number = self.pass_on(asked);
        match owners.first() {
            Some(first) if *first != self.id => {
                let change = Body::new("change").with("number", number);
                out.send(
                    first,
                    change.with("key", json!(key)).with("value", json!(value)),
                );
            }
            _ => self.change(&self.id.clone(), number, key, value, now, out),
        }
        Ok(())
    }

    /// Makes a change as the first owner of a key, and tells the others.
    fn change(
        &mut self,
        asker: &NodeId,
        number: u64,
        key: &Scalar,
        value: Option<Scalar>,
        now: Nanos,
        out: &mut Outbox,
    ) {
        let stamp = self.number();
        let mut missing: BTreeSet<NodeId> = self.ring.owners(key).into_iter().collect();
        missing.remove(&self.id);
        if self.bug == Some(Bug::StaleAfterDelete) && value.is_none() {
            missing.clear();
        }
        let put = Body::new("put")
            .with("number", stamp)
            .with("stamp", stamp)
            .with("key", json!(key))
            .with("value", json!(value));
        for owner in &missing {
            out.send(owner, put.clone());
        }
        self.take(stamp, key, value, now);
        let change = Change {
            asker: asker.clone(),
            number,
            missing,
        };
        self.changes.insert(stamp, change);
        if self.changes.len() > UNDER_WAY_MAX {
            self.changes.pop_first();
        }
        self.settle(stamp, out);
    }

    /// Takes a change up, unless a later one of that key came before.
    fn take(&mut self, stamp: u64, key: &Scalar, value: Option<Scalar>, now: Nanos) {
        if self.latest.get(key).is_some_and(|latest| *latest >= stamp) {
            return;
        }
        if self.latest.len() >= KEYS_MAX && !self.latest.contains_key(key) {
            // Rather keep nothing than something that might be out of date.
            return self.entries.remove(key);
        }
        self.latest.insert(key.clone(), stamp);
        match value {
            Some(value) => self.entries.put(key, value, now.saturating_add(self.ttl)),
            None => self.entries.remove(key),
        }
    }

    /// Answers for a change once every owner has it.
    fn settle(&mut self, stamp: u64, out: &mut Outbox) {
        let done = self
            .changes
            .get(&stamp)
            .is_some_and(|c| c.missing.is_empty());
        if let Some(change) = done.then(|| self.changes.remove(&stamp)).flatten() {
            match change.asker == self.id {
                true => self.changed(change.number, out),
                false => {
                    let changed = Body::new("changed").with("number", change.number);
                    out.send(&change.asker, changed);
                }
            }
        }
    }

    fn changed(&mut self, number: u64, out: &mut Outbox) {
        if let Some(asked) = self.asked.remove(&number) {
            let answer = match asked.operation {
                Operation::Custom { .. } => Answer::Custom(Json::Null),
                _ => Answer::Done,
            };
            asked.answer(&answer, out);
        }
    }

    fn peer_message(
        &mut self,
        src: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        let number: u64 = body.field("number")?;
        match body.kind() {
            "fetch" => {
                let value = self.entries.get(&body.field("key")?, now);
                let fetched = Body::new("fetched").with("number", number);
                out.send(src, fetched.with("value", json!(value)));
            }
            "fetched" => {
                let value: Option<Scalar> = body.field("value")?;
                if let Some(asked) = self.asked.remove(&number) {
                    asked.answer(&Answer::Value(value), out);
                }
            }
            "change" => {
                let (key, value) = (body.field("key")?, body.field("value")?);
                self.change(src, number, &key, value, now, out);
            }
            "put" => {
                let (key, value) = (body.field("key")?, body.field("value")?);
                self.take(body.field("stamp")?, &key, value, now);
                out.send(src, Body::new("put_ok").with("number", number));
            }
            "put_ok" => {
                if let Some(change) = self.changes.get_mut(&number) {
                    change.missing.remove(src);
                }
                self.settle(number, out);
            }
            "changed" => self.changed(number, out),
            _ => {}
        }
        Ok(())
    }
}

impl Asked {
    fn answer(&self, answer: &Answer, out: &mut Outbox) {
        let reply = operation::reply(&self.operation, answer);
        out.send(&self.client, reply.in_reply(self.msg_id));
    }
}

impl Machine for Node {
    fn recover(&mut self, record: &[u8]) -> serde_json::Result<()> {
        let Record::Started = serde_json::from_slice(record)?;
        self.starts += 1;
        Ok(())
    }

    fn step(&mut self, input: Input, now: Nanos, out: &mut Outbox) {
        match input {
            Input::Start => {
                self.starts += 1;
                self.next = self.starts << 40;
                out.persist(&Record::Started);
            }
            Input::Message(message) => self.message(&message, now, out),
            Input::Link { peer, up: true } => drop(self.linked.insert(peer)),
            Input::Link { peer, up: false } => drop(self.linked.remove(&peer)),
            Input::Timer(_) => {}
        }
    }

    fn status(&self, _now: Nanos) -> Status {
        let (bytes, capacity) = (self.entries.bytes(), self.entries.capacity());
        Status {
            ready: self.linked.len() + 1 == self.nodes.len(),
            role: "replica".to_owned(),
            leader: None,
            detail: format!("{bytes} of {capacity} bytes"),
            ..Status::default()
        }
    }
}
