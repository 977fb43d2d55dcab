//! All locks of one node, each with its timer: whatever is done to a lock, what is due by itself
//! comes before, what follows comes after, and what its owner may rely on is persisted before
//! anybody is told.

use std::collections::BTreeMap;

use tribunal_results::{NodeId, Scalar};

use super::lock::{Claim, Lock, Origin, Rules};
use super::request::Action;
use crate::node::{MILLISECOND, Nanos, Outbox};
use crate::wire::{Body, WireError};

/// How many locks there may be.
pub(crate) const LOCKS_MAX: usize = 100_000;

/// Makes durable that a lock is held like this from now on, or free.
type Persist = fn(&Scalar, Option<Claim>, &mut Outbox);

/// The locks of a node. Their timers are numbered from 0, below [`LOCKS_MAX`].
#[derive(Debug)]
pub(crate) struct Table {
    rules: Rules,
    persist: Persist,
    locks: BTreeMap<Scalar, Entry>,
    /// Every lock's name, in the order in which they were first asked for.
    names: Vec<Scalar>,
}

/// A lock and its timer.
#[derive(Debug)]
struct Entry {
    lock: Lock,
    /// The number of its timer: its position in [`Table::names`].
    timer: u64,
    /// When that timer is due, if it is set.
    armed: Option<Nanos>,
}

impl Table {
    pub(crate) const fn new(rules: Rules, persist: Persist) -> Self {
        Self {
            rules,
            persist,
            locks: BTreeMap::new(),
            names: Vec::new(),
        }
    }

    /// How long a hold lasts unless it is renewed.
    pub(crate) const fn lease(&self) -> Nanos {
        self.rules.lease
    }

    /// How many locks were asked for so far.
    pub(crate) const fn len(&self) -> usize {
        self.names.len()
    }

    /// A lock that was asked for before.
    pub(crate) fn get(&self, name: &Scalar) -> Option<&Lock> {
        self.locks.get(name).map(|entry| &entry.lock)
    }

    /// Every lock's name, in the order in which they were first asked for.
    pub(crate) fn names(&self) -> &[Scalar] {
        &self.names
    }

    /// The lock whose timer has that number.
    pub(crate) fn of_timer(&self, timer: u64) -> Option<&Scalar> {
        self.names.get(usize::try_from(timer).ok()?)
    }

    /// Takes up what the log says of a lock.
    pub(crate) fn recover(&mut self, name: &Scalar, claim: Option<Claim>) {
        self.entry(name).lock.recover(claim);
    }

    /// The node starts: live holds get their full lease anew.
    pub(crate) fn start(&mut self, now: Nanos, out: &mut Outbox) {
        for name in self.names.clone() {
            let rules = self.rules;
            self.entry(&name).lock.restart_leases(now, &rules);
            self.change(&name, now, out, |_| {});
        }
    }

    /// Whether one more lock of that name can be had.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn check_room(&self, name: &Scalar) -> Result<(), WireError> {
        match self.names.len() >= LOCKS_MAX && !self.locks.contains_key(name) {
            true => Err(WireError::unavailable(format!(
                "{LOCKS_MAX} locks exist already"
            ))),
            false => Ok(()),
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

    /// Does what a client asks; gives the answer unless the request has to wait. `ticket` is the
    /// number of the new ticket, if that is what it asks for.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn act(
        &mut self,
        name: &Scalar,
        action: Action,
        ticket: u64,
        origin: &Origin,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<Option<Body>, WireError> {
        self.check_room(name)?;
        let (rules, owner) = (self.rules, &origin.client);
        let granted = |kind: &str, token: u64| Some(grant(kind, token, &rules));
        self.change(name, now, out, |lock| {
            Ok(match action {
                Action::Request => {
                    lock.request(ticket, owner.clone())?;
                    Some(ticket_of(ticket))
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

    /// The timer of that number is due.
    pub(crate) fn timer(&mut self, timer: u64, now: Nanos, out: &mut Outbox) {
        let Some(name) = self.of_timer(timer).cloned() else {
            return;
        };
        let entry = self.entry(&name);
        if entry.armed.is_some_and(|armed| armed <= now) {
            entry.armed = None;
        }
        self.change(&name, now, out, |_| {});
    }

    /// Changes a lock.
    pub(crate) fn change<T>(
        &mut self,
        name: &Scalar,
        now: Nanos,
        out: &mut Outbox,
        change: impl FnOnce(&mut Lock) -> T,
    ) -> T {
        let (rules, persist) = (self.rules, self.persist);
        let entry = self.entry(name);
        let before = entry.lock.claim();
        entry.settle(now, &rules, out);
        let result = change(&mut entry.lock);
        entry.settle(now, &rules, out);
        let claim = entry.lock.claim();
        if claim != before {
            persist(name, claim, out);
        }
        if let Some(at) = entry.lock.next_deadline()
            && entry.armed.is_none_or(|armed| at < armed)
        {
            entry.armed = Some(at);
            out.timer(at, entry.timer);
        }
        result
    }
}

impl Entry {
    /// Does what is due by itself.
    fn settle(&mut self, now: Nanos, rules: &Rules, out: &mut Outbox) {
        self.lock.lapse(now);
        for origin in self.lock.withdraw(now) {
            let error = WireError::unavailable("the wait is over; the ticket is withdrawn");
            origin.answer(error.body(), out);
        }
        if let Some((origin, token)) = self.lock.grant(now, rules) {
            origin.answer(grant("acquire_ok", token, rules), out);
        }
    }
}

/// The answer that gives a ticket.
pub(crate) fn ticket_of(number: u64) -> Body {
    Body::new("request_ok").with("ticket", number)
}

/// The answer that grants a lock.
fn grant(kind: &str, token: u64, rules: &Rules) -> Body {
    Body::new(kind)
        .with("token", token)
        .with("lease_ms", rules.lease / MILLISECOND)
}

impl Origin {
    /// Where a client's own message, or one that a relay passed on, came from.
    pub(crate) fn new(client: NodeId, via: Option<NodeId>, body: &Body) -> Self {
        Self {
            client,
            via,
            msg_id: body.msg_id(),
        }
    }

    /// Answers the client, through the relay that it came by.
    pub(crate) fn answer(&self, body: Body, out: &mut Outbox) {
        let body = body.in_reply(self.msg_id);
        match &self.via {
            None => out.send(&self.client, body),
            Some(relay) => out.send(
                relay,
                Body::new("relay_ok")
                    .with("client", &*self.client)
                    .with("body", body),
            ),
        }
    }
}
