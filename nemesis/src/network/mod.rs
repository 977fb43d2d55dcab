//! What the network faults share: links by node, and rules put in force and lifted together.

mod fault;
mod packets;
mod shape;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::json;
use tribunal_results::NodeId;

use crate::fabric::{Counters, Rule};
use crate::{Field, Healed, Injected, Injection};

pub use fault::{LinkFault, OnLinks, Whom, check_probability};
pub use packets::PacketFault;
pub use shape::{
    Cut, Shape, bridge, halves, lone, majorities_ring, majority, one_way, part, primaries,
    ring_cut, separate,
};

/// A directed link: bytes from the first to the second.
pub type Link = (NodeId, NodeId);

/// The name of the clients' end of links.
pub const CLIENTS: &str = "clients";

/// Which of a node's bytes a fault governs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Those that it sends.
    Out,
    /// Those that it receives.
    In,
    /// All.
    Both,
    /// One of the above, by chance.
    #[default]
    Random,
}

impl Direction {
    /// The same, but decided.
    pub fn decide(self, rng: &mut Pcg64Mcg) -> Self {
        match self {
            Self::Random => {
                let choices = [Self::Out, Self::In, Self::Both];
                choices[rng.random_range(0..choices.len())]
            }
            decided => decided,
        }
    }
}

/// The links of the aimed nodes, to every other node and, if asked, to the clients; each once.
pub fn links_of(
    aimed: &[NodeId],
    nodes: &[NodeId],
    clients: bool,
    direction: Direction,
) -> Vec<Link> {
    let clients = clients.then(|| NodeId::from(CLIENTS));
    let mut links = Vec::new();
    for node in aimed {
        for other in nodes.iter().chain(&clients).filter(|other| *other != node) {
            if direction != Direction::In {
                links.push((node.clone(), other.clone()));
            }
            if direction != Direction::Out {
                links.push((other.clone(), node.clone()));
            }
        }
    }
    links.sort();
    links.dedup();
    links
}

/// The nodes that these cut links part from the most nodes that still reach each other in both
/// directions, perhaps through others.
pub fn cut_off(cut: &[Link], nodes: &[NodeId]) -> Vec<NodeId> {
    let parted = |a: &NodeId, b: &NodeId| {
        let mut cut = cut.iter();
        cut.any(|(from, to)| (from == a && to == b) || (from == b && to == a))
    };
    let mut best: Vec<&NodeId> = Vec::new();
    for start in nodes {
        let (mut side, mut next) = (Vec::new(), vec![start]);
        while let Some(at) = next.pop() {
            if !side.contains(&at) {
                side.push(at);
                next.extend(nodes.iter().filter(|other| !parted(at, other)));
            }
        }
        if side.len() > best.len() {
            best = side;
        }
    }
    let is_out = |node: &&NodeId| !best.contains(node);
    nodes.iter().filter(is_out).cloned().collect()
}

/// Puts `rule` in force on every link of the injection.
pub fn install(injection: &Injection, field: &Field, rule: Rule) -> Injected {
    let links = &injection.links;
    let installed = links
        .iter()
        .filter(|(from, to)| field.fabric.impose(&injection.fault, from, to, rule))
        .count();
    if installed == 0 {
        return Injected::Skipped("none of its links goes through the fabric".into());
    }
    Injected::Installed(json!({ "links": installed }))
}

/// Lifts the rule of every link of the injection. It bit if `effect` of what the links did
/// meanwhile is more than nothing.
pub fn lift(injection: &Injection, field: &Field, effect: impl Fn(&Counters) -> u64) -> Healed {
    let mut total = Counters::default();
    let mut links_bit = 0;
    for (from, to) in &injection.links {
        field.fabric.lift(&injection.fault, from, to);
        let did = field.fabric.since_imposed(&injection.fault, from, to);
        links_bit += u64::from(effect(&did) > 0);
        total += did;
    }
    let mut proof = json!({ "links_bit": links_bit, "total": total });
    if let Some(mean) = total.late_us.checked_div(total.late) {
        proof["mean_lateness_us"] = json!(mean);
    }
    Healed {
        bit: links_bit > 0,
        proof,
    }
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod fault_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(links: &[Link]) -> Vec<String> {
        links.iter().map(|(a, b)| format!("{a}{b}")).collect()
    }

    #[test]
    fn cut_off_is_who_does_not_reach_most_others_even_through_one() {
        let nodes: Vec<NodeId> = ["a", "b", "c", "d", "e"].map(NodeId::from).into();
        let of = |cut: &[(&str, &str)]| {
            let cut: Vec<Link> = cut
                .iter()
                .map(|(a, b)| ((*a).into(), (*b).into()))
                .collect();
            cut_off(&cut, &nodes).join("")
        };
        assert_eq!(of(&[]), "");
        assert_eq!(of(&[("a", "b"), ("b", "a")]), "", "through c");
        let alone = |a| ["b", "c", "d", "e"].map(|b| (a, b));
        assert_eq!(of(&alone("a")), "a", "one way is enough");
        let both = [
            ("a", "c"),
            ("a", "d"),
            ("a", "e"),
            ("b", "c"),
            ("b", "d"),
            ("e", "b"),
        ];
        assert_eq!(of(&both), "ab");
    }

    #[test]
    fn links_of_a_node_are_those_to_and_from_the_others_each_once() {
        let nodes: Vec<NodeId> = ["a", "b", "c"].map(NodeId::from).into();
        let of = |aimed: &[NodeId], clients, direction| {
            pairs(&links_of(aimed, &nodes, clients, direction))
        };
        assert_eq!(of(&nodes[..1], false, Direction::Out), ["ab", "ac"]);
        assert_eq!(of(&nodes[..1], false, Direction::In), ["ba", "ca"]);
        assert_eq!(
            of(&nodes[..1], true, Direction::Both),
            ["ab", "ac", "aclients", "ba", "ca", "clientsa"]
        );
        assert_eq!(of(&nodes, false, Direction::Both).len(), 6);
        assert!(links_of(&nodes[..1], &nodes[..1], false, Direction::Both).is_empty());
    }
}
