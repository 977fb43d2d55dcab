//! A fresh copy for each thread.

use super::{Completion, Generator, Offer, Proposal, View, follow};

/// A generator of its own for each thread. Of equally soon proposals the thread that was taken
/// the longest ago goes first. Ends when all have ended.
pub struct EachThread {
    children: Vec<Box<dyn Generator>>,
}

impl EachThread {
    /// `make(i)` for the thread number `i` of the range, of which there are `count`.
    pub fn new(count: usize, make: impl FnMut(usize) -> Box<dyn Generator>) -> Self {
        Self {
            children: (0..count).map(make).collect(),
        }
    }

    fn child_offer(&self, view: &View<'_>, thread: usize) -> (usize, Offer) {
        let i = thread - view.range.start;
        let offer = self.children.get(i).map_or(Offer::Exhausted, |child| {
            child.offer(&view.narrowed(thread..thread + 1))
        });
        (i, offer)
    }
}

impl Generator for EachThread {
    fn offer(&self, view: &View<'_>) -> Offer {
        let mut best: Option<Proposal> = None;
        for thread in view.free() {
            let (i, offer) = self.child_offer(view, thread);
            if let Offer::Invoke(proposal) = offer
                && best.as_ref().is_none_or(|best| proposal.at < best.at)
            {
                let due = proposal.at <= view.time;
                best = Some(proposal.through(i));
                if due {
                    break;
                }
            }
        }
        if let Some(proposal) = best {
            return Offer::Invoke(proposal);
        }
        let ended = |thread| self.child_offer(view, thread).1 == Offer::Exhausted;
        match view.range.clone().all(ended) {
            true => Offer::Exhausted,
            false => Offer::Pending,
        }
    }

    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]) {
        if let Some((i, rest)) = follow(route)
            && let Some(child) = self.children.get_mut(i)
        {
            let thread = view.range.start + i;
            child.taken(&view.narrowed(thread..thread + 1), proposal, rest);
        }
    }

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, route: &[u32]) {
        if let Some((i, rest)) = follow(route)
            && let Some(child) = self.children.get_mut(i)
        {
            let thread = view.range.start + i;
            child.completed(&view.narrowed(thread..thread + 1), completion, rest);
        }
    }
}
