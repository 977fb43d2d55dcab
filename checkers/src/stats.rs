//! `stats`: every kind of operation that was tried succeeded at least once.

use std::collections::BTreeMap;

use tribunal_results::verdict::Counts;
use tribunal_results::{History, Kind, Outcome, Record, Verdict};

use crate::{Budget, Checker, explain};

/// The checker.
pub struct Stats;

const NAME: &str = "stats";

impl Checker for Stats {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "every kind of operation that was invoked succeeded at least once"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &[]
    }

    fn blind_to(&self) -> &'static str {
        "whether the answers are right"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        let counts = counts(&record.history);
        let total: u64 = counts.values().map(|counts| counts.total()).sum();
        let never: Vec<String> = counts
            .iter()
            .filter(|(_, counts)| counts.ok == 0)
            .map(|(kind, counts)| format!("{kind} (0 of {})", counts.total()))
            .collect();
        let mut verdict = if counts.is_empty() {
            Verdict::unknown(NAME, "vacuous", "no operation was invoked")
        } else if never.is_empty() {
            let operations = explain::count(total as usize, "operation");
            let kinds = explain::count(counts.len(), "kind");
            Verdict::valid(
                NAME,
                format!("{operations} of {kinds}, each successful at least once"),
            )
        } else {
            let text = format!("never successful: {}", never.join(", "));
            Verdict::unknown(NAME, "insufficient", text)
        };
        for (kind, counts) in counts {
            for (outcome, count) in [
                ("ok", counts.ok),
                ("fail", counts.fail),
                ("info", counts.info),
            ] {
                verdict = verdict.figure(&format!("{kind}-{outcome}"), count);
            }
        }
        verdict.figure("operations", total)
    }
}

/// Outcomes by kind of operation, of the kinds that were invoked.
pub fn counts(history: &History) -> BTreeMap<Kind, Counts> {
    let mut by_kind: BTreeMap<Kind, Counts> = BTreeMap::new();
    for call in history.calls() {
        let counts = by_kind.entry(call.operation.kind()).or_default();
        match call.outcome {
            Outcome::Ok(_) => counts.ok += 1,
            Outcome::Fail(_) => counts.fail += 1,
            Outcome::Info(_) => counts.info += 1,
        }
    }
    by_kind
}
