//! The coordinator: owns every lock, answers requests, and keeps in its log what must survive.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tribunal_results::{NodeId, Scalar};

use super::lock::{Claim, Lock, Origin, Rules};
use super::request::{Action, Request};
use crate::Status;
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox};
use crate::wire::{Body, WireError};

/// How many locks, and how many guarded resources, there may be.
const LOCKS_MAX: usize = 100_000;
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

/// A lock and its timer.
#[derive(Debug)]
struct Entry {
    lock: Lock,
    /// The number of its timer: its position in [`Coordinator::names`].
    timer: u64,
    /// When that timer is due, if it is set.
    armed: Option<Nanos>,
}

/// The machine of the first node.
#[derive(Debug)]
pub(super) struct Coordinator {
    id: NodeId,
    nodes: Vec<NodeId>,
    rules: Rules,
    locks: BTreeMap<Scalar, Entry>,
    /// Every lock's name, in the order in which they were first asked for.
    names: Vec<Scalar>,
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
            rules,
            locks: BTreeMap::new(),
            names: Vec::new(),
            accepted: BTreeMap::new(),
            next_ticket: 1,
            tickets_below: 1,
        }
    }

    /// The lock of that name; a new one if it is asked for the first time.
    fn entry(&mut self, name: &Scalar) -> &mut Entry {
        self.locks.entry(name.clone()).or_insert_with(|| {
            self.names.push(name.clone());
            Entry {
                lock: Lock::default(),
                timer: self.names.len() as u64 - 1,
                armed: None,
            }
        })
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
        let origin = Origin {
            client,
            via,
            msg_id: body.msg_id(),
        };
        let answer = Request::parse(body).and_then(|request| match request {
            Request::Lock(name, action) => self.act(&name, action, &origin, now, out),
            Request::GuardedWrite { key, token } => self.guarded_write(key, token, out).map(Some),
        });
        match answer {
            Ok(Some(body)) => send(&origin, body, out),
            Ok(None) => {}
            Err(error) => send(&origin, error.body(), out),
        }
    }

    /// Does something with a lock; gives the answer unless the request has to wait.
    fn act(
        &mut self,
        name: &Scalar,
        action: Action,
        origin: &Origin,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<Option<Body>, WireError> {
        if self.locks.len() >= LOCKS_MAX && !self.locks.contains_key(name) {
            return Err(WireError::unavailable(format!(
                "{LOCKS_MAX} locks exist already"
            )));
        }
        let rules = self.rules;
        let ticket = match action {
            Action::Request => self.take_ticket(out),
            _ => 0,
        };
        let owner = &origin.client;
        let granted = |kind: &str, token: u64| Some(grant(kind, token, &rules));
        self.entry(name).change(name, now, &rules, out, |lock| {
            Ok(match action {
                Action::Request => {
                    lock.request(ticket, owner.clone())?;
                    Some(Body::new("request_ok").with("ticket", ticket))
                }
                Action::Acquire { ticket, wait } => {
                    let until = now.saturating_add(wait);
                    let token = lock.acquire(ticket, origin.clone(), until, now, &rules)?;
                    token.and_then(|token| granted("acquire_ok", token))
                }
                Action::Enter => granted("acquire_ok", lock.enter(owner, now, &rules)?),
                Action::TryAcquire => {
                    granted("try_acquire_ok", lock.try_acquire(owner, now, &rules)?)
                }
                Action::Renew { token } => {
                    granted("renew_ok", lock.renew(owner, token, now, &rules)?)
                }
                Action::Release { token } => {
                    lock.release(owner, token, &rules)?;
                    Some(Body::new("release_ok"))
                }
            })
        })
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

impl Entry {
    /// Changes a lock: what is due by now comes before, what follows comes after, and whatever
    /// its owner may rely on is persisted before anybody is told.
    fn change<T>(
        &mut self,
        name: &Scalar,
        now: Nanos,
        rules: &Rules,
        out: &mut Outbox,
        change: impl FnOnce(&mut Lock) -> T,
    ) -> T {
        let before = self.lock.claim();
        self.settle(now, rules, out);
        let result = change(&mut self.lock);
        self.settle(now, rules, out);
        let claim = self.lock.claim();
        if claim != before {
            let lock = name.clone();
            out.persist(&Record::Claim { lock, claim });
        }
        if let Some(at) = self.lock.next_deadline()
            && self.armed.is_none_or(|armed| at < armed)
        {
            self.armed = Some(at);
            out.timer(at, self.timer);
        }
        result
    }

    /// Does what is due by itself.
    fn settle(&mut self, now: Nanos, rules: &Rules, out: &mut Outbox) {
        self.lock.lapse(now);
        for origin in self.lock.withdraw(now) {
            let error = WireError::unavailable("the wait is over; the ticket is withdrawn");
            send(&origin, error.body(), out);
        }
        if let Some((origin, token)) = self.lock.grant(now, rules) {
            send(&origin, grant("acquire_ok", token, rules), out);
        }
    }
}

impl Machine for Coordinator {
    fn recover(&mut self, record: &[u8]) -> serde_json::Result<()> {
        match serde_json::from_slice(record)? {
            Record::Claim { lock, claim } => self.entry(&lock).lock.recover(claim),
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
        let rules = self.rules;
        match input {
            Input::Start => {
                for (name, entry) in &mut self.locks {
                    entry.lock.restart_leases(now, &rules);
                    entry.change(name, now, &rules, out, |_| {});
                }
            }
            Input::Message(message) => self.message(&message.src, &message.body, now, out),
            Input::Timer(timer) => {
                let name = usize::try_from(timer).ok().and_then(|n| self.names.get(n));
                if let Some((name, entry)) = name.and_then(|n| Some((n, self.locks.get_mut(n)?))) {
                    if entry.armed.is_some_and(|armed| armed <= now) {
                        entry.armed = None;
                    }
                    entry.change(name, now, &rules, out, |_| {});
                }
            }
            Input::Link { .. } => {}
        }
    }

    fn status(&self, _now: Nanos) -> Status {
        Status {
            ready: true,
            role: "coordinator".to_owned(),
            leader: Some(self.id.clone()),
            detail: format!("{} locks", self.names.len()),
        }
    }
}

/// The answer that grants a lock.
fn grant(kind: &str, token: u64, rules: &Rules) -> Body {
    Body::new(kind)
        .with("token", token)
        .with("lease_ms", rules.lease / MILLISECOND)
}

/// Answers a client, through the relay that it came by.
fn send(origin: &Origin, body: Body, out: &mut Outbox) {
    let body = body.in_reply(origin.msg_id);
    match &origin.via {
        None => out.send(&origin.client, body),
        Some(relay) => out.send(
            relay,
            Body::new("relay_ok")
                .with("client", &*origin.client)
                .with("body", body),
        ),
    }
}
