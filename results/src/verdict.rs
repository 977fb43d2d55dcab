//! What the checkers concluded.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::gates::Judged;
use crate::operation::Reason;
use crate::{Nanos, Scalar};

/// How many anomalies a verdict lists in full; the rest are counted.
pub const ANOMALIES_LISTED_MAX: usize = 16;
/// The figure with the names of all anomalies, where more were found than are listed.
const NAMES: &str = "names";

/// A checker's answer. Worse is larger, so the whole is the maximum of its parts.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Validity {
    /// The property holds.
    Valid,
    /// Nobody can tell: budget exhausted, or nothing to judge.
    Unknown,
    /// The property is violated.
    Invalid,
}

/// One contradiction that a checker found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Anomaly {
    /// A stable name, which `expect:` in suites refers to: `stale-read`, `double-hold`, …
    pub name: String,
    /// What happened, in one sentence in the words of the domain.
    pub sentence: String,
    /// The object that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Scalar>,
    /// The minimal sub-history: the index of each call's `invoke` event, in order.
    #[serde(default)]
    pub calls: Vec<u64>,
    /// Why these calls contradict each other: one sentence each.
    #[serde(default)]
    pub facts: Vec<String>,
    /// The stretch of time to look at, in nanoseconds since the run's origin.
    #[serde(default)]
    pub span: (Nanos, Nanos),
}

/// What one checker concluded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Verdict {
    /// The checker's name.
    pub checker: String,
    /// Its answer.
    pub validity: Validity,
    /// The answer in one sentence.
    pub summary: String,
    /// Why it is unknown, if it is: a stable code and a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Reason>,
    /// The contradictions, the clearest first; at most [`ANOMALIES_LISTED_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anomalies: Vec<Anomaly>,
    /// How many contradictions there were.
    #[serde(default)]
    pub anomalies_total: u64,
    /// Figures of the checker: counts, what was verified, what could not be.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, Json>,
}

impl Verdict {
    /// The property holds.
    pub fn valid(checker: &str, summary: impl Into<String>) -> Self {
        Self::of(checker, Validity::Valid, summary.into())
    }

    /// Nobody can tell, for the reason given.
    pub fn unknown(checker: &str, code: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        let mut verdict = Self::of(checker, Validity::Unknown, text.clone());
        verdict.unknown = Some(Reason::new(code, text));
        verdict
    }

    /// The property is violated. The summary is the first anomaly's sentence; `anomalies` must
    /// not be empty, and of more than [`ANOMALIES_LISTED_MAX`] only the first are kept; of the others
    /// the figure `names` says what they are called.
    pub fn invalid(checker: &str, mut anomalies: Vec<Anomaly>, total: u64) -> Self {
        let summary = anomalies
            .first()
            .map(|a| a.sentence.clone())
            .unwrap_or_default();
        let total = total.max(anomalies.len() as u64);
        let all: BTreeSet<String> = anomalies.iter().map(|a| a.name.clone()).collect();
        let known = anomalies.len() > ANOMALIES_LISTED_MAX && anomalies.len() as u64 == total;
        anomalies.truncate(ANOMALIES_LISTED_MAX);
        let mut verdict = Self::of(checker, Validity::Invalid, summary);
        verdict.anomalies = anomalies;
        verdict.anomalies_total = total;
        match known {
            true => verdict.figure(NAMES, all.into_iter().collect::<Vec<_>>()),
            false => verdict,
        }
    }

    /// What its contradictions are called, each name at least once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let listed = self.anomalies.iter().map(|anomaly| anomaly.name.as_str());
        let others = self.figures.get(NAMES).and_then(Json::as_array);
        listed.chain(others.into_iter().flatten().filter_map(Json::as_str))
    }

    /// Whether [`names`](Self::names) has the name of every contradiction that was counted.
    pub fn names_are_complete(&self) -> bool {
        self.anomalies_total <= self.anomalies.len() as u64 || self.figures.contains_key(NAMES)
    }

    /// The same with a figure.
    #[must_use]
    pub fn figure(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.figures.insert(name.into(), value.into());
        self
    }

    fn of(checker: &str, validity: Validity, summary: String) -> Self {
        Self {
            checker: checker.into(),
            validity,
            summary,
            unknown: None,
            anomalies: Vec::new(),
            anomalies_total: 0,
            figures: BTreeMap::new(),
        }
    }
}

