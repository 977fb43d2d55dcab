//! How long after the cure of each fault the nodes that it had hit served again.
//!
//! Counted from the cure, or from when the last of these nodes was ready again if that is later, to
//! the first answer that a client got from one of them. A fault that is followed by another before
//! that is not measured.

use std::collections::BTreeMap;

use tribunal_results::verdict::Recovery;
use tribunal_results::{Call, FaultSpan, History, Nanos, NodeId, NodeState, Outcome};

use super::availability::TELLING;
use super::pace::quantile;

/// The name of the clients' end of links.
const CLIENTS: &str = "clients";

/// By the fault's name, of those that bit.
pub(super) fn gather(history: &History, spans: &[FaultSpan]) -> BTreeMap<String, Recovery> {
    let mut found: BTreeMap<String, Vec<Option<Nanos>>> = BTreeMap::new();
    for span in spans.iter().filter(|span| span.bit == Some(true)) {
        let Some(healed) = span.to else { continue };
        let hit = hit(span);
        let from = ready_again(history, &hit, healed);
        let next = spans.iter().filter(|other| other.skipped.is_none());
        let next = next
            .map(|other| other.from)
            .filter(|at| *at >= healed)
            .min();
        let took = first_answer(history, &hit, from)
            .filter(|at| next.is_none_or(|next| *at <= next))
            .map(|at| at - from);
        found.entry(span.fault.clone()).or_default().push(took);
    }
    found
        .into_iter()
        .map(|(fault, all)| (fault, sum_up(&all)))
        .collect()
}

fn sum_up(all: &[Option<Nanos>]) -> Recovery {
    let mut took: Vec<Nanos> = all.iter().copied().flatten().collect();
    took.sort_unstable();
    Recovery {
        measured: took.len() as u64,
        unmeasured: (all.len() - took.len()) as u64,
        median: took.get(took.len() / 2).copied().unwrap_or(0),
        p99: quantile(&took, 99, 100).unwrap_or(0),
        slowest: took.last().copied().unwrap_or(0),
    }
}

/// The nodes that a fault hit: those that it was aimed at, or that its links join.
fn hit(span: &FaultSpan) -> Vec<&NodeId> {
    let ends = span.links.iter().flat_map(|(from, to)| [from, to]);
    let mut nodes: Vec<&NodeId> = span.nodes.iter().chain(ends).collect();
    nodes.retain(|node| &***node != CLIENTS);
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

/// When the last of these nodes was ready again that was not ready when it was healed.
fn ready_again(history: &History, hit: &[&NodeId], healed: Nanos) -> Nanos {
    let mut ready = healed;
    for node in hit {
        let events = history.node_events().iter();
        let own: Vec<_> = events.filter(|(_, event)| event.node == **node).collect();
        let split = own.partition_point(|(time, _)| *time <= healed);
        let before = split.checked_sub(1).and_then(|at| own.get(at));
        let waited_for = before.is_some_and(|(_, event)| event.state == NodeState::Starting);
        let next = own
            .get(split)
            .filter(|(_, event)| event.state == NodeState::Ready);
        if let (true, Some((time, _))) = (waited_for, next) {
            ready = ready.max(*time);
        }
    }
    ready
}

/// When a client first got an answer from one of these nodes.
fn first_answer(history: &History, nodes: &[&NodeId], from: Nanos) -> Option<Nanos> {
    let asked_there = |call: &&Call| call.node.as_ref().is_some_and(|n| nodes.contains(&n));
    let answers = history.calls().iter().filter(asked_there);
    let answers = answers.filter(|call| is_answer(&call.outcome));
    let times = answers.filter_map(|call| Some(call.completed?.time));
    times.filter(|time| *time >= from).min()
}

/// Whether an operation ended as it does when the system serves.
pub(crate) fn is_answer(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Ok(_) => true,
        Outcome::Fail(reason) => TELLING.contains(&&*reason.code),
        Outcome::Info(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tribunal_results::journal;

    /// n1 is killed at 1 s, healed at 2 s, ready at 2.2 s, and answers at 2.5 s; what n2 answers
    /// before, and what n1 had answered before, does not count. Then n2 is paused until the end.
    const HISTORY: &str = r#"{"format":"tribunal-history","version":1,"nodes":["n1","n2"]}
{"index":0,"time":1000000000,"process":"nemesis","type":"invoke","f":"kill","value":{"id":0,"phase":"inject","nodes":["n1"]}}
{"index":1,"time":1010000000,"process":"nemesis","type":"info","f":"kill","value":{"id":0,"phase":"injected","nodes":["n1"]}}
{"index":2,"time":1500000000,"process":0,"node":"n1","type":"invoke","f":"read","key":1}
{"index":3,"time":1900000000,"process":"nemesis","node":"n1","type":"info","f":"node","value":{"state":"starting","pid":7}}
{"index":4,"time":1900000000,"process":"nemesis","type":"invoke","f":"kill","value":{"id":0,"phase":"heal","nodes":["n1"]}}
{"index":5,"time":2000000000,"process":"nemesis","type":"info","f":"kill","value":{"id":0,"phase":"healed","nodes":["n1"],"bit":true}}
{"index":6,"time":2100000000,"process":1,"node":"n2","type":"invoke","f":"read","key":1}
{"index":7,"time":2150000000,"process":1,"node":"n2","type":"ok","f":"read","key":1,"value":null}
{"index":8,"time":2200000000,"process":"nemesis","node":"n1","type":"info","f":"node","value":{"state":"ready","pid":7}}
{"index":9,"time":2500000000,"process":0,"node":"n1","type":"ok","f":"read","key":1,"value":null}
{"index":10,"time":3000000000,"process":"nemesis","type":"invoke","f":"pause","value":{"id":1,"phase":"inject","nodes":["n2"]}}
{"index":11,"time":3000000000,"process":"nemesis","type":"info","f":"pause","value":{"id":1,"phase":"injected","nodes":["n2"]}}
{"index":12,"time":3500000000,"process":"nemesis","type":"invoke","f":"pause","value":{"id":1,"phase":"heal","nodes":["n2"]}}
{"index":13,"time":3600000000,"process":"nemesis","type":"info","f":"pause","value":{"id":1,"phase":"healed","nodes":["n2"],"bit":true}}
"#;

    #[test]
    fn recovery_counts_from_readiness_to_the_first_answer_of_a_node_that_was_hit() {
        let history = journal::read(HISTORY.as_bytes()).unwrap().history;
        let found = gather(&history, &history.fault_spans());
        let kill = found["kill"];
        assert_eq!((kill.measured, kill.unmeasured), (1, 0));
        assert_eq!((kill.median, kill.slowest), (300_000_000, 300_000_000));
        let pause = found["pause"];
        assert_eq!(
            (pause.measured, pause.unmeasured),
            (0, 1),
            "nobody asked n2 any more"
        );
    }
}
