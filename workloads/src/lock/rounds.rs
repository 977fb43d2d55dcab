//! Round after round, on every thread.

use tribunal_results::{Answer, Grant, Nanos, Operation, Outcome, Scalar};

use super::round::{Hold, Plan, Shape};
use crate::generator::{Chance, Completion, Generator, Offer, Proposal, Seed, View};

/// How long a thread waits after something failed, so that a thread whose node is down leaves
/// the rate to others.
const FAILURE_PAUSE: Nanos = 20_000_000;

/// The rounds of all threads. Ends by itself: after `window` nanoseconds no round begins, and
/// those under way only release.
pub(super) struct Rounds {
    shape: Shape,
    window: Nanos,
    began: Option<Nanos>,
    workers: Vec<Worker>,
    /// Guarded writes so far; their values are numbers in order.
    written: i64,
    /// Holds of the last lock so far.
    last_lock_holds: u64,
}

/// What one thread is at.
struct Worker {
    /// A turn is a round.
    chance: Chance,
    stage: Stage,
    /// The lock of this round.
    lock: Option<Scalar>,
    not_before: Nanos,
}

enum Stage {
    /// Between rounds, or the first operation of a round is under way.
    Outside,
    /// Has a place in the queue.
    Queued(u64),
    /// Has the lock.
    Inside(Hold),
}

impl Worker {
    /// When it wants to go on. Nothing if it doesn't.
    fn due(&self, closing: bool) -> Option<Nanos> {
        let due = match &self.stage {
            Stage::Outside if closing => return None,
            Stage::Outside | Stage::Queued(_) => 0,
            Stage::Inside(hold) => hold.due(closing)?,
        };
        Some(due.max(self.not_before))
    }

    /// Ends the round.
    fn rest(&mut self, until: Nanos) {
        self.chance.advance();
        self.stage = Stage::Outside;
        self.lock = None;
        self.not_before = until;
    }
}

impl Rounds {
    pub(super) fn new(seed: Seed, threads: usize, shape: Shape, window: Nanos) -> Self {
        let worker = |thread| Worker {
            chance: Chance::new(seed.numbered(thread as u64)),
            stage: Stage::Outside,
            lock: None,
            not_before: 0,
        };
        Self {
            shape,
            window,
            began: None,
            workers: (0..threads).map(worker).collect(),
            written: 0,
            last_lock_holds: 0,
        }
    }

    fn closing(&self, now: Nanos) -> bool {
        self.began
            .is_some_and(|began| now >= began.saturating_add(self.window))
    }

    fn operation(&self, worker: &Worker, now: Nanos) -> Option<Operation> {
        let closing = self.closing(now);
        match &worker.stage {
            Stage::Outside => self.beginning(worker, now),
            Stage::Queued(ticket) => Some(Operation::Acquire {
                lock: worker.lock.clone()?,
                ticket: Some(*ticket),
            }),
            Stage::Inside(hold) => hold.operation(closing, Scalar::Int(self.written + 1)),
        }
    }

    /// The first operation of a round.
    fn beginning(&self, worker: &Worker, now: Nanos) -> Option<Operation> {
        let plan = Plan::draw(&self.shape, &worker.chance);
        if let Some(victim) = plan
            .stranger
            .and_then(|pick| self.hold_of_another(pick, now))
        {
            return Some(Operation::Release {
                lock: victim.lock.clone(),
                token: victim.token,
            });
        }
        let lock = self.uncrowded(plan.lock)?.clone();
        Some(match plan.at_once {
            true => Operation::TryAcquire { lock },
            false => Operation::Request { lock },
        })
    }

    /// One of the holds at this moment; whoever asks is outside, so it is another's.
    fn hold_of_another(&self, pick: u64, now: Nanos) -> Option<&Hold> {
        let holds = || {
            self.workers
                .iter()
                .filter_map(|worker| match &worker.stage {
                    Stage::Inside(hold) => Some(hold),
                    _ => None,
                })
        };
        let i = pick.checked_rem(holds().count() as u64)?;
        holds().nth(i as usize)
    }

