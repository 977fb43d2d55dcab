//! Whichever child is soonest.

use super::soonest::Soonest;
use super::{Chance, Completion, Generator, Offer, Proposal, Seed, View, follow};

/// Asks every child and proposes the soonest of their proposals, ties broken by chance. Ends when
/// all have ended.
pub struct Any {
    children: Vec<Box<dyn Generator>>,
    chance: Chance,
}

impl Any {
    /// Any of these.
    pub fn new(seed: Seed, children: Vec<Box<dyn Generator>>) -> Self {
        Self {
            children,
            chance: Chance::new(seed),
        }
    }
}

impl Generator for Any {
    fn offer(&self, view: &View<'_>) -> Offer {
        let mut soonest = Soonest::new(&self.chance);
        for (i, child) in self.children.iter().enumerate() {
            soonest.show(i, 1, child.offer(view));
        }
        soonest.offer()
    }

    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]) {
        self.chance.advance();
        if let Some((i, rest)) = follow(route)
            && let Some(child) = self.children.get_mut(i)
        {
            child.taken(view, proposal, rest);
        }
    }

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, route: &[u32]) {
        if let Some((i, rest)) = follow(route)
            && let Some(child) = self.children.get_mut(i)
        {
            child.completed(view, completion, rest);
        }
    }
}
