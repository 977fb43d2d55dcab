//! The machine of every node: a primary in its own views, a backup in all others.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tribunal_results::{Answer, NodeId, Operation, Scalar};

use super::Bug;
use super::replica::{Entry, Replica, State};
use crate::Status;
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox, receive};
use crate::wire::{Body, Message, WireError, operation};

/// How often a node looks around, and a primary lets itself be heard.
const TICK_EVERY: Nanos = 20 * MILLISECOND;
/// How many of its clients' writes a node may have passed on and not heard of again.
const FORWARDED_MAX: usize = 10_000;
/// How many registers there may be, and the most bytes of a key or value, so that a whole state
/// fits a message.
const KEYS_MAX: usize = 2_000;
const SCALAR_BYTES_MAX: usize = 200;
/// The log is written anew after so many records.
const RECORDS_MAX: usize = 20_000;

/// What the log holds.
#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
enum Record {
    /// The node started once more.
    Started,
    /// A write was done.
    Done { entry: Entry },
    /// The node took a view, or another node's state, over.
    Replaced { starts: u64, state: State },
}

/// A node of the store.
#[derive(Debug)]
pub(super) struct Node {
    id: NodeId,
    nodes: Vec<NodeId>,
    bug: Option<Bug>,
    /// The next in line takes over after so long a silence, the one after it after twice as long.
    silence: Nanos,
    replica: Replica,
    /// Whether the state of the view's primary is still to come.
    behind: bool,
    /// Backups that a primary waits for, to know that it still is one.
    doubted: BTreeSet<NodeId>,
    /// How many beats a primary sent; an answer to an older one proves nothing.
    round: u64,
    doubted_at: u64,
    /// When the primary was heard of last, and when the node was woken last.
    heard: Nanos,
    woken: Nanos,
    starts: u64,
    /// Writes of its clients that it passed on, by number.
    forwarded: BTreeMap<u64, (NodeId, Option<u64>)>,
    next: u64,
    records: usize,
}

impl Node {
    pub(super) fn new(id: NodeId, nodes: Vec<NodeId>, silence: Nanos, bug: Option<Bug>) -> Self {
        Self {
            id,
            nodes,
            bug,
            silence,
            replica: Replica::default(),
            behind: false,
            doubted: BTreeSet::new(),
            round: 0,
            doubted_at: 0,
            heard: 0,
            woken: 0,
            starts: 0,
            forwarded: BTreeMap::new(),
            next: 0,
            records: 0,
        }
    }

    fn primary_of(&self, view: u64) -> Option<&NodeId> {
        let count = self.nodes.len().max(1) as u64;
        usize::try_from(view % count)
            .ok()
            .and_then(|i| self.nodes.get(i))
    }

    fn primary(&self) -> Option<&NodeId> {
        self.primary_of(self.replica.view)
    }

    fn is_primary(&self) -> bool {
        self.primary() == Some(&self.id)
    }

    fn others(&self) -> impl Iterator<Item = &NodeId> {
        self.nodes.iter().filter(|node| **node != self.id)
    }

    /// The next view of its own after a view.
    fn own_view(&self, after: u64) -> u64 {
        let views = (1..=self.nodes.len() as u64).map(|more| after.saturating_add(more));
        let mut own = views.filter(|view| self.primary_of(*view) == Some(&self.id));
        own.next().unwrap_or(after)
    }

    fn persist(&mut self, record: &Record, out: &mut Outbox) {
        out.persist(record);
        self.records += 1;
        if self.records > RECORDS_MAX {
            self.persist_whole(out);
        }
    }

    fn persist_whole(&mut self, out: &mut Outbox) {
        self.records = 1;
        let (starts, state) = (self.starts, self.replica.state());
        out.compact([Record::Replaced { starts, state }]);
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
        _now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        let asked = operation::parse(body)?;
        operation::check_size(&asked, SCALAR_BYTES_MAX)?;
        let answer = match asked.clone() {
            Operation::Read { key } => Answer::Value(self.replica.get(&key).cloned()),
            Operation::Write { key, value } if self.is_primary() => {
                self.check_sure(&key)?;
                let (by, number) = (self.id.clone(), 0);
                self.write(key, value, (&by, number), out);
                Answer::Done
            }
            Operation::Write { key, value } => {
                let forwarded = (src.clone(), body.msg_id());
                return self.forward(&key, &value, forwarded, out);
            }
            other => return Err(WireError::not_supported(other.kind().name())),
        };
        out.send(
            src,
            operation::reply(&asked, &answer).in_reply(body.msg_id()),
        );
        Ok(())
    }

