//! Objects apart, moment by moment, where what contradicts them once does so for ever.

use rustc_hash::FxHashMap;
use tribunal_results::{Assumptions, Call, History, Kind, Scalar, Verdict};

use crate::{Budget, Fold, Moment};

/// An object on its way.
pub(crate) trait Watch: Default + Send {
    /// The operations that matter.
    const KINDS: &[Kind];

    /// One is called, the one at that place in the history.
    fn called(&mut self, place: usize, call: &Call) {
        let _ = (place, call);
    }

    /// It returns. Whether it contradicts what was there before.
    fn returned(&mut self, place: usize, history: &History, assume: &Assumptions) -> bool;
}

/// What judges a whole history.
type Judge = fn(&History, &Assumptions, Budget) -> Verdict;

/// All objects of a history that grows.
pub(crate) struct Watching<W> {
    objects: FxHashMap<Scalar, W>,
    contradicted: bool,
    judge: Judge,
    assume: Assumptions,
    budget: Budget,
}

impl<W: Watch> Watching<W> {
    /// Nothing happened yet.
    pub(crate) fn new(judge: Judge, assume: &Assumptions, budget: Budget) -> Self {
        Self {
            objects: FxHashMap::default(),
            contradicted: false,
            judge,
            assume: assume.clone(),
            budget,
        }
    }
}

/// The object of a call, if the operation matters.
fn object<'w, W: Watch>(objects: &'w mut FxHashMap<Scalar, W>, call: &Call) -> Option<&'w mut W> {
    let key = call.operation.key()?;
    if !W::KINDS.contains(&call.operation.kind()) {
        return None;
    }
    if !objects.contains_key(key) {
        objects.insert(key.clone(), W::default());
    }
    objects.get_mut(key)
}

impl<W: Watch> Fold for Watching<W> {
    fn step(&mut self, history: &History, moment: Moment) {
        let (Moment::Called(place) | Moment::Returned(place)) = moment;
        let Some(call) = history.calls().get(place) else {
            return;
        };
        let Some(object) = object(&mut self.objects, call) else {
            return;
        };
        match moment {
            Moment::Called(_) => object.called(place, call),
            Moment::Returned(_) => {
                self.contradicted |= object.returned(place, history, &self.assume);
            }
        }
    }

    fn contradicted(&self) -> bool {
        self.contradicted
    }

    fn verdict(&self, history: &History) -> Verdict {
        (self.judge)(history, &self.assume, self.budget)
    }
}
