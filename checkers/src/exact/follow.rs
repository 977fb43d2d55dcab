//! All objects of a history at once, moment by moment, as far as they can be decided forward.

use rustc_hash::FxHashMap;
use tribunal_results::{Call, History, Kind, Scalar};

use super::{Counter, Elements, Forward, Queue, Semaphore};
use crate::normal::{DONE, Family, Object, Row, has_form};
use crate::stream::Moment;

/// Stands for no object, or no operation of one.
const NOBODY: u32 = u32::MAX;

/// An object on its way.
struct One {
    object: Object,
    family: Family,
    /// `None` once only the whole can tell.
    forward: Option<Box<dyn Forward + Send>>,
}

impl One {
    /// Whether the algorithm of the family goes on with the operation.
    fn fits(&self, row: &Row) -> bool {
        match self.family {
            Family::Counter => row.kind == Kind::Count || row.argument == 1,
            Family::Semaphore => row.argument == 1 && row.answer == DONE,
            Family::Set => row.kind != Kind::Members,
            _ => true,
        }
    }
}

/// The objects of a history on its way: queues, counters, semaphores without owners, and sets
/// that are asked element by element.
pub(crate) struct Objects {
    /// Of a semaphore; none if permits have owners.
    permits: Option<u32>,
    of_key: FxHashMap<(Family, Scalar), u32>,
    objects: Vec<One>,
    /// By place: the object, and the operation's place in it.
    places: Vec<(u32, u32)>,
    contradicted: bool,
}

impl Objects {
    /// No object yet.
    pub(crate) fn new(permits: Option<u32>) -> Self {
        Self {
            permits: permits.filter(|permits| *permits > 0),
            of_key: FxHashMap::default(),
            objects: Vec::new(),
            places: Vec::new(),
            contradicted: false,
        }
    }

    /// Takes the next moment.
    pub(crate) fn step(&mut self, history: &History, moment: Moment) {
        match moment {
            Moment::Called(place) => {
                let call = history.calls().get(place);
                let known = call.and_then(|call| self.called(place, call));
                self.places.push(known.unwrap_or((NOBODY, NOBODY)));
            }
            Moment::Returned(place) => {
                if let Some(&(at, row)) = self.places.get(place) {
                    self.returned(at as usize, row as usize);
                }
            }
        }
    }

    /// Whether an object was contradicted.
    pub(crate) const fn is_contradicted(&self) -> bool {
        self.contradicted
    }

    /// The object of a call, and its place in it; `None` if it is not followed or says nothing.
    fn called(&mut self, place: usize, call: &Call) -> Option<(u32, u32)> {
        let family = Family::of(call.operation.kind())?;
        let at = self.object(family, call.operation.key()?)?;
        let one = self.objects.get_mut(at as usize)?;
        one.forward.as_ref()?;
        let row = one.object.columns().len();
        one.object.push(place, call);
        let known = one.object.columns().row(row)?;
        if !has_form(call) || !one.fits(&known) {
            one.forward = None;
            return None;
        }
        let forward = one.forward.as_mut()?;
        forward.called(one.object.columns(), row, &known);
        self.settle(at as usize);
        Some((at, row as u32))
    }

    fn returned(&mut self, at: usize, row: usize) {
        let Some(one) = self.objects.get_mut(at) else {
            return;
        };
        let columns = one.object.columns();
        if let (Some(forward), Some(known)) = (&mut one.forward, columns.row(row)) {
            forward.returned(columns, row, &known);
            self.settle(at);
        }
    }

    /// What is decided need not be followed any more.
    fn settle(&mut self, at: usize) {
        let Some(one) = self.objects.get_mut(at) else {
            return;
        };
        if let Some(forward) = one.forward.take_if(|forward| forward.decided()) {
            self.contradicted |= forward.contradicted();
        }
    }

    /// The number of an object, if objects of its family are followed.
    fn object(&mut self, family: Family, key: &Scalar) -> Option<u32> {
        let permits = self.permits;
        let forward: Box<dyn Forward + Send> = match family {
            Family::Queue => Box::new(Queue::default()),
            Family::Counter => Box::new(Counter::default()),
            Family::Set => Box::new(Elements::default()),
            Family::Semaphore => Box::new(Semaphore::new(permits?)),
            Family::Register | Family::List | Family::Stack => return None,
        };
        let next = self.objects.len() as u32;
        let number = *self.of_key.entry((family, key.clone())).or_insert(next);
        if number == next {
            self.objects.push(One {
                object: Object::new(family, key),
                family,
                forward: Some(forward),
            });
        }
        Some(number)
    }
}
