//! `writes-follow-reads`: a write is seen after what its session had read.

use tribunal_results::{Record, Verdict};

use crate::{Budget, Checker, order};

/// The checker.
pub struct WritesFollowReads;

impl Checker for WritesFollowReads {
    fn name(&self) -> &'static str {
        "writes-follow-reads"
    }

    fn about(&self) -> &'static str {
        "who reads a write reads no version older than what its session had read (Terry et al. 1994)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["phantom-read", "aborted-read", "writes-not-following-reads"]
    }

    fn blind_to(&self) -> &'static str {
        "real time; writes that no session read before another read; values written twice"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let claim = "as writes-follow-reads asks";
        order::judge(
            self.name(),
            claim,
            &record.history,
            budget,
            order::writes_follow_reads,
        )
    }
}
