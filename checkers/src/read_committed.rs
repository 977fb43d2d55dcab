//! `read-committed`: transactions see only what was committed, and each later read no less of it.

use tribunal_results::{Record, Verdict};

use crate::levels::{self, Level};
use crate::{Budget, Checker};

/// The checker.
pub struct ReadCommitted;

const NAME: &str = "read-committed";
const ANOMALIES: [&str; 8] = [
    "thin-air-read",
    "aborted-read",
    "intermediate-read",
    "future-read",
    "not-own-write",
    "not-last-own-write",
    "cyclic-causality",
    "non-monotonic-read",
];

impl Checker for ReadCommitted {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "transactions see only what was committed, and later reads no less of it (Biswas & Enea 2019; AWDIT 2025)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "real time; transactions seen in parts; values written twice; reads by predicate"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        levels::judge(NAME, Level::ReadCommitted, &ANOMALIES, record, budget)
    }
}
