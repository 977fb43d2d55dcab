//! A total rate.

use rand::RngExt;
use tribunal_results::Nanos;

use super::{Chance, Completion, Generator, Offer, Proposal, Seed, View};

/// How many operations may be made up for in one burst when invoking has fallen behind.
const BURST_MAX: f64 = 16.0;

/// Spreads the child's operations over time: so many a second in all, however many threads there
/// are. The times are scheduled one from another (each follows the one *scheduled* before after
/// an exponentially distributed gap, as arrivals of independent clients do), so that a delay is
/// made up for, by a burst that is bounded.
pub struct Stagger<G> {
    child: G,
    gap_mean: f64,
    exponential: bool,
    /// When the next operation is scheduled; nothing before the first.
    next: Option<Nanos>,
    chance: Chance,
}

impl<G: Generator> Stagger<G> {
    /// `rate` operations a second on average. A rate that is no positive number means as fast as
    /// threads allow.
    pub fn new(seed: Seed, rate: f64, child: G) -> Self {
        let gap_mean = if rate > 0.0 && rate.is_finite() {
            1e9 / rate
        } else {
            0.0
        };
        Self {
            child,
            gap_mean,
            exponential: true,
            next: None,
            chance: Chance::new(seed),
        }
    }

    /// One operation each `gap`, exactly.
    pub const fn every(gap: Nanos, child: G) -> Self {
        Self {
            child,
            gap_mean: gap as f64,
            exponential: false,
            next: None,
            chance: Chance::new(Seed::new(0)),
        }
    }

    /// The gap after this turn's operation: by inversion of the exponential distribution.
    fn gap(&self) -> f64 {
        if !self.exponential {
            return self.gap_mean;
        }
        let share: f64 = self.chance.draws().random();
        -(1.0 - share).ln() * self.gap_mean
    }
}

impl<G: Generator> Generator for Stagger<G> {
    fn offer(&self, view: &View<'_>) -> Offer {
        match self.child.offer(view) {
            Offer::Invoke(mut proposal) => {
                proposal.at = proposal.at.max(self.next.unwrap_or(0));
                Offer::Invoke(proposal)
            }
            other => other,
        }
    }

    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]) {
        let earliest = view
            .time
            .saturating_sub((BURST_MAX * self.gap_mean) as Nanos);
        let scheduled = self.next.unwrap_or(view.time).max(earliest);
        self.next = Some(scheduled + self.gap() as Nanos);
        self.chance.advance();
        self.child.taken(view, proposal, route);
    }

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, route: &[u32]) {
        self.child.completed(view, completion, route);
    }
}
