//! `lamport-clocks`: Lamport's clock condition over the message journal.
//!
//! Every node's clock rises from event to event, and a message arrives later than it was sent. As
//! clocks rise, no two events share clock and node: these order all events. The converse, that a
//! smaller time happened before, is not required.

use tribunal_results::{Record, Verdict};

use crate::clocks::scalar::Clock;
use crate::clocks::{self, Findings, Place, Trace};
use crate::{Budget, Checker};

/// The checker.
pub struct LamportClocks;

const NAME: &str = "lamport-clocks";

const CLOCK: Clock<u64> = Clock {
    read: |event| event.clocks.lamport,
    show: |time| time.to_string(),
    noun: "Lamport clock",
    not_rising: "lamport-clock-not-rising",
    not_after: "lamport-clock-not-after-send",
};

impl Checker for LamportClocks {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "Lamport clocks rise at every event of a node, and from sending to arrival; by one, if \
         that is assumed (Lamport 1978)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &[
            "lamport-clock-not-rising",
            "lamport-clock-not-after-send",
            "lamport-clock-not-exact",
        ]
    }

    fn blind_to(&self) -> &'static str {
        "what happens at events that were not recorded, or without their clocks"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        clocks::judge(record, NAME, "Lamport clocks", |trace| {
            let mut findings = Findings::default();
            CLOCK.check(trace, &mut findings);
            if record.assume.clocks_exact && findings.total == 0 {
                exact(trace, &mut findings);
            }
            findings
        })
    }
}

/// Lamport's rule: one more than the larger of the node's last time, 0 at first, and the sending's.
fn exact(trace: &Trace<'_>, findings: &mut Findings) {
    let time = |place: Place| trace.event(place)?.clocks.lamport;
    for &place in &trace.order {
        let Some(is) = time(place) else { continue };
        let causes = [trace.previous(place), trace.sending(place)];
        let known = causes.into_iter().flatten().map(time);
        let Some(largest) = known.collect::<Option<Vec<u64>>>() else {
            continue;
        };
        let due = largest
            .into_iter()
            .max()
            .map_or(1, |time| time.saturating_add(1));
        findings.compared += 1;
        if is != due {
            findings.add(|| {
                let name = trace.name(place);
                let sentence = format!("the Lamport clock at {name} is {is}, where {due} was due");
                let mut facts: Vec<String> = causes
                    .into_iter()
                    .flatten()
                    .map(|cause| {
                        let was = time(cause).unwrap_or_default();
                        format!("The Lamport clock was {was} after {}.", trace.name(cause))
                    })
                    .collect();
                facts.push(format!("It was {is} after {name}, not one more than that."));
                trace.anomaly("lamport-clock-not-exact", &[place], sentence, facts)
            });
        }
    }
}