/// Outcomes of one kind of operation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Counts {
    /// Took effect.
    pub ok: u64,
    /// Definitely did not.
    pub fail: u64,
    /// Nobody knows.
    pub info: u64,
}

impl Counts {
    /// All of them.
    pub const fn total(self) -> u64 {
        self.ok + self.fail + self.info
    }
}

/// What the run can show for itself: a green without it proves nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Evidence {
    /// Outcomes by kind of operation.
    pub operations: BTreeMap<String, Counts>,
    /// Outcomes of all operations.
    pub total: Counts,
    /// Answers in which a client saw what another client did: a value it wrote, a lock it gave
    /// back.
    pub cross_observations: u64,
    /// The most operations that were outstanding at one instant.
    pub concurrency_peak: u64,
    /// Faults injected whose proof shows an effect, by name.
    pub faults_bitten: BTreeMap<String, u64>,
    /// Faults injected whose proof shows no effect, by name.
    pub faults_idle: BTreeMap<String, u64>,
    /// Faults that could not be injected, by name.
    pub faults_skipped: BTreeMap<String, u64>,
    /// The share of operations that overlapped a fault, from 0 to 1.
    pub overlap: f64,
    /// Final reads that were answered.
    pub final_reads: u64,
    /// What was answered while nodes were parted, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Availability>,
    /// What was asked by operations that no fault overlapped, and answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calm: Option<Answered>,
    /// How long operations that took effect took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// How long the nodes that faults had hit took to serve again, by the fault's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub recoveries: BTreeMap<String, Recovery>,
    /// For how long the machine itself stood still during the run, in nanoseconds.
    #[serde(default)]
    pub stood_still: Nanos,
}

/// How long the nodes that faults of one kind had hit took to serve again: from the cure, or from
/// when they were ready if that was later, to the first answer from one of them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Recovery {
    /// Faults after which it was measured.
    pub measured: u64,
    /// Faults that bit, and after which there was no such answer before the next.
    pub unmeasured: u64,
    /// Half of the times are at most so long, in nanoseconds; 0 if none was measured.
    pub median: u64,
    /// 99 % of the times are at most so long, in nanoseconds; 0 if none was measured.
    #[serde(default)]
    pub p99: u64,
    /// The longest, in nanoseconds.
    pub slowest: u64,
}

/// How long the operations that took effect took.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Latency {
    /// Half of them took at most so long, in nanoseconds.
    pub median: u64,
    /// 99 % of them took at most so long, in nanoseconds.
    pub p99: u64,
}

/// What was answered on each side of a partition.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Availability {
    /// How many partitions bit.
    pub partitions: u64,
    /// On the side with a majority of the nodes.
    pub majority: Answered,
    /// On all other sides.
    pub minority: Answered,
}

/// How much of what was asked was answered.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Answered {
    /// Operations that were asked.
    pub asked: u64,
    /// Of them those that were answered while it lasted.
    pub answered: u64,
}

impl Answered {
    /// The share that was answered, from 0 to 1; `None` if nothing was asked.
    pub fn share(&self) -> Option<f64> {
        (self.asked > 0).then(|| self.answered as f64 / self.asked as f64)
    }
}

/// The least that a run must have shown; below it, its result is *insufficient*.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvidenceFloor {
    /// Operations that took effect.
    pub ok_operations: u64,
    /// Answers in which a client saw what another client did.
    pub cross_observations: u64,
    /// Operations outstanding at one instant.
    pub concurrency: u64,
    /// Faults that bit, of each kind that the plan asks for.
    pub faults_of_each: u64,
    /// Final operations (reads, or grants where nothing is read) that were answered after the last
    /// cure: the system came back.
    pub final_reads: u64,
}

impl Default for EvidenceFloor {
    /// A little of everything. Of faults only those count that the plan asks for.
    fn default() -> Self {
        Self {
            ok_operations: 50,
            cross_observations: 5,
            concurrency: 2,
            faults_of_each: 1,
            final_reads: 1,
        }
    }
}

