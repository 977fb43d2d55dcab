//! `snapshot-isolation`: each transaction reads as of one point in time and writes at a later one,
//! and of two that write the same register one starts after the other committed (Berenson et al.,
//! *A critique of ANSI SQL isolation levels*, 1995; Cerone & Gotsman, *Analysing snapshot
//! isolation*, 2018). A snapshot may be old, even older than what the same client did before.

use crate::polygraph::{Isolation, Level, Order};

/// The checker.
pub(crate) const CHECKER: Level = Level {
    name: "snapshot-isolation",
    about: "transactions on registers see snapshots, and no two at once write the same \
        (Cerone & Gotsman 2018; PolySI, 2023)",
    blind_to: "write skew, which it allows; what real time or a client's own order would \
        tell; values written twice; reads by predicate",
    isolation: Isolation::Snapshot,
    order: Order::Any,
};
