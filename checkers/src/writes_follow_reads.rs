//! `writes-follow-reads`: a write is seen after what its session had read.

use crate::order::{self, Model};

/// The checker.
pub(crate) const CHECKER: Model = Model {
    name: "writes-follow-reads",
    about: "who reads a write reads no version older than what its session had read (Terry \
        et al. 1994)",
    blind_to: "real time; writes that no session read before another read; values written \
        twice",
    claim: "as writes-follow-reads asks",
    anomalies: &["phantom-read", "aborted-read", "writes-not-following-reads"],
    rule: order::writes_follow_reads,
};
