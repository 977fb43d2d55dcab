//! `causal-convergence`: one order of all writes explains every read from its causal past.

use crate::order::{self, Model};

/// The checker.
pub(crate) const CHECKER: Model = Model {
    name: "causal-convergence",
    about: "causal consistency with one order of all writes (Bouajjani et al. 2017; Perrin \
        et al. 2016)",
    blind_to: "real time; values written twice",
    claim: "causally convergent",
    anomalies: &[
        "phantom-read",
        "aborted-read",
        "cyclic-causality",
        "write-co-read",
        "write-co-init-read",
        "cyclic-conflict",
    ],
    rule: order::convergent,
};
