//! What proving the checkers came to: how surely each planted bug, and each published finding about
//! a system of others, is found, and whether anything is found where nothing is wrong.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::rate::Rate;

/// A trial that did not come out as it should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Miss {
    /// Its seed.
    pub seed: u64,
    /// What happened instead.
    pub why: String,
    /// The command that does it again.
    pub reproduce: String,
}

/// One planted bug, or one published finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// The target.
    pub target: String,
    /// The planted bug; of a published finding, the run that shows it.
    pub bug: String,
    /// The run of the suite that shows it.
    pub run: String,
    /// What a report says of it, of a published finding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// Where that was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How often it was found in time, of the trials that came to a verdict.
    pub rate: Rate,
    /// When half of the findings were there: seconds of the run until the contradiction was
    /// complete. None if it was never found.
    pub median_s: Option<f64>,
    /// The same of the last one.
    pub slowest_s: Option<f64>,
    /// How many operations had ended by then, in half of the findings.
    pub median_operations: Option<u64>,
    /// By what it was found, and how often.
    pub anomalies: BTreeMap<String, u64>,
    /// Trials in which it was not found in time.
    pub missed: Vec<Miss>,
    /// Trials without a verdict.
    pub broken: Vec<Miss>,
}

/// One target without its bug, under the same load and the same faults; or what a suite of published
/// findings runs to show that nothing is found where nothing is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// The target.
    pub target: String,
    /// The run of the suite that it is taken from.
    pub run: String,
    /// How often something was found, though nothing is wrong.
    pub alarms: Rate,
    /// The false alarms.
    pub false_alarms: Vec<Miss>,
    /// Trials that were neither valid nor a violation.
    pub broken: Vec<Miss>,
}

/// Everything that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// Which program.
    pub version: String,
    /// When it began, in UTC, as ISO 8601.
    pub started: String,
    /// The suite whose planted bugs were tried.
    pub suite: String,
    /// How many seeds each was tried with.
    pub seeds: u64,
    /// The most time that counts as found, in seconds.
    pub within_s: f64,
    /// The least share of trials in which each bug must be found.
    pub at_least: f64,
    /// How long all of it took, in seconds.
    pub took_s: f64,
    /// The planted bugs.
    pub detections: Vec<Detection>,
    /// The same targets without them.
    pub controls: Vec<Control>,
}

impl Proof {
    /// Whether the bug was found as often as asked for.
    pub fn is_found(&self, detection: &Detection) -> bool {
        let Rate { hits, trials, .. } = detection.rate;
        trials > 0 && hits as f64 >= self.at_least * trials as f64
    }

    /// Whether every bug was found as often as asked for, and nothing else.
    pub fn holds(&self) -> bool {
        let quiet = |control: &Control| control.alarms.hits == 0;
        self.detections.iter().all(|d| self.is_found(d)) && self.controls.iter().all(quiet)
    }

    /// How many trials came to no verdict.
    pub fn broken(&self) -> usize {
        let detections = self.detections.iter().map(|d| d.broken.len());
        let controls = self.controls.iter().map(|c| c.broken.len());
        detections.chain(controls).sum()
    }
}
