//! Delta debugging: the fewest of many things that still do it (Zeller and Hildebrandt,
//! *Simplifying and isolating failure-inducing input*, 2002), by removing ever smaller parts.

/// A search that proposes, and is told what became of it.
#[derive(Clone, Debug)]
pub(super) struct Ddmin<T> {
    kept: Vec<T>,
    /// Into how many parts they are divided.
    parts: usize,
    /// The part that is removed next.
    next: usize,
    /// How many parts in a row could not be removed.
    rejected: usize,
}

impl<T: Clone> Ddmin<T> {
    /// All of these do it.
    pub(super) fn of(all: Vec<T>) -> Self {
        Self {
            kept: all,
            parts: 2,
            next: 0,
            rejected: 0,
        }
    }

    /// What to try next; none if no single one can be removed any more.
    pub(super) fn propose(&self) -> Option<Vec<T>> {
        let count = self.kept.len();
        if count < 2 || self.rejected >= self.parts {
            return None;
        }
        let (from, to) = (self.next * count, (self.next + 1) * count);
        let removed = (from / self.parts)..(to / self.parts);
        let rest = self.kept.iter().enumerate();
        let rest = rest.filter(|(i, _)| !removed.contains(i));
        Some(rest.map(|(_, item)| item.clone()).collect())
    }

    /// What was proposed does it, too.
    pub(super) fn accept(&mut self) {
        if let Some(proposed) = self.propose() {
            self.kept = proposed;
            // As many parts as before, less the one removed; none of them empty.
            let most = self.kept.len().max(2);
            self.parts = (self.parts - 1).clamp(2, most);
            self.next %= self.parts;
            self.rejected = 0;
        }
    }

    /// What was proposed does not.
    pub(super) fn reject(&mut self) {
        self.next = (self.next + 1) % self.parts;
        self.rejected += 1;
        if self.rejected >= self.parts && self.parts < self.kept.len() {
            self.parts = (self.parts * 2).min(self.kept.len());
            (self.next, self.rejected) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The search's end among the numbers below `n`, where all of `needed` do it; and how many
    /// were tried.
    fn minimum(n: u32, needed: &[u32]) -> (Vec<u32>, usize) {
        let mut search = Ddmin::of((0..n).collect());
        let mut tried = 0;
        while let Some(proposed) = search.propose() {
            tried += 1;
            match needed.iter().all(|number| proposed.contains(number)) {
                true => search.accept(),
                false => search.reject(),
            }
        }
        (search.kept, tried)
    }

    #[test]
    fn exactly_what_is_needed_is_left() {
        for needed in [&[17][..], &[0, 19], &[3, 4, 5], &[0, 7, 13, 19]] {
            let (left, tried) = minimum(20, needed);
            assert_eq!(left, needed);
            assert!(tried <= 60, "{needed:?} took {tried}");
        }
    }

    #[test]
    fn one_of_many_is_found_by_halving() {
        for needed in 0..64 {
            let (left, tried) = minimum(64, &[needed]);
            assert_eq!(left, [needed]);
            assert!(tried <= 14, "{needed} took {tried}");
        }
    }

    #[test]
    fn what_is_needed_as_a_whole_stays() {
        let all: Vec<u32> = (0..9).collect();
        assert_eq!(minimum(9, &all).0, all);
        assert_eq!(minimum(1, &[0]).0, [0]);
    }
}
