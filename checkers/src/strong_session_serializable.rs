//! `strong-session-serializable`: there is an order of all transactions that keeps that of each
//! client and in which each sees what the ones before it left (Daudjee & Salem, *Lazy database
//! replication with ordering guarantees*, 2004). This is what the literature's checkers call
//! serializable (Cobra, PolySI).

use crate::polygraph::{Isolation, Level, Order};

/// The checker.
pub(crate) const CHECKER: Level = Level {
    name: "strong-session-serializable",
    about: "transactions on registers are serializable in an order that keeps each \
        client's own (Daudjee & Salem 2004; Cobra, 2020)",
    blind_to: "what real time would tell between clients; values written twice; reads by \
        predicate",
    isolation: Isolation::Serializable,
    order: Order::Session,
};
