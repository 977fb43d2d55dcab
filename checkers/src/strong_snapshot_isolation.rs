//! `strong-snapshot-isolation`: Snapshot isolation in which a snapshot holds all that had been answered before the transaction
//! began (Daudjee & Salem 2006).

use tribunal_results::{Record, Verdict};

use crate::polygraph::{Isolation, Level, Order};
use crate::{Budget, Checker};

/// The checker.
pub struct StrongSnapshotIsolation;

const LEVEL: Level = Level {
    checker: "strong-snapshot-isolation",
    isolation: Isolation::Snapshot,
    order: Order::RealTime,
};
const ANOMALIES: [&str; 20] = [
    "internal",
    "phantom-value",
    "G1a",
    "G1b",
    "lost-update",
    "G0",
    "G1c",
    "G-single",
    "G-nonadjacent",
    "not-snapshot-isolated",
    "G0-process",
    "G1c-process",
    "G-single-process",
    "G-nonadjacent-process",
    "not-snapshot-isolated-process",
    "G0-realtime",
    "G1c-realtime",
    "G-single-realtime",
    "G-nonadjacent-realtime",
    "not-snapshot-isolated-realtime",
];

impl Checker for StrongSnapshotIsolation {
    fn name(&self) -> &'static str {
        LEVEL.checker
    }

    fn about(&self) -> &'static str {
        "transactions on registers see snapshots that hold all that was answered before (Daudjee & Salem 2006; Viper, 2023)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "write skew, which it allows; values written twice; reads by predicate"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        LEVEL.check(record, budget)
    }
}
