//! `pram`: each session sees the writes of every other in that one's order.

use crate::order::{self, Model};

/// The checker.
pub(crate) const CHECKER: Model = Model {
    name: "pram",
    about: "pipelined memory: each session sees every other's writes in their order \
        (Lipton & Sandberg 1988)",
    blind_to: "real time; causality through a third session; values written twice",
    claim: "PRAM-consistent",
    anomalies: &[
        "phantom-read",
        "aborted-read",
        "cyclic-happens-before",
        "write-hb-init-read",
    ],
    rule: order::pram,
};
