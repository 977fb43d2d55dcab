//! When to break what: a seeded sequence of quiet → inject → hold → heal.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tribunal_results::options::TimeRange;

/// One kind of fault that a plan asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultPlan {
    /// The fault's name.
    #[serde(rename = "type")]
    pub fault: String,
    /// Its options, an object.
    #[serde(flatten)]
    pub options: Json,
}

/// What the nemesis does in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NemesisPlan {
    /// The faults to draw from; none means that nothing is broken. Each round injects every one
    /// of them once, in an order of chance, so that even a short run meets each.
    pub faults: Vec<FaultPlan>,
    /// How long nothing is broken before each fault.
    pub quiet: TimeRange,
    /// How long each fault lasts.
    pub hold: TimeRange,
}

impl Default for NemesisPlan {
    fn default() -> Self {
        Self {
            faults: Vec::new(),
            quiet: TimeRange::millis(200, 600),
            hold: TimeRange::millis(300, 900),
        }
    }
}
