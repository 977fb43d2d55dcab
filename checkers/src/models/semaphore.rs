//! Semaphores; a mutex is one with a single permit.
//!
//! Owner-aware, only the process that holds permits can give them back. Anonymous, anybody can.
//! Where a grant has a lease, its permits may fall back by themselves once the lease is over,
//! told by the clock of the record with the drift that is assumed: an operation of unknown end
//! that nobody called. It may take back permits of the same owner that were granted later; so what
//! is found to be linearizable may not be, where leases run out, but never the other way round.
//! Its owner may not know: a release of what fell back is acknowledged, and does no harm.

use std::collections::BTreeMap;

use tribunal_results::{Answer, Assumptions, Call, Nanos, Operation, Outcome, Stamp};

use super::{Entry, Group, Object, entry};
use crate::model::{Model, Op};

/// What happens to a semaphore. The owner is 0 for all if owners do not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// The owner took so many permits.
    Acquire(u64, u32),
    /// The owner took so many, and their lease was over before it was told: they fell back.
    Pass(u64, u32),
    /// The owner gave so many back.
    Release(u64, u32),
    /// The lease of so many was over: those that the owner had not given back fell back.
    Lapse(u64, u32),
}

/// What an owner took and did not give back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Hand {
    /// What it has.
    held: u32,
    /// What fell back when a lease was over.
    fallen: u32,
}

/// A semaphore of which all permits are free at first.
pub(crate) struct Semaphore {
    permits: u32,
}

impl Model for Semaphore {
    /// Who holds how many.
    type State = BTreeMap<u64, Hand>;
    type Step = Step;

    fn initial(&self) -> Self::State {
        BTreeMap::new()
    }

    fn apply(&self, state: &Self::State, step: &Step) -> Option<Self::State> {
        let mut after = state.clone();
        match *step {
            Step::Acquire(owner, permits) | Step::Pass(owner, permits) => {
                let held: u64 = state.values().map(|hand| u64::from(hand.held)).sum();
                if held + u64::from(permits) > u64::from(self.permits) {
                    return None;
                }
                let hand = after.entry(owner).or_default();
                match step {
                    Step::Pass(..) => hand.fallen = hand.fallen.saturating_add(permits),
                    _ => hand.held += permits,
                }
            }
            Step::Release(owner, permits) => {
                let hand = after.get_mut(&owner)?;
                // What is held comes first: that frees most, and as many can be released later.
                let held = hand.held.min(permits);
                hand.held -= held;
                hand.fallen = hand.fallen.checked_sub(permits - held)?;
                if *hand == Hand::default() {
                    after.remove(&owner);
                }
            }
            Step::Lapse(owner, permits) => {
                if let Some(hand) = after.get_mut(&owner) {
                    let fallen = hand.held.min(permits);
                    hand.held -= fallen;
                    hand.fallen = hand.fallen.saturating_add(fallen);
                }
            }
        }
        Some(after)
    }

    fn weight(&self, state: &Self::State) -> usize {
        size_of_val(state) + 40 * state.len()
    }
}

impl Semaphore {
    /// One of so many permits.
    pub(super) const fn of(permits: u32) -> Self {
        Self { permits }
    }
}

/// What a call did, or may have done.
pub(super) fn step(call: &Call, assume: &Assumptions) -> Option<Step> {
    let owner = if assume.owned { call.process } else { 0 };
    match (&call.operation, &call.outcome) {
        (_, Outcome::Fail(_)) => None,
        (Operation::AcquirePermits { permits, .. }, _) if *permits > 0 => {
            match over(call, assume).zip(call.completed) {
                Some((over, told)) if over <= told.time => Some(Step::Pass(owner, *permits)),
                _ => Some(Step::Acquire(owner, *permits)),
            }
        }
        (Operation::ReleasePermits { permits, .. }, _) if *permits > 0 => {
            Some(Step::Release(owner, *permits))
        }
        _ => None,
    }
}

/// The semaphore of these calls.
pub(crate) fn object<'a>(group: &Group<'a>, assume: &Assumptions) -> Object<'a, Semaphore> {
    let mut entries = Vec::new();
    let stamps = stamps(group);
    for &call in &group.calls {
        let Some(step) = step(call, assume) else {
            continue;
        };
        entries.push(entry(call, step, SCALE));
        entries.extend(lapse(&stamps, call, step, assume));
    }
    Object {
        name: group.name(),
        key: group.key(),
        model: Semaphore::of(assume.permits),
        entries,
        scale: SCALE,
        tells: match group.contended(assume) {
            true => |step| matches!(step, Step::Acquire(..) | Step::Pass(..)),
            false => |_| false,
        },
    }
}

/// There is a position before each event, for what nobody called.
const SCALE: u64 = 2;

/// That the permits fall back when the lease is over: just before the first event that comes then.
fn lapse<'a>(
    stamps: &[Stamp],
    call: &'a Call,
    step: Step,
    assume: &Assumptions,
) -> Option<Entry<'a, Step>> {
    let Step::Acquire(owner, permits) = step else {
        return None;
    };
    let over = over(call, assume)?;
    let from = stamps.get(stamps.partition_point(|stamp| stamp.time < over))?;
    Some(Entry {
        call,
        op: Op::new(
            from.index.saturating_mul(SCALE).saturating_sub(1),
            None,
            Step::Lapse(owner, permits),
        ),
    })
}

/// When the lease that a call was granted may be over, by the clock of the record.
pub(super) fn over(call: &Call, assume: &Assumptions) -> Option<Nanos> {
    let Outcome::Ok(Answer::Grant(grant)) = &call.outcome else {
        return None;
    };
    let nanos = u128::from(grant.lease_ms) * 1_000_000;
    let parts = 1_000_000 - u128::from(assume.clock_drift_ppm.min(1_000_000));
    let lease = u64::try_from(nanos * parts / 1_000_000).unwrap_or(u64::MAX);
    let margin = lease.saturating_sub(1_000_000);
    Some(call.invoked.time.saturating_add(margin))
}

/// When something was called or returned, in order.
fn stamps(group: &Group<'_>) -> Vec<Stamp> {
    let calls = group.calls.iter();
    let mut stamps: Vec<Stamp> = calls
        .flat_map(|call| [Some(call.invoked), call.completed])
        .flatten()
        .collect();
    stamps.sort_unstable();
    stamps
}
