//! `rw-register`: transactions that write registers and read them happen one at a time.
//!
//! Values are unique, so each read names the write that it saw. What came after a version is
//! known where the writer had read that version and where the version is the initial absence;
//! where models respect it, also from the order of each process and from real time (the sources
//! *wfr-keys*, *initial*, *sequential-keys* and *linearizable-keys* of Kingsbury & Alvaro, *Elle*,
//! 2020). If every transaction reads what it writes, all of the order is known, and a valid verdict
//! is a proof (Huang et al., *MTC*, 2025).

mod order;
mod versions;

use tribunal_results::{Record, Validity, Verdict};

use crate::normal::Transactions;
use crate::transactions::{self, Inferred};
use crate::{Budget, Checker, explain};
use order::{Edges, SOURCES};

/// The checker.
pub struct RwRegister;

const NAME: &str = "rw-register";
const ANOMALIES: [&str; 21] = [
    "internal",
    "phantom-value",
    "G1a",
    "G1b",
    "cyclic-versions",
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
        let txns = Transactions::of(&record.history);
        let work = txns.size() as u64;
        if let Some(verdict) = transactions::too_large(NAME, &txns, work, budget) {
            return verdict;
        }
        let mut registers = versions::registers(&txns);
        let mut anomalies = std::mem::take(&mut registers.anomalies);
        let mut edges = Edges::default();
        for register in &registers.registers {
            register.judge(&txns, &mut anomalies);
            anomalies.extend(register.cyclic_versions(&txns));
            register.edges(&txns, &mut edges);
        }
        let sources: serde_json::Map<String, serde_json::Value> = SOURCES
            .into_iter()
            .zip(edges.counts)
            .map(|(source, count)| (source.name().to_owned(), count.into()))
            .collect();
        let mut all = registers.registers.iter();
        let is_complete = txns.written_twice().is_none() && all.all(|r| r.is_chain(&txns));
        let inferred = Inferred {
            checker: NAME,
            anomalies,
            edges: edges.edges,
            observations: registers.observations,
            ambiguous: txns.written_twice(),
            steps: work,
            level: record.assume.isolation.as_deref(),
        };
        let mut verdict =
            transactions::judge(&txns, inferred, budget, &ANOMALIES, |from, to, why| {
                let mut all = registers.registers.iter();
                all.find_map(|register| register.why(&txns, from, to, why))
            });
        // Not if the level permits what was found.
        let nothing_found = !verdict.figures.contains_key("anomaly-types");
        if is_complete && nothing_found && verdict.validity == Validity::Valid {
            let happened = (0..txns.len()).filter(|txn| txns.happened(*txn)).count();
            let (count, are) = (
                explain::count(happened, "transaction"),
                explain::are(happened),
            );
            verdict.summary =
                format!("{count} {are} strictly serializable: each read what it overwrote");
            verdict = verdict.figure("models-satisfied", vec!["strict-serializable"]);
        }
        verdict
            .figure("version-order-sources", sources)
            .figure("version-order-complete", is_complete)
    }
}
