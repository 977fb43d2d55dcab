//! `read-atomic`: transactions are seen as a whole or not at all.

use crate::levels::{Level, Weak};

/// The checker.
pub(crate) const CHECKER: Weak = Weak {
    name: "read-atomic",
    about: "transactions are seen as a whole or not at all (Bailis et al. 2014; Biswas & \
        Enea 2019; AWDIT 2025)",
    blind_to: "real time; causes that went unseen; values written twice; reads by predicate",
    level: Level::ReadAtomic,
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
    ],
};
