//! `monotonic-writes`: a session's writes are seen in its order.

use crate::order::{self, Model};

/// The checker.
pub(crate) const CHECKER: Model = Model {
    name: "monotonic-writes",
    about: "who reads a write reads no version older than its session's earlier writes \
        (Terry et al. 1994)",
    blind_to: "real time; writes that no session read before another read; values written \
        twice",
    claim: "as monotonic-writes asks",
    anomalies: &["phantom-read", "aborted-read", "writes-reordered"],
    rule: order::monotonic_writes,
};
