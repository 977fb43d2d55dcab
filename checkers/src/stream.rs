//! Checkers as folds: a verdict that grows with the history.
//!
//! A fold sees each operation twice: when it was called and when it returned, in the order of the
//! events. Its end is known from the first: whoever follows a run that is still on holds back
//! what comes after an operation that has not ended yet.

use tribunal_results::{History, Verdict};

/// A moment in the life of an operation, given by its place in [`History::calls`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It was invoked.
    Called(usize),
    /// It ended, as `ok` or `fail`. An operation of unknown end never returns.
    Returned(usize),
}

/// A checker on its way through a history.
pub trait Fold: Send {
    /// Takes the next moment. The history holds at least all that happened until then.
    fn step(&mut self, history: &History, moment: Moment);

    /// Whether what was seen so far contradicts itself, whatever may still come.
    fn contradicted(&self) -> bool;

    /// What it comes to, if nothing more happens.
    fn verdict(&self, history: &History) -> Verdict;
}

/// All moments of a history, in order.
pub fn moments(history: &History) -> impl Iterator<Item = Moment> {
    let events = history.end().map_or(0, |end| end.index + 1) as usize;
    let mut at = vec![None; events];
    for (place, call) in history.calls().iter().enumerate() {
        let ended = call
            .returned()
            .map(|index| (index, Moment::Returned(place)));
        for (index, moment) in [Some((call.invoked.index, Moment::Called(place))), ended]
            .into_iter()
            .flatten()
        {
            if let Some(slot) = at.get_mut(index as usize) {
                *slot = Some(moment);
            }
        }
    }
    at.into_iter().flatten()
}

/// Folds a whole history.
pub fn fold(mut fold: impl Fold, history: &History) -> Verdict {
    for moment in moments(history) {
        fold.step(history, moment);
    }
    fold.verdict(history)
}
