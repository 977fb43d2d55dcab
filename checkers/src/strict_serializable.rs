//! `strict-serializable`: There is an order of all transactions that keeps real time and in which each sees what the ones
//! before it left (Papadimitriou 1979; Herlihy & Wing 1990).

use tribunal_results::{Record, Verdict};

use crate::polygraph::{Isolation, Level, Order};
use crate::{Budget, Checker};

/// The checker.
pub struct StrictSerializable;

const LEVEL: Level = Level {
    checker: "strict-serializable",
    isolation: Isolation::Serializable,
    order: Order::RealTime,
};
const ANOMALIES: [&str; 23] = [
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
    "G0-realtime",
    "G1c-realtime",
    "G-single-realtime",
    "G-nonadjacent-realtime",
    "G2-item-realtime",
    "not-serializable-realtime",
];

impl Checker for StrictSerializable {
    fn name(&self) -> &'static str {
        LEVEL.checker
    }

    fn about(&self) -> &'static str {
        "transactions on registers are serializable in an order that keeps real time (Papadimitriou 1979; Cobra, 2020)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "values written twice; reads by predicate"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        LEVEL.check(record, budget)
    }
}
