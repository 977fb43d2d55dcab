//! The permits of one semaphore: who holds some, and who waits. No I/O, no clock of its own.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use tribunal_results::NodeId;

use super::Bug;
use crate::locks::Origin;
use crate::node::Nanos;
use crate::wire::{Code, WireError};

/// How many may wait for one semaphore.
const QUEUE_MAX: usize = 10_000;

/// What every semaphore of a coordinator obeys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) permits: u32,
    /// How long permits are held at most.
    pub(super) lease: Nanos,
    /// How long a request waits.
    pub(super) wait: Nanos,
    /// The planted bug shown, if any.
    pub(super) bug: Option<Bug>,
}

/// Permits that somebody holds: what must survive a crash, since their owner relies on them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) owner: NodeId,
    pub(super) permits: u32,
}

#[derive(Clone, Debug)]
struct Hold {
    claim: Claim,
    ends: Nanos,
}

#[derive(Clone, Debug)]
struct Waiting {
    origin: Origin,
    permits: u32,
    until: Nanos,
    /// Whether its client waits for less time than others do.
    impatient: bool,
}

/// What happened to the permits of a token, to be persisted.
pub(super) type Change = (u64, Option<Claim>);

/// The permits of one semaphore.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    /// The highest token that was granted.
    token: u64,
    holds: BTreeMap<u64, Hold>,
    queue: VecDeque<Waiting>,
    /// Releases while others waited, and whether the queue sleeps; only planted bugs look at them.
    signals: u64,
    asleep: bool,
}

impl Pool {
    /// Takes up what the log says of a token.
    pub(super) fn recover(&mut self, token: u64, claim: Option<Claim>) {
        self.token = self.token.max(token);
        match claim {
            Some(claim) => drop(self.holds.insert(token, Hold { claim, ends: 0 })),
            None => drop(self.holds.remove(&token)),
        }
    }

    /// After recovery live holds get their full lease anew: they can't have been promised longer.
    pub(super) fn restart_leases(&mut self, now: Nanos, rules: &Rules) {
        for hold in self.holds.values_mut() {
            hold.ends = now.saturating_add(rules.lease);
        }
    }

    /// Joins the queue.
    ///
    /// # Errors
    /// So many can never be had, or too many are waiting.
    pub(super) fn acquire(
        &mut self,
        origin: Origin,
        permits: u32,
        patience: Option<Nanos>,
        now: Nanos,
        rules: &Rules,
    ) -> Result<(), WireError> {
        if permits == 0 || permits > rules.permits {
            let text = format!("{permits} of {} permits can't be had", rules.permits);
            return Err(WireError::precondition(text));
        }
        if self.queue.len() >= QUEUE_MAX {
            let text = format!("{QUEUE_MAX} are waiting already");
            return Err(WireError::new(Code::Abort, text));
        }
        let wait = patience.map_or(rules.wait, |patience| patience.min(rules.wait));
        self.queue.push_back(Waiting {
            origin,
            permits,
            until: now.saturating_add(wait),
            impatient: wait < rules.wait,
        });
        Ok(())
    }

    /// Gives permits back.
    ///
    /// # Errors
    /// The owner does not hold so many under the token.
    pub(super) fn release(
        &mut self,
        owner: &NodeId,
        token: u64,
        permits: u32,
        rules: &Rules,
    ) -> Result<Change, WireError> {
        let held = self.holds.get_mut(&token).map(|hold| &mut hold.claim);
        let held = held
            .filter(|claim| claim.owner == *owner && (1..=claim.permits).contains(&permits))
            .ok_or_else(|| {
                let text = format!("{owner} does not hold {permits} permits under token {token}");
                WireError::precondition(text)
            })?;
        held.permits -= permits;
        let left = Some(held.clone()).filter(|claim| claim.permits > 0);
        if left.is_none() {
            self.holds.remove(&token);
        }
        if rules.bug == Some(Bug::LostSignal) && !self.queue.is_empty() {
            self.signals += 1;
            self.asleep = self.signals.is_multiple_of(3);
        }
        Ok((token, left))
    }

    /// Ends what is over: leases, not a nanosecond before their end, and waits. Gives the tokens
    /// that lapsed, and whom to refuse how.
    pub(super) fn expire(&mut self, now: Nanos) -> (Vec<u64>, Vec<(Origin, Code)>) {
        let over = self.holds.iter().filter(|(_, hold)| hold.ends <= now);
        let lapsed: Vec<u64> = over.map(|(token, _)| *token).collect();
        for token in &lapsed {
            self.holds.remove(token);
        }
        let mut refused = Vec::new();
        self.queue.retain(|waiting| {
            let over = waiting.until <= now;
            if over {
                let code = match waiting.impatient {
                    true => Code::Abort,
                    false => Code::TemporarilyUnavailable,
                };
                refused.push((waiting.origin.clone(), code));
            }
            !over
        });
        self.asleep &= !self.queue.is_empty();
        (lapsed, refused)
    }

    /// Grants the head of the queue what it wants, if so many permits are free: whom to tell, and
    /// what is held from now on.
    pub(super) fn grant(&mut self, now: Nanos, rules: &Rules) -> Option<(Origin, u64, Claim)> {
        let at = match rules.bug {
            Some(Bug::LifoWakeup) => self.queue.len().checked_sub(1)?,
            _ => 0,
        };
        let permits = self.queue.get(at)?.permits;
        let there_are = match rules.bug {
            Some(Bug::OverGrant) => rules.permits.saturating_add(1),
            _ => rules.permits,
        };
        if self.asleep || self.held().saturating_add(permits) > there_are {
            return None;
        }
        let next = self.queue.remove(at)?;
        self.token += 1;
        let owner = next.origin.client.clone();
        let claim = Claim { owner, permits };
        let hold = Hold {
            claim: claim.clone(),
            ends: now.saturating_add(rules.lease),
        };
        self.holds.insert(self.token, hold);
        Some((next.origin, self.token, claim))
    }

    fn held(&self) -> u32 {
        let held = self.holds.values().map(|hold| hold.claim.permits);
        held.fold(0, u32::saturating_add)
    }

    /// When something is due by itself: the end of a lease, or of a wait.
    pub(super) fn next_deadline(&self) -> Option<Nanos> {
        let leases = self.holds.values().map(|hold| hold.ends);
        let waits = self.queue.iter().map(|waiting| waiting.until);
        leases.chain(waits).min()
    }
}
