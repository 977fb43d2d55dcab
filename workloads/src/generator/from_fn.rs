//! Operations from a function or a list, on any free thread.

use rand_pcg::Pcg64Mcg;
use tribunal_results::Operation;

use super::{Chance, Completion, Generator, Offer, Proposal, Seed, View};

/// Proposes what a function makes of a turn's chance and the turn's number (from 0), on any free
/// thread, at once. Ends when the function says `None`. The function must depend on nothing else,
/// since it is asked again for an offer that was not taken.
pub struct FromFn<F> {
    make: F,
    chance: Chance,
}

impl<F> FromFn<F>
where
    F: Fn(&mut Pcg64Mcg, u64) -> Option<Operation> + Send,
{
    /// What `make` makes, turn by turn.
    pub const fn new(seed: Seed, make: F) -> Self {
        Self {
            make,
            chance: Chance::new(seed),
        }
    }
}

impl FromFn<()> {
    /// The operations of a list, in order, each once.
    pub fn list(operations: Vec<Operation>) -> impl Generator {
        FromFn::new(Seed::new(0), move |_: &mut Pcg64Mcg, turn| {
            operations.get(usize::try_from(turn).ok()?).cloned()
        })
    }

    /// The same operation for ever.
    pub fn repeat(operation: Operation) -> impl Generator {
        FromFn::new(Seed::new(0), move |_: &mut Pcg64Mcg, _| {
            Some(operation.clone())
        })
    }
}

impl<F> Generator for FromFn<F>
where
    F: Fn(&mut Pcg64Mcg, u64) -> Option<Operation> + Send,
{
    fn offer(&self, view: &View<'_>) -> Offer {
        let Some(operation) = (self.make)(&mut self.chance.draws(), self.chance.turn()) else {
            return Offer::Exhausted;
        };
        match view.free().next() {
            Some(thread) => Offer::Invoke(Proposal::new(thread, view.time, operation)),
            None => Offer::Pending,
        }
    }

    fn taken(&mut self, _: &View<'_>, _: &Proposal, _: &[u32]) {
        self.chance.advance();
    }

    fn completed(&mut self, _: &View<'_>, _: &Completion<'_>, _: &[u32]) {}
}
