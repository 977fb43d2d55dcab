//! `strong-session-snapshot-isolation`: snapshot isolation in which a snapshot is never older than
//! what the same client did before (Daudjee & Salem, *Lazy database replication with snapshot
//! isolation*, 2006). This is what the literature's checkers call snapshot isolation (PolySI,
//! Viper).

use crate::polygraph::{Isolation, Level, Order};

/// The checker.
pub(crate) const CHECKER: Level = Level {
    name: "strong-session-snapshot-isolation",
    about: "transactions on registers see snapshots that hold what their client did before \
        (Daudjee & Salem 2006; PolySI, 2023)",
    blind_to: "write skew, which it allows; what real time would tell between clients; values \
        written twice; reads by predicate",
    isolation: Isolation::Snapshot,
    order: Order::Session,
};
