//! A rest before anything else.

use std::cell::OnceCell;

use tribunal_results::Nanos;

use super::{Completion, Generator, Offer, Proposal, View};

/// Lets the child begin only so long after it was first asked: time for a system to settle.
pub struct Rest<G> {
    pause: Nanos,
    /// When it is over; known once somebody asked.
    over: OnceCell<Nanos>,
    child: G,
}

impl<G: Generator> Rest<G> {
    /// Nothing for `pause` nanoseconds, and then the child.
    pub const fn new(pause: Nanos, child: G) -> Self {
        Self {
            pause,
            over: OnceCell::new(),
            child,
        }
    }
}

impl<G: Generator> Generator for Rest<G> {
    fn offer(&self, view: &View<'_>) -> Offer {
        let over = *self
            .over
            .get_or_init(|| view.time.saturating_add(self.pause));
        match self.child.offer(view) {
            Offer::Invoke(mut proposal) => {
                proposal.at = proposal.at.max(over);
                Offer::Invoke(proposal)
            }
            other => other,
        }
    }

    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]) {
        self.child.taken(view, proposal, route);
    }

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, route: &[u32]) {
        self.child.completed(view, completion, route);
    }
}
