//! The levels as checkers: each is one of these with its own words.

use tribunal_results::{Record, Verdict};

use super::{Isolation, Order};
use crate::{Budget, Checker};

/// What is asked of a history, and how people call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    /// Its name in suites and verdicts.
    pub(crate) name: &'static str,
    /// What it checks, in one line, with its source.
    pub(crate) about: &'static str,
    /// What it cannot find.
    pub(crate) blind_to: &'static str,
    pub(crate) isolation: Isolation,
    pub(crate) order: Order,
}

/// Without an order to keep, with that of sessions, and with real time: each adds some.
const NOT_SERIALIZABLE: [&str; 23] = [
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
/// The same.
const NOT_SNAPSHOTS: [&str; 20] = [
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
    "G0-process",
    "G1c-process",
    "G-single-process",
    "G-nonadjacent-process",
    "not-snapshot-isolated-process",
    "G0-realtime",
    "G1c-realtime",
    "G-single-realtime",
    "G-nonadjacent-realtime",
    "not-snapshot-isolated-realtime",
];

impl Checker for Level {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn anomalies(&self) -> &'static [&'static str] {
        let (all, of_session, of_none): (&[&str], usize, usize) = match self.isolation {
            Isolation::Serializable => (&NOT_SERIALIZABLE, 17, 11),
            Isolation::Snapshot => (&NOT_SNAPSHOTS, 15, 10),
        };
        match self.order {
            Order::Any => all.get(..of_none).unwrap_or(all),
            Order::Session => all.get(..of_session).unwrap_or(all),
            Order::RealTime => all,
        }
    }

    fn blind_to(&self) -> &'static str {
        self.blind_to
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        self.judge(record, budget)
    }
}
