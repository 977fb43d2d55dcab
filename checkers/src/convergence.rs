//! `convergence`: when all is settled, replicas agree, on what their updates explain.
//!
//! When an object counts as settled, and which reads are final, is defined in `replicas/settle.rs`.

use tribunal_results::{Anomaly, Nanos, Record, Verdict};

use crate::replicas::agree::{Agreement, compare};
use crate::replicas::explained::{Explanation, Unexplained};
use crate::replicas::{Object, monotone, objects, settle};
use crate::{Budget, Checker, explain};

/// The checker.
pub struct Convergence;

const NAME: &str = "convergence";

impl Checker for Convergence {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "the final reads of all nodes agree on what the updates explain, and replicas of lattice \
         types never go back (strong eventual consistency: Shapiro et al. 2011)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &[
            "diverged",
            "lost-update-after-settling",
            "unexplained-value",
            "resurrected",
            "replica-went-back",
        ]
    }

    fn blind_to(&self) -> &'static str {
        "which of several written values wins, in what order a list keeps its elements, elements \
         that were both added and removed by calls that saw nothing, and differences that an \
         update of unknown end explains if it landed late"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let mut tally = Tally {
            steps: budget.steps,
            ..Tally::default()
        };
        let cured = settle::cured(&record.history);
        let settle = record.assume.settle_ms.saturating_mul(1_000_000);
        for object in &objects(&record.history) {
            tally.back.extend(monotone::went_back(object));
            if let Ok(cured) = cured {
                tally.judge(object, cured, settle);
            }
        }
        tally.verdict(cured.err())
    }
}

#[derive(Default)]
struct Tally {
    steps: u64,
    compared: usize,
    apart: usize,
    reads: usize,
    late: usize,
    exhausted: usize,
    diverged: Vec<Anomaly>,
    unexplained: Vec<Anomaly>,
    back: Vec<Anomaly>,
}

impl Tally {
    fn judge(&mut self, object: &Object<'_>, cured: Nanos, settle: Nanos) {
        let Some(settled) = settle::settled(object, cured, settle) else {
            self.apart += 1;
            return;
        };
        let finals = settle::finals(object, settled);
        self.reads += finals.len();
        match finals.len() {
            0 | 1 => self.apart += 1,
            _ if object.updates.iter().any(|update| update.is_ok()) => self.compared += 1,
            _ => self.apart += 1,
        }
        match compare(object, &finals) {
            Agreement::Agreed => {}
            Agreement::PerhapsLate => self.late += 1,
            Agreement::Diverged(anomaly) => self.diverged.push(*anomaly),
        }
        let explanation = Explanation::new(object);
        let mut explained = Vec::new();
        for (call, state) in finals.into_values() {
            if explained.contains(&state) {
                continue;
            }
            explained.push(state);
            match explanation.of(call, state, &mut self.steps) {
                Ok(()) => {}
                Err(Unexplained::Budget) => self.exhausted += 1,
                Err(Unexplained::Contradiction(anomaly)) => self.unexplained.push(*anomaly),
            }
        }
    }

    fn verdict(mut self, never_cured: Option<String>) -> Verdict {
        let mut anomalies = std::mem::take(&mut self.diverged);
        anomalies.append(&mut self.unexplained);
        anomalies.append(&mut self.back);
        let objects = explain::count(self.compared, "object");
        let verdict = if !anomalies.is_empty() {
            let total = anomalies.len() as u64;
            Verdict::invalid(NAME, anomalies, total)
        } else if let Some(text) = never_cured {
            Verdict::unknown(NAME, "unsettled", format!("{text}: nothing could settle"))
        } else if self.exhausted > 0 {
            let text = format!(
                "{objects} compared; too many increments of unknown end in {} of them",
                self.exhausted
            );
            Verdict::unknown(NAME, "budget", text)
        } else if self.late > 0 {
            let text = format!(
                "the nodes differ on {} in what updates of unknown end may have done late",
                explain::count(self.late, "object")
            );
            Verdict::unknown(NAME, "late-update", text)
        } else if self.compared == 0 {
            let text = "no updated object was read at two nodes after all was settled";
            Verdict::unknown(NAME, "vacuous", text)
        } else {
            let text = format!("all nodes came to agree on {objects}, as the updates explain");
            Verdict::valid(NAME, text)
        };
        verdict
            .figure("objects-compared", self.compared)
            .figure("objects-not-compared", self.apart)
            .figure("final-reads", self.reads)
    }
}
