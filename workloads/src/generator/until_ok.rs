//! Again until one succeeds.

use tribunal_results::{Nanos, Outcome};

use super::{Completion, Generator, Offer, Proposal, View};

/// Lets the child propose until one of *its own* operations is ok, or so many were tried.
pub struct UntilOk<G> {
    child: G,
    attempts_left: u64,
    pause: Nanos,
    not_before: Nanos,
}

impl<G: Generator> UntilOk<G> {
    /// At most `attempts`, and after each one that was not ok none for `pause` nanoseconds.
    pub const fn new(attempts: u64, pause: Nanos, child: G) -> Self {
        Self {
            child,
            attempts_left: attempts,
            pause,
            not_before: 0,
        }
    }
}

impl<G: Generator> Generator for UntilOk<G> {
    fn offer(&self, view: &View<'_>) -> Offer {
        if self.attempts_left == 0 {
            return Offer::Exhausted;
        }
        match self.child.offer(view) {
            Offer::Invoke(mut proposal) => {
                proposal.at = proposal.at.max(self.not_before);
                Offer::Invoke(proposal)
            }
            other => other,
        }
    }

    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]) {
        self.attempts_left = self.attempts_left.saturating_sub(1);
        self.child.taken(view, proposal, route);
    }

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, route: &[u32]) {
        match completion.outcome {
            Outcome::Ok(_) => self.attempts_left = 0,
            _ => self.not_before = view.time + self.pause,
        }
        self.child.completed(view, completion, route);
    }
}
