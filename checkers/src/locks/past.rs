//! The holds of a lock that are over, and which of them ranks highest.

use std::collections::BTreeSet;

use super::{Change, Hold, Lock, Point};

/// Of all certain holds that are over by now, the one with the largest rank; the first of equals.
///
/// A hold counts as over by what is known at the moment. That its lease turns out to have been
/// renewed does not matter: whoever compares it with a hold that began later knows that it was
/// held for certain before that.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// Certain holds that are not over, by their ends.
    live: BTreeSet<(Point, usize)>,
    largest: Option<(u64, usize)>,
}

impl Past {
    /// The largest of those that were over at a point no earlier than any that was asked for.
    pub(crate) fn largest(
        &mut self,
        lock: &Lock,
        now: Point,
        rank: impl Fn(&Hold) -> Option<u64>,
    ) -> Option<(u64, usize)> {
        while let Some((until, hold)) = self.live.first().copied().filter(|live| live.0 <= now) {
            self.live.remove(&(until, hold));
            let rank = lock.holds.get(hold).and_then(&rank);
            if let Some(rank) = rank
                && self.largest.is_none_or(|(largest, _)| largest < rank)
            {
                self.largest = Some((rank, hold));
            }
        }
        self.largest
    }

    /// Takes in what changed at a point. Ask for the largest before.
    pub(crate) fn step(&mut self, lock: &Lock, change: Change, now: Point) {
        let (at, before) = match change {
            Change::Began(at) => (at, None),
            Change::Kept { hold, before } => (hold, Some(before)),
            Change::Left(at) => {
                let leased = lock.holds.get(at).map(|hold| (hold.leased_until, 0));
                (at, leased)
            }
            Change::Answered(_) => return,
        };
        let Some(hold) = lock.holds.get(at) else {
            return;
        };
        let was_live = before.is_some_and(|before| self.live.remove(&(before, at)));
        // One that was over stays so; one that was never certain may become so.
        let begins = before.is_none_or(|before| before <= hold.from);
        if hold.is_certain() && (was_live || (begins && now < hold.until())) {
            self.live.insert((hold.until(), at));
        }
    }
}
