//! One lock: its hold, its queue, its tokens. No I/O, no clock of its own.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use tribunal_results::NodeId;

use crate::lock_manager::Bug;
use crate::node::Nanos;
use crate::wire::WireError;

/// How many may wait for one lock.
const QUEUE_MAX: usize = 10_000;

/// What every lock of a coordinator obeys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// How long a hold lasts unless it is renewed.
    pub(crate) lease: Nanos,
    /// Whether a free lock goes to the head of the queue by itself, under a token that it counts;
    /// if not, it waits to be told by [`Lock::admit`].
    pub(crate) grants_by_itself: bool,
    /// The planted bug shown, if any.
    pub(crate) bug: Option<Bug>,
}

/// Where a request came from, and where its answer goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The client: the owner of what it gets.
    pub(crate) client: NodeId,
    /// The node that relayed the request, if the client is connected to another one.
    pub(crate) via: Option<NodeId>,
    /// The client's number for the request.
    pub(crate) msg_id: Option<u64>,
}

/// A claimed hold: what must survive a crash, since its owner relies on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) owner: NodeId,
    pub(crate) token: u64,
    /// How many times the owner has entered; at least 1.
    pub(crate) entries: u64,
}

#[derive(Clone, Debug)]
struct Hold {
    owner: NodeId,
    /// The ticket that it was granted to, with which it is claimed; none after a try-acquire.
    ticket: Option<u64>,
    token: u64,
    /// 0 until it is claimed.
    entries: u64,
    ends: Nanos,
}

#[derive(Clone, Debug)]
struct Ticket {
    number: u64,
    owner: NodeId,
    /// The acquire that waits with this ticket, and until when.
    waiting: Option<(Origin, Nanos)>,
}

/// One lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lock {
    /// The highest token that was granted.
    token: u64,
    hold: Option<Hold>,
    queue: VecDeque<Ticket>,
    /// The ticket whose turn it is, and the token for it, where the lock has to be told.
    turn: Option<(u64, u64)>,
    /// Grants and waits since the start; only planted bugs look at them.
    grants: u64,
    waits: u64,
}

impl Lock {
    /// Takes up what the log says. The end of the lease is not in the log: see
    /// [`restart_leases`](Self::restart_leases).
    pub(crate) fn recover(&mut self, claim: Option<Claim>) {
        self.hold = claim.map(|claim| {
            self.token = self.token.max(claim.token);
            Hold {
                owner: claim.owner,
                ticket: None,
                token: claim.token,
                entries: claim.entries,
                ends: 0,
            }
        });
    }

    /// After recovery a live hold gets its full lease anew. It can't have been promised longer,
    /// so nobody's promise is broken, whatever the time between crash and restart.
    pub(crate) fn restart_leases(&mut self, now: Nanos, rules: &Rules) {
        if rules.bug == Some(Bug::ForgetOnRestart) {
            self.hold = None;
        }
        if let Some(hold) = &mut self.hold {
            hold.ends = now + rules.lease;
        }
    }

    /// What a crash must not lose.
    pub(crate) fn claim(&self) -> Option<Claim> {
        let hold = self.hold.as_ref().filter(|hold| hold.entries > 0)?;
        Some(Claim {
            owner: hold.owner.clone(),
            token: hold.token,
            entries: hold.entries,
        })
    }

    /// Joins the queue.
    pub(crate) fn request(&mut self, number: u64, owner: NodeId) -> Result<(), WireError> {
        if self.hold.as_ref().is_some_and(|hold| hold.owner == owner) {
            return Err(WireError::precondition(format!(
                "{owner} has the lock already"
            )));
        }
        if self.queue.iter().any(|ticket| ticket.owner == owner) {
            return Err(WireError::precondition(format!(
                "{owner} is in the queue already"
            )));
        }
        if self.queue.len() >= QUEUE_MAX {
            return Err(WireError::unavailable(format!(
                "{QUEUE_MAX} are waiting already"
            )));
        }
        self.queue.push_back(Ticket {
            number,
            owner,
            waiting: None,
        });
        Ok(())
    }

    /// Claims the hold that a ticket was granted, and gives its token; or, if its turn has not
    /// come, waits for it until `until`.
    pub(crate) fn acquire(
        &mut self,
        number: u64,
        origin: Origin,
        until: Nanos,
        now: Nanos,
        rules: &Rules,
    ) -> Result<Option<u64>, WireError> {
        let granted = |hold: &&mut Hold| {
            hold.ticket == Some(number) && hold.owner == origin.client && hold.entries == 0
        };
        if let Some(hold) = self.hold.as_mut().filter(granted) {
            hold.entries = 1;
            hold.ends = now + rules.lease;
            return Ok(Some(hold.token));
        }
        let in_queue = |ticket: &&mut Ticket| {
            ticket.number == number && ticket.owner == origin.client && ticket.waiting.is_none()
        };
        match self.queue.iter_mut().find(in_queue) {
            Some(ticket) => ticket.waiting = Some((origin, until)),
            None => {
                let text = format!("ticket {number} is unknown, lapsed or used already");
                return Err(WireError::precondition(text));
            }
        }
        self.waits += 1;
        if rules.bug == Some(Bug::DoubleGrant) && self.waits.is_multiple_of(3) {
            self.hold = None;
        }
        Ok(None)
    }

    /// Enters a lock that the owner holds once more.
    pub(crate) fn enter(
        &mut self,
        owner: &NodeId,
        now: Nanos,
        rules: &Rules,
    ) -> Result<u64, WireError> {
        let hold = self
            .hold
            .as_mut()
            .filter(|hold| hold.owner == *owner && hold.entries > 0)
            .ok_or_else(|| WireError::precondition(format!("{owner} does not hold the lock")))?;
        hold.entries += 1;
        hold.ends = now + rules.lease;
        Ok(hold.token)
    }

