//! Judging objects on several threads, ahead of the account that is kept of them in their order.
//!
//! What an object comes to depends on what those before it left of the budget, which nobody knows
//! ahead. But an object that is verified within a part of the budget would be verified, by the
//! same steps, with all that is left, if those steps are; so such results are kept for the
//! account, and every other object is judged again when it is its turn. The verdict is that of
//! one thread therefore, whatever was found ahead.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::tally::{Done, Tally};
use super::{Court, Judged, OPERATION_BYTES};
use crate::Budget;

/// The part of all steps that may go into one object ahead of its turn: it may be in vain.
const STEPS_PART: u64 = 8;
/// More bytes than a step of a search takes. The steps are so few that memory never runs out
/// before they do, since what a search does then depends on how much there was.
const STEP_BYTES: u64 = 1 << 10;

/// What became of each object, where that is known ahead of its turn.
pub(super) fn judge(court: &Court<'_>, all: &[Judged<'_>], threads: usize) -> Vec<Option<Done>> {
    let mut known: Vec<Option<Done>> = Vec::new();
    known.resize_with(all.len(), || None);
    let threads = threads.min(all.len());
    if threads < 2 {
        return known;
    }
    let ahead = Ahead {
        court,
        all,
        bytes: court.budget.bytes / threads as u64,
        taken: AtomicUsize::new(0),
        spent: AtomicU64::new(0),
    };
    let found = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| ahead.work())).collect();
        let mut found = ahead.work();
        for other in others {
            // If it panicked, so will this thread when it is the object's turn.
            found.extend(other.join().unwrap_or_default());
        }
        found
    });
    for (at, done) in found {
        if let Some(place) = known.get_mut(at) {
            *place = Some(done);
        }
    }
    known
}

struct Ahead<'c, 'a> {
    court: &'c Court<'a>,
    all: &'c [Judged<'a>],
    /// The memory of one thread.
    bytes: u64,
    /// How many objects were taken, the longest first, so that all threads end together.
    taken: AtomicUsize,
    spent: AtomicU64,
}

impl Ahead<'_, '_> {
    /// Judges objects while there are more, as long as that may be of use.
    fn work(&self) -> Vec<(usize, Done)> {
        let mut found = Vec::new();
        while self.spent.load(Ordering::Relaxed) <= self.court.budget.steps {
            let taken = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
            let at = self.all.len().checked_sub(taken);
            let Some((at, object)) = at.and_then(|at| Some((at, self.all.get(at)?))) else {
                break;
            };
            let mut tally = Tally::new(0);
            if let Some(budget) = self.part(object) {
                let court = Court {
                    budget,
                    ..*self.court
                };
                court.judge(object, &mut tally);
                self.spent.fetch_add(tally.done.steps, Ordering::Relaxed);
                found.extend(tally.is_verified().then_some((at, tally.done)));
            }
        }
        found
    }

    /// What may be spent on an object; `None` if it needs more memory.
    fn part(&self, object: &Judged<'_>) -> Option<Budget> {
        let operations = object.len() as u64;
        let steps = self.court.budget.steps / STEPS_PART;
        (operations * OPERATION_BYTES as u64 <= self.bytes).then_some(Budget {
            // Without search there is less than one step to an operation.
            steps: steps.min(self.bytes / STEP_BYTES) + operations + 1,
            bytes: self.bytes,
        })
    }
}
