//! `rw-register`: transactions that write registers and read them happen one at a time.
//!
//! Values are unique, so each read names the write that it saw. What came after a version is
//! known where the writer had read that version, where the version is the initial absence, and,
//! judged against strict serializability, where one write ended before another began (the
//! sources *wfr-keys*, *initial* and *linearizable-keys* of Kingsbury & Alvaro, *Elle*, 2020).

mod versions;

use tribunal_results::{Record, Verdict};

use crate::transactions::{self, Inferred};
use crate::{Budget, Checker};

/// The checker.
pub struct RwRegister;

const NAME: &str = "rw-register";
const ANOMALIES: [&str; 17] = [
    "internal",
    "phantom-value",
    "G1a",
    "G1b",
    "lost-update",
    "G1c",
    "G-single",
    "G-nonadjacent",
    "G2-item",
    "G1c-process",
    "G-single-process",
    "G-nonadjacent-process",
    "G2-item-process",
    "G1c-realtime",
    "G-single-realtime",
    "G-nonadjacent-realtime",
    "G2-item-realtime",
];

impl Checker for RwRegister {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "transactions on registers are strictly serializable (Kingsbury & Alvaro, Elle, 2020)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "the order of overlapping writes by transactions that did not read first; values written \
         twice; reads by predicate"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let mut txns = transactions::of(&record.history);
        let work = txns.iter().map(|txn| txn.micros.len() as u64).sum();
        if let Some(verdict) = transactions::too_large(NAME, &txns, work, budget) {
            return verdict;
        }
        let happened = versions::observed(&txns);
        for (txn, seen) in txns.iter_mut().zip(happened) {
            txn.happened |= seen;
        }
        let mut registers = versions::registers(&txns);
        let mut anomalies = std::mem::take(&mut registers.anomalies);
        let mut edges = Vec::new();
        for register in &registers.registers {
            register.judge(&txns, &mut anomalies);
            register.edges(&txns, &mut edges);
        }
        let inferred = Inferred {
            checker: NAME,
            anomalies,
            edges,
            observations: registers.observations,
            ambiguous: registers.ambiguous(),
            steps: work,
        };
        transactions::judge(&txns, inferred, budget, &ANOMALIES, |from, to, why| {
            let mut all = registers.registers.iter();
            all.find_map(|register| register.why(&txns, from, to, why))
        })
    }
}
