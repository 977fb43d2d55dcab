//! `causal-memory`: each session has an order of its causal past that explains its reads.

use crate::order::{self, Model};

/// The checker.
pub(crate) const CHECKER: Model = Model {
    name: "causal-memory",
    about: "each session has an order of its own of its causal past (Ahamad et al. 1995; \
        Bouajjani et al. 2017)",
    blind_to: "real time; sessions that disagree on the order of writes; values written twice",
    claim: "consistent with causal memory",
    anomalies: &[
        "phantom-read",
        "aborted-read",
        "cyclic-causality",
        "write-co-read",
        "write-co-init-read",
        "cyclic-happens-before",
        "write-hb-init-read",
    ],
    rule: order::memory,
};
