//! An object moment by moment, as far as it can be decided forward.

use rustc_hash::FxHashMap;
use tribunal_results::{Assumptions, Call, Kind, Scalar};

use super::{Counter, Elements, Forward, Queue, Semaphore};
use crate::normal::{DONE, Family, Object, Row, has_form};
use crate::stream::State;

/// An object on its way: a queue, a counter, a semaphore without owners, or a set that is asked
/// element by element.
pub(crate) struct Followed {
    object: Object,
    family: Family,
    forward: Box<dyn Forward + Send>,
    /// The rows of the operations that have not returned, by their places.
    open: FxHashMap<usize, usize>,
    fits: bool,
}

impl Followed {
    /// An object to which nothing happened yet; `None` if objects of its family cannot be decided
    /// forward.
    pub(crate) fn new(family: Family, key: &Scalar, assume: &Assumptions) -> Option<Self> {
        let forward: Box<dyn Forward + Send> = match family {
            Family::Queue => Box::new(Queue::default()),
            Family::Counter => Box::new(Counter::default()),
            Family::Set => Box::new(Elements::default()),
            Family::Semaphore if !assume.owned && assume.permits > 0 => {
                Box::new(Semaphore::new(assume.permits))
            }
            Family::Semaphore | Family::Register | Family::List | Family::Stack => return None,
        };
        Some(Self {
            object: Object::new(family, key, 0),
            family,
            forward,
            open: FxHashMap::default(),
            fits: true,
        })
    }

    /// An operation on it is called.
    pub(crate) fn called(&mut self, place: usize, call: &Call) {
        let row = self.object.columns().len();
        self.object.push(place, call);
        let Some(known) = self.object.columns().row(row) else {
            return;
        };
        self.fits &= has_form(call) && self.takes(&known);
        if self.fits {
            self.forward.called(self.object.columns(), row, &known);
            if call.returned().is_some() {
                self.open.insert(place, row);
            }
        }
    }

    /// It returns.
    pub(crate) fn returned(&mut self, place: usize) {
        let Some(row) = self.open.remove(&place) else {
            return;
        };
        let columns = self.object.columns();
        if let Some(known) = columns.row(row) {
            self.forward.returned(columns, row, &known);
        }
    }

    /// How things stand; unclear once the algorithm does not fit.
    pub(crate) fn state(&self) -> State {
        match (self.fits, self.forward.decided()) {
            (true, false) => State::InOrder,
            (true, true) if self.forward.contradicted() => State::Contradicted,
            _ => State::Unclear,
        }
    }

    /// Whether only the whole can tell of some of it.
    pub(crate) fn is_partial(&self) -> bool {
        self.forward.doubtful()
    }

    /// Whether the algorithm of the family goes on with the operation.
    fn takes(&self, row: &Row) -> bool {
        match self.family {
            Family::Counter => row.kind == Kind::Count || row.argument == 1,
            Family::Semaphore => row.argument == 1 && row.answer == DONE,
            Family::Set => row.kind != Kind::Members,
            _ => true,
        }
    }
}
