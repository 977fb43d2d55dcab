//! `read-your-writes`: a session reads no version older than what it wrote.

use crate::order::{self, Model};

/// The checker.
pub(crate) const CHECKER: Model = Model {
    name: "read-your-writes",
    about: "a session reads no version older than its own writes (Terry et al. 1994)",
    blind_to: "real time; what other sessions wrote or read; values written twice",
    claim: "as read-your-writes asks",
    anomalies: &["phantom-read", "aborted-read", "lost-own-write"],
    rule: order::read_your_writes,
};
