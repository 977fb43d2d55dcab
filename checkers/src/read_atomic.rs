//! `read-atomic`: transactions are seen as a whole or not at all.

use tribunal_results::{Record, Verdict};

use crate::levels::{self, Level};
use crate::{Budget, Checker};

/// The checker.
pub struct ReadAtomic;

const NAME: &str = "read-atomic";
const ANOMALIES: [&str; 10] = [
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
];

impl Checker for ReadAtomic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "transactions are seen as a whole or not at all (Bailis et al. 2014; Biswas & Enea 2019; AWDIT 2025)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "real time; causes that went unseen; values written twice; reads by predicate"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        levels::judge(NAME, Level::ReadAtomic, &ANOMALIES, record, budget)
    }
}
