//! The machine of every node: an instance, and the client of all instances for its own clients.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tribunal_results::{NodeId, Scalar};

use super::attempt::Attempt;
use super::instance::Instance;
use crate::Status;
use crate::locks::{Action, LOCKS_MAX, Origin, Request, Rules, Table};
use crate::node::heartbeat::{HEARTBEAT_TIMER, Heartbeat};
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox, receive};
use crate::wire::{Body, Message, WireError};

/// The number of the timer that looks after attempts; those of locks are below.
const ROUND_TIMER: u64 = LOCKS_MAX as u64;
/// How often it does.
const ROUND_EVERY: Nanos = 5 * MILLISECOND;
/// How long after an attempt that failed the next begins: some of so many steps.
const PAUSE_STEP: Nanos = 3 * MILLISECOND;
const PAUSE_STEPS: u64 = 8;

/// What a node was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// How long an instance's lease lasts.
    pub(super) ttl: Nanos,
    /// How long a client is told that it holds a lock.
    pub(super) lease: Nanos,
    /// The planted bug.
    pub(super) no_majority: bool,
}

/// All that the log holds: values must be unique, even across restarts.
#[derive(Serialize, Deserialize)]
struct Started {
    starts: u64,
}

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    id: NodeId,
    nodes: Vec<NodeId>,
    /// Its number, from 0.
    number: u64,
    terms: Terms,
    instance: Instance,
    locks: Table,
    attempts: BTreeMap<Scalar, Attempt>,
    /// Before when no new attempt for a lock begins.
    pauses: BTreeMap<Scalar, Nanos>,
    heartbeat: Heartbeat,
    starts: u64,
    rounds: u64,
    values: u64,
    /// The time of day, if it was told: an instance's leases end by it, as keys in Redis do.
    wall: Option<Nanos>,
}

impl Node {
    pub(super) fn new(id: &NodeId, nodes: &[NodeId], terms: Terms) -> Self {
        let rules = Rules {
            lease: terms.lease,
            grants_by_itself: false,
            bug: None,
        };
        let peers = nodes.iter().filter(|node| *node != id).cloned().collect();
        Self {
            id: id.clone(),
            nodes: nodes.to_vec(),
            number: nodes.iter().position(|node| node == id).unwrap_or_default() as u64,
            terms,
            instance: Instance::default(),
            // Nothing of a hold is durable.
            locks: Table::new(rules, |_, _, _| {}),
            attempts: BTreeMap::new(),
            pauses: BTreeMap::new(),
            heartbeat: Heartbeat::new(peers),
            starts: 0,
            rounds: 0,
            values: 0,
            wall: None,
        }
    }

    fn enough(&self) -> usize {
        match self.terms.no_majority {
            true => 1,
            false => self.nodes.len() / 2 + 1,
        }
    }

