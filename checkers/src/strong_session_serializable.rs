//! `strong-session-serializable`: There is an order of all transactions that keeps that of each client and in which each sees what
//! the ones before it left (Daudjee & Salem, *Lazy database replication with ordering guarantees*,
//! 2004). This is what the literature's checkers call serializable (Cobra, PolySI).

use tribunal_results::{Record, Verdict};

use crate::polygraph::{Isolation, Level, Order};
use crate::{Budget, Checker};

/// The checker.
pub struct StrongSessionSerializable;

const LEVEL: Level = Level {
    checker: "strong-session-serializable",
    isolation: Isolation::Serializable,
    order: Order::Session,
};
const ANOMALIES: [&str; 17] = [
    "internal",
    "phantom-value",
    "G1a",
    "G1b",
    "lost-update",
    "G0",
    "G1c",
    "G-single",
    "G-nonadjacent",
    "G2-item",
    "not-serializable",
    "G0-process",
    "G1c-process",
    "G-single-process",
    "G-nonadjacent-process",
    "G2-item-process",
    "not-serializable-process",
];

impl Checker for StrongSessionSerializable {
    fn name(&self) -> &'static str {
        LEVEL.checker
    }

    fn about(&self) -> &'static str {
        "transactions on registers are serializable in an order that keeps each client's own (Daudjee & Salem 2004; Cobra, 2020)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "what real time would tell between clients; values written twice; reads by predicate"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        LEVEL.check(record, budget)
    }
}
