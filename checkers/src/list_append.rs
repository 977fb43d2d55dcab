//! `list-append`: transactions that append to lists and read them happen one at a time.
//!
//! A list that only grows tells the order of its versions, so every dependency between
//! transactions is known and a contradiction is a cycle (Kingsbury & Alvaro, *Elle*, 2020).

mod order;
mod reads;

use tribunal_results::{Record, Verdict};

use crate::graph::Why;
use crate::normal::Transactions;
use crate::transactions::{self, Inferred};
use crate::{Budget, Checker};

/// The checker.
pub struct ListAppend;

const NAME: &str = "list-append";
const ANOMALIES: [&str; 23] = [
    "internal",
    "duplicate-elements",
    "phantom-value",
    "dirty-update",
    "G1a",
    "incompatible-order",
    "G1b",
    "lost-update",
    "G0",
    "G1c",
    "G-single",
    "G-nonadjacent",
    "G2-item",
    "G0-process",
    "G1c-process",
    "G-single-process",
    "G-nonadjacent-process",
    "G2-item-process",
    "G0-realtime",
    "G1c-realtime",
    "G-single-realtime",
    "G-nonadjacent-realtime",
    "G2-item-realtime",
];

impl Checker for ListAppend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "transactions on lists are strictly serializable (Kingsbury & Alvaro, Elle, 2020; Adya 1999)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "the order of elements that no read returned; elements that were appended twice; reads by \
         predicate"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let txns = Transactions::of(&record.history);
        let work = (txns.size() + txns.listed()) as u64;
        if let Some(verdict) = transactions::too_large(NAME, &txns, work, budget) {
            return verdict;
        }
        let mut lists = reads::lists(&txns);
        let mut anomalies = std::mem::take(&mut lists.anomalies);
        let mut edges: Vec<(u32, u32, Why)> = Vec::new();
        for list in &mut lists.lists {
            list.judge(&txns, &mut anomalies);
            list.edges(&txns, &mut edges);
        }
        let inferred = Inferred {
            checker: NAME,
            anomalies,
            edges,
            observations: lists.observations,
            ambiguous: txns.written_twice(),
            steps: work,
            level: record.assume.isolation.as_deref(),
        };
        transactions::judge(&txns, inferred, budget, &ANOMALIES, |from, to, why| {
            lists
                .lists
                .iter()
                .find_map(|list| list.why(&txns, from, to, why))
        })
    }
}
