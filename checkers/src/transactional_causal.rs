//! `transactional-causal`: transactions see all that came before what they see, as a whole.

use crate::levels::{Level, Weak};

/// The checker.
pub(crate) const CHECKER: Weak = Weak {
    name: "transactional-causal",
    about: "transactions see all that came before what they see, as a whole (Biswas & Enea \
        2019; AWDIT 2025)",
    blind_to: "real time; lost updates and write skew; values written twice; reads by \
        predicate",
    level: Level::TransactionalCausal,
    anomalies: &[
        "thin-air-read",
        "aborted-read",
        "intermediate-read",
        "future-read",
        "not-own-write",
        "not-last-own-write",
        "cyclic-causality",
        "non-repeatable-read",
        "non-monotonic-read",
        "fractured-read",
        "causality-violation",
    ],
};
