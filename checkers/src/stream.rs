//! Checkers as folds: a verdict that grows with the history.
//!
//! A fold sees each operation twice: when it was called and when it returned, in the order of the
//! events. Its end is known from the first: whoever follows a run that is still on holds back
//! what comes after an operation that has not ended yet.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

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

/// How things stand with an object on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// What was seen so far has an order.
    InOrder,
    /// It has none.
    Contradicted,
    /// Whoever follows it cannot tell.
    Unclear,
}

/// Hands out the moments of a history that may still grow, each once, in order.
#[derive(Debug, Default)]
pub struct Feed {
    /// The next operation to be called, by its place.
    next: usize,
    /// Operations that were called and will return: event and place.
    due: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Feed {
    /// The next moment; `None` until more is known. While the history is not `whole`, an
    /// operation that has not ended holds back itself and all that comes after its call.
    pub fn next(&mut self, history: &History, whole: bool) -> Option<Moment> {
        let due = self.due.peek().map(|Reverse((index, _))| *index);
        let called = history.calls().get(self.next);
        let called = called.filter(|call| due.is_none_or(|due| call.invoked.index < due));
        // A return that is due comes before any call that is not known yet.
        let Some(call) = called else {
            return self.due.pop().map(|Reverse((_, at))| Moment::Returned(at));
        };
        if call.completed.is_none() && !whole {
            return None;
        }
        let place = self.next;
        self.next += 1;
        let ended = call.returned().map(|index| Reverse((index, place)));
        self.due.extend(ended);
        Some(Moment::Called(place))
    }
}

/// All moments of a history, in order.
pub fn moments(history: &History) -> impl Iterator<Item = Moment> {
    let mut feed = Feed::default();
    std::iter::from_fn(move || feed.next(history, true))
}

/// Folds a whole history.
pub fn fold(mut fold: impl Fold, history: &History) -> Verdict {
    for moment in moments(history) {
        fold.step(history, moment);
    }
    fold.verdict(history)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test may panic")]

    use tribunal_results::history::HistoryBuilder;
    use tribunal_results::{Answer, Body, Event, Operation, Outcome, Process, Reason};

    use super::*;

    fn event(index: u64, process: u64, outcome: Option<Outcome>) -> Event {
        let operation = Operation::Read { key: 1.into() };
        Event {
            index,
            time: index,
            process: Process::Client(process),
            node: None,
            body: match outcome {
                None => Body::Invoke(operation),
                Some(outcome) => Body::Complete(operation, outcome),
            },
        }
    }

    #[test]
    fn an_operation_that_has_not_ended_holds_back_what_follows() {
        use Moment::{Called, Returned};
        let ok = || Some(Outcome::Ok(Answer::Value(None)));
        let info = || Some(Outcome::Info(Reason::new("timeout", "")));
        let events = [
            (event(0, 0, None), vec![]),
            (event(1, 1, None), vec![]),
            (event(2, 1, ok()), vec![]),
            (event(3, 2, None), vec![]),
            (event(4, 0, ok()), vec![Called(0), Called(1), Returned(1)]),
            (event(5, 3, None), vec![]),
            (event(6, 2, info()), vec![Called(2), Returned(0)]),
        ];
        let mut builder = HistoryBuilder::default();
        let mut feed = Feed::default();
        for (event, expected) in events {
            builder.push(event).expect("well-formed");
            let history = builder.history();
            let told: Vec<Moment> = std::iter::from_fn(|| feed.next(history, false)).collect();
            assert_eq!(told, expected);
        }
        let history = builder.finish();
        assert_eq!(feed.next(&history, true), Some(Called(3)));
        assert_eq!(feed.next(&history, true), None);
    }
}
