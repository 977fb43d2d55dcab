//! `hybrid-clocks`: the rules of hybrid logical clocks over the message journal.
//!
//! Such a clock meets the clock condition like a Lamport clock, is never behind the physical clock
//! of its node, and not further ahead of it than the clocks of nodes may be apart.

use tribunal_results::message::Hybrid;
use tribunal_results::{Record, Verdict};

use crate::clocks::scalar::Clock;
use crate::clocks::{self, Findings, Trace};
use crate::replicas::visible::milliseconds;
use crate::{Budget, Checker};

/// The checker.
pub struct HybridClocks;

const NAME: &str = "hybrid-clocks";

const CLOCK: Clock<Hybrid> = Clock {
    read: |event| event.clocks.hybrid,
    show: |time| format!("({}, {})", time.wall, time.logical),
    noun: "hybrid clock",
    not_rising: "hybrid-clock-not-rising",
    not_after: "hybrid-clock-not-after-send",
};

impl Checker for HybridClocks {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "hybrid logical clocks rise at every event of a node and from sending to arrival, never \
         behind its physical clock and ahead of it by no more than assumed (Kulkarni et al. 2014)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &[
            "hybrid-clock-not-rising",
            "hybrid-clock-not-after-send",
            "hybrid-clock-behind",
            "hybrid-clock-ahead",
        ]
    }

    fn blind_to(&self) -> &'static str {
        "drift where no physical clock was recorded or no bound is assumed"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        let drift_ms = record.assume.hybrid_drift_ms;
        clocks::judge(record, NAME, "hybrid clocks", |trace| {
            let mut findings = Findings::default();
            CLOCK.check(trace, &mut findings);
            drift(trace, drift_ms, &mut findings);
            findings
        })
    }
}

fn drift(trace: &Trace<'_>, drift_ms: Option<u64>, findings: &mut Findings) {
    let bound = drift_ms.map_or(u64::MAX, |ms| ms.saturating_mul(1_000_000));
    for &place in &trace.order {
        let clocks = trace.event(place).map(|event| &event.clocks);
        let pair = clocks.and_then(|clocks| Some((clocks.hybrid?, clocks.physical?)));
        let Some((hybrid, physical)) = pair else {
            continue;
        };
        findings.compared += 1;
        let (anomaly, apart, rule) = if hybrid.wall < physical {
            let apart = physical - hybrid.wall;
            ("hybrid-clock-behind", apart, "it must never be behind")
        } else if hybrid.wall - physical > bound {
            let apart = hybrid.wall - physical;
            ("hybrid-clock-ahead", apart, "that is more than allowed")
        } else {
            continue;
        };
        findings.add(|| {
            let name = trace.name(place);
            let side = match hybrid.wall < physical {
                true => "behind",
                false => "ahead of",
            };
            let ms = milliseconds(apart);
            let sentence =
                format!("the hybrid clock at {name} is {ms} ms {side} its physical clock");
            let facts = vec![
                format!(
                    "The hybrid clock was {} after {name}.",
                    (CLOCK.show)(hybrid)
                ),
                format!("The physical clock of its node was {physical} then: {rule}."),
            ];
            trace.anomaly(anomaly, &[place], sentence, facts)
        });
    }
}