/// How a run ended. Exit codes are documented and never reused.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ResultClass {
    /// Every checker says valid, on enough evidence; or the expected anomalies were found.
    Pass,
    /// A checker found a contradiction; or an expected one was not found.
    Violation,
    /// A checker could not tell.
    Inconclusive,
    /// Nothing was found, but too little happened for that to mean anything.
    Insufficient,
    /// Nothing is wrong, but a figure misses its threshold: a gate of the suite, or a saved baseline.
    Regression,
    /// The harness failed; nothing is said about the system.
    HarnessError,
    /// The run was stopped before its end, and nothing was found until then.
    #[default]
    Interrupted,
}

impl ResultClass {
    /// From the one that decides the exit code of several runs to the one that decides least.
    pub const BY_WEIGHT: [Self; 7] = [
        Self::Violation,
        Self::HarnessError,
        Self::Interrupted,
        Self::Insufficient,
        Self::Inconclusive,
        Self::Regression,
        Self::Pass,
    ];

    /// The exit code of a run that ends so.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Violation => 1,
            Self::Inconclusive => 2,
            Self::Insufficient => 3,
            Self::Regression => 4,
            Self::HarnessError => 70,
            Self::Interrupted => 130,
        }
    }

    /// The name in reports and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Violation => "violation",
            Self::Inconclusive => "inconclusive",
            Self::Insufficient => "insufficient",
            Self::Regression => "regression",
            Self::HarnessError => "harness-error",
            Self::Interrupted => "interrupted",
        }
    }

    /// The class of several runs together; `None` of none.
    pub fn combine(classes: impl IntoIterator<Item = Self>) -> Option<Self> {
        let seen: Vec<Self> = classes.into_iter().collect();
        Self::BY_WEIGHT
            .into_iter()
            .find(|class| seen.contains(class))
    }
}

/// `verdict.json`: what a whole run came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(title = "Tribunal verdict")]
pub struct RunVerdict {
    /// How the run ended.
    pub class: ResultClass,
    /// A stable code for the reason: the name of an anomaly, or one of
    /// [`REASONS`](crate::reasons).
    pub reason: String,
    /// Outcome and claim in one sentence.
    pub claim: String,
    /// The anomalies that the plan expects; empty if it expects a valid run.
    #[serde(default)]
    pub expected: Vec<String>,
    /// What each checker concluded.
    pub verdicts: Vec<Verdict>,
    /// What the run can show for itself.
    pub evidence: Evidence,
    /// What became of the gates that the plan sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Judged>,
    /// What a violation is known by: [signatures](crate::signature) as text, one for each kind of
    /// finding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<String>,
    /// Tickets of the known issues that account for all of a violation; empty if something is new.
    /// Who sums up runs says so: the file of a run does not have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<String>,
}

/// The checkers that say whether the system came back; all others say whether it was right.
pub const LIVENESS: [&str; 1] = ["recovery"];

impl RunVerdict {
    /// Whether what was answered was right.
    pub fn safety(&self) -> Validity {
        self.of(|checker| !LIVENESS.contains(&checker))
    }

    /// Whether the system came back when everything was healed.
    pub fn liveness(&self) -> Validity {
        self.of(|checker| LIVENESS.contains(&checker))
    }

    /// The worst verdict of some checkers; unknown if none of them judged.
    fn of(&self, checkers: impl Fn(&str) -> bool) -> Validity {
        let of: Vec<Validity> = self
            .verdicts
            .iter()
            .filter(|verdict| checkers(&verdict.checker))
            .map(|verdict| verdict.validity)
            .collect();
        let has = |validity: Validity| of.contains(&validity);
        match (has(Validity::Invalid), has(Validity::Unknown)) {
            (true, _) => Validity::Invalid,
            (false, true) => Validity::Unknown,
            _ if of.is_empty() => Validity::Unknown,
            _ => Validity::Valid,
        }
    }

    /// The anomaly to show first: of the first checker that found one.
    pub fn headline(&self) -> Option<&Anomaly> {
        self.verdicts
            .iter()
            .find_map(|verdict| verdict.anomalies.first())
    }
}
