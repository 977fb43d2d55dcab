//! Judging a record that lies on disk.
//!
//! The judging process ([`child`]) is a child of the controller with a limit of time and memory,
//! so that no checker can take the run down with it; it prints one line of JSON for each verdict
//! as soon as it has it, so that what was finished counts even if the rest is not
//! ([`in_child`]). [`conclude`] turns verdicts and the circumstances into the run's result.

pub mod child;
mod conclude;
mod parent;
mod watch;

use serde::{Deserialize, Serialize};
use tribunal_results::{Evidence, Verdict};

pub use self::conclude::conclude;
pub use self::parent::{MEMORY_VARIABLE, in_child};
pub use self::watch::{Watch, follow};
use crate::plan::Plan;

/// The checkers that judge every run, besides those of its workload.
pub const ALWAYS: [&str; 4] = ["recovery", "crash-log", "stats", "evidence"];

/// What judging came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// What each checker concluded.
    pub verdicts: Vec<Verdict>,
    /// What the run can show for itself.
    pub evidence: Evidence,
    /// What went wrong, if the judging itself failed.
    pub error: Option<String>,
}

impl Judgement {
    fn take(&mut self, finding: Finding) {
        match finding {
            Finding::Evidence(evidence) => self.evidence = *evidence,
            Finding::Verdict(verdict) => self.verdicts.push(*verdict),
            Finding::Error(error) => self.fail(error),
            // Only those say it who find nothing for a judgement.
            Finding::Followed(_) => {}
        }
    }

    /// The judging itself failed; the first cause is kept.
    fn fail(&mut self, error: String) {
        self.error.get_or_insert(error);
    }
}

/// One line of the judging process's output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Finding {
    Evidence(Box<Evidence>),
    Verdict(Box<Verdict>),
    /// A checker panicked, or the record cannot be read.
    Error(String),
    /// Of how many operations those who follow a run have been told so far.
    Followed(u64),
}

/// The checkers of what nodes sent each other, where that is journalled.
const MESSAGES: [&str; 2] = ["lamport-clocks", "vector-clocks"];

/// The checkers of a plan, by name, in the order in which they judge.
pub fn checkers_of(plan: &Plan) -> Vec<&'static str> {
    let workload = plan.parts.workload(&plan.workload.workload);
    let of_workload = workload.map_or(&[][..], |w| w.judges(&plan.workload.options));
    let speaks = plan.assume().protocol.is_some();
    // Nodes of others stamp nothing.
    let of_messages = MESSAGES.into_iter().filter(|_| plan.messages && !speaks);
    let of_protocol = speaks.then_some("protocol");
    let named = of_workload
        .iter()
        .copied()
        .chain(of_messages)
        .chain(of_protocol);
    named.chain(ALWAYS).collect()
}
