//! Decides objects without search, where theory allows: exactly, in linear time or nearly.
//!
//! [`decide`] looks at the operations of one object ([`Columns`]) and picks the algorithm. Where
//! none applies (a value put twice, increments by more than one, operations of unknown end that
//! leave too much open, …) it says so with `None`, and a search has to decide. Those algorithms
//! that go forward through the events ([`Forward`]) can be run on a history that still grows.

mod append;
mod contradiction;
mod counter;
mod elements;
mod follow;
mod forward;
mod grow_set;
mod growth;
mod preorder;
mod queue;
mod semaphore;
mod stack;
mod stretches;
mod tree;

pub use contradiction::{Contradiction, Part};
pub use counter::Counter;
pub use elements::Elements;
pub(crate) use follow::Followed;
pub use forward::Forward;
pub use preorder::Preorder;
pub use queue::Queue;
pub use semaphore::Semaphore;
use tribunal_results::{Assumptions, Kind};

use crate::normal::{Columns, Family};

/// Whether an object's operations can be put in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They can.
    Linearizable,
    /// They cannot, because of these.
    Contradiction(Contradiction),
}

/// Decides an object; `None` if only a search can.
pub fn decide(object: &Columns, assume: &Assumptions) -> Option<Decision> {
    match object.family {
        Family::Queue => queue::decide(object),
        Family::Stack => stack::decide(object),
        Family::Counter => counter::decide(object),
        Family::List => append::decide(object),
        Family::Semaphore if !assume.owned => semaphore::decide(object, assume.permits),
        Family::Set if !object.rows().any(|row| row.kind == Kind::Members) => {
            elements::decide(object)
        }
        Family::Set => grow_set::decide(object),
        Family::Semaphore | Family::Register => None,
    }
}

/// The decision that something contradicts itself, or not.
fn found(contradiction: Option<Contradiction>) -> Decision {
    contradiction.map_or(Decision::Linearizable, Decision::Contradiction)
}
