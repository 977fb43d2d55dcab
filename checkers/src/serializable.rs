//! `serializable`: there is an order of all transactions in which each sees what the ones before
//! it left. Neither the order of a client's own transactions nor that of real time has to be kept
//! (Adya, *Weak Consistency*, 1999); [`super::strong_session_serializable`] and
//! [`super::strict_serializable`] ask for those.

use crate::polygraph::{Isolation, Level, Order};

/// The checker.
pub(crate) const CHECKER: Level = Level {
    name: "serializable",
    about: "transactions on registers are serializable, sessions and real time aside (Adya \
        1999; Cobra, 2020)",
    blind_to: "what real time or a client's own order would tell (a store that always answers \
        from its initial state is serializable); values written twice; reads by \
        predicate",
    isolation: Isolation::Serializable,
    order: Order::Any,
};
