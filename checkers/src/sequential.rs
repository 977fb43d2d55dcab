//! `sequential`: one order of all operations, which keeps each session's, explains every read.

use tribunal_results::{Record, Verdict};

use crate::{Budget, Checker, order};

/// The checker.
pub struct Sequential;

impl Checker for Sequential {
    fn name(&self) -> &'static str {
        "sequential"
    }

    fn about(&self) -> &'static str {
        "one order of all operations keeps each session's own (Lamport 1979; Gibbons & Korach 1997)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["phantom-read", "aborted-read", "not-sequential"]
    }

    fn blind_to(&self) -> &'static str {
        "real time; operations on anything but registers"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        order::sequential(record, budget)
    }
}
