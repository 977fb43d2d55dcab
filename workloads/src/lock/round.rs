//! One round of one thread: what is chosen beforehand, and what is done while the lock is held.

use std::collections::VecDeque;

use rand::RngExt;
use tribunal_results::options::TimeRange;
use tribunal_results::{Answer, Grant, Nanos, Operation, Outcome, Reason, Scalar};

use crate::generator::Chance;

/// How rounds look, and how often which kind.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// The locks; the last one is held long now and then.
    pub(super) locks: Vec<Scalar>,
    /// How long a critical section lasts.
    pub(super) hold: TimeRange,
    /// How long a thread does nothing after one.
    pub(super) rest: TimeRange,
    /// Guarded writes in each.
    pub(super) guarded_writes: usize,
    /// Whether there can be guarded writes at all.
    pub(super) may_write: bool,
    /// Shares from 0 to 1; see the workload's options.
    pub(super) renew_share: f64,
    pub(super) reenter_share: f64,
    pub(super) try_share: f64,
    pub(super) stranger_share: f64,
    pub(super) long_share: f64,
    pub(super) abandon_share: f64,
}

/// All that is chosen for one round, before it begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    /// The lock to prefer, by number.
    pub(super) lock: usize,
    /// Release another's lock instead, if there is one: whose, as a number to reduce.
    pub(super) stranger: Option<u64>,
    /// Try instead of queueing.
    pub(super) at_once: bool,
    /// Don't try before there is a lock that nobody asks for.
    pub(super) patient: bool,
    /// How long to hold, from the shortest (0) to the longest (1).
    length: f64,
    /// How many leases to hold a lock that is held long.
    leases: f64,
    renew: bool,
    reenter: bool,
    abandon: bool,
    /// How long to rest after it, from the shortest (0) to the longest (1).
    rest: f64,
}

impl Plan {
    /// This turn's plan.
    pub(super) fn draw(shape: &Shape, chance: &Chance) -> Self {
        let mut draws = chance.draws();
        let mut chosen = |share: f64| draws.random::<f64>() < share;
        let stranger = chosen(shape.stranger_share);
        let at_once = chosen(shape.try_share);
        let (renew, reenter) = (chosen(shape.renew_share), chosen(shape.reenter_share));
        let abandon = chosen(shape.abandon_share);
        Self {
            lock: draws.random_range(0..shape.locks.len().max(1)),
            stranger: stranger.then_some(draws.random()),
            at_once,
            patient: draws.random(),
            length: draws.random(),
            leases: draws.random_range(1.3..1.6),
            renew,
            reenter,
            abandon,
            rest: draws.random(),
        }
    }

    /// How many nanoseconds to leave the locks alone once the critical section is over.
    pub(super) fn rest(&self, shape: &Shape) -> Nanos {
        Nanos::try_from(shape.rest.at(self.rest).as_nanos()).unwrap_or(Nanos::MAX)
    }

    /// What to do, and how many nanoseconds after the grant: a hold that stays well within its
    /// lease, unless it is abandoned.
    fn script(&self, shape: &Shape, lease: f64) -> Vec<(f64, Act)> {
        let length = (shape.hold.at(self.length).as_nanos() as f64).min(lease * 0.8);
        let mut script = writes(shape, length);
        if self.renew {
            script.push((length * 0.5, Act::Renew));
        }
        if self.reenter {
            script.extend([(length * 0.2, Act::Enter), (length * 0.4, Act::LeaveInner)]);
            // After the inner release the lock must still be ours: writes show if it isn't.
            if shape.may_write {
                script.extend([0.7, 0.95].map(|share| (length * share, Act::Write)));
            }
        }
        match self.abandon {
            false => script.push((length, Act::Leave)),
            // The sleeper who wakes up too late: a write under a token that may be stale by now.
            true if shape.may_write => script.push((lease * 1.2, Act::Write)),
            true => {}
        }
        script.sort_by(|a, b| a.0.total_cmp(&b.0));
        script
    }

    /// The same for a hold that goes on beyond its first lease.
    fn long_script(&self, shape: &Shape, lease: f64) -> Vec<(f64, Act)> {
        let length = lease * self.leases;
        let mut script = writes(shape, length);
        script.extend([0.6, 1.2].map(|leases| (lease * leases, Act::Renew)));
        script.push((length, Act::Leave));
        script.sort_by(|a, b| a.0.total_cmp(&b.0));
        script
    }
}

/// Guarded writes spread evenly over a hold of that length.
fn writes(shape: &Shape, length: f64) -> Vec<(f64, Act)> {
    let count = shape.guarded_writes;
    let shares = (1..=count).map(|i| i as f64 / (count + 1) as f64);
    shares.map(|share| (length * share, Act::Write)).collect()
}

