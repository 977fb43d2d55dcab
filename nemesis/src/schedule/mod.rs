//! When to break what: a seeded sequence of quiet → inject → hold → heal.
//!
//! Each round breaks everything in the plan once, in an order of chance. Every choice of a fault
//! (its place in the round, its times, whom it hits) is drawn from a stream of its own, named by
//! seed, round and fault, so that adding a fault to a plan does not change the others.
//!
//! | module | what it does |
//! |---|---|
//! | [`conduct`] | runs the sequence and reports it |
//! | [`heal_all`] | mends everything, whoever broke it |
//! | `guard` | bounds a fault's time and survives its panics |

mod conduct;
mod guard;
mod heal;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, TimeRange};

use crate::{ALL, Fault, Need, find};

pub use conduct::conduct;
pub use heal::heal_all;

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

impl NemesisPlan {
    /// What nodes must be started with for its faults.
    pub fn needs(&self) -> Vec<Need> {
        let faults = self.faults.iter().filter_map(|wanted| find(&wanted.fault));
        let mut needs = Vec::new();
        for need in faults.filter_map(Fault::needs) {
            if !needs.contains(&need) {
                needs.push(need);
            }
        }
        needs
    }

    /// The names of its faults, each once, in order.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        let mut seen = BTreeSet::new();
        let names = self.faults.iter().map(|plan| plan.fault.as_str());
        names.filter(move |name| seen.insert(*name))
    }
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

/// Checks a plan before anything starts.
///
/// # Errors
/// The path within the plan (`faults[1].nodes`) and nature of what is wrong first. An unknown
/// fault has a path that ends in `.type`.
pub fn check(plan: &NemesisPlan) -> Result<(), OptionError> {
    for (i, wanted) in plan.faults.iter().enumerate() {
        let Some(fault) = find(&wanted.fault) else {
            let names: Vec<&str> = ALL.iter().map(|fault| fault.name()).collect();
            return Err(OptionError::new(
                format!("faults[{i}].type"),
                format!(
                    "unknown fault {:?}; there are {}",
                    wanted.fault,
                    names.join(", ")
                ),
            ));
        };
        fault.check_options(&wanted.options).map_err(|e| {
            let dot = if e.path.is_empty() { "" } else { "." };
            OptionError::new(format!("faults[{i}]{dot}{}", e.path), e.message)
        })?;
    }
    if !plan.faults.is_empty() && plan.hold.to.0.is_zero() {
        return Err(OptionError::new(
            "hold",
            "a fault that is healed at once shows nothing; write 300ms..900ms",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan(faults: Json) -> NemesisPlan {
        NemesisPlan {
            faults: serde_json::from_value(faults).unwrap(),
            ..NemesisPlan::default()
        }
    }

    fn error(faults: Json) -> (String, String) {
        let e = check(&plan(faults)).unwrap_err();
        (e.path, e.message)
    }

    #[test]
    fn every_fault_is_fine_without_options() {
        let all: Vec<Json> = ALL.iter().map(|f| json!({ "type": f.name() })).collect();
        assert_eq!(check(&plan(json!(all))), Ok(()));
        assert_eq!(check(&NemesisPlan::default()), Ok(()));
    }

    #[test]
    fn an_unknown_fault_is_named_with_those_that_exist() {
        let (path, message) = error(json!([{"type": "kill"}, {"type": "partiton"}]));
        assert_eq!(path, "faults[1].type");
        assert!(message.contains("\"partiton\""), "{message}");
        assert!(message.contains("kill, restart, pause, delay, partition"));
    }

    #[test]
    fn a_wrong_option_is_found_by_its_path() {
        let (path, _) = error(json!([{"type": "delay", "by": "soon"}]));
        assert_eq!(path, "faults[0].by");
        let (path, message) = error(json!([{"type": "kill", "node": "one"}]));
        assert_eq!(path, "faults[0].node");
        assert!(message.contains("nodes"), "{message}");
        let (path, _) = error(json!([{"type": "partition", "shape": "thirds"}]));
        assert_eq!(path, "faults[0].shape");
    }

    #[test]
    fn a_hold_of_nothing_is_refused() {
        let mut plan = plan(json!([{"type": "kill"}]));
        plan.hold = TimeRange::millis(0, 0);
        assert_eq!(check(&plan).unwrap_err().path, "hold");
    }

    #[test]
    fn names_and_colours_are_unique() {
        let unique = |of: fn(&dyn Fault) -> &'static str| {
            let set: BTreeSet<_> = ALL.iter().map(|f| of(*f)).collect();
            set.len()
        };
        assert_eq!(unique(|f| f.name()), ALL.len());
        assert_eq!(unique(|f| f.colour()), ALL.len());
    }
}
