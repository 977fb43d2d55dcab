//! `snapshot-isolation`: Each transaction reads as of one point in time and writes at a later one, and of two that write
//! the same register one starts after the other committed (Berenson et al., *A critique of ANSI SQL
//! isolation levels*, 1995; Cerone & Gotsman, *Analysing snapshot isolation*, 2018). A snapshot may
//! be old, even older than what the same client did before.

use tribunal_results::{Record, Verdict};

use crate::polygraph::{Isolation, Level, Order};
use crate::{Budget, Checker};

/// The checker.
pub struct SnapshotIsolation;

const LEVEL: Level = Level {
    checker: "snapshot-isolation",
    isolation: Isolation::Snapshot,
    order: Order::Any,
};
const ANOMALIES: [&str; 10] = [
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
];

impl Checker for SnapshotIsolation {
    fn name(&self) -> &'static str {
        LEVEL.checker
    }

    fn about(&self) -> &'static str {
        "transactions on registers see snapshots, and no two at once write the same (Cerone & Gotsman 2018; PolySI, 2023)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "write skew, which it allows; what real time or a client's own order would tell; values written twice; reads by predicate"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        LEVEL.check(record, budget)
    }
}
