//! The machine of every node: asks for its clients, and replies to the others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tribunal_results::{NodeId, Scalar};

use super::Bug;
use super::claims::Claims;
use crate::Status;
use crate::clock::lamport::{LamportClock, Stamp, TIME_MAX};
use crate::locks::{Action, Claim, LOCKS_MAX, Origin, Request, Rules, Table, ticket_of};
use crate::node::heartbeat::{HEARTBEAT_TIMER, Heartbeat};
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox, receive};
use crate::wire::{Body, Code, Message, WireError};

/// The number of the timer that asks again; those of locks are below.
const ASK_TIMER: u64 = LOCKS_MAX as u64;
/// How often peers that have not replied are asked again.
const ASK_EVERY: Nanos = 60 * MILLISECOND;
/// A request that not everybody has seen by then is withdrawn.
const SEEN_WITHIN: Nanos = 400 * MILLISECOND;
/// Times are set aside in the log so many at a time.
const TIMES_AT_ONCE: u64 = 1_000;

/// What the log holds. Requests are not in it: a restart drops them, and their tickets are refused.
#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
enum Record {
    /// The lock is held by a client of this node like this from now on, or by none.
    Claim { lock: Scalar, claim: Option<Claim> },
    /// The clock shows no time from here on before the log says so.
    Clock { below: u64 },
}

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    nodes: Vec<NodeId>,
    peers: Vec<NodeId>,
    /// Its number, from 0.
    number: u64,
    bug: Option<Bug>,
    locks: Table,
    claims: BTreeMap<Scalar, Claims>,
    heartbeat: Heartbeat,
    clock: LamportClock,
    below: u64,
}

impl Node {
    pub(super) fn new(id: &NodeId, nodes: &[NodeId], lease: Nanos, bug: Option<Bug>) -> Self {
        let peers: Vec<NodeId> = nodes.iter().filter(|node| *node != id).cloned().collect();
        let rules = Rules {
            lease,
            grants_by_itself: false,
            bug: None,
        };
        Self {
            nodes: nodes.to_vec(),
            number: nodes.iter().position(|node| node == id).unwrap_or_default() as u64,
            bug,
            locks: Table::new(rules, |lock, claim, out| {
                let lock = lock.clone();
                out.persist(&Record::Claim { lock, claim });
            }),
            claims: BTreeMap::new(),
            heartbeat: Heartbeat::new(peers.clone()),
            peers,
            clock: LamportClock::default(),
            below: 0,
        }
    }

    /// The clock moved: what it shows is durable before anything is sent.
    fn keep_clock(&mut self, out: &mut Outbox) {
        if self.clock.time() >= self.below {
            self.below = self.clock.time().saturating_add(TIMES_AT_ONCE);
            out.persist(&Record::Clock { below: self.below });
        }
    }

    fn number_of(&self, time: u64, process: u64) -> Option<u64> {
        Stamp { time, process }.to_number(self.nodes.len() as u64)
    }

    fn time_of(&self, number: u64) -> u64 {
        number / self.nodes.len().max(1) as u64
    }

    fn tell(&self, peer: &NodeId, kind: &str, lock: &Scalar, number: u64, out: &mut Outbox) {
        let body = Body::new(kind)
            .with("lock", json!(lock))
            .with("time", self.time_of(number))
            .with("clock", self.clock.time());
        out.send(peer, body);
    }

    fn message(&mut self, message: &Message, now: Nanos, out: &mut Outbox) {
        let from_peer = self.nodes.contains(&message.src);
        let handlers = [Self::peer_message, Self::serve];
        receive(self, message, from_peer, now, out, handlers);
    }

    /// Does what a client asks; answers at once unless it has to wait.
    fn serve(
        &mut self,
        src: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        let (lock, action) = Request::of_queued(body)?;
        let origin = Origin::new(src.clone(), None, body);
        if action == Action::Request {
            return self.ask(&lock, &origin, now, out);
        }
        let answer = self.locks.act(&lock, action, 0, &origin, now, out);
        self.advance(&lock, now, out);
        if let Some(answer) = answer? {
            origin.answer(answer, out);
        }
        Ok(())
    }

    /// Makes a request for a client: queued here, and told to everybody.
    fn ask(
        &mut self,
        lock: &Scalar,
        origin: &Origin,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        self.locks.check_room(lock)?;
        let gone = |peer: &&NodeId| !self.heartbeat.is_alive(peer, now);
        if let Some(peer) = self.peers.iter().find(gone) {
            return Err(WireError::new(
                Code::Abort,
                format!("{peer} does not answer"),
            ));
        }
        let time = self.clock.tick();
        self.keep_clock(out);
        let number = self
            .number_of(time, self.number)
            .ok_or_else(|| WireError::new(Code::Abort, "the clock has run out"))?;
        let owner = origin.client.clone();
        self.locks
            .change(lock, now, out, |it| it.request(number, owner))?;
        for peer in &self.peers {
            self.tell(peer, "claim", lock, number, out);
        }
        let claims = self.claims.entry(lock.clone()).or_default();
        let until = now.saturating_add(SEEN_WITHIN);
        claims.ask(number, &self.peers, (origin.clone(), until));
        if let Some(origin) = claims.acknowledged(number) {
            origin.answer(ticket_of(number), out);
        }
        self.advance(lock, now, out);
        Ok(())
    }

