//! Rounds on one semaphore: take, hold, give back.

use rand::RngExt;
use tribunal_results::options::TimeRange;
use tribunal_results::{Answer, Nanos, Operation, Outcome, Scalar};

use crate::generator::{Chance, Completion, Generator, Offer, Proposal, Seed, View};

/// How long a thread waits after something failed, so that a thread whose node is down leaves the
/// rate to others.
const FAILURE_PAUSE: Nanos = 20_000_000;

/// How often a release that never got through is tried.
const RELEASES_MAX: u32 = 4;

/// How rounds look, and how often which kind; see the workload's options.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) permits_at_once: u32,
    pub(super) hold: TimeRange,
    pub(super) split_share: f64,
    pub(super) stranger_share: f64,
    pub(super) abandon_share: f64,
}

/// The rounds of all threads on one semaphore. They never end by themselves.
pub(super) struct Rounds {
    key: Scalar,
    shape: Shape,
    workers: Vec<Worker>,
}

/// What one thread is at.
struct Worker {
    /// A turn is a round.
    chance: Chance,
    plan: Plan,
    hold: Option<Hold>,
    not_before: Nanos,
}

/// All that is chosen for one round, before it begins.
struct Plan {
    permits: u32,
    /// Give back what is another's instead, if there is one: whose, as a number to reduce.
    stranger: Option<u64>,
    split: bool,
    abandon: bool,
    length: Nanos,
}

/// Permits that a thread has.
struct Hold {
    token: Option<u64>,
    permits: u32,
    releases_left: u32,
}

impl Plan {
    fn draw(shape: &Shape, chance: &Chance) -> Self {
        let mut draws = chance.draws();
        let mut chosen = |share: f64| draws.random::<f64>() < share;
        let stranger = chosen(shape.stranger_share);
        let (split, abandon) = (chosen(shape.split_share), chosen(shape.abandon_share));
        let length = shape.hold.at(draws.random()).as_nanos();
        Self {
            permits: draws.random_range(1..=shape.permits_at_once),
            stranger: stranger.then_some(draws.random()),
            split,
            abandon,
            length: Nanos::try_from(length).unwrap_or(Nanos::MAX),
        }
    }
}

impl Worker {
    fn new(chance: Chance, shape: &Shape, not_before: Nanos) -> Self {
        Self {
            plan: Plan::draw(shape, &chance),
            chance,
            hold: None,
            not_before,
        }
    }

    /// Ends the round.
    fn rest(&mut self, shape: &Shape, until: Nanos) {
        self.chance.advance();
        *self = Self::new(self.chance, shape, until);
    }

    /// A release did not get through, or was refused.
    fn release_failed(&mut self, shape: &Shape, refused: bool, now: Nanos) {
        match &mut self.hold {
            Some(hold) if !refused && hold.releases_left > 1 => {
                hold.releases_left -= 1;
                self.not_before = now + FAILURE_PAUSE;
            }
            _ => self.rest(shape, now + FAILURE_PAUSE),
        }
    }

    /// So many permits were given back.
    fn released(&mut self, shape: &Shape, permits: u32, now: Nanos) {
        match &mut self.hold {
            Some(hold) if hold.permits > permits => {
                hold.permits -= permits;
                self.not_before = now + self.plan.length / 2;
            }
            _ => self.rest(shape, now),
        }
    }
}

impl Rounds {
    pub(super) fn new(seed: Seed, threads: usize, key: Scalar, shape: Shape) -> Self {
        let worker = |thread| Worker::new(Chance::new(seed.numbered(thread as u64)), &shape, 0);
        Self {
            workers: (0..threads).map(worker).collect(),
            key,
            shape,
        }
    }

    fn operation(&self, worker: &Worker) -> Operation {
        let (key, plan) = (self.key.clone(), &worker.plan);
        match (
            &worker.hold,
            plan.stranger.and_then(|n| self.hold_of_another(n)),
        ) {
            (Some(hold), _) => Operation::ReleasePermits {
                key,
                permits: if plan.split { 1 } else { hold.permits },
                token: hold.token,
            },
            (None, Some(victim)) => Operation::ReleasePermits {
                key,
                permits: 1,
                token: victim.token,
            },
            (None, None) => Operation::AcquirePermits {
                key,
                permits: plan.permits,
            },
        }
    }

    /// One of the holds at this moment; whoever asks has none, so it is another's.
    fn hold_of_another(&self, pick: u64) -> Option<&Hold> {
        let holds = || {
            self.workers
                .iter()
                .filter_map(|worker| worker.hold.as_ref())
        };
        let at = pick.checked_rem(holds().count() as u64)?;
        holds().nth(usize::try_from(at).ok()?)
    }
}

impl Generator for Rounds {
    fn offer(&self, view: &View<'_>) -> Offer {
        let workers = view.free().filter_map(|thread| {
            let worker = self.workers.get(thread - view.range.start)?;
            Some((worker.not_before.max(view.time), thread, worker))
        });
        // The first of equals is the thread that was taken the longest ago.
        match workers.reduce(|best, next| if next.0 < best.0 { next } else { best }) {
            Some((at, thread, worker)) => {
                Offer::Invoke(Proposal::new(thread, at, self.operation(worker)))
            }
            None => Offer::Pending,
        }
    }

    fn taken(&mut self, _: &View<'_>, _: &Proposal, _: &[u32]) {}

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, _: &[u32]) {
        let (now, shape) = (view.time, &self.shape);
        let Some(worker) = self.workers.get_mut(completion.thread - view.range.start) else {
            return;
        };
        match (completion.operation, completion.outcome) {
            // The thread goes on as another process, which holds nothing.
            (_, Outcome::Info(_)) => worker.rest(shape, now),
            (Operation::AcquirePermits { .. }, Outcome::Ok(_)) if worker.plan.abandon => {
                worker.rest(shape, now);
            }
            (Operation::AcquirePermits { permits, .. }, Outcome::Ok(answer)) => {
                worker.hold = Some(Hold {
                    token: match answer {
                        Answer::Grant(grant) => Some(grant.token),
                        _ => None,
                    },
                    permits: *permits,
                    releases_left: RELEASES_MAX,
                });
                worker.not_before = now.saturating_add(worker.plan.length);
            }
            (Operation::ReleasePermits { permits, .. }, Outcome::Ok(_)) => {
                worker.released(shape, *permits, now);
            }
            (Operation::ReleasePermits { .. }, Outcome::Fail(reason)) => {
                let refused = reason.code == "precondition-failed";
                worker.release_failed(shape, refused, now);
            }
            _ => worker.rest(shape, now + FAILURE_PAUSE),
        }
    }
}