    /// Whether a primary may take a write to a register.
    fn check_sure(&self, key: &Scalar) -> Result<(), WireError> {
        if !self.is_primary() || !self.doubted.is_empty() {
            return Err(WireError::unavailable("it is not sure who the primary is"));
        }
        if self.replica.len() >= KEYS_MAX && self.replica.get(key).is_none() {
            return Err(WireError::unavailable("there are too many registers"));
        }
        Ok(())
    }

    fn forward(
        &mut self,
        key: &Scalar,
        value: &Scalar,
        client: (NodeId, Option<u64>),
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        let Some(primary) = self.primary().cloned() else {
            return Err(WireError::unavailable("there is no primary"));
        };
        self.next += 1;
        let body = Body::new("forward").with("number", self.next);
        out.send(
            &primary,
            body.with("key", json!(key)).with("value", json!(value)),
        );
        self.forwarded.insert(self.next, client);
        if self.forwarded.len() > FORWARDED_MAX {
            // Its client has long given up.
            self.forwarded.pop_first();
        }
        Ok(())
    }

    /// Does a write as the primary: here at once, at the backups as soon as they hear of it.
    fn write(&mut self, key: Scalar, value: Scalar, asked: (&NodeId, u64), out: &mut Outbox) {
        let entry = Entry {
            view: self.replica.view,
            seq: self.replica.seq.saturating_add(1),
            key,
            value,
        };
        let body = Body::new("entry").with("entry", json!(entry));
        let body = body.with("by", &**asked.0).with("number", asked.1);
        for backup in self.others() {
            out.send(backup, body.clone());
        }
        self.replica.apply(&entry);
        self.persist(&Record::Done { entry }, out);
    }

    fn peer_message(
        &mut self,
        src: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        match body.kind() {
            "beat" => {
                let (view, seq) = (body.field("view")?, body.field("seq")?);
                self.beat(src, view, seq, body.field("round")?, now, out);
            }
            "beat_ok" => {
                let (view, round): (u64, u64) = (body.field("view")?, body.field("round")?);
                if view == self.replica.view && round > self.doubted_at {
                    self.doubted.remove(src);
                }
            }
            "forward" => {
                let number: u64 = body.field("number")?;
                let (key, value) = (body.field("key")?, body.field("value")?);
                match self.check_sure(&key) {
                    Ok(()) => self.write(key, value, (src, number), out),
                    Err(_) => out.send(src, Body::new("refused").with("number", number)),
                }
            }
            "refused" => self.refused(body.field("number")?, out),
            "entry" => self.entry(src, body, now, out)?,
            "sync" if self.is_primary() => out.send(src, self.whole()),
            "state" => self.adopt(src, body.field("state")?, now, out),
            _ => {}
        }
        Ok(())
    }

    fn whole(&self) -> Body {
        Body::new("state").with("state", json!(self.replica.state()))
    }

    /// The sender says that it is the primary of a view.
    fn beat(
        &mut self,
        src: &NodeId,
        view: u64,
        seq: u64,
        round: u64,
        now: Nanos,
        out: &mut Outbox,
    ) {
        if self.primary_of(view) != Some(src) || src == &self.id {
            return;
        }
        if view < self.replica.view {
            // It does not know yet that it was succeeded.
            if self.is_primary() {
                out.send(src, self.own_beat());
            }
            return;
        }
        if view > self.replica.view {
            // It has just come back, and is still in doubt of its successor.
            let is_back = self.is_primary() && self.doubted.contains(src);
            if self.bug == Some(Bug::Resurrect) && is_back {
                return self.take_over(view, out);
            }
            self.replica.view = view;
            self.doubted.clear();
            self.behind = true;
        }
        self.heard = now;
        self.behind |= seq > self.replica.seq;
        if self.behind {
            out.send(src, Body::new("sync"));
        }
        let answer = Body::new("beat_ok").with("view", view).with("round", round);
        out.send(src, answer);
    }

    /// Becomes the primary of its next view after `view`, with the state that it has. It serves
    /// once all others agree, so that two who take over at once don't: all but the silent one,
    /// which will doubt itself when it wakes.
    fn take_over(&mut self, view: u64, out: &mut Outbox) {
        let silent = self.primary_of(view).cloned();
        self.replica.view = self.own_view(view);
        self.behind = false;
        self.doubt();
        self.doubted.retain(|node| Some(node) != silent.as_ref());
        self.persist_whole(out);
        for backup in self.others() {
            out.send(backup, self.own_beat());
            out.send(backup, self.whole());
        }
    }

