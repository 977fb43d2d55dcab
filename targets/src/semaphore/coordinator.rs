//! The coordinator: owns every semaphore, answers requests, and keeps in its log what must survive.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tribunal_results::{Answer, Grant, NodeId, Operation, Scalar};

use super::pool::{Claim, Pool, Rules};
use crate::Status;
use crate::locks::Origin;
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox};
use crate::wire::{Body, Code, WireError, operation};

/// How many semaphores there may be.
const SEMAPHORES_MAX: usize = 100_000;

/// What the log holds: of a token, what is held under it from now on.
#[derive(Serialize, Deserialize)]
struct Record {
    semaphore: Scalar,
    token: u64,
    claim: Option<Claim>,
}

/// A semaphore and its timer.
#[derive(Debug)]
struct Entry {
    pool: Pool,
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
    semaphores: BTreeMap<Scalar, Entry>,
    /// Every semaphore's name, in the order in which they were first asked for.
    names: Vec<Scalar>,
}

impl Coordinator {
    pub(super) const fn new(id: NodeId, nodes: Vec<NodeId>, rules: Rules) -> Self {
        Self {
            id,
            nodes,
            rules,
            semaphores: BTreeMap::new(),
            names: Vec::new(),
        }
    }

    /// The semaphore of that name; a new one if it is asked for the first time.
    fn entry(&mut self, name: &Scalar) -> &mut Entry {
        self.semaphores.entry(name.clone()).or_insert_with(|| {
            self.names.push(name.clone());
            Entry {
                pool: Pool::default(),
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
                if let (Ok(client), Ok(inner)) = (body.field("client"), body.field::<Body>("body"))
                {
                    let origin = Origin::new(client, Some(src.clone()), &inner);
                    self.serve(origin, &inner, now, out);
                }
            }
            "error" => {}
            _ if from_peer => {}
            _ => self.serve(Origin::new(src.clone(), None, body), body, now, out),
        }
    }

    /// Carries out a client's request.
    fn serve(&mut self, origin: Origin, body: &Body, now: Nanos, out: &mut Outbox) {
        if let Err(error) = self.act(&origin, body, now, out) {
            origin.answer(error.body(), out);
        }
    }

    fn act(
        &mut self,
        origin: &Origin,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        let asked = operation::parse(body)?;
        let rules = self.rules;
        match &asked {
            Operation::AcquirePermits { key, permits } => {
                self.check_room(key)?;
                let wait_ms: Option<u64> = body.field("wait_ms")?;
                let patience = wait_ms.map(|ms| ms.saturating_mul(MILLISECOND));
                self.change(key, now, out, |pool, _| {
                    pool.acquire(origin.clone(), *permits, patience, now, &rules)
                })
            }
            Operation::ReleasePermits {
                key,
                permits,
                token,
            } => {
                self.check_room(key)?;
                let token = token.ok_or_else(|| {
                    WireError::precondition("permits are given back under their token")
                })?;
                self.change(key, now, out, |pool, out| {
                    let (token, claim) = pool.release(&origin.client, token, *permits, &rules)?;
                    persist(key, token, claim, out);
                    origin.answer(operation::reply(&asked, &Answer::Done), out);
                    Ok(())
                })
            }
            _ => Err(WireError::not_supported(body.kind())),
        }
    }

    fn check_room(&self, key: &Scalar) -> Result<(), WireError> {
        if self.names.len() < SEMAPHORES_MAX || self.semaphores.contains_key(key) {
            return Ok(());
        }
        let text = format!("{SEMAPHORES_MAX} semaphores exist already");
        Err(WireError::new(Code::Abort, text))
    }

    /// Changes a semaphore: what is due by now comes before, what follows comes after.
    fn change<T>(
        &mut self,
        name: &Scalar,
        now: Nanos,
        out: &mut Outbox,
        change: impl FnOnce(&mut Pool, &mut Outbox) -> T,
    ) -> T {
        let rules = self.rules;
        let entry = self.entry(name);
        entry.settle(name, now, &rules, out);
        let result = change(&mut entry.pool, out);
        entry.settle(name, now, &rules, out);
        if let Some(at) = entry.pool.next_deadline()
            && entry.armed.is_none_or(|armed| at < armed)
        {
            entry.armed = Some(at);
            out.timer(at, entry.timer);
        }
        result
    }

    fn timer(&mut self, timer: u64, now: Nanos, out: &mut Outbox) {
        let name = usize::try_from(timer).ok().and_then(|n| self.names.get(n));
        let Some(name) = name.cloned() else {
            return;
        };
        let entry = self.entry(&name);
        if entry.armed.is_some_and(|armed| armed <= now) {
            entry.armed = None;
        }
        self.change(&name, now, out, |_, _| {});
    }
}

impl Entry {
    /// Does what is due by itself: leases and waits end, and what is free is granted.
    fn settle(&mut self, name: &Scalar, now: Nanos, rules: &Rules, out: &mut Outbox) {
        let (lapsed, refused) = self.pool.expire(now);
        for token in lapsed {
            persist(name, token, None, out);
        }
        for (origin, code) in refused {
            let error = WireError::new(code, "the wait is over, and the request withdrawn");
            origin.answer(error.body(), out);
        }
        while let Some((origin, token, claim)) = self.pool.grant(now, rules) {
            let asked = Operation::AcquirePermits {
                key: name.clone(),
                permits: claim.permits,
            };
            let lease_ms = rules.lease / MILLISECOND;
            let answer = Answer::Grant(Grant { token, lease_ms });
            persist(name, token, Some(claim), out);
            origin.answer(operation::reply(&asked, &answer), out);
        }
    }
}

fn persist(semaphore: &Scalar, token: u64, claim: Option<Claim>, out: &mut Outbox) {
    let semaphore = semaphore.clone();
    out.persist(&Record {
        semaphore,
        token,
        claim,
    });
}

impl Machine for Coordinator {
    fn recover(&mut self, record: &[u8]) -> serde_json::Result<()> {
        let record: Record = serde_json::from_slice(record)?;
        let entry = self.entry(&record.semaphore);
        entry.pool.recover(record.token, record.claim);
        Ok(())
    }

    fn step(&mut self, input: Input, now: Nanos, out: &mut Outbox) {
        match input {
            Input::Start => {
                let rules = self.rules;
                for name in self.names.clone() {
                    self.entry(&name).pool.restart_leases(now, &rules);
                    self.change(&name, now, out, |_, _| {});
                }
            }
            Input::Message(message) => self.message(&message.src, &message.body, now, out),
            Input::Timer(timer) => self.timer(timer, now, out),
            Input::Link { .. } => {}
        }
    }

    fn status(&self, _now: Nanos) -> Status {
        Status {
            ready: true,
            role: "coordinator".to_owned(),
            leader: Some(self.id.clone()),
            detail: format!("{} semaphores", self.names.len()),
            ..Status::default()
        }
    }
}
