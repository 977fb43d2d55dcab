//! `causal`: no read returns what was overwritten in its causal past.

use crate::order::{self, Model};

/// The checker.
pub(crate) const CHECKER: Model = Model {
    name: "causal",
    about: "weak causal consistency: no read returns what was overwritten in its causal \
        past (Bouajjani et al. 2017)",
    blind_to: "real time; one order of writes for all, or for each session; values written \
        twice",
    claim: "causally consistent",
    anomalies: &[
        "phantom-read",
        "aborted-read",
        "cyclic-causality",
        "write-co-read",
        "write-co-init-read",
    ],
    rule: order::causal,
};
