//! All that a checker may look at.

use crate::verdict::EvidenceFloor;
use crate::{Assumptions, History, Messages, Nanos, NodeId};

/// What a line of a node's log begins with that says what the node did against the protocol which
/// it speaks with the controller.
pub const VIOLATION: &str = "protocol violation:";

/// The last lines that one node wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeLog {
    /// The node.
    pub node: NodeId,
    /// Lines of its standard error and output, oldest first; bounded by whoever read them.
    pub lines: Vec<String>,
}

/// A run as the checkers see it.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// What happened.
    pub history: History,
    /// What is taken for granted of its objects and clocks.
    pub assume: Assumptions,
    /// What the nodes wrote. Empty when only a history file is judged.
    pub logs: Vec<NodeLog>,
    /// What the nodes sent each other. Empty if nobody recorded it.
    pub messages: Messages,
    /// The least that the run must have shown.
    pub floor: EvidenceFloor,
    /// The names of the faults that the plan asks for.
    pub faults: Vec<String>,
    /// How long after everything is healed the system may take to serve again, if that is bounded.
    pub recovery: Option<Nanos>,
    /// Whether this is a whole run (with nodes, faults and logs) or just a history.
    pub is_run: bool,
}
