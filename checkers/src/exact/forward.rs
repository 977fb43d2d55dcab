//! Algorithms that go forward through the events.

use crate::normal::{Columns, Event, Row};

/// An algorithm that sees each operation when it is called and when it returns, in the order of
/// the events. Its end is known from the first, as in [`crate::stream`].
pub trait Forward {
    /// An operation was called.
    fn called(&mut self, object: &Columns, at: usize, row: &Row);

    /// It returned.
    fn returned(&mut self, object: &Columns, at: usize, row: &Row);

    /// Whether nothing that may still come changes the decision.
    fn decided(&self) -> bool;

    /// Whether there may be a contradiction that only the whole object shows.
    fn doubtful(&self) -> bool {
        false
    }

    /// Whether it is decided that there is no order.
    fn contradicted(&self) -> bool {
        self.decided()
    }
}

/// Goes through a whole object, or until it is decided.
pub(super) fn run(forward: &mut impl Forward, object: &Columns) {
    for event in object.events() {
        match event {
            Event::Called(at) => {
                if let Some(row) = object.row(at) {
                    forward.called(object, at, &row);
                }
            }
            Event::Returned(at) => {
                if let Some(row) = object.row(at) {
                    forward.returned(object, at, &row);
                }
            }
        }
        if forward.decided() {
            return;
        }
    }
}
