//! `pram`: each session sees the writes of every other in that one's order.

use tribunal_results::{Record, Verdict};

use crate::{Budget, Checker, order};

/// The checker.
pub struct Pram;

impl Checker for Pram {
    fn name(&self) -> &'static str {
        "pram"
    }

    fn about(&self) -> &'static str {
        "pipelined memory: each session sees every other's writes in their order (Lipton & Sandberg 1988)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &[
            "phantom-read",
            "aborted-read",
            "cyclic-happens-before",
            "write-hb-init-read",
        ]
    }

    fn blind_to(&self) -> &'static str {
        "real time; causality through a third session; values written twice"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let claim = "PRAM-consistent";
        order::judge(self.name(), claim, &record.history, budget, order::pram)
    }
}
