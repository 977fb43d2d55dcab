//! `monotonic-reads`: a session reads no version older than what it read.

use tribunal_results::{Record, Verdict};

use crate::{Budget, Checker, order};

/// The checker.
pub struct MonotonicReads;

impl Checker for MonotonicReads {
    fn name(&self) -> &'static str {
        "monotonic-reads"
    }

    fn about(&self) -> &'static str {
        "a session reads no version older than one it has read (Terry et al. 1994)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["phantom-read", "aborted-read", "non-monotonic-read"]
    }

    fn blind_to(&self) -> &'static str {
        "real time; what the session wrote; values written twice"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let claim = "as monotonic-reads asks";
        order::judge(
            self.name(),
            claim,
            &record.history,
            budget,
            order::monotonic_reads,
        )
    }
}
