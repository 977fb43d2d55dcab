//! Decides whether a history of one object is linearizable, by any sequential [`Model`].
//!
//! The history is walked forward, event by event, with the set of all *configurations* that it
//! may be in: the model's state, and which operations took effect already. An operation is
//! ordered only when its return forces it (just-in-time linearization: Lowe, *Testing for
//! linearizability*, 2017), and some observations keep the set small:
//!
//! * an observer changes no state, so it takes effect as soon as it can and never branches;
//! * an operation whose end is unknown is an option, never an obligation: fewer of them used is
//!   at least as good, and those of one step are interchangeable;
//! * so of two configurations with the same state and the same open mutators, one that observed
//!   more and used less *dominates* the other, which is dropped ([`antichain`]); having used a
//!   weaker operation, such as a compare-and-set, is as good as a write of the same value;
//! * an operation of unknown end is used only for what comes next: a step that needs the state it
//!   leaves behind; and not where an open one that has to happen anyway does the same;
//! * an open operation that only overwrites the state, with one that nobody looks for, is got
//!   over with just before any other that overwrites the state;
//! * of open operations that do the same, the one to return first takes effect first.
//!
//! Where the set becomes large all the same, narrowed searches come before the exact one
//! ([`search()`]). Memory depends on how many operations overlap, not on how long the history is,
//! but for the order that is recorded: eight bytes for each operation.

mod antichain;
mod forward;
mod log;
mod search;
mod transitions;

pub(crate) use crate::model::{Model, Op};
pub(crate) use forward::{Breadth, Forward, Halt, Slot};
pub(crate) use log::Log;
pub(crate) use search::{quick_steps, search};

/// What the search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// There is a sequential order.
    Linearizable,
    /// There is none of what was called until this operation, by its place in the input, returned.
    /// It is the first of which this is so, unless the search had to be narrowed.
    Stuck(usize),
    /// The budget ran out at the event of this index; all before it is linearizable.
    Exhausted(u64),
    /// More than [`WIDTH_MAX`] operations were open at the event of this index; all before it is
    /// linearizable.
    TooWide(u64),
}

/// The most operations that may be open at once.
pub(crate) const WIDTH_MAX: u32 = u128::BITS;

/// The result of a search and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Searched {
    /// The answer.
    pub(crate) finding: Finding,
    /// Configurations made.
    pub(crate) steps: u64,
    /// The most configurations held at once.
    pub(crate) peak: u64,
    /// If it is linearizable and was searched: the operations that took effect, by their place in
    /// the input, in an order that explains all answers; `None` if they were too many to record.
    pub(crate) order: Option<Vec<usize>>,
}
