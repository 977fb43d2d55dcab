//! Round after round, on every thread.

use tribunal_results::{Answer, Grant, Nanos, Operation, Outcome, Scalar};

use super::round::{Hold, Plan, Shape, refused};
use crate::generator::{Chance, Completion, Generator, Offer, Proposal, Seed, View};

/// How long a thread waits after something failed, so that a thread whose node is down leaves
/// the rate to others.
const FAILURE_PAUSE: Nanos = 20_000_000;

/// How often a thread asks for the lock with one ticket.
const ACQUIRES_MAX: u32 = 5;

/// Threads crowd the locks so that none is ever free for a thread that only tries. So at the end
/// of each period there is a lull, in which the queues run dry and only tries begin.
const LULL_PERIOD: Nanos = 600_000_000;
const LULL: Nanos = 150_000_000;

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
    /// What is chosen for this round, or the next.
    plan: Plan,
    stage: Stage,
    /// The lock of this round.
    lock: Option<Scalar>,
    not_before: Nanos,
}

enum Stage {
    /// Between rounds, or the first operation of a round is under way.
    Outside,
    /// Has a place in the queue, and may ask so many times more.
    Queued { ticket: u64, attempts_left: u32 },
    /// Has the lock.
    Inside(Hold),
}

impl Worker {
    fn new(chance: Chance, shape: &Shape) -> Self {
        Self {
            chance,
            plan: Plan::draw(shape, &chance),
            stage: Stage::Outside,
            lock: None,
            not_before: 0,
        }
    }

    /// Ends the round.
    fn rest(&mut self, shape: &Shape, until: Nanos) {
        self.chance.advance();
        *self = Self {
            not_before: until,
            ..Self::new(self.chance, shape)
        };
    }
}

impl Rounds {
    pub(super) fn new(seed: Seed, threads: usize, shape: Shape, window: Nanos) -> Self {
        let worker = |thread| Worker::new(Chance::new(seed.numbered(thread as u64)), &shape);
        Self {
            workers: (0..threads).map(worker).collect(),
            shape,
            window,
            began: None,
            written: 0,
            last_lock_holds: 0,
        }
    }

    fn closing(&self, now: Nanos) -> bool {
        self.began
            .is_some_and(|began| now >= began.saturating_add(self.window))
    }

    /// When a worker wants to go on. Nothing if it doesn't.
    fn due(&self, worker: &Worker, now: Nanos) -> Option<Nanos> {
        let closing = self.closing(now);
        let due = match &worker.stage {
            Stage::Outside if closing => return None,
            Stage::Outside => self.begins(&worker.plan, worker.not_before.max(now)),
            Stage::Queued { .. } => now,
            Stage::Inside(hold) => hold.due(closing)?,
        };
        Some(due.max(worker.not_before).max(now))
    }

    /// When a round that could begin at `time` does begin.
    fn begins(&self, plan: &Plan, time: Nanos) -> Nanos {
        let elapsed = time.saturating_sub(self.began.unwrap_or(time)) % LULL_PERIOD;
        let lull = self.shape.try_share > 0.0 && elapsed >= LULL_PERIOD - LULL;
        let waits = match plan.at_once {
            true => plan.patient && self.shape.locks.iter().all(|lock| self.crowd(lock) > 0),
            false => lull,
        };
        // Until the end of the lull; sooner if something happens.
        time + if waits { LULL_PERIOD - elapsed } else { 0 }
    }

    fn operation(&self, worker: &Worker, now: Nanos) -> Option<Operation> {
        let closing = self.closing(now);
        match &worker.stage {
            Stage::Outside => self.beginning(worker, now),
            Stage::Queued { ticket, .. } => Some(Operation::Acquire {
                lock: worker.lock.clone()?,
                ticket: Some(*ticket),
            }),
            Stage::Inside(hold) => hold.operation(closing, Scalar::Int(self.written + 1)),
        }
    }

    /// The first operation of a round.
    fn beginning(&self, worker: &Worker, now: Nanos) -> Option<Operation> {
        let plan = &worker.plan;
        let victim = plan.stranger;
        if let Some(victim) = victim.and_then(|pick| self.hold_of_another(pick, now)) {
            return Some(Operation::Release {
                lock: victim.lock.clone(),
                token: victim.token,
            });
        }
        let share = self.workers.len().div_ceil(self.shape.locks.len()).max(2);
        Some(match plan.at_once {
            // A lock that nobody else asks for, or else it would never be free.
            true => Operation::TryAcquire {
                lock: self.uncrowded(plan.lock, 1)?.clone(),
            },
            false => Operation::Request {
                lock: self.uncrowded(plan.lock, share)?.clone(),
            },
        })
    }

    /// One of the holds at this moment; whoever asks is outside, so it is another's.
    fn hold_of_another(&self, pick: u64, now: Nanos) -> Option<&Hold> {
        let holds = || {
            self.workers
                .iter()
                .filter_map(|worker| match &worker.stage {
                    Stage::Inside(hold) if hold.is_live(now) => Some(hold),
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
        let hold = Hold::new(&worker.plan, &self.shape, lock, grant, now, long);
        match hold.is_over() {
            true => worker.rest(&self.shape, now),
            false => worker.stage = Stage::Inside(hold),
        }
    }

    /// How many threads have to do with a lock.
    fn crowd(&self, lock: &Scalar) -> usize {
        let workers = self.workers.iter();
        workers.filter(|w| w.lock.as_ref() == Some(lock)).count()
    }

    /// The preferred lock, or the next one that has not got its share of the threads yet: or else
    /// all threads would end up waiting for the lock that is held the longest.
    fn uncrowded(&self, preferred: usize, share: usize) -> Option<&Scalar> {
        let locks = &self.shape.locks;
        let (before, after) = locks.split_at(preferred.min(locks.len()));
        let mut in_order = after.iter().chain(before);
        in_order
            .find(|lock| self.crowd(lock) < share)
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
        let mut soonest: Option<(Nanos, usize, &Worker)> = None;
        for thread in view.free() {
            let worker = self.workers.get(thread - view.range.start);
            if let Some((due, worker)) = worker.and_then(|w| Some((self.due(w, view.time)?, w)))
                && soonest.is_none_or(|(best, ..)| due < best)
            {
                soonest = Some((due, thread, worker));
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
            (_, Outcome::Info(_)) => worker.rest(&self.shape, view.time),
            (Stage::Inside(hold), outcome) => {
                hold.ended(completion.operation, outcome, view.time);
                if hold.is_over() {
                    let rest = worker.plan.rest(&self.shape);
                    worker.rest(&self.shape, view.time.saturating_add(rest));
                }
            }
            (Stage::Outside, Outcome::Ok(Answer::Ticket(ticket))) => {
                worker.stage = Stage::Queued {
                    ticket: *ticket,
                    attempts_left: ACQUIRES_MAX,
                };
            }
            (_, Outcome::Ok(Answer::Grant(grant))) => self.enter(thread, *grant, view.time),
            (_, Outcome::Ok(_)) => worker.rest(&self.shape, view.time),
            // It never got through, and a place that nobody claims would block the lock.
            (Stage::Queued { attempts_left, .. }, Outcome::Fail(reason))
                if *attempts_left > 1 && !refused(reason) =>
            {
                *attempts_left -= 1;
                worker.not_before = view.time + FAILURE_PAUSE;
            }
            (_, Outcome::Fail(_)) => worker.rest(&self.shape, view.time + FAILURE_PAUSE),
        }
    }
}
