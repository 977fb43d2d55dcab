//! What became of the objects, and the verdict on all of them.

use tribunal_results::{Anomaly, Verdict};

use super::{NAME, SHRINK_STEPS_MAX};
use crate::engine::WIDTH_MAX;
use crate::{Budget, explain};

/// How many keys are named in a sentence.
const KEYS_NAMED_MAX: usize = 8;

/// What was done, whatever came of it.
#[derive(Default)]
pub(super) struct Done {
    pub(super) keys: usize,
    pub(super) operations: usize,
    pub(super) observations: usize,
    pub(super) peak: u64,
    pub(super) steps: u64,
    pub(super) verified: Vec<String>,
    /// Keys of which the order that was found was replayed.
    pub(super) replayed: usize,
}

impl Done {
    pub(super) fn add(&mut self, more: Self) {
        self.keys += more.keys;
        self.operations += more.operations;
        self.observations += more.observations;
        self.peak = self.peak.max(more.peak);
        self.steps += more.steps;
        self.verified.extend(more.verified);
        self.replayed += more.replayed;
    }
}

/// What became of the keys.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) done: Done,
    /// Keys of which the order that was found did not fit: the checker itself is wrong.
    pub(super) doubted: Vec<String>,
    pub(super) stopped: Vec<String>,
    pub(super) too_wide: bool,
    /// Keys to which things of different types were done.
    pub(super) mixed: Vec<String>,
    pub(super) anomalies: Vec<Anomaly>,
    /// How many of them are worth being made small.
    small: usize,
}

impl Tally {
    /// Nothing yet; so many contradictions are made small.
    pub(super) fn new(small: usize) -> Self {
        Self {
            small,
            ..Self::default()
        }
    }

    /// Whether all objects were verified.
    pub(super) const fn is_verified(&self) -> bool {
        self.doubted.is_empty() && self.stopped.is_empty() && self.anomalies.is_empty()
    }

    /// What may be spent on making one contradiction small.
    pub(super) const fn spend(&self, budget: Budget) -> Budget {
        let listed = self.anomalies.len() < self.small;
        Budget {
            steps: if listed { SHRINK_STEPS_MAX } else { 0 },
            ..budget
        }
    }

    pub(super) fn stop(&mut self, name: &str, event: u64) {
        self.stopped
            .push(format!("{name} (verified up to event {event})"));
    }

    pub(super) fn verdict(mut self) -> Verdict {
        let verdict = if !self.anomalies.is_empty() {
            // The clearest first: few calls, then early ones.
            self.anomalies
                .sort_by_key(|a| (a.calls.len(), a.span.1, a.calls.first().copied()));
            let total = self.anomalies.len() as u64;
            Verdict::invalid(NAME, std::mem::take(&mut self.anomalies), total)
        } else if !self.doubted.is_empty() {
            let text = format!(
                "the checker contradicts itself, please report it: {}",
                named(&self.doubted)
            );
            Verdict::unknown(NAME, "self-check", text)
        } else if !self.stopped.is_empty() {
            let code = if self.too_wide { "too-wide" } else { "budget" };
            Verdict::unknown(NAME, code, self.unfinished())
        } else if !self.mixed.is_empty() {
            let text = format!(
                "operations of different data types on one key have no meaning together: {}; \
                 verified: {}",
                named(&self.mixed),
                named(&self.done.verified)
            );
            Verdict::unknown(NAME, "mixed", text)
        } else if self.done.observations == 0 {
            let text = "no answer told what was there, so there is nothing to judge";
            Verdict::unknown(NAME, "vacuous", text)
        } else {
            let operations = explain::count(self.done.operations, "operation");
            let keys = explain::count(self.done.keys, "key");
            let are = explain::are(self.done.operations);
            Verdict::valid(NAME, format!("{operations} on {keys} {are} linearizable"))
        };
        verdict
            .figure("keys", self.done.keys)
            .figure("keys-verified", self.done.verified.len())
            .figure("keys-unknown", self.stopped.len())
            .figure("keys-replayed", self.done.replayed)
            .figure("operations", self.done.operations)
            .figure("observations", self.done.observations)
            .figure("configurations-peak", self.done.peak)
            .figure("steps", self.done.steps)
    }

    fn unfinished(&self) -> String {
        let why = if self.too_wide {
            format!("more than {WIDTH_MAX} operations were open at once on one key")
        } else {
            "the budget ran out".to_owned()
        };
        format!(
            "{why}; undecided: {}; verified: {}",
            named(&self.stopped),
            named(&self.done.verified)
        )
    }
}

fn named(keys: &[String]) -> String {
    let mut text = keys
        .iter()
        .take(KEYS_NAMED_MAX)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if keys.is_empty() {
        text.push_str("no key");
    } else if keys.len() > KEYS_NAMED_MAX {
        text.push_str(&format!(" and {} more", keys.len() - KEYS_NAMED_MAX));
    }
    text
}
