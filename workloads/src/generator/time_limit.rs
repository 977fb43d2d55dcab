//! So much time.

use tribunal_results::Nanos;

use super::{Completion, Generator, Offer, Proposal, View};

/// Bounds the times at which the child's operations are *invoked*; operations that are under way
/// at the end go on.
pub struct TimeLimit<G> {
    window: Nanos,
    /// Known from the first operation on.
    end: Option<Nanos>,
    child: G,
}

impl<G: Generator> TimeLimit<G> {
    /// The time limit begins with the first operation and lasts `window` nanoseconds.
    pub const fn new(window: Nanos, child: G) -> Self {
        Self {
            window,
            end: None,
            child,
        }
    }

    /// Invocations before `end`, in nanoseconds since the run's origin.
    pub const fn until(end: Nanos, child: G) -> Self {
        Self {
            window: 0,
            end: Some(end),
            child,
        }
    }
}

impl<G: Generator> Generator for TimeLimit<G> {
    fn offer(&self, view: &View<'_>) -> Offer {
        let Some(end) = self.end else {
            return self.child.offer(view);
        };
        if view.time >= end {
            return Offer::Exhausted;
        }
        match self.child.offer(view) {
            // Too late; but one that is under way might yet lead to an earlier one.
            Offer::Invoke(proposal) if proposal.at >= end => match view.all_free() {
                true => Offer::Exhausted,
                false => Offer::Pending,
            },
            other => other,
        }
    }

    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]) {
        self.end
            .get_or_insert(view.time.saturating_add(self.window));
        self.child.taken(view, proposal, route);
    }

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, route: &[u32]) {
        self.child.completed(view, completion, route);
    }
}
