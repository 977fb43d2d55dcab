//! The machine of every node of the ring.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tribunal_results::{NodeId, Scalar};

use crate::Status;
use crate::locks::{Action, Claim, LOCKS_MAX, Origin, Request, Rules, Table};
use crate::node::heartbeat::{HEARTBEAT_TIMER, Heartbeat};
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox, receive};
use crate::wire::{Body, Message, WireError};

/// The numbers of the timers that are no lock's: those of locks are below.
const REST_TIMER: u64 = LOCKS_MAX as u64;
const RESEND_TIMER: u64 = REST_TIMER + 1;
const SUSPECT_TIMER: u64 = REST_TIMER + 2;
/// How long the token stays where nobody waits.
const REST: Nanos = 3 * MILLISECOND;
/// How long the next node may take to acknowledge the token until it is sent again.
const RESEND_AFTER: Nanos = 40 * MILLISECOND;
/// The log is made short after so many hops.
const HOPS_PER_COMPACTION: u64 = 5_000;
/// How far ahead of the last hop seen a token begins that is made anew.
const HOPS_AHEAD: u64 = 1_000;

/// What the log holds. The queue is not in it: a restart drops it, and its tickets are refused.
#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
enum Record {
    /// The lock is held by a client of this node like this from now on, or by none.
    Claim { lock: Scalar, claim: Option<Claim> },
    /// The token came, or was passed on; or this node starts and has never seen it.
    Token(Token),
    /// Tickets are numbered from here on after a restart.
    Started { starts: u64 },
}

/// The token, as far as this node knows.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Token {
    /// The number of the hop by which it came, or by which it left.
    hop: u64,
    /// The highest fencing token that was granted until then.
    fence: u64,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Place {
    /// It has never been here.
    Unseen,
    Here,
    /// It was passed on to the next node, which may not have it yet.
    Passed,
}

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    nodes: Vec<NodeId>,
    /// Its number, from 0.
    number: usize,
    two_tokens: bool,
    locks: Table,
    /// Locks that somebody of this node holds or waits for.
    busy: BTreeSet<Scalar>,
    heartbeat: Heartbeat,
    token: Token,
    /// Whether the next node has said that it has the token.
    acknowledged: bool,
    /// Locks that were granted since the token came.
    served: BTreeSet<Scalar>,
    /// When the token came or left last.
    since: Nanos,
    starts: u64,
    next_ticket: u64,
}

impl Node {
    pub(super) fn new(id: &NodeId, nodes: &[NodeId], lease: Nanos, two_tokens: bool) -> Self {
        let rules = Rules {
            lease,
            grants_by_itself: false,
            bug: None,
        };
        let peers = nodes.iter().filter(|node| *node != id).cloned().collect();
        Self {
            nodes: nodes.to_vec(),
            number: nodes.iter().position(|node| node == id).unwrap_or_default(),
            two_tokens,
            locks: Table::new(rules, |lock, claim, out| {
                let lock = lock.clone();
                out.persist(&Record::Claim { lock, claim });
            }),
            busy: BTreeSet::new(),
            heartbeat: Heartbeat::new(peers),
            token: Token {
                hop: 0,
                fence: 0,
                place: Place::Unseen,
            },
            acknowledged: false,
            served: BTreeSet::new(),
            since: 0,
            starts: 0,
            next_ticket: 0,
        }
    }

    /// The node after this one; none if it is alone.
    fn next(&self) -> Option<&NodeId> {
        let at = (self.number + 1) % self.nodes.len().max(1);
        self.nodes.get(at).filter(|_| at != self.number)
    }

    fn is_here(&self) -> bool {
        self.token.place == Place::Here
    }

    fn start(&mut self, now: Nanos, out: &mut Outbox) {
        out.persist(&Record::Started {
            starts: self.starts + 1,
        });
        self.next_ticket = self.starts << 40;
        if self.token.place == Place::Unseen && self.number == 0 {
            self.put(Place::Here, now, out);
        }
        self.locks.start(now, out);
        self.busy.extend(self.locks.names().iter().cloned());
        self.heartbeat.beat(now, out);
        out.timer(now.saturating_add(RESEND_AFTER), RESEND_TIMER);
        if self.two_tokens && self.number == 0 {
            out.timer(now.saturating_add(RESEND_AFTER), SUSPECT_TIMER);
        }
        self.advance(now, out);
    }

    /// The token is elsewhere from now on, durably.
    fn put(&mut self, place: Place, now: Nanos, out: &mut Outbox) {
        self.token.place = place;
        self.acknowledged = false;
        self.served.clear();
        self.since = now;
        match self.token.hop % HOPS_PER_COMPACTION < self.nodes.len() as u64 {
            true => self.compact(out),
            false => out.persist(&Record::Token(self.token)),
        }
        if place == Place::Here {
            out.timer(now.saturating_add(REST), REST_TIMER);
        }
    }