/// What a holder does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Write,
    Renew,
    Enter,
    /// Give one entry back, and stay within.
    LeaveInner,
    Leave,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    at: Nanos,
    act: Act,
}

/// How long a release that never got through waits until it is tried once more.
const RETRY_PAUSE: Nanos = 50_000_000;

/// A lock that a thread holds, as far as it knows, and what it is going to do with it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hold {
    /// The lock.
    pub(super) lock: Scalar,
    /// The fencing token.
    pub(super) token: u64,
    /// When the lease ends, as far as the holder knows.
    lease_end: Nanos,
    /// Entries that were not given back yet.
    entries: u32,
    script: VecDeque<Step>,
    release_retried: bool,
}

impl Hold {
    /// What `plan` comes to with a lock granted just now; `long` if it is to be held beyond its
    /// first lease.
    pub(super) fn new(
        plan: &Plan,
        shape: &Shape,
        lock: Scalar,
        grant: Grant,
        now: Nanos,
        long: bool,
    ) -> Self {
        let lease = nanos(grant.lease_ms);
        let script = match long {
            true => plan.long_script(shape, lease as f64),
            false => plan.script(shape, lease as f64),
        };
        let step = |(after, act): &(f64, Act)| Step {
            at: now + *after as Nanos,
            act: *act,
        };
        Self {
            lock,
            token: grant.token,
            lease_end: now + lease,
            entries: 1,
            script: script.iter().map(step).collect(),
            release_retried: false,
        }
    }

    /// Whether the round ends here.
    pub(super) fn is_over(&self) -> bool {
        self.entries == 0 || self.script.is_empty()
    }

    /// Whether the lock is held, and goes on to be.
    pub(super) fn is_live(&self, now: Nanos) -> bool {
        !self.is_over() && now < self.lease_end
    }

    /// When the next step is due; at once if there is no time left but to release. Nothing if
    /// the round is over.
    pub(super) fn due(&self, closing: bool) -> Option<Nanos> {
        match closing {
            true => Some(0),
            false => self.script.front().map(|step| step.at),
        }
    }

    /// The next step. `value` is for a guarded write.
    pub(super) fn operation(&self, closing: bool, value: Scalar) -> Option<Operation> {
        let act = match closing {
            true => Act::Leave,
            false => self.script.front()?.act,
        };
        let (lock, token) = (self.lock.clone(), self.token);
        Some(match act {
            Act::Write => Operation::GuardedWrite {
                key: lock,
                value,
                token,
            },
            Act::Renew => Operation::Renew { lock, token },
            Act::Enter => Operation::Acquire { lock, ticket: None },
            Act::LeaveInner | Act::Leave => Operation::Release { lock, token },
        })
    }

    /// A step was taken. A release goes over whatever was to be done before it.
    pub(super) fn taken(&mut self, operation: &Operation) {
        while let Some(step) = self.script.pop_front() {
            let leaves = matches!(step.act, Act::LeaveInner | Act::Leave);
            if leaves || !matches!(operation, Operation::Release { .. }) {
                break;
            }
        }
    }

    /// A step ended, other than unknown.
    pub(super) fn ended(&mut self, operation: &Operation, outcome: &Outcome, now: Nanos) {
        match (operation, outcome) {
            (Operation::Release { .. }, Outcome::Ok(_)) => {
                self.entries = self.entries.saturating_sub(1);
            }
            (Operation::Release { .. }, Outcome::Fail(reason)) => {
                if refused(reason) || self.release_retried {
                    self.script.clear();
                } else {
                    self.release_retried = true;
                    self.script.push_front(Step {
                        at: now + RETRY_PAUSE,
                        act: Act::Leave,
                    });
                }
            }
            (_, Outcome::Ok(Answer::Grant(grant))) => {
                self.lease_end = now + nanos(grant.lease_ms);
                if let Operation::Acquire { .. } = operation {
                    self.entries += 1;
                }
            }
            (_, Outcome::Fail(reason)) if refused(reason) => self.leave_at(now),
            (Operation::Acquire { .. }, Outcome::Fail(_)) => {
                self.script.retain(|step| step.act != Act::LeaveInner);
            }
            // A write was done; or something never got through, and the hold is what it was.
            _ => {}
        }
    }

    /// Drops everything but one last release.
    fn leave_at(&mut self, at: Nanos) {
        self.entries = 1;
        self.script = VecDeque::from([Step {
            at,
            act: Act::Leave,
        }]);
    }
}

const fn nanos(ms: u64) -> Nanos {
    ms.saturating_mul(1_000_000)
}

/// Whether the lock manager said no, rather than never having been asked.
pub(super) fn refused(reason: &Reason) -> bool {
    matches!(
        reason.code.as_str(),
        "precondition-failed" | "temporarily-unavailable"
    )
}
