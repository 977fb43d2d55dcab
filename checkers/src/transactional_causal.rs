//! `transactional-causal`: transactions see all that came before what they see, as a whole.

use tribunal_results::{Record, Verdict};

use crate::levels::{self, Level};
use crate::{Budget, Checker};

/// The checker.
pub struct TransactionalCausal;

const NAME: &str = "transactional-causal";
const ANOMALIES: [&str; 11] = [
    "thin-air-read",
    "aborted-read",
    "intermediate-read",
    "future-read",
    "not-own-write",
    "not-last-own-write",
    "cyclic-causality",
    "non-repeatable-read",
    "non-monotonic-read",
    "fractured-read",
    "causality-violation",
];

impl Checker for TransactionalCausal {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "transactions see all that came before what they see, as a whole (Biswas & Enea 2019; AWDIT 2025)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "real time; lost updates and write skew; values written twice; reads by predicate"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        levels::judge(NAME, Level::TransactionalCausal, &ANOMALIES, record, budget)
    }
}
