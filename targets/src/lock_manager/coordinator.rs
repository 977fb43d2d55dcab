//! The coordinator: owns every lock, answers requests, and keeps in its log what must survive.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tribunal_results::{NodeId, Scalar};

use crate::Status;
use crate::locks::{Action, Claim, LOCKS_MAX, Origin, Request, Rules, Table};
use crate::node::{Input, Machine, Nanos, Outbox};
use crate::wire::{Body, WireError};

/// Ticket numbers are set aside in the log so many at a time.
const TICKETS_AT_ONCE: u64 = 1_000;

/// What the log holds. The queue and grants that nobody has claimed are not in it: nobody relies
/// on them, and a restart drops them for good, so that their tickets are refused later.
#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
enum Record {
    /// The lock is held like this from now on, or free.
    Claim { lock: Scalar, claim: Option<Claim> },
    /// The resource has accepted a write with this token.
    Accepted { key: Scalar, token: u64 },
    /// Ticket numbers below this may have been given out.
    Tickets { below: u64 },
}

/// The machine of the first node.
#[derive(Debug)]
pub(super) struct Coordinator {
    id: NodeId,
    nodes: Vec<NodeId>,
    locks: Table,
    /// The highest token that each guarded resource has accepted.
    accepted: BTreeMap<Scalar, u64>,
    next_ticket: u64,
    tickets_below: u64,
}

impl Coordinator {
    pub(super) fn new(id: NodeId, nodes: Vec<NodeId>, rules: Rules) -> Self {
        Self {
            id,
            nodes,
            locks: Table::new(rules, |lock, claim, out| {
                let lock = lock.clone();
                out.persist(&Record::Claim { lock, claim });
            }),
            accepted: BTreeMap::new(),
            next_ticket: 1,
            tickets_below: 1,
        }
    }

    fn message(&mut self, src: &NodeId, body: &Body, now: Nanos, out: &mut Outbox) {
        let from_peer = self.nodes.contains(src);
        match body.kind() {
            "ping" if from_peer => out.send(src, Body::new("pong")),
            "relay" if from_peer => {
                // A relay sends what it was told and nothing else; anything else is not for us.
                let (Ok(client), Ok(inner)) = (body.field("client"), body.field::<Body>("body"))
                else {
                    return;
                };
                let via = Some(src.clone());
                self.serve(client, via, &inner, now, out);
            }
            "error" => {}
            _ if from_peer => {}
            _ => self.serve(src.clone(), None, body, now, out),
        }
    }

    /// Carries out a client's request.
    fn serve(
        &mut self,
        client: NodeId,
        via: Option<NodeId>,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) {
        let origin = Origin::new(client, via, body);
        let answer = Request::parse(body).and_then(|request| match request {
            Request::Lock(name, action) => {
                let ticket = match action {
                    Action::Request => self.take_ticket(out),
                    _ => 0,
                };
                self.locks.act(&name, action, ticket, &origin, now, out)
            }
            Request::GuardedWrite { key, token } => self.guarded_write(key, token, out).map(Some),
        });
        match answer {
            Ok(Some(body)) => origin.answer(body, out),
            Ok(None) => {}
            Err(error) => origin.answer(error.body(), out),
        }
    }

    /// The number for a new ticket, never given out before, not even before a crash: an old
    /// ticket must not pass for a new one.
    fn take_ticket(&mut self, out: &mut Outbox) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        if ticket >= self.tickets_below {
            self.tickets_below = ticket + TICKETS_AT_ONCE;
            out.persist(&Record::Tickets {
                below: self.tickets_below,
            });
        }
        ticket
    }

    /// Accepts a write unless a higher token was accepted before.
    fn guarded_write(
        &mut self,
        key: Scalar,
        token: u64,
        out: &mut Outbox,
    ) -> Result<Body, WireError> {
        let highest = self.accepted.get(&key).copied();
        if highest.is_some_and(|highest| token < highest) {
            return Err(WireError::precondition(format!("token {token} is stale")));
        }
        if highest.is_none() && self.accepted.len() >= LOCKS_MAX {
            return Err(WireError::unavailable(format!(
                "{LOCKS_MAX} resources exist already"
            )));
        }
        if highest != Some(token) {
            self.accepted.insert(key.clone(), token);
            out.persist(&Record::Accepted { key, token });
        }
        Ok(Body::new("guarded_write_ok"))
    }
}

impl Machine for Coordinator {
    fn recover(&mut self, record: &[u8]) -> serde_json::Result<()> {
        match serde_json::from_slice(record)? {
            Record::Claim { lock, claim } => self.locks.recover(&lock, claim),
            Record::Accepted { key, token } => {
                self.accepted.insert(key, token);
            }
            Record::Tickets { below } => {
                self.next_ticket = below;
                self.tickets_below = below;
            }
        }
        Ok(())
    }

    fn step(&mut self, input: Input, now: Nanos, out: &mut Outbox) {
        match input {
            Input::Start => self.locks.start(now, out),
            Input::Message(message) => self.message(&message.src, &message.body, now, out),
            Input::Timer(timer) => self.locks.timer(timer, now, out),
            Input::Link { .. } => {}
        }
    }

    fn status(&self, _now: Nanos) -> Status {
        Status {
            ready: true,
            role: "coordinator".to_owned(),
            leader: Some(self.id.clone()),
            detail: format!("{} locks", self.locks.len()),
            ..Status::default()
        }
    }
}