    fn peer_message(
        &mut self,
        src: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        match body.kind() {
            "ping" => {
                out.send(src, Body::new("pong"));
                return Ok(());
            }
            "pong" => {
                self.heartbeat.heard(src, now);
                return Ok(());
            }
            "claim" | "reply" | "later" => {}
            _ => return Ok(()),
        }
        let (lock, time, sent): (Scalar, u64, u64) = (
            body.field("lock")?,
            body.field("time")?,
            body.field("clock")?,
        );
        if time.max(sent) >= TIME_MAX {
            return Ok(());
        }
        if self.bug != Some(Bug::StaleClock) {
            self.clock.observe(sent.max(time));
            self.keep_clock(out);
        }
        let process = self
            .nodes
            .iter()
            .position(|node| node == src)
            .unwrap_or_default();
        let whose = if body.kind() == "claim" {
            process as u64
        } else {
            self.number
        };
        let Some(number) = self.number_of(time, whose) else {
            return Ok(());
        };
        match body.kind() {
            "claim" => self.claimed(src, &lock, number, now, out),
            kind => {
                let claims = self.claims.get_mut(&lock);
                let seen = claims.and_then(|claims| claims.heard(number, src, kind == "reply"));
                if let Some(origin) = seen {
                    origin.answer(ticket_of(number), out);
                }
                self.advance(&lock, now, out);
            }
        }
        Ok(())
    }

    /// A peer asks for a lock.
    fn claimed(&mut self, src: &NodeId, lock: &Scalar, number: u64, now: Nanos, out: &mut Outbox) {
        // A hold may be over by now.
        self.advance(lock, now, out);
        match self.goes_first(lock, number) {
            true => {
                self.claims
                    .entry(lock.clone())
                    .or_default()
                    .defer(number, src);
                self.tell(src, "later", lock, number, out);
            }
            false => self.tell(src, "reply", lock, number, out),
        }
    }

    /// Whether this node holds the lock, or has a request earlier than that one.
    fn goes_first(&self, lock: &Scalar, number: u64) -> bool {
        let earlier = |own: u64| match self.bug {
            Some(Bug::NoTiebreak) => self.time_of(own) < self.time_of(number),
            _ => own < number,
        };
        let lock = self.locks.get(lock);
        lock.is_some_and(|it| it.held_under().is_some() || it.tickets().any(earlier))
    }

    /// Goes on with a lock as far as can be: ends what is over, grants it to the earliest request
    /// of this node if that has every reply, and replies to those that need not wait any more.
    fn advance(&mut self, lock: &Scalar, now: Nanos, out: &mut Outbox) {
        if self.locks.get(lock).is_none() {
            return;
        }
        let (head, live) = self.locks.change(lock, now, out, |it| {
            let free = it.held_under().is_none();
            let live: Vec<u64> = it.tickets().chain(it.held_under()).collect();
            (live.first().copied().filter(|_| free), live)
        });
        if let Some(claims) = self.claims.get_mut(lock) {
            claims.own.retain(|number, _| live.contains(number));
            if let Some(head) = head.filter(|head| claims.is_due(*head)) {
                self.locks.change(lock, now, out, |it| it.admit(head, head));
            }
        }
        let Some(mut claims) = self.claims.remove(lock) else {
            return;
        };
        for (number, peer) in claims.take_deferred(|number| self.goes_first(lock, number)) {
            self.tell(&peer, "reply", lock, number, out);
        }
        self.claims.insert(lock.clone(), claims);
    }

    /// Asks again whoever has not replied, and gives up what not everybody has seen.
    fn ask_again(&mut self, now: Nanos, out: &mut Outbox) {
        out.timer(now.saturating_add(ASK_EVERY), ASK_TIMER);
        let mut withdrawn = Vec::new();
        for (lock, claims) in &mut self.claims {
            for (number, origin) in claims.overdue(now) {
                let error = WireError::new(Code::Abort, "not every node has seen the request");
                origin.answer(error.body(), out);
                withdrawn.push((lock.clone(), number));
            }
        }
        for (lock, number) in withdrawn {
            self.locks.change(&lock, now, out, |it| it.forget(number));
            self.advance(&lock, now, out);
        }
        for (lock, claims) in &self.claims {
            for (number, own) in &claims.own {
                for peer in &own.missing {
                    self.tell(peer, "claim", lock, *number, out);
                }
            }
        }
    }
}

impl Machine for Node {
    fn recover(&mut self, record: &[u8]) -> serde_json::Result<()> {
        match serde_json::from_slice(record)? {
            Record::Claim { lock, claim } => self.locks.recover(&lock, claim),
            Record::Clock { below } => {
                self.below = below;
                self.clock = LamportClock::at(below);
            }
        }
        Ok(())
    }

    fn step(&mut self, input: Input, now: Nanos, out: &mut Outbox) {
        match input {
            Input::Start => {
                self.keep_clock(out);
                self.locks.start(now, out);
                self.heartbeat.beat(now, out);
                out.timer(now.saturating_add(ASK_EVERY), ASK_TIMER);
            }
            Input::Message(message) => self.message(&message, now, out),
            Input::Timer(HEARTBEAT_TIMER) => self.heartbeat.beat(now, out),
            Input::Timer(ASK_TIMER) => self.ask_again(now, out),
            Input::Timer(timer) => {
                self.locks.timer(timer, now, out);
                if let Some(lock) = self.locks.of_timer(timer).cloned() {
                    self.advance(&lock, now, out);
                }
            }
            Input::Link { peer, up } => self.heartbeat.link(&peer, up, out),
        }
    }

    fn status(&self, now: Nanos) -> Status {
        let alive = self.heartbeat.alive(now);
        Status {
            ready: alive == self.peers.len(),
            role: "peer".to_owned(),
            leader: None,
            detail: format!("{alive} of {} peers answer", self.peers.len()),
            ..Status::default()
        }
    }
}
