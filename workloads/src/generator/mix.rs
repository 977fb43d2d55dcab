//! A weighted choice for each operation.

use smallvec::SmallVec;

use super::{Chance, Completion, Generator, Offer, Proposal, Seed, View, follow};

/// Chooses a child for each operation with a probability in proportion to its weight. A child
/// that has nothing to propose now doesn't block the others: they are tried in an order drawn by
/// the same weights, and only if none has anything for now the soonest is proposed. Ends when all
/// have ended.
pub struct Mix {
    children: Vec<(u32, Box<dyn Generator>)>,
    chance: Chance,
}

impl Mix {
    /// Of these children, with their weights. A child of weight 0 is left out.
    pub fn new(seed: Seed, mut children: Vec<(u32, Box<dyn Generator>)>) -> Self {
        children.retain(|(weight, _)| *weight > 0);
        Self {
            children,
            chance: Chance::new(seed),
        }
    }

    /// Draws one of the children that were not tried yet.
    fn draw(&self, tried: &[bool], draw: u64) -> Option<usize> {
        let left = || {
            let children = self.children.iter().zip(tried).enumerate();
            children.filter(|(_, (_, tried))| !**tried)
        };
        let total: u64 = left().map(|(_, ((weight, _), _))| u64::from(*weight)).sum();
        let mut point = draw.checked_rem(total)?;
        for (i, ((weight, _), _)) in left() {
            match point.checked_sub(u64::from(*weight)) {
                Some(rest) => point = rest,
                None => return Some(i),
            }
        }
        None
    }
}

impl Generator for Mix {
    fn offer(&self, view: &View<'_>) -> Offer {
        let mut tried: SmallVec<[bool; 16]> = SmallVec::from_elem(false, self.children.len());
        let mut best: Option<Proposal> = None;
        let mut pending = false;
        for n in 0..self.children.len() as u64 {
            let Some(i) = self.draw(&tried, self.chance.number(n)) else {
                break;
            };
            tried[i] = true;
            match self.children[i].1.offer(view) {
                Offer::Invoke(proposal) if proposal.at <= view.time => {
                    return Offer::Invoke(proposal.through(i));
                }
                Offer::Invoke(proposal) => {
                    if best.as_ref().is_none_or(|best| proposal.at < best.at) {
                        best = Some(proposal.through(i));
                    }
                }
                Offer::Pending => pending = true,
                Offer::Exhausted => {}
            }
        }
        match best {
            Some(proposal) => Offer::Invoke(proposal),
            None if pending => Offer::Pending,
            None => Offer::Exhausted,
        }
    }

    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]) {
        self.chance.advance();
        if let Some((i, rest)) = follow(route)
            && let Some((_, child)) = self.children.get_mut(i)
        {
            child.taken(view, proposal, rest);
        }
    }

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, route: &[u32]) {
        if let Some((i, rest)) = follow(route)
            && let Some((_, child)) = self.children.get_mut(i)
        {
            child.completed(view, completion, rest);
        }
    }
}
