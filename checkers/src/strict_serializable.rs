//! `strict-serializable`: there is an order of all transactions that keeps real time and in which
//! each sees what the ones before it left (Papadimitriou 1979; Herlihy & Wing 1990).

use crate::polygraph::{Isolation, Level, Order};

/// The checker.
pub(crate) const CHECKER: Level = Level {
    name: "strict-serializable",
    about: "transactions on registers are serializable in an order that keeps real time \
        (Papadimitriou 1979; Cobra, 2020)",
    blind_to: "values written twice; reads by predicate",
    isolation: Isolation::Serializable,
    order: Order::RealTime,
};
