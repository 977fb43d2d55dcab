//! A generator made when it is first asked.

use std::cell::OnceCell;

use super::{Completion, Generator, Offer, Proposal, View};

/// A child that is made when it is first asked for an offer: for final operations that depend on
/// what was done before.
pub struct Deferred<F> {
    make: F,
    child: OnceCell<Box<dyn Generator>>,
}

impl<F: Fn() -> Box<dyn Generator> + Send> Deferred<F> {
    /// What `make` makes, once.
    pub const fn new(make: F) -> Self {
        Self {
            make,
            child: OnceCell::new(),
        }
    }
}

impl<F: Fn() -> Box<dyn Generator> + Send> Generator for Deferred<F> {
    fn offer(&self, view: &View<'_>) -> Offer {
        self.child.get_or_init(&self.make).offer(view)
    }

    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]) {
        if let Some(child) = self.child.get_mut() {
            child.taken(view, proposal, route);
        }
    }

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, route: &[u32]) {
        if let Some(child) = self.child.get_mut() {
            child.completed(view, completion, route);
        }
    }
}
