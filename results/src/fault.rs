//! What the nemesis did, and what became of the nodes.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{Nanos, NodeId};

/// The four moments of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The nemesis begins to inject it.
    Inject,
    /// It is in force (or was skipped, with the reason).
    Injected,
    /// The nemesis begins to heal it.
    Heal,
    /// It is healed; the proof says what it did meanwhile.
    Healed,
}

/// One moment of one fault: an event of the process `nemesis` whose `f` is the fault's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// The fault's name, as in suites.
    #[serde(skip)]
    pub fault: String,
    /// Numbers the faults of a run from 0; the events of one fault share it.
    pub id: u64,
    /// Which moment this is.
    pub phase: Phase,
    /// The nodes it was aimed at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeId>,
    /// The directed links it was aimed at: bytes from the first node to the second. The clients'
    /// side is called `clients`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<(NodeId, NodeId)>,
    /// In a short phrase, what is done: `partition {n1} | {n2,n3}`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub what: String,
    /// With [`Phase::Injected`]: why nothing was done, if nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// What shows that it bit (or, with [`Phase::Healed`], that it is mended): pids, bytes, counts.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub proof: Json,
    /// With [`Phase::Healed`]: whether the proof shows an effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit: Option<bool>,
    /// Injection as data, enough to do the same again.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub injection: Json,
}

/// What a node is doing, as far as the controller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Its process was started; it does not answer yet.
    Starting,
    /// It answered its probe.
    Ready,
    /// Stopped by a signal, alive.
    Paused,
    /// Ended by us.
    Killed,
    /// Ended by itself: a finding.
    Died,
    /// Did not become ready again although everything was healed: a finding.
    Unresponsive,
    /// Shut down at the end of the run.
    Stopped,
}

/// A node changed state: an event of the process `nemesis` whose `f` is `node`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeEvent {
    /// The node.
    #[serde(skip)]
    pub node: NodeId,
    /// Its new state.
    pub state: NodeState,
    /// Its process id, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Exit status or last words, where there are any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// The machine under everything stood still: an event of the process `nemesis` whose `f` is
/// `machine`, recorded when it goes on. What takes long meanwhile is nobody's fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standstill {
    /// What did not go on: `disk` or `processor`.
    pub what: String,
    /// For how long until this event, in nanoseconds.
    pub lasted: Nanos,
}

/// How much of the time between two moments these spans cover together.
pub fn covered(mut spans: Vec<(Nanos, Nanos)>, from: Nanos, to: Nanos) -> Nanos {
    spans.sort_unstable();
    let (mut sum, mut counted) = (0, from);
    for (start, end) in spans {
        let end = end.min(to);
        sum += end.saturating_sub(start.max(counted));
        counted = counted.max(end);
    }
    sum
}

/// A node began to lead or ceased to, as far as what it says of itself shows: an event of the process
/// `nemesis` whose `f` is `leader`. Several nodes may say so at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeaderEvent {
    /// The node.
    #[serde(skip)]
    pub node: NodeId,
    /// Whether it leads from now on.
    pub leads: bool,
    /// What it said of itself then, if it said anything.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// One fault from injection to cure, put together from its events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultSpan {
    /// The fault's name.
    pub fault: String,
    /// Its number in the run.
    pub id: u64,
    /// When the nemesis began to inject it.
    pub from: Nanos,
    /// When it was healed; `None` if the record ends before.
    pub to: Option<Nanos>,
    /// The nodes it was aimed at.
    pub nodes: Vec<NodeId>,
    /// The directed links it was aimed at.
    pub links: Vec<(NodeId, NodeId)>,
    /// In a short phrase, what was done.
    pub what: String,
    /// Why nothing was done, if nothing was.
    pub skipped: Option<String>,
    /// Whether the proof shows an effect; `None` if the record ends before it was known.
    pub bit: Option<bool>,
    /// The proofs of injection and cure.
    pub proof: Vec<Json>,
}

#[cfg(test)]
mod tests {
    use super::covered;

    #[test]
    fn what_several_spans_cover_counts_once_and_within_the_moments_only() {
        let spans = || vec![(40, 60), (0, 10), (5, 20), (45, 50), (90, 200)];
        assert_eq!(covered(spans(), 0, 100), 20 + 20 + 10);
        assert_eq!(covered(spans(), 15, 55), 5 + 15);
        assert_eq!(covered(spans(), 60, 90), 0);
        assert_eq!(covered(Vec::new(), 0, 100), 0);
    }
}