    /// Says all that the log says in as few records as can be.
    fn compact(&self, out: &mut Outbox) {
        let claims = self.locks.names().iter().filter_map(|lock| {
            let claim = Some(self.locks.get(lock)?.claim()?);
            let lock = lock.clone();
            Some(Record::Claim { lock, claim })
        });
        let own = [
            Record::Started {
                starts: self.starts + 1,
            },
            Record::Token(self.token),
        ];
        out.compact(own.into_iter().chain(claims));
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
            self.next_ticket += 1;
        }
        let ticket = self.next_ticket;
        let answer = self.locks.act(&lock, action, ticket, &origin, now, out)?;
        self.busy.insert(lock);
        self.advance(now, out);
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
            "token" => {
                let (hop, fence): (u64, u64) = (body.field("hop")?, body.field("fence")?);
                if hop > self.token.hop {
                    self.token.hop = hop;
                    self.token.fence = self.token.fence.max(fence);
                    self.put(Place::Here, now, out);
                }
                out.send(src, Body::new("token_ok").with("hop", hop));
                self.advance(now, out);
            }
            "token_ok" if body.field::<u64>("hop")? == self.token.hop => {
                self.acknowledged = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// Grants what can be granted while the token is here, and passes it on once all is done.
    fn advance(&mut self, now: Nanos, out: &mut Outbox) {
        if !self.is_here() {
            return;
        }
        for lock in self.busy.clone() {
            let (free, head) = self.locks.change(&lock, now, out, |it| {
                (it.held_under().is_none(), it.tickets().next())
            });
            match head {
                _ if !free => {}
                None => drop(self.busy.remove(&lock)),
                Some(ticket) if !self.served.contains(&lock) => {
                    self.token.fence = self.token.fence.saturating_add(1);
                    let fence = self.token.fence;
                    self.locks
                        .change(&lock, now, out, |it| it.admit(ticket, fence));
                    self.served.insert(lock);
                }
                Some(_) => {}
            }
        }
        let rested = now >= self.since.saturating_add(REST);
        if self.may_pass() && (rested || !self.served.is_empty()) {
            self.pass(now, out);
        }
    }

    /// Whether nobody of this node holds a lock.
    fn may_pass(&self) -> bool {
        let held = |lock: &Scalar| {
            let lock = self.locks.get(lock);
            lock.is_some_and(|it| it.held_under().is_some())
        };
        !self.busy.iter().any(held)
    }

    fn pass(&mut self, now: Nanos, out: &mut Outbox) {
        if self.next().is_none() {
            self.served.clear();
            self.since = now;
            return out.timer(now.saturating_add(REST), REST_TIMER);
        }
        self.token.hop = self.token.hop.saturating_add(1);
        self.put(Place::Passed, now, out);
        self.send_token(out);
    }

    fn send_token(&self, out: &mut Outbox) {
        if let Some(next) = self.next() {
            let body = Body::new("token")
                .with("hop", self.token.hop)
                .with("fence", self.token.fence);
            out.send(next, body);
        }
    }

    /// Makes a new token though the old one may be somewhere: the planted bug.
    fn suspect(&mut self, now: Nanos, out: &mut Outbox) {
        out.timer(now.saturating_add(RESEND_AFTER), SUSPECT_TIMER);
        let silence = now.saturating_sub(self.since);
        if !self.is_here() && silence > self.locks.lease() / 2 {
            self.token.hop = self.token.hop.saturating_add(HOPS_AHEAD);
            self.put(Place::Here, now, out);
            self.advance(now, out);
        }
    }
}

impl Machine for Node {
    fn recover(&mut self, record: &[u8]) -> serde_json::Result<()> {
        match serde_json::from_slice(record)? {
            Record::Claim { lock, claim } => {
                let fence = claim.as_ref().map_or(0, |claim| claim.token);
                self.token.fence = self.token.fence.max(fence);
                self.locks.recover(&lock, claim);
            }
            Record::Token(token) => {
                let fence = self.token.fence.max(token.fence);
                self.token = Token { fence, ..token };
            }
            Record::Started { starts } => self.starts = starts,
        }
        Ok(())
    }

    fn step(&mut self, input: Input, now: Nanos, out: &mut Outbox) {
        match input {
            Input::Start => self.start(now, out),
            Input::Message(message) => self.message(&message, now, out),
            Input::Timer(HEARTBEAT_TIMER) => self.heartbeat.beat(now, out),
            Input::Timer(REST_TIMER) => self.advance(now, out),
            Input::Timer(RESEND_TIMER) => {
                out.timer(now.saturating_add(RESEND_AFTER), RESEND_TIMER);
                let due = now >= self.since.saturating_add(RESEND_AFTER);
                if self.token.place == Place::Passed && !self.acknowledged && due {
                    self.send_token(out);
                }
            }
            Input::Timer(SUSPECT_TIMER) => self.suspect(now, out),
            Input::Timer(timer) => {
                self.locks.timer(timer, now, out);
                self.advance(now, out);
            }
            Input::Link { peer, up } => self.heartbeat.link(&peer, up, out),
        }
    }

    fn status(&self, now: Nanos) -> Status {
        let alive = self.heartbeat.alive(now) + 1;
        Status {
            ready: alive == self.nodes.len(),
            role: if self.is_here() { "holder" } else { "peer" }.to_owned(),
            leader: None,
            detail: format!(
                "{alive} of {} nodes answer; hop {}",
                self.nodes.len(),
                self.token.hop
            ),
            ..Status::default()
        }
    }
}
