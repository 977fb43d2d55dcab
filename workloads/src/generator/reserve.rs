//! Threads reserved for each child.

use std::ops::Range;

use super::soonest::Soonest;
use super::{Chance, Completion, Generator, Offer, Proposal, Seed, View, follow};

/// Gives each child threads of its own, so that (for example) blocked writes can't starve reads.
/// The soonest proposal wins; of equally soon ones each with a probability in proportion to its
/// number of threads. Ends when all have ended.
pub struct Reserve {
    parts: Vec<(usize, Box<dyn Generator>)>,
    chance: Chance,
}

impl Reserve {
    /// The first threads of the range for the first part, and so on; whatever is left over for
    /// `rest`.
    pub fn new(
        seed: Seed,
        mut parts: Vec<(usize, Box<dyn Generator>)>,
        rest: Box<dyn Generator>,
    ) -> Self {
        parts.push((usize::MAX, rest));
        Self {
            parts,
            chance: Chance::new(seed),
        }
    }

    fn range(&self, view: &View<'_>, part: usize) -> Range<usize> {
        let start = self.parts.iter().take(part);
        let start = start.fold(view.range.start, |sum, (count, _)| {
            sum.saturating_add(*count)
        });
        let count = self.parts.get(part).map_or(0, |(count, _)| *count);
        start.min(view.range.end)..start.saturating_add(count).min(view.range.end)
    }
}

impl Generator for Reserve {
    fn offer(&self, view: &View<'_>) -> Offer {
        let mut soonest = Soonest::new(&self.chance);
        for (i, (_, child)) in self.parts.iter().enumerate() {
            let range = self.range(view, i);
            // A part without threads would be pending for ever.
            if !range.is_empty() {
                soonest.show(i, range.len(), child.offer(&view.narrowed(range)));
            }
        }
        soonest.offer()
    }

    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]) {
        self.chance.advance();
        let Some((i, rest)) = follow(route) else {
            return;
        };
        let view = view.narrowed(self.range(view, i));
        if let Some((_, child)) = self.parts.get_mut(i) {
            child.taken(&view, proposal, rest);
        }
    }

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, route: &[u32]) {
        let Some((i, rest)) = follow(route) else {
            return;
        };
        let view = view.narrowed(self.range(view, i));
        if let Some((_, child)) = self.parts.get_mut(i) {
            child.completed(&view, completion, rest);
        }
    }
}
