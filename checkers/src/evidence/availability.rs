//! How much was answered on each side of a partition.
//!
//! A side is a set of nodes that reach each other in both directions, perhaps through others. The
//! side with a majority of the nodes is one, all others together are the other. What a client asked
//! counts for the side of its node.

use std::collections::{BTreeMap, BTreeSet};

use tribunal_results::verdict::Availability;
use tribunal_results::{Call, FaultSpan, History, Nanos, NodeId, Outcome, Reason};

/// The fault that parts nodes.
const PARTITION: &str = "partition";
/// What was under way at the cure, and had not waited so long, is counted for neither.
const WAITED: Nanos = 250_000_000;
/// Refusals that tell what is there: as good as any answer.
pub(super) const TELLING: [&str; 4] = [
    "precondition-failed",
    "key-does-not-exist",
    "key-already-exists",
    "txn-conflict",
];

/// What was asked and answered while nodes were parted; nothing if they never were.
pub(super) fn gather(history: &History, spans: &[FaultSpan]) -> Option<Availability> {
    let partitions: Vec<&FaultSpan> = spans
        .iter()
        .filter(|span| span.fault == PARTITION && span.bit == Some(true))
        .collect();
    if partitions.is_empty() {
        return None;
    }
    let nodes: BTreeSet<&NodeId> = history
        .calls()
        .iter()
        .filter_map(|c| c.node.as_ref())
        .collect();
    let mut found = Availability {
        partitions: partitions.len() as u64,
        ..Availability::default()
    };
    for span in partitions {
        let majority = majority(&nodes, &span.links);
        for call in history.calls() {
            let (Some(node), Some(answered)) = (&call.node, answered(call, span)) else {
                continue;
            };
            let side = match majority.contains(node) {
                true => &mut found.majority,
                false => &mut found.minority,
            };
            side.asked += 1;
            side.answered += u64::from(answered);
        }
    }
    Some(found)
}

/// Whether what was asked during the partition was answered during it; `None` if nothing was.
fn answered(call: &Call, span: &FaultSpan) -> Option<bool> {
    let over = span.to.unwrap_or(Nanos::MAX);
    let asked = call.invoked.time;
    if !(span.from..over).contains(&asked) {
        return None;
    }
    let told = |reason: &Reason| TELLING.contains(&&*reason.code);
    match (&call.completed, &call.outcome) {
        (Some(end), outcome) if end.time <= over => Some(match outcome {
            Outcome::Ok(_) => true,
            Outcome::Fail(reason) => told(reason),
            Outcome::Info(_) => false,
        }),
        _ if over.saturating_sub(asked) >= WAITED => Some(false),
        _ => None,
    }
}

/// The nodes of the side that has most of them; none if no side has.
fn majority(nodes: &BTreeSet<&NodeId>, cut: &[(NodeId, NodeId)]) -> BTreeSet<NodeId> {
    let parted = |a: &NodeId, b: &NodeId| {
        let mut cut = cut.iter();
        cut.any(|(from, to)| (from == a && to == b) || (from == b && to == a))
    };
    // Whoever is reached from a node is of its side.
    let mut side_of: BTreeMap<&NodeId, usize> = BTreeMap::new();
    for (number, node) in nodes.iter().enumerate() {
        let mut reached = vec![*node];
        while let Some(at) = reached.pop() {
            if side_of.contains_key(at) {
                continue;
            }
            side_of.insert(at, number);
            reached.extend(nodes.iter().filter(|next| !parted(at, next)));
        }
    }
    let size = |side: usize| side_of.values().filter(|of| **of == side).count();
    let largest = (0..nodes.len()).find(|side| 2 * size(*side) > nodes.len());
    let members = side_of.iter().filter(|(_, side)| Some(**side) == largest);
    members.map(|(node, _)| NodeId::clone(node)).collect()
}

#[cfg(test)]
mod tests {
    use tribunal_results::{Answer, Operation, Stamp};

    use super::*;

    const CUT: Nanos = 1_000_000_000;
    const CURE: Nanos = 3_000_000_000;

    fn span(links: &[(&str, &str)]) -> FaultSpan {
        FaultSpan {
            fault: PARTITION.into(),
            id: 0,
            from: CUT,
            to: Some(CURE),
            nodes: Vec::new(),
            links: links
                .iter()
                .map(|(a, b)| ((*a).into(), (*b).into()))
                .collect(),
            what: String::new(),
            skipped: None,
            bit: Some(true),
            proof: Vec::new(),
        }
    }

    fn call(asked: Nanos, ended: Option<Nanos>, outcome: Outcome) -> Call {
        let stamp = |time| Stamp { index: time, time };
        Call {
            process: 0,
            node: Some("n1".into()),
            operation: Operation::Read { key: 1.into() },
            invoked: stamp(asked),
            completed: ended.map(stamp),
            outcome,
        }
    }

    #[test]
    fn a_side_is_who_reaches_each_other_even_through_others() {
        let names = ["n1", "n2", "n3", "n4", "n5"].map(NodeId::from);
        let nodes: BTreeSet<&NodeId> = names.iter().collect();
        let of = |cut: &[(&str, &str)]| {
            let span = span(cut);
            let side = majority(&nodes, &span.links);
            side.iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(of(&[("n1", "n2")]), "n1 n2 n3 n4 n5");
        let lone = [("n1", "n2"), ("n1", "n3"), ("n4", "n1"), ("n1", "n5")];
        assert_eq!(of(&lone), "n2 n3 n4 n5");
        let halves: Vec<(&str, &str)> = ["n1", "n2"]
            .into_iter()
            .flat_map(|a| ["n3", "n4", "n5"].map(|b| (a, b)))
            .collect();
        assert_eq!(of(&halves), "n3 n4 n5");
    }

    #[test]
    fn what_counts_is_asked_and_answered_while_nodes_are_parted() {
        let span = span(&[]);
        let ok = || Outcome::Ok(Answer::Value(None));
        let fail = |code: &str| Outcome::Fail(Reason::new(code, ""));
        let cases = [
            (call(CUT - 1, Some(CUT), ok()), None),
            (call(CUT, Some(CUT + 5), ok()), Some(true)),
            (
                call(CUT, Some(CUT + 5), fail("precondition-failed")),
                Some(true),
            ),
            (
                call(CUT, Some(CUT + 5), fail("temporarily-unavailable")),
                Some(false),
            ),
            (call(CUT, Some(CURE + 5), ok()), Some(false)),
            (
                call(CUT, None, Outcome::Info(Reason::new("open", ""))),
                Some(false),
            ),
            (call(CURE - 5, Some(CURE + 5), ok()), None),
            (call(CURE, Some(CURE + 5), ok()), None),
        ];
        for (call, expected) in cases {
            assert_eq!(answered(&call, &span), expected, "{call:?}");
        }
    }
}
