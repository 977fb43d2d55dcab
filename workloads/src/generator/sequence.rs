//! One child after another.

use super::{Completion, Generator, Offer, Proposal, View, follow};

/// Runs its children one after another.
pub struct Sequence {
    children: Vec<Box<dyn Generator>>,
    current: usize,
    barrier: bool,
}

impl Sequence {
    /// Each child begins as soon as the one before is exhausted.
    pub fn new(children: Vec<Box<dyn Generator>>) -> Self {
        Self {
            children,
            current: 0,
            barrier: false,
        }
    }

    /// Each child begins when the one before is exhausted *and* all threads are free, so that no
    /// operation of two phases overlap.
    pub fn phases(children: Vec<Box<dyn Generator>>) -> Self {
        Self {
            barrier: true,
            ..Self::new(children)
        }
    }
}

impl Generator for Sequence {
    fn offer(&self, view: &View<'_>) -> Offer {
        for (i, child) in self.children.iter().enumerate().skip(self.current) {
            match child.offer(view) {
                Offer::Invoke(proposal) => return Offer::Invoke(proposal.through(i)),
                Offer::Pending => return Offer::Pending,
                Offer::Exhausted => {
                    let last = i + 1 == self.children.len();
                    if self.barrier && !last && !view.all_free() {
                        return Offer::Pending;
                    }
                }
            }
        }
        Offer::Exhausted
    }

    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]) {
        if let Some((i, rest)) = follow(route)
            && let Some(child) = self.children.get_mut(i)
        {
            self.current = self.current.max(i);
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
