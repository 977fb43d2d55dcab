//! `recovery`: once everything is healed, every node answers again.

use tribunal_results::{Anomaly, NodeEvent, NodeState, Record, Verdict};

use crate::{Budget, Checker, explain};

/// The checker.
pub struct Recovery;

const NAME: &str = "recovery";

impl Checker for Recovery {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "every node becomes ready again once all faults are healed (liveness)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["not-recovered"]
    }

    fn blind_to(&self) -> &'static str {
        "recovery that takes longer than the harness waits, which counts as none"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        let events = record.history.node_events();
        let anomalies: Vec<Anomaly> = events
            .iter()
            .filter(|(_, event)| event.state == NodeState::Unresponsive)
            .map(|(time, event)| not_recovered(*time, event))
            .collect();
        if !anomalies.is_empty() {
            let total = anomalies.len() as u64;
            return Verdict::invalid(NAME, anomalies, total);
        }
        if !record.is_run {
            return Verdict::valid(NAME, "nothing to check: only a history was given");
        }
        Verdict::valid(NAME, "every node answered after everything was healed")
    }
}

fn not_recovered(time: u64, event: &NodeEvent) -> Anomaly {
    let detail = if event.detail.is_empty() {
        String::new()
    } else {
        format!(": {}", event.detail)
    };
    Anomaly {
        name: "not-recovered".into(),
        sentence: format!(
            "{} did not become ready again by {}, although everything was healed{detail}",
            event.node,
            explain::seconds(time)
        ),
        key: None,
        calls: Vec::new(),
        facts: vec!["All faults had been healed before it was waited for.".into()],
        span: (time, time),
    }
}