    /// A value that no other node and no other life of this one ever uses.
    fn next_value(&mut self) -> u64 {
        self.values += 1;
        let own = (self.starts << 32) | (self.values & 0xffff_ffff);
        own.saturating_mul(self.nodes.len() as u64)
            .saturating_add(self.number)
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
        let ticket = match action {
            Action::Request => self.next_value(),
            _ => 0,
        };
        let answer = self.locks.act(&lock, action, ticket, &origin, now, out)?;
        self.advance(&lock, now, out);
        if let Some(answer) = answer {
            origin.answer(answer, out);
        }
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
            "ping" => out.send(src, Body::new("pong")),
            "pong" => self.heartbeat.heard(src, now),
            "lease" => {
                let (lock, value, ttl_ms): (Scalar, u64, u64) = (
                    body.field("lock")?,
                    body.field("value")?,
                    body.field("ttl_ms")?,
                );
                let ttl = ttl_ms
                    .saturating_mul(MILLISECOND)
                    .min(self.terms.lease.max(self.terms.ttl));
                let wall = self.wall.unwrap_or(now);
                let ends = wall.saturating_add(ttl);
                let answer = Body::new("lease_ok")
                    .with("round", body.field::<u64>("round")?)
                    .with("granted", self.instance.lease(&lock, value, ends, wall))
                    .with("lock", json!(lock))
                    .with("value", value);
                out.send(src, answer);
            }
            "unlease" => self
                .instance
                .unlease(&body.field("lock")?, body.field("value")?),
            "lease_ok" => {
                let (lock, round, granted): (Scalar, u64, bool) = (
                    body.field("lock")?,
                    body.field("round")?,
                    body.field("granted")?,
                );
                let (enough, ttl) = (self.enough(), self.terms.ttl);
                if let Some(attempt) = self.attempts.get_mut(&lock)
                    && attempt.answered(round, src, granted, enough, ttl)
                {
                    self.advance(&lock, now, out);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Goes on with a lock as far as can be.
    fn advance(&mut self, lock: &Scalar, now: Nanos, out: &mut Outbox) {
        let (held, head) = self
            .locks
            .change(lock, now, out, |it| (it.held_under(), it.tickets().next()));
        let wanted = held.or(head);
        if let Some(attempt) = self.attempts.get(lock)
            && Some(attempt.value) != wanted
        {
            self.give_up(lock, out);
        }
        match (self.attempts.get(lock), wanted) {
            (None, None) => {}
            // A hold that lost its leases: its client can't be told, but only refused later.
            (None, Some(_)) if held.is_some() => {
                self.locks.change(lock, now, out, |it| it.revoke());
            }
            (None, Some(value)) => {
                let from = self.pauses.get(lock).copied().unwrap_or(0);
                if now >= from {
                    self.pauses.remove(lock);
                    self.attempts.insert(lock.clone(), Attempt::new(value));
                    self.ask(lock, now, out);
                }
            }
            (Some(attempt), Some(value)) if held.is_none() && attempt.is_valid(now) => {
                self.locks
                    .change(lock, now, out, |it| it.admit(value, value));
            }
            (Some(_), _) => {}
        }
    }

    /// Asks every instance for the leases of a lock's attempt, its own first.
    fn ask(&mut self, lock: &Scalar, now: Nanos, out: &mut Outbox) {
        let (enough, ttl) = (self.enough(), self.terms.ttl);
        let Some(attempt) = self.attempts.get_mut(lock) else {
            return;
        };
        self.rounds += 1;
        attempt.begin(self.rounds, now);
        let wall = self.wall.unwrap_or(now);
        let ends = wall.saturating_add(ttl);
        let granted = self.instance.lease(lock, attempt.value, ends, wall);
        attempt.answered(self.rounds, &self.id, granted, enough, ttl);
        let body = Body::new("lease")
            .with("lock", json!(lock))
            .with("value", attempt.value)
            .with("ttl_ms", ttl / MILLISECOND)
            .with("round", self.rounds);
        for peer in self.nodes.iter().filter(|node| **node != self.id) {
            out.send(peer, body.clone());
        }
        let held = self
            .locks
            .get(lock)
            .is_some_and(|it| it.held_under().is_some());
        if !held
            && self
                .attempts
                .get(lock)
                .is_some_and(|attempt| attempt.is_valid(now))
        {
            self.advance(lock, now, out);
        }
    }

    /// Ends the attempt for a lock, and all leases that it has.
    fn give_up(&mut self, lock: &Scalar, out: &mut Outbox) {
        if let Some(attempt) = self.attempts.remove(lock) {
            self.instance.unlease(lock, attempt.value);
            let body = Body::new("unlease")
                .with("lock", json!(lock))
                .with("value", attempt.value);
            for peer in self.nodes.iter().filter(|node| **node != self.id) {
                out.send(peer, body.clone());
            }
        }
    }

    /// Looks after all attempts: those that failed begin anew later, those that hold are extended
    /// in time, and those that were not end.
    fn round(&mut self, now: Nanos, out: &mut Outbox) {
        out.timer(now.saturating_add(ROUND_EVERY), ROUND_TIMER);
        let attempts: Vec<Scalar> = self.attempts.keys().cloned().collect();
        for lock in attempts {
            let held = self
                .locks
                .get(&lock)
                .is_some_and(|it| it.held_under().is_some());
            let Some(attempt) = self.attempts.get(&lock) else {
                continue;
            };
            let age = attempt.age(now);
            let refused = attempt.refused() > self.nodes.len() - self.enough();
            if held && !attempt.is_valid(now) {
                self.give_up(&lock, out);
            } else if held && age >= self.terms.ttl / 3 {
                self.ask(&lock, now, out);
            } else if !held && (refused || age >= self.terms.ttl / 3) {
                self.give_up(&lock, out);
                let steps =
                    (self.rounds.wrapping_mul(7) ^ self.number.wrapping_mul(5)) % PAUSE_STEPS;
                let until = now.saturating_add(PAUSE_STEP * (steps + 1));
                self.pauses.insert(lock.clone(), until);
            }
            self.advance(&lock, now, out);
        }
        let over = |until: &Nanos| *until <= now;
        let pauses: Vec<Scalar> = self
            .pauses
            .iter()
            .filter(|(_, until)| over(until))
            .map(|(lock, _)| lock.clone())
            .collect();
        for lock in pauses {
            self.pauses.remove(&lock);
            self.advance(&lock, now, out);
        }
    }
}

impl Machine for Node {
    fn recover(&mut self, record: &[u8]) -> serde_json::Result<()> {
        let Started { starts } = serde_json::from_slice(record)?;
        self.starts = starts;
        Ok(())
    }

    fn step(&mut self, input: Input, now: Nanos, out: &mut Outbox) {
        match input {
            Input::Start => {
                out.persist(&Started {
                    starts: self.starts + 1,
                });
                self.heartbeat.beat(now, out);
                self.round(now, out);
            }
            Input::Message(message) => self.message(&message, now, out),
            Input::Timer(HEARTBEAT_TIMER) => self.heartbeat.beat(now, out),
            Input::Timer(ROUND_TIMER) => self.round(now, out),
            Input::Timer(timer) => {
                self.locks.timer(timer, now, out);
                if let Some(lock) = self.locks.of_timer(timer).cloned() {
                    self.advance(&lock, now, out);
                }
            }
            Input::Link { peer, up } => self.heartbeat.link(&peer, up, out),
        }
    }

    fn wall(&mut self, wall: Nanos) {
        self.wall = Some(wall);
    }

    fn status(&self, now: Nanos) -> Status {
        let alive = self.heartbeat.alive(now) + 1;
        Status {
            ready: alive > self.nodes.len() / 2,
            role: "instance".to_owned(),
            leader: None,
            detail: format!("{alive} of {} instances answer", self.nodes.len()),
            ..Status::default()
        }
    }
}
