//! What happens to single lines on their way, for targets whose lines the controller itself
//! carries: a fabric says it, and whoever carries them does it.

use std::sync::Arc;
use std::time::Duration;

use tribunal_results::NodeId;

/// The name of all clients together, as one end of ways.
pub const CLIENTS: &str = "clients";

/// What becomes of a line that sets out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// The number by which it is followed, if it is.
    pub number: Option<u64>,
    /// Which of all lines of its way it is.
    pub turn: u64,
    /// How long it takes; `None` if it never arrives.
    pub arrives: Option<Duration>,
    /// How long a second copy of it takes, if there is one.
    pub again: Option<Duration>,
    /// Whether it was held back, so that those behind it may pass whatever else is in force.
    pub is_held: bool,
    /// What arrives in its place, without the line's end.
    pub altered: Option<Vec<u8>>,
}

/// One direction between two ends.
pub trait Way: Send + Sync {
    /// Draws what becomes of a line, given without its end.
    fn enter(&self, line: &[u8]) -> Fate;

    /// Whether a line of so many bytes whose time has come is handed on; otherwise it is lost, and
    /// that has been noted.
    fn leave(&self, fate: &Fate, bytes: usize) -> bool;

    /// Notes that a line is lost for another reason.
    fn lose(&self, fate: &Fate, why: &'static str);
}

/// Every way between nodes, services and [`CLIENTS`].
pub trait Network: Send + Sync {
    /// The way from one end to another, if there is one.
    fn way(&self, from: &NodeId, to: &NodeId) -> Option<Arc<dyn Way>>;
}