    /// A thread has got its lock.
    fn enter(&mut self, thread: usize, grant: Grant, now: Nanos) {
        let Some(worker) = self.workers.get_mut(thread) else {
            return;
        };
        let Some(lock) = worker.lock.clone() else {
            return;
        };
        let is_last = self.shape.locks.last() == Some(&lock);
        let long = is_last && evenly(self.last_lock_holds, self.shape.long_share);
        self.last_lock_holds += u64::from(is_last);
        let plan = Plan::draw(&self.shape, &worker.chance);
        let hold = Hold::new(&plan, &self.shape, lock, grant, now, long);
        match hold.is_over() {
            true => worker.rest(now),
            false => worker.stage = Stage::Inside(hold),
        }
    }

    /// The preferred lock, or the next one that has not got its share of the threads yet: or else
    /// all threads would end up waiting for the lock that is held the longest.
    fn uncrowded(&self, preferred: usize) -> Option<&Scalar> {
        let locks = &self.shape.locks;
        let share = self.workers.len().div_ceil(locks.len()).max(2);
        let crowd = |lock: &Scalar| {
            let workers = self.workers.iter();
            workers.filter(|w| w.lock.as_ref() == Some(lock)).count()
        };
        let (before, after) = locks.split_at(preferred.min(locks.len()));
        let mut in_order = after.iter().chain(before);
        in_order
            .find(|lock| crowd(lock) < share)
            .or(locks.get(preferred))
    }
}

/// Whether number `n` is one of a share of all numbers that is spread evenly. Not by chance, so
/// that a short run has its share too.
fn evenly(n: u64, share: f64) -> bool {
    let before = |n: u64| (n as f64 * share + 0.5).floor();
    before(n + 1) > before(n)
}

impl Generator for Rounds {
    fn offer(&self, view: &View<'_>) -> Offer {
        let closing = self.closing(view.time);
        let mut soonest: Option<(Nanos, usize, &Worker)> = None;
        for thread in view.free() {
            let worker = self.workers.get(thread - view.range.start);
            if let Some((due, worker)) = worker.and_then(|w| Some((w.due(closing)?, w)))
                && soonest.is_none_or(|(best, ..)| due.max(view.time) < best)
            {
                soonest = Some((due.max(view.time), thread, worker));
            }
        }
        let proposal = soonest.and_then(|(due, thread, worker)| {
            Some(Proposal::new(
                thread,
                due,
                self.operation(worker, view.time)?,
            ))
        });
        match proposal {
            Some(proposal) => Offer::Invoke(proposal),
            None if view.all_free() => Offer::Exhausted,
            None => Offer::Pending,
        }
    }

    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, _: &[u32]) {
        self.began.get_or_insert(view.time);
        let Some(worker) = self.workers.get_mut(proposal.thread - view.range.start) else {
            return;
        };
        if let Operation::GuardedWrite { .. } = proposal.operation {
            self.written += 1;
        }
        match (&mut worker.stage, &proposal.operation) {
            (Stage::Inside(hold), operation) => hold.taken(operation),
            (Stage::Outside, Operation::Request { lock } | Operation::TryAcquire { lock }) => {
                worker.lock = Some(lock.clone());
            }
            _ => {}
        }
    }

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, _: &[u32]) {
        let thread = completion.thread - view.range.start;
        let Some(worker) = self.workers.get_mut(thread) else {
            return;
        };
        match (&mut worker.stage, completion.outcome) {
            // The thread goes on as another process, which holds nothing.
            (_, Outcome::Info(_)) => worker.rest(view.time),
            (Stage::Inside(hold), outcome) => {
                hold.ended(completion.operation, outcome, view.time);
                if hold.is_over() {
                    worker.rest(view.time);
                }
            }
            (Stage::Outside, Outcome::Ok(Answer::Ticket(ticket))) => {
                worker.stage = Stage::Queued(*ticket);
            }
            (_, Outcome::Ok(Answer::Grant(grant))) => self.enter(thread, *grant, view.time),
            (_, Outcome::Ok(_)) => worker.rest(view.time),
            (_, Outcome::Fail(_)) => worker.rest(view.time + FAILURE_PAUSE),
        }
    }
}
