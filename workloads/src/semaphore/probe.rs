//! How many permits can be had, in the end.

use tribunal_results::{Answer, Nanos, Operation, Outcome, Scalar};

use crate::generator::{Completion, Generator, Offer, Proposal, View};

/// The most permits that are asked for; of more, the rest is left alone.
const TAKEN_MAX: usize = 32;

/// How often something that failed is tried again, and how long after the failure.
const FAILURES_MAX: u32 = 10;
const PAUSE: Nanos = 150_000_000;

/// Takes the permits of one semaphore one by one until none can be had, and gives them all back;
/// on one thread.
pub(super) struct Probe {
    key: Scalar,
    /// The tokens of the permits taken and not given back.
    taken: Vec<Option<u64>>,
    /// Whether they are given back now.
    returning: bool,
    failures_left: u32,
    not_before: Nanos,
}

impl Probe {
    pub(super) const fn new(key: Scalar) -> Self {
        Self {
            key,
            taken: Vec::new(),
            returning: false,
            failures_left: FAILURES_MAX,
            not_before: 0,
        }
    }

    fn operation(&self) -> Option<Operation> {
        let key = self.key.clone();
        match (self.returning, self.taken.last()) {
            (false, _) => Some(Operation::AcquirePermits { key, permits: 1 }),
            (true, Some(&token)) => Some(Operation::ReleasePermits {
                key,
                permits: 1,
                token,
            }),
            (true, None) => None,
        }
    }

    /// Whatever was not done may be tried again, a few times.
    fn failed(&mut self, now: Nanos) {
        self.not_before = now + PAUSE;
        self.failures_left -= 1;
        if self.failures_left == 0 {
            self.returning = true;
            self.taken.clear();
        }
    }
}

impl Generator for Probe {
    fn offer(&self, view: &View<'_>) -> Offer {
        let Some(operation) = self.operation() else {
            return Offer::Exhausted;
        };
        match view.free().next() {
            Some(thread) => {
                let at = view.time.max(self.not_before);
                Offer::Invoke(Proposal::new(thread, at, operation))
            }
            None => Offer::Pending,
        }
    }

    fn taken(&mut self, _: &View<'_>, _: &Proposal, _: &[u32]) {}

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, _: &[u32]) {
        match (self.returning, completion.outcome) {
            (false, Outcome::Ok(answer)) => {
                self.taken.push(match answer {
                    Answer::Grant(grant) => Some(grant.token),
                    _ => None,
                });
                self.returning = self.taken.len() >= TAKEN_MAX;
            }
            // Nothing was to be had, though others may have to give back before.
            (false, Outcome::Fail(reason)) if reason.code == "temporarily-unavailable" => {
                match self.taken.is_empty() {
                    true => self.failed(view.time),
                    false => self.returning = true,
                }
            }
            // The next process has not what this one took.
            (_, Outcome::Info(_)) => {
                self.taken.clear();
                self.failed(view.time);
            }
            (true, Outcome::Ok(_)) => drop(self.taken.pop()),
            (_, Outcome::Fail(_)) => self.failed(view.time),
        }
    }
}
