//! Whether a lock can still be had.

use tribunal_results::{Answer, Nanos, Operation, Outcome, Scalar};

use crate::generator::{Completion, Generator, Offer, Proposal, View};

/// How often taking the lock is tried; with the pause, longer than what a few abandoned holds
/// need to lapse.
const ATTEMPTS_MAX: u64 = 60;

/// How long nothing is asked after something failed.
const PAUSE: Nanos = 200_000_000;

/// Requests, acquires and releases one lock until all three were ok in a row; on one thread.
pub(super) struct LiveCheck {
    lock: Scalar,
    stage: Stage,
    attempts_left: u64,
    not_before: Nanos,
}

#[derive(Clone, Copy)]
enum Stage {
    Request,
    Acquire(u64),
    Release(u64),
    Done,
}

impl LiveCheck {
    pub(super) const fn new(lock: Scalar) -> Self {
        Self {
            lock,
            stage: Stage::Request,
            attempts_left: ATTEMPTS_MAX,
            not_before: 0,
        }
    }
}

impl Generator for LiveCheck {
    fn offer(&self, view: &View<'_>) -> Offer {
        let lock = self.lock.clone();
        let operation = match self.stage {
            Stage::Done => return Offer::Exhausted,
            Stage::Request => Operation::Request { lock },
            Stage::Acquire(ticket) => Operation::Acquire {
                lock,
                ticket: Some(ticket),
            },
            Stage::Release(token) => Operation::Release { lock, token },
        };
        match view.free().next() {
            Some(thread) => Offer::Invoke(Proposal::new(
                thread,
                view.time.max(self.not_before),
                operation,
            )),
            None => Offer::Pending,
        }
    }

    fn taken(&mut self, _: &View<'_>, _: &Proposal, _: &[u32]) {}

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, _: &[u32]) {
        self.stage = match (self.stage, completion.outcome) {
            (_, Outcome::Ok(Answer::Ticket(ticket))) => Stage::Acquire(*ticket),
            (_, Outcome::Ok(Answer::Grant(grant))) => Stage::Release(grant.token),
            (Stage::Release(_), Outcome::Ok(_)) => Stage::Done,
            _ => {
                self.attempts_left -= 1;
                self.not_before = view.time + PAUSE;
                match self.attempts_left {
                    0 => Stage::Done,
                    _ => Stage::Request,
                }
            }
        };
    }
}
