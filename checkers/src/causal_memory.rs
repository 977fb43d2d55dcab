//! `causal-memory`: each session has an order of its causal past that explains its reads.

use tribunal_results::{Record, Verdict};

use crate::{Budget, Checker, order};

/// The checker.
pub struct CausalMemory;

impl Checker for CausalMemory {
    fn name(&self) -> &'static str {
        "causal-memory"
    }

    fn about(&self) -> &'static str {
        "each session has an order of its own of its causal past (Ahamad et al. 1995; Bouajjani et al. 2017)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &[
            "phantom-read",
            "aborted-read",
            "cyclic-causality",
            "write-co-read",
            "write-co-init-read",
            "cyclic-happens-before",
            "write-hb-init-read",
        ]
    }

    fn blind_to(&self) -> &'static str {
        "real time; sessions that disagree on the order of writes; values written twice"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let claim = "consistent with causal memory";
        order::judge(self.name(), claim, &record.history, budget, order::memory)
    }
}
