//! Updates: what a node did to an object, and by which number it is known everywhere.

use serde::{Deserialize, Serialize};
use tribunal_results::message::Hybrid;
use tribunal_results::{NodeId, Scalar};

/// The number of an update: its origin, and how many updates that one had made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Dot {
    pub(super) origin: NodeId,
    pub(super) number: u64,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub(super) enum Change {
    /// A register was written. The latest stamp wins; of equal ones that of the larger origin.
    Write {
        key: Scalar,
        value: Scalar,
        at: Hybrid,
    },
    /// A counter was incremented. All that its origin ever added, and took away.
    Increment { key: Scalar, plus: u64, minus: u64 },
    /// An element was added to a set. The update's dot is the tag of the addition.
    Add { key: Scalar, value: Scalar },
    /// An element was removed from a set: those additions of it that the origin had seen.
    Remove {
        key: Scalar,
        value: Scalar,
        tags: Vec<Dot>,
    },
}

/// A change with its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Update {
    #[serde(flatten)]
    pub(super) dot: Dot,
    #[serde(flatten)]
    pub(super) change: Change,
}