    /// Takes the lock at once, or not at all.
    pub(crate) fn try_acquire(
        &mut self,
        owner: &NodeId,
        now: Nanos,
        rules: &Rules,
    ) -> Result<u64, WireError> {
        match &self.hold {
            Some(hold) if hold.owner == *owner => {
                let text = format!("{owner} has the lock already");
                return Err(WireError::precondition(text));
            }
            Some(_) => return Err(WireError::unavailable("the lock is taken")),
            None if !self.queue.is_empty() => {
                return Err(WireError::unavailable("others are waiting for the lock"));
            }
            None => {}
        }
        let token = self.next_token(rules);
        self.hold = Some(Hold {
            owner: owner.clone(),
            ticket: None,
            token,
            entries: 1,
            ends: now + rules.lease,
        });
        Ok(token)
    }

    /// Prolongs a hold.
    pub(crate) fn renew(
        &mut self,
        owner: &NodeId,
        token: u64,
        now: Nanos,
        rules: &Rules,
    ) -> Result<u64, WireError> {
        let hold = self.held(owner, token)?;
        if rules.bug != Some(Bug::LeaseIgnoresRenewal) {
            hold.ends = now + rules.lease;
        }
        Ok(token)
    }

    /// Leaves the lock once; the last time frees it.
    pub(crate) fn release(
        &mut self,
        owner: &NodeId,
        token: u64,
        rules: &Rules,
    ) -> Result<(), WireError> {
        let hold = match &mut self.hold {
            Some(hold) if rules.bug == Some(Bug::ReleaseByAnyone) => hold,
            _ => self.held(owner, token)?,
        };
        hold.entries = hold.entries.saturating_sub(1);
        if hold.entries == 0 || rules.bug == Some(Bug::ReentrantLeak) {
            self.hold = None;
        }
        Ok(())
    }

    fn held(&mut self, owner: &NodeId, token: u64) -> Result<&mut Hold, WireError> {
        self.hold
            .as_mut()
            .filter(|hold| hold.owner == *owner && hold.token == token && hold.entries > 0)
            .ok_or_else(|| {
                WireError::precondition(format!(
                    "{owner} does not hold the lock with token {token}"
                ))
            })
    }

    /// Ends the hold if its lease is over, not a nanosecond before.
    pub(crate) fn lapse(&mut self, now: Nanos) {
        if self.hold.as_ref().is_some_and(|hold| hold.ends <= now) {
            self.hold = None;
        }
    }

    /// Takes tickets whose acquire has waited long enough out of the queue, and says whom to tell.
    pub(crate) fn withdraw(&mut self, now: Nanos) -> Vec<Origin> {
        let mut withdrawn = Vec::new();
        self.queue.retain(|ticket| match &ticket.waiting {
            Some((origin, until)) if *until <= now => {
                withdrawn.push(origin.clone());
                false
            }
            _ => true,
        });
        withdrawn
    }

    /// If the lock is free, grants it to the head of the queue. If that one's acquire waits, the
    /// hold is claimed at once: whom to tell, and the token.
    pub(crate) fn grant(&mut self, now: Nanos, rules: &Rules) -> Option<(Origin, u64)> {
        if self.hold.is_some() {
            return None;
        }
        let at = match rules.bug {
            Some(Bug::LifoQueue) => self.queue.len().checked_sub(1)?,
            _ => 0,
        };
        let number = self.queue.get(at)?.number;
        let token = match self.turn {
            _ if rules.grants_by_itself => self.next_token(rules),
            Some((ticket, token)) if ticket == number => token,
            _ => return None,
        };
        self.turn = None;
        let next = self.queue.remove(at)?;
        self.token = self.token.max(token);
        self.hold = Some(Hold {
            owner: next.owner,
            ticket: Some(next.number),
            token,
            entries: u64::from(next.waiting.is_some()),
            ends: now + rules.lease,
        });
        next.waiting.map(|(origin, _)| (origin, token))
    }

    /// It is that ticket's turn, under that token: granted as soon as it is at the head of the
    /// queue and the lock is free.
    pub(crate) const fn admit(&mut self, ticket: u64, token: u64) {
        self.turn = Some((ticket, token));
    }

    /// The numbers of the tickets in the queue, in order.
    pub(crate) fn tickets(&self) -> impl Iterator<Item = u64> + '_ {
        self.queue.iter().map(|ticket| ticket.number)
    }

    /// The token under which it is held, claimed or not.
    pub(crate) fn held_under(&self) -> Option<u64> {
        self.hold.as_ref().map(|hold| hold.token)
    }

    /// Ends the hold, whoever relies on it.
    pub(crate) fn revoke(&mut self) {
        self.hold = None;
    }

    /// Takes a ticket out of the queue.
    pub(crate) fn forget(&mut self, number: u64) {
        self.queue.retain(|ticket| ticket.number != number);
    }

    fn next_token(&mut self, rules: &Rules) -> u64 {
        self.grants += 1;
        if rules.bug != Some(Bug::TokenReuse) || !self.grants.is_multiple_of(3) {
            self.token += 1;
        }
        self.token
    }

    /// When something is due by itself: the end of the lease, or of a wait.
    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        let waits = self
            .queue
            .iter()
            .filter_map(|ticket| ticket.waiting.as_ref());
        let lease = self.hold.iter().map(|hold| hold.ends);
        waits.map(|(_, until)| *until).chain(lease).min()
    }
}
