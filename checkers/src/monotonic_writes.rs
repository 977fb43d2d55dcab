//! `monotonic-writes`: a session's writes are seen in its order.

use tribunal_results::{Record, Verdict};

use crate::{Budget, Checker, order};

/// The checker.
pub struct MonotonicWrites;

impl Checker for MonotonicWrites {
    fn name(&self) -> &'static str {
        "monotonic-writes"
    }

    fn about(&self) -> &'static str {
        "who reads a write reads no version older than its session's earlier writes (Terry et al. 1994)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["phantom-read", "aborted-read", "writes-reordered"]
    }

    fn blind_to(&self) -> &'static str {
        "real time; writes that no session read before another read; values written twice"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let claim = "as monotonic-writes asks";
        order::judge(
            self.name(),
            claim,
            &record.history,
            budget,
            order::monotonic_writes,
        )
    }
}
