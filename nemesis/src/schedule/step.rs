//! A schedule written by hand, or by a run before: what begins when, and for how long.

use serde::{Deserialize, Serialize};
use tribunal_results::options::{OptionError, Time};

use super::cue::Cue;
use super::{FaultPlan, find_fault};
use crate::Injection;

/// One fault of a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// When it begins.
    #[serde(flatten)]
    pub start: Start,
    /// How long it lasts.
    pub hold: Time,
    /// What it is.
    #[serde(flatten)]
    pub act: Act,
}

/// When a step begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// So long after the workload began.
    At(Time),
    /// When that is seen.
    #[serde(alias = "after")]
    When(Cue),
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Act {
    /// Exactly this: whom and how was chosen before.
    Given {
        /// What was chosen.
        injection: Injection,
    },
    /// A fault that chooses when it begins.
    Drawn(FaultPlan),
}

impl Act {
    /// The name of its fault.
    pub fn fault(&self) -> &str {
        match self {
            Self::Given { injection } => &injection.fault,
            Self::Drawn(plan) => &plan.fault,
        }
    }
}

/// Checks one step; paths are relative to it.
pub(super) fn check(step: &Step) -> Result<(), OptionError> {
    if step.hold.0.is_zero() {
        let message = "a fault that is healed at once shows nothing; write 500ms";
        return Err(OptionError::new("hold", message));
    }
    if let Start::When(cue) = &step.start {
        cue.check()
            .map_err(|message| OptionError::new("when", message))?;
    }
    match &step.act {
        Act::Given { injection } => find_fault(&injection.fault)
            .map(drop)
            .map_err(|message| OptionError::new("injection.fault", message)),
        Act::Drawn(plan) => {
            let fault =
                find_fault(&plan.fault).map_err(|message| OptionError::new("type", message))?;
            fault.check_options(&plan.options)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_step_is_written_as_it_is_read() {
        for written in [
            json!({"at": "1500ms", "hold": "2s", "type": "kill", "nodes": ["n1"]}),
            json!({"when": {"ok": "write", "count": 412}, "hold": "2s", "type": "pause"}),
            json!({"when": {"leader": "n2"}, "hold": "2s", "type": "pause"}),
            json!({"at": "1s", "hold": "20ms", "injection": {
                "fault": "partition", "nodes": ["n1"], "links": [["n1", "n2"]],
                "what": "partition", "detail": null,
            }}),
        ] {
            let step: Step = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(check(&step), Ok(()));
            assert_eq!(json!(step), written);
        }
    }

    #[test]
    fn what_is_wrong_with_a_step_is_found_by_its_path() {
        let path = |step: serde_json::Value| {
            let step: Step = serde_json::from_value(step).unwrap();
            check(&step).unwrap_err().path
        };
        let kill = |hold: &str| json!({"at": "1s", "hold": hold, "type": "kill"});
        assert_eq!(path(kill("0s")), "hold");
        let unknown = json!({"at": "1s", "hold": "1s", "type": "kil"});
        assert_eq!(path(unknown), "type");
        let option = json!({"at": "1s", "hold": "1s", "type": "kill", "node": "n1"});
        assert_eq!(path(option), "node");
        let cue = json!({"when": {"ok": "wrote"}, "hold": "1s", "type": "kill"});
        assert_eq!(path(cue), "when");
    }
}
