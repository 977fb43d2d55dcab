//! So many operations.

use super::{Completion, Generator, Offer, Proposal, View};

/// At most so many of the child's operations.
pub struct Limit<G> {
    left: u64,
    child: G,
}

impl<G: Generator> Limit<G> {
    /// At most `operations` of the child's.
    pub const fn new(operations: u64, child: G) -> Self {
        Self {
            left: operations,
            child,
        }
    }

    /// One of the child's operations.
    pub const fn once(child: G) -> Self {
        Self::new(1, child)
    }
}

impl<G: Generator> Generator for Limit<G> {
    fn offer(&self, view: &View<'_>) -> Offer {
        match self.left {
            0 => Offer::Exhausted,
            _ => self.child.offer(view),
        }
    }

    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]) {
        self.left = self.left.saturating_sub(1);
        self.child.taken(view, proposal, route);
    }

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, route: &[u32]) {
        self.child.completed(view, completion, route);
    }
}
