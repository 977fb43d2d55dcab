//! `strong-snapshot-isolation`: snapshot isolation in which a snapshot holds all that had been
//! answered before the transaction began (Daudjee & Salem 2006).

use crate::polygraph::{Isolation, Level, Order};

/// The checker.
pub(crate) const CHECKER: Level = Level {
    name: "strong-snapshot-isolation",
    about: "transactions on registers see snapshots that hold all that was answered before \
        (Daudjee & Salem 2006; Viper, 2023)",
    blind_to: "write skew, which it allows; values written twice; reads by predicate",
    isolation: Isolation::Snapshot,
    order: Order::RealTime,
};