    fn own_beat(&self) -> Body {
        Body::new("beat")
            .with("view", self.replica.view)
            .with("seq", self.replica.seq)
            .with("round", self.round)
    }

    fn entry(
        &mut self,
        src: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        let entry: Entry = body.field("entry")?;
        let (by, number): (NodeId, u64) = (body.field("by")?, body.field("number")?);
        if self.primary() != Some(src) || entry.view != self.replica.view {
            return Ok(());
        }
        self.heard = now;
        if self.behind || !self.replica.apply(&entry) {
            if entry.seq > self.replica.seq {
                self.behind = true;
            }
            return Ok(());
        }
        self.persist(&Record::Done { entry }, out);
        if by == self.id
            && let Some((client, msg_id)) = self.forwarded.remove(&number)
        {
            out.send(&client, Body::new("write_ok").in_reply(msg_id));
        }
        Ok(())
    }

    fn refused(&mut self, number: u64, out: &mut Outbox) {
        if let Some((client, msg_id)) = self.forwarded.remove(&number) {
            let error = WireError::unavailable("the primary refused");
            out.send(&client, error.body().in_reply(msg_id));
        }
    }

    /// Takes over the state of the view's primary, if it is no older than its own.
    fn adopt(&mut self, src: &NodeId, state: State, now: Nanos, out: &mut Outbox) {
        let newer = (state.view, state.seq) > (self.replica.view, self.replica.seq);
        if self.primary_of(state.view) != Some(src)
            || state.view < self.replica.view
            || !(self.behind || newer)
            || src == &self.id
        {
            return;
        }
        self.heard = now;
        self.behind = false;
        self.doubted.clear();
        self.replica.replace(state);
        self.persist_whole(out);
    }

    /// Notices that the node stood still: then it knows neither who is silent nor who is primary.
    fn wake(&mut self, now: Nanos) {
        if now.saturating_sub(self.woken) > self.standstill() {
            self.heard = now;
            if self.is_primary() {
                self.doubt();
            }
        }
        self.woken = now;
    }

    /// A node that was not woken for so long stood still: what it knows may be old. Shorter than
    /// what makes others take over, by more than a beat and its way.
    const fn standstill(&self) -> Nanos {
        self.silence / 5 * 2
    }

    fn doubt(&mut self) {
        self.doubted = self.others().cloned().collect();
        self.doubted_at = self.round;
    }

    fn tick(&mut self, now: Nanos, out: &mut Outbox) {
        out.timer(now + TICK_EVERY, 0);
        if self.is_primary() {
            self.round += 1;
            for backup in self.others() {
                out.send(backup, self.own_beat());
            }
        } else if now.saturating_sub(self.heard) > self.silence.saturating_mul(self.place_in_line())
        {
            self.take_over(self.replica.view, out);
        }
    }

    /// 1 for the node that comes next after the primary.
    fn place_in_line(&self) -> u64 {
        self.own_view(self.replica.view) - self.replica.view
    }
}

impl Machine for Node {
    fn recover(&mut self, record: &[u8]) -> serde_json::Result<()> {
        self.records += 1;
        match serde_json::from_slice(record)? {
            Record::Started => self.starts += 1,
            Record::Done { entry } => {
                self.replica.view = entry.view;
                self.replica.apply(&entry);
            }
            Record::Replaced { starts, state } => {
                self.starts = starts;
                self.replica.replace(state);
            }
        }
        Ok(())
    }

    fn step(&mut self, input: Input, now: Nanos, out: &mut Outbox) {
        if !matches!(input, Input::Start) {
            self.wake(now);
        }
        match input {
            Input::Start => {
                self.starts += 1;
                self.next = self.starts << 40;
                self.persist(&Record::Started, out);
                (self.heard, self.woken) = (now, now);
                self.doubt();
                self.tick(now, out);
            }
            Input::Message(message) => self.message(&message, now, out),
            Input::Timer(_) => self.tick(now, out),
            Input::Link { .. } => {}
        }
    }

    fn status(&self, now: Nanos) -> Status {
        let is_primary = self.is_primary();
        let silent = now.saturating_sub(self.heard) > self.silence;
        Status {
            ready: match is_primary {
                true => self.doubted.is_empty(),
                false => !silent && !self.behind,
            },
            role: if is_primary { "primary" } else { "backup" }.to_owned(),
            leader: self.primary().cloned(),
            detail: format!("view {}, {} writes", self.replica.view, self.replica.seq),
            ..Status::default()
        }
    }
}
