//! Sequential data types, also those of your own.
//!
//! A [`Model`] says what an object without concurrency does; [`linearize`] decides whether
//! operations in time behave like it, and [`judge`] whether a whole [`History`] does. The crate's
//! description has an example.

use std::hash::Hash;

use tribunal_results::{Call, History, Scalar, Verdict};

use crate::Budget;
use crate::engine::{Finding, WIDTH_MAX};
use crate::models;

/// A sequential data type: what an object without concurrency does.
///
/// Only [`initial`](Self::initial) and [`apply`](Self::apply) are needed. The other functions make
/// the search faster; what they say by default is safe for every type.
pub trait Model {
    /// The object's state.
    type State: Clone + Eq + Hash;
    /// An operation with its answer.
    type Step: Clone + Eq + Hash;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// The state after the step, if the step can happen in this state at all.
    fn apply(&self, state: &Self::State, step: &Self::Step) -> Option<Self::State>;

    /// Whether the step changes the state in *no* state in which it can happen. A write of the
    /// present value does not count: it may be needed later to restore that value.
    fn observes(&self, step: &Self::Step) -> bool {
        let _ = step;
        false
    }

    /// Whether the step can happen in every state and leaves the same state behind each time.
    fn overwrites(&self, step: &Self::Step) -> bool {
        let _ = step;
        false
    }

    /// The step that can happen in every state and does what this one does where it can happen;
    /// `None` if there is none, or it is the step itself.
    fn stronger(&self, step: &Self::Step) -> Option<Self::Step> {
        let _ = step;
        None
    }

    /// For each operation, in order, whether it has to be looked at. One of unknown end may be
    /// left out if there is an order without it wherever there is one with it.
    fn relevant(&self, ops: &[Op<Self::Step>]) -> Vec<bool> {
        vec![true; ops.len()]
    }

    /// How many bytes the state takes, roughly.
    fn weight(&self, state: &Self::State) -> usize {
        size_of_val(state)
    }
}

/// An operation in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op<S> {
    /// When it was called: any numbers that count up.
    pub call: u64,
    /// By when it had taken effect; `None` if it may do so at any later time, or never.
    pub ret: Option<u64>,
    /// What it does.
    pub step: S,
    /// Whether nothing that has to be explained can only happen in the state that it leaves
    /// behind. If it overwrites too, it is a mere obligation.
    pub(crate) idle: bool,
}

impl<S> Op<S> {
    /// An operation that was called and returned then.
    pub const fn new(call: u64, ret: Option<u64>, step: S) -> Self {
        Self {
            call,
            ret,
            step,
            idle: false,
        }
    }
}

/// A borrowed model is a model.
impl<M: Model> Model for &M {
    type State = M::State;
    type Step = M::Step;

    fn initial(&self) -> M::State {
        (**self).initial()
    }

    fn apply(&self, state: &M::State, step: &M::Step) -> Option<M::State> {
        (**self).apply(state, step)
    }

    fn observes(&self, step: &M::Step) -> bool {
        (**self).observes(step)
    }

    fn overwrites(&self, step: &M::Step) -> bool {
        (**self).overwrites(step)
    }

    fn stronger(&self, step: &M::Step) -> Option<M::Step> {
        (**self).stronger(step)
    }

    fn relevant(&self, ops: &[Op<M::Step>]) -> Vec<bool> {
        (**self).relevant(ops)
    }

    fn weight(&self, state: &M::State) -> usize {
        (**self).weight(state)
    }
}

/// What [`linearize`] comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There is an order: the operations that take effect, by their place in the input. It was
    /// replayed. `None` if they were too many to record it.
    Linearizable(Option<Vec<usize>>),
    /// There is none of what was called until the operation at this place returned.
    Stuck(usize),
    /// Nobody can tell: why, and until when there is one.
    Unknown {
        /// `budget`, `too-wide` (more operations open at once than can be followed), or
        /// `self-check` (the model is not a function, or the search is wrong).
        code: &'static str,
        /// All that returned before this time is linearizable.
        until: u64,
    },
}

/// Decides whether the operations can have happened one at a time, each between its call and its
/// return, as the model has it. The same input gets the same answer, and the same order.
pub fn linearize<M: Model>(model: &M, ops: &[Op<M::Step>], budget: Budget) -> Decision {
    let searched = models::decide(model, ops, budget);
    match searched.finding {
        Finding::Linearizable => match searched.order {
            Some(order) if !replays(model, ops, &order) => Decision::Unknown {
                code: "self-check",
                until: 0,
            },
            order => Decision::Linearizable(order),
        },
        Finding::Stuck(at) => Decision::Stuck(at),
        Finding::Exhausted(until) => Decision::Unknown {
            code: "budget",
            until,
        },
        Finding::TooWide(until) => Decision::Unknown {
            code: "too-wide",
            until,
        },
    }
}

/// The most operations that [`linearize`] follows at once; more are `too-wide`.
pub const OPEN_MAX: u32 = WIDTH_MAX;

/// Judges a history by a model. `read` says of a call on which object it worked and what it did
/// there, by its operation and its answer; `None` if it tells nothing. Calls of unknown end may
/// have taken effect at any time, or never. Of a call that failed, `read` gives what its failure
/// observed, if anything: it had no effect.
///
/// Each object is judged by itself. An invalid verdict has an anomaly `not-linearizable` for each
/// object that contradicts the model, with the few calls that do.
pub fn judge<'h, M: Model>(
    model: &M,
    history: &'h History,
    read: impl Fn(&'h Call) -> Option<(Scalar, M::Step)>,
    budget: Budget,
) -> Verdict {
    crate::linearizable::by_model(models::custom(model, history, read), budget)
}

/// Whether the order has each operation at most once, all that returned, none after one that was
/// called when it had returned, and each in a state in which it can happen.
pub(crate) fn replays<M: Model>(model: &M, ops: &[Op<M::Step>], order: &[usize]) -> bool {
    let mut left: Vec<Option<&Op<M::Step>>> = ops.iter().map(Some).collect();
    let (mut state, mut latest) = (model.initial(), 0);
    for &at in order {
        let Some(op) = left.get_mut(at).and_then(Option::take) else {
            return false;
        };
        let Some(after) = model.apply(&state, &op.step) else {
            return false;
        };
        if op.ret.is_some_and(|ret| ret < latest) {
            return false;
        }
        latest = latest.max(op.call);
        state = after;
    }
    // An observer without a return tells nothing.
    left.iter().flatten().all(|op| op.ret.is_none())
}
