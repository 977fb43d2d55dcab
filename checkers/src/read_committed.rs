//! `read-committed`: transactions see only what was committed, and each later read no less of it.

use crate::levels::{Level, Weak};

/// The checker.
pub(crate) const CHECKER: Weak = Weak {
    name: "read-committed",
    about: "transactions see only what was committed, and later reads no less of it \
        (Biswas & Enea 2019; AWDIT 2025)",
    blind_to: "real time; transactions seen in parts; values written twice; reads by \
        predicate",
    level: Level::ReadCommitted,
    anomalies: &[
        "thin-air-read",
        "aborted-read",
        "intermediate-read",
        "future-read",
        "not-own-write",
        "not-last-own-write",
        "cyclic-causality",
        "non-monotonic-read",
    ],
};
