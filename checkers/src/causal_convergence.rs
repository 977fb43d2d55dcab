//! `causal-convergence`: one order of all writes explains every read from its causal past.

use tribunal_results::{Record, Verdict};

use crate::{Budget, Checker, order};

/// The checker.
pub struct CausalConvergence;

impl Checker for CausalConvergence {
    fn name(&self) -> &'static str {
        "causal-convergence"
    }

    fn about(&self) -> &'static str {
        "causal consistency with one order of all writes (Bouajjani et al. 2017; Perrin et al. 2016)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &[
            "phantom-read",
            "aborted-read",
            "cyclic-causality",
            "write-co-read",
            "write-co-init-read",
            "cyclic-conflict",
        ]
    }

    fn blind_to(&self) -> &'static str {
        "real time; values written twice"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let claim = "causally convergent";
        order::judge(
            self.name(),
            claim,
            &record.history,
            budget,
            order::convergent,
        )
    }
}
