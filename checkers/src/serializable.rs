//! `serializable`: There is an order of all transactions in which each sees what the ones before it left. Neither
//! the order of a client's own transactions nor that of real time has to be kept (Adya, *Weak
//! Consistency*, 1999); [`super::strong_session_serializable`] and [`super::strict_serializable`]
//! ask for those.

use tribunal_results::{Record, Verdict};

use crate::polygraph::{Isolation, Level, Order};
use crate::{Budget, Checker};

/// The checker.
pub struct Serializable;

const LEVEL: Level = Level {
    checker: "serializable",
    isolation: Isolation::Serializable,
    order: Order::Any,
};
const ANOMALIES: [&str; 11] = [
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
];

impl Checker for Serializable {
    fn name(&self) -> &'static str {
        LEVEL.checker
    }

    fn about(&self) -> &'static str {
        "transactions on registers are serializable, sessions and real time aside (Adya 1999; Cobra, 2020)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "what real time or a client's own order would tell (a store that always answers from its initial state is serializable); values written twice; reads by predicate"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        LEVEL.check(record, budget)
    }
}
