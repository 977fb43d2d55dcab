//! Choosing among the offers of several children.

use super::{Chance, Offer, Proposal};

/// Keeps the soonest of the proposals it is shown. Among equally soon ones each is kept with a
/// probability in proportion to its weight, by the turn's chance.
pub(super) struct Soonest<'a> {
    chance: &'a Chance,
    best: Option<Proposal>,
    weight: u64,
    seen: u64,
    pending: bool,
}

impl<'a> Soonest<'a> {
    /// Nothing shown yet.
    pub(super) fn new(chance: &'a Chance) -> Self {
        Self {
            chance,
            best: None,
            weight: 0,
            seen: 0,
            pending: false,
        }
    }

    /// Shows the offer of child number `child`.
    pub(super) fn show(&mut self, child: usize, weight: usize, offer: Offer) {
        self.seen += 1;
        match offer {
            Offer::Exhausted => {}
            Offer::Pending => self.pending = true,
            Offer::Invoke(proposal) => {
                if self.prefers(&proposal, weight as u64) {
                    self.best = Some(proposal.through(child));
                }
            }
        }
    }

    /// The soonest proposal; otherwise pending if any child was.
    pub(super) fn offer(self) -> Offer {
        match self.best {
            Some(proposal) => Offer::Invoke(proposal),
            None if self.pending => Offer::Pending,
            None => Offer::Exhausted,
        }
    }

    /// Reservoir sampling of one: the later of two equals replaces the earlier with the share of
    /// its weight in the weight of all equals so far.
    fn prefers(&mut self, proposal: &Proposal, weight: u64) -> bool {
        match &self.best {
            Some(best) if best.at < proposal.at => false,
            Some(best) if best.at == proposal.at => {
                self.weight += weight;
                self.weight > 0 && self.chance.number(self.seen) % self.weight < weight
            }
            _ => {
                self.weight = weight;
                true
            }
        }
    }
}
