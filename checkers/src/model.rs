//! Sequential data types, also those of your own.
//!
//! A [`Model`] says what an object without concurrency does; [`linearize`] decides whether
//! operations in time behave like it.

use std::hash::Hash;

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
