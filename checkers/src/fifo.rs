//! `fifo`: who asked first is granted first.
//!
//! If request *A* was acknowledged before request *B* was asked for, *A* stood before *B* in the
//! queue; so *A*, if it is granted at all, is granted first. *B* overtook *A* if *B*'s certain
//! hold was over before *A*'s began: suppose that *A* was granted first; it held the lock in one
//! stretch until its certain hold at least, so by mutual exclusion *B* was granted after that, and
//! *B*'s certain hold cannot have been over before. A try-acquire asks and is granted in one, and
//! may not pass a queue either.

use rustc_hash::FxHashMap;
use tribunal_results::{Anomaly, Assumptions, Call, History, Operation, Record, Verdict};

use crate::locks::{self, Book, Change, Hold, Lock, Past};
use crate::{Budget, Checker, Fold, Moment, explain, stream};

/// The checker.
pub struct Fifo;

const NAME: &str = "fifo";

impl Checker for Fifo {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "a lock is granted in the order of acknowledged requests (first come, first served: \
         Lamport 1974)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["overtaking"]
    }

    fn blind_to(&self) -> &'static str {
        "the order of requests that overlap; who was passed over and never granted"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        stream::fold(Queues::new(&record.assume), &record.history)
    }

    fn fold(&self, assume: &Assumptions, _: Budget) -> Option<Box<dyn Fold>> {
        Some(Box::new(Queues::new(assume)))
    }
}

struct Queues {
    book: Book,
    locks: Vec<Queue>,
    found: Vec<Overtaking>,
}

/// What was seen of one lock's queue.
#[derive(Default)]
struct Queue {
    past: Past,
    /// Of holds that may become certain: the one that was before, as in [`Overtaking`].
    doubtful: FxHashMap<usize, usize>,
}

struct Overtaking {
    lock: usize,
    /// Holds of that lock.
    passed: usize,
    by: usize,
}

impl Queues {
    fn new(assume: &Assumptions) -> Self {
        Self {
            book: Book::new(assume),
            locks: Vec::new(),
            found: Vec::new(),
        }
    }
}

impl Queue {
    /// Of the holds that were over before a hold began, the last to be asked for: did it come
    /// after that one's acknowledgement? The holds that passed and that were passed.
    fn step(&mut self, lock: &Lock, change: Change, now: locks::Point) -> Option<(usize, usize)> {
        let last = self.past.largest(lock, now, |hold| hold.asked);
        self.past.step(lock, change, now);
        match change {
            Change::Began(at) => {
                let hold = lock.holds.get(at)?;
                let acknowledged = hold.acknowledged?;
                let (_, by) = last.filter(|(asked, _)| *asked > acknowledged)?;
                if hold.is_certain() {
                    return Some((at, by));
                }
                self.doubtful.insert(at, by);
                None
            }
            Change::Kept { hold: at, .. } if lock.holds.get(at)?.is_certain() => {
                Some((at, self.doubtful.remove(&at)?))
            }
            _ => None,
        }
    }
}

impl Fold for Queues {
    fn step(&mut self, history: &History, moment: Moment) {
        let Some((id, Some(change))) = self.book.step(history, moment) else {
            return;
        };
        self.locks
            .resize_with(self.book.locks.len(), Queue::default);
        let (Moment::Called(place) | Moment::Returned(place)) = moment;
        if let (Some(lock), Some(queue), Some(call)) = (
            self.book.locks.get(id),
            self.locks.get_mut(id),
            locks::call(history, place),
        ) && let Some((passed, by)) = queue.step(lock, change, locks::now(call, moment))
        {
            self.found.push(Overtaking {
                lock: id,
                passed,
                by,
            });
        }
    }

    fn contradicted(&self) -> bool {
        !self.found.is_empty()
    }

    fn verdict(&self, history: &History) -> Verdict {
        let locks = &self.book.locks;
        let (mut grants, mut contended) = (0, 0);
        for lock in locks {
            let asked = |hold: &&Hold| hold.is_certain() && hold.asked.is_some();
            let holds: Vec<&Hold> = lock.holds.iter().filter(asked).collect();
            grants += holds.len();
            contended += waited(&holds);
        }
        let tell = |found: &Overtaking| overtaking(history, &self.book, found);
        let anomalies = locks::told(self.found.iter(), tell);
        verdict(anomalies, self.found.len(), grants, contended)
    }
}

fn verdict(anomalies: Vec<Anomaly>, total: usize, grants: usize, contended: usize) -> Verdict {
    let verdict = if !anomalies.is_empty() {
        Verdict::invalid(NAME, anomalies, total as u64)
    } else if contended == 0 {
        let text = format!(
            "{}, but none was asked for while another waited",
            explain::count(grants, "grant")
        );
        Verdict::unknown(NAME, "vacuous", text)
    } else {
        let grants = explain::count(grants, "grant");
        Verdict::valid(
            NAME,
            format!(
                "{grants}, and nobody overtook any of the {contended} that others queued behind"
            ),
        )
    };
    verdict
        .figure("grants", grants)
        .figure("contended", contended)
}

/// How many holds waited, acknowledged, while another that was granted in the end was asked for.
fn waited(holds: &[&Hold]) -> usize {
    let mut asked: Vec<u64> = holds.iter().filter_map(|hold| hold.asked).collect();
    asked.sort_unstable();
    let waited = |hold: &&&Hold| {
        let Some(from) = hold.acknowledged else {
            return false;
        };
        let next = asked.partition_point(|&at| at <= from);
        asked.get(next).is_some_and(|&at| at < hold.from.1)
    };
    holds.iter().filter(waited).count()
}

fn overtaking(history: &History, book: &Book, found: &Overtaking) -> Option<Anomaly> {
    let lock = book.locks.get(found.lock)?;
    let (passed, by) = (lock.holds.get(found.passed)?, lock.holds.get(found.by)?);
    let request = locks::call(history, passed.request?)?;
    let asked = locks::call(history, by.asked_by())?;
    let sentence = format!(
        "p{} overtook p{} at lock {}: it asked at {}, after p{}'s request was acknowledged \
         at {}, and held the lock at {}, before p{} did at {}",
        by.process,
        passed.process,
        lock.name,
        explain::seconds(asked.invoked.time),
        passed.process,
        explain::seconds(explain::ended(request)),
        explain::seconds(by.from.0),
        passed.process,
        explain::seconds(passed.from.0),
    );
    let then = match asked.operation {
        Operation::TryAcquire { .. } => "it may only succeed if nobody waits",
        _ => "its place is further back",
    };
    let mut facts = vec![
        format!(
            "{}: p{} had its place in the queue.",
            explain::returned(request),
            passed.process
        ),
        format!("{}, after that: {then}.", explain::invoked(asked)),
    ];
    let mut calls: Vec<&Call> = vec![request, asked];
    for hold in [by, passed] {
        let grant = locks::call(history, hold.grant)?;
        let (kept, why) = hold.kept(history, book.clocks, hold.from, hold.from.0);
        calls.push(grant);
        calls.extend(kept);
        facts.push(format!("{}.", hold.sentence(grant)));
        facts.extend(why);
    }
    Some(locks::anomaly(
        "overtaking",
        &lock.name,
        sentence,
        &calls,
        facts,
    ))
}
