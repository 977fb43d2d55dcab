//! `strong-session-snapshot-isolation`: Snapshot isolation in which a snapshot is never older than what the same client did before
//! (Daudjee & Salem, *Lazy database replication with snapshot isolation*, 2006). This is what the
//! literature's checkers call snapshot isolation (PolySI, Viper).

use tribunal_results::{Record, Verdict};

use crate::polygraph::{Isolation, Level, Order};
use crate::{Budget, Checker};

/// The checker.
pub struct StrongSessionSnapshotIsolation;

const LEVEL: Level = Level {
    checker: "strong-session-snapshot-isolation",
    isolation: Isolation::Snapshot,
    order: Order::Session,
};
const ANOMALIES: [&str; 15] = [
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
];

impl Checker for StrongSessionSnapshotIsolation {
    fn name(&self) -> &'static str {
        LEVEL.checker
    }

    fn about(&self) -> &'static str {
        "transactions on registers see snapshots that hold what their client did before (Daudjee & Salem 2006; PolySI, 2023)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "write skew, which it allows; what real time would tell between clients; values written twice; reads by predicate"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        LEVEL.check(record, budget)
    }
}
