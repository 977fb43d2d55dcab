//! `monotonic-reads`: a session reads no version older than what it read.

use crate::order::{self, Model};

/// The checker.
pub(crate) const CHECKER: Model = Model {
    name: "monotonic-reads",
    about: "a session reads no version older than one it has read (Terry et al. 1994)",
    blind_to: "real time; what the session wrote; values written twice",
    claim: "as monotonic-reads asks",
    anomalies: &["phantom-read", "aborted-read", "non-monotonic-read"],
    rule: order::monotonic_reads,
};
