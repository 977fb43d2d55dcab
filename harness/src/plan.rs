//! One run to do, fully resolved and seeded: what `plan.yaml` holds.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tribunal_nemesis::fabric::Kind;
use tribunal_nemesis::schedule::NemesisPlan;
use tribunal_results::Assumptions;
use tribunal_results::gates::Gates;
use tribunal_results::options::Time;
use tribunal_results::verdict::EvidenceFloor;

use crate::parts::Parts;
use crate::topology::Topology;

/// What is tested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetPlan {
    /// The target's name.
    #[serde(rename = "type")]
    pub target: String,
    /// The planted bug that its nodes show, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bug: Option<String>,
    /// Its options, an object.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub options: Json,
}

/// What clients ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkloadPlan {
    /// The workload's name.
    #[serde(rename = "type")]
    pub workload: String,
    /// Its options, an object.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub options: Json,
}

/// Something published about a system, which a run shows again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The sentence that a report would have; `{version}` stands for the system and its version.
    pub says: String,
    /// Where it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Finding {
    /// The sentence, of that system and version.
    pub fn says_of(&self, version: &str) -> String {
        self.says.replace("{version}", version)
    }
}

/// What judging may cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgePlan {
    /// The longest that it may take; beyond it the verdict is unknown.
    pub time: Time,
    /// The most memory that the judging process may use, in MiB.
    pub memory_mib: u64,
}

/// One run to do. Two runs of equal plans make the same choices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The suite that it comes from.
    pub suite: String,
    /// Its name within the suite, unique there.
    pub name: String,
    /// What is tested.
    pub target: TargetPlan,
    /// How many nodes.
    pub nodes: usize,
    /// What clients ask.
    pub workload: WorkloadPlan,
    /// How many clients ask at once.
    pub clients: usize,
    /// How many operations are invoked per second, of all clients together.
    pub rate: f64,
    /// How long operations are invoked.
    pub time: Time,
    /// The most that one operation may take.
    pub timeout: Time,
    /// How long nodes may take to become ready at the start.
    pub ready: Time,
    /// How long nodes may take to become ready again after everything is healed.
    pub recovery: Time,
    /// The network between the nodes while nothing is broken.
    pub topology: Topology,
    /// How what they send is carried.
    pub fabric: Kind,
    /// Whether what nodes send each other is journalled, with logical clocks.
    pub messages: bool,
    /// What is broken.
    pub nemesis: NemesisPlan,
    /// The seed of every choice.
    pub seed: u64,
    /// The anomalies of which at least one must be found; empty if the run must be valid.
    pub expect: Vec<String>,
    /// The least that the run must show.
    pub evidence: EvidenceFloor,
    /// What judging may cost.
    pub judge: JudgePlan,
    /// Thresholds for what it measures.
    #[serde(default, skip_serializing_if = "Gates::is_empty")]
    pub gates: Gates,
    /// What it means if what is expected is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
    /// Where what it names is found.
    #[serde(skip)]
    pub parts: Parts,
}

impl Plan {
    /// What the target and the workload say that checkers may take for granted.
    pub fn assume(&self) -> Assumptions {
        let mut assume = Assumptions::default();
        if let Some(target) = self.parts.target(&self.target.target) {
            target.assume(&self.target.options, &mut assume);
        }
        if let Some(workload) = self.parts.workload(&self.workload.workload) {
            workload.assume(&self.workload.options, &mut assume);
        }
        // Every event of a node that stamps ticks, and is journalled.
        assume.clocks_exact |= self.messages;
        assume
    }
}
