//! When to break what: a seeded mix of quiet → inject → hold → heal, and steps given one by one.
//!
//! Each round of the mix breaks everything in the plan once, in an order of chance. Every choice of
//! a fault (its place in the round, its times, whom it hits) is drawn from a stream of its own,
//! named by seed, round and fault, so that adding a fault to a plan does not change the others.
//! A step begins at a time, or when something is seen, and may say exactly what is done: that is
//! how a run is replayed.
//!
//! | module | what it does |
//! |---|---|
//! | [`conduct`] | runs mix and steps and reports them |
//! | `draw` | what the mix does next |
//! | `step`, `cue` | steps, and what they may wait for |
//! | `book` | what is in force: conflicts and the budget |
//! | [`heal_all`] | mends everything, whoever broke it |
//! | `guard` | bounds a fault's time and survives its panics |

mod book;
mod conduct;
mod cue;
mod draw;
mod guard;
mod heal;
mod step;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, TimeRange};

use crate::{ALL, Fault, Need, find};

pub use book::Budget;
pub use conduct::conduct;
pub use cue::{Cue, Cues, Sight};
pub use heal::heal_all;
pub use step::{Act, Start, Step};

/// The most faults of a mix that may be in force at once.
pub const OVERLAP_MAX: usize = 50;
/// The most steps that a schedule may have.
pub const STEPS_MAX: usize = 1000;

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
    /// The least time from the beginning of one fault of the mix to that of the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<TimeRange>,
    /// How many faults of the mix may be in force at once.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub overlap: usize,
    /// The share of the turns of the mix in which anything is broken.
    #[serde(default = "always", skip_serializing_if = "is_always")]
    pub probability: f64,
    /// How many nodes may be out at once.
    #[serde(default, skip_serializing_if = "Budget::is_default")]
    pub budget: Budget,
    /// Steps, besides the mix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<Step>,
    /// Faults that it may name besides those of the catalogue.
    #[serde(skip)]
    pub own: Own,
}

/// Faults that are not of the catalogue: a user's own. One of them hides a namesake there.
#[derive(Clone, Default)]
pub struct Own(pub Vec<&'static dyn Fault>);

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.0.iter().map(|fault| fault.name());
        f.debug_list().entries(names).finish()
    }
}

impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        let names = |own: &Self| own.0.iter().map(|f| f.name()).collect::<Vec<_>>();
        names(self) == names(other)
    }
}

const fn one() -> usize {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_one(overlap: &usize) -> bool {
    *overlap == 1
}

const fn always() -> f64 {
    1.0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_always(probability: &f64) -> bool {
    *probability >= 1.0
}

impl NemesisPlan {
    /// What nodes must be started with for its faults.
    pub fn needs(&self) -> Vec<Need> {
        let faults = self.kinds().filter_map(|name| self.fault(name));
        let mut needs = Vec::new();
        for need in faults.filter_map(Fault::needs) {
            if !needs.contains(&need) {
                needs.push(need);
            }
        }
        needs
    }

    /// The fault of that name.
    pub fn fault(&self, name: &str) -> Option<&'static dyn Fault> {
        let own = self.own.0.iter().copied().find(|own| own.name() == name);
        own.or_else(|| find(name))
    }

    /// The names of its faults, each once, in order.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        let mut seen = BTreeSet::new();
        let mixed = self.faults.iter().map(|plan| plan.fault.as_str());
        let names = mixed.chain(self.schedule.iter().map(|step| step.act.fault()));
        names.filter(move |name| seen.insert(*name))
    }
}

impl Default for NemesisPlan {
    fn default() -> Self {
        Self {
            faults: Vec::new(),
            quiet: TimeRange::millis(200, 600),
            hold: TimeRange::millis(300, 900),
            interval: None,
            overlap: one(),
            probability: always(),
            budget: Budget::default(),
            schedule: Vec::new(),
            own: Own::default(),
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
        let fault = find_fault(&wanted.fault)
            .map_err(|message| OptionError::new(format!("faults[{i}].type"), message))?;
        fault
            .check_options(&wanted.options)
            .map_err(|e| under(&format!("faults[{i}]"), e))?;
    }
    for (i, step) in plan.schedule.iter().enumerate() {
        step::check(step).map_err(|e| under(&format!("schedule[{i}]"), e))?;
    }
    if !plan.faults.is_empty() && plan.hold.to.0.is_zero() {
        return Err(OptionError::new(
            "hold",
            "a fault that is healed at once shows nothing; write 300ms..900ms",
        ));
    }
    Ok(())
}

/// The error with its path below that one.
fn under(path: &str, error: OptionError) -> OptionError {
    let dot = if error.path.is_empty() { "" } else { "." };
    OptionError::new(format!("{path}{dot}{}", error.path), error.message)
}

fn find_fault(name: &str) -> Result<&'static dyn Fault, String> {
    find(name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|fault| fault.name()).collect();
        format!("unknown fault {name:?}; there are {}", names.join(", "))
    })
}

/// Checks one step of a schedule before anything starts.
///
/// # Errors
/// The path within the step and nature of what is wrong first.
pub fn check_step(step: &Step) -> Result<(), OptionError> {
    step::check(step)
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
        let names: Vec<&str> = ALL.iter().map(|fault| fault.name()).collect();
        assert!(message.contains(&names.join(", ")), "{message}");
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
