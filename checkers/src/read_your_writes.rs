//! `read-your-writes`: a session reads no version older than what it wrote.

use tribunal_results::{Record, Verdict};

use crate::{Budget, Checker, order};

/// The checker.
pub struct ReadYourWrites;

impl Checker for ReadYourWrites {
    fn name(&self) -> &'static str {
        "read-your-writes"
    }

    fn about(&self) -> &'static str {
        "a session reads no version older than its own writes (Terry et al. 1994)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["phantom-read", "aborted-read", "lost-own-write"]
    }

    fn blind_to(&self) -> &'static str {
        "real time; what other sessions wrote or read; values written twice"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let claim = "as read-your-writes asks";
        order::judge(
            self.name(),
            claim,
            &record.history,
            budget,
            order::read_your_writes,
        )
    }
}
