//! `causal`: no read returns what was overwritten in its causal past.

use tribunal_results::{Record, Verdict};

use crate::{Budget, Checker, order};

/// The checker.
pub struct Causal;

impl Checker for Causal {
    fn name(&self) -> &'static str {
        "causal"
    }

    fn about(&self) -> &'static str {
        "weak causal consistency: no read returns what was overwritten in its causal past (Bouajjani et al. 2017)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &[
            "phantom-read",
            "aborted-read",
            "cyclic-causality",
            "write-co-read",
            "write-co-init-read",
        ]
    }

    fn blind_to(&self) -> &'static str {
        "real time; one order of writes for all, or for each session; values written twice"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let claim = "causally consistent";
        order::judge(self.name(), claim, &record.history, budget, order::causal)
    }
}
