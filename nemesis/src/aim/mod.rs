//! Whom a fault is aimed at.

use std::fmt;

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tribunal_results::{NodeId, NodeState};

use crate::Field;

/// Which nodes to break. In suites: `one`, `minority`, `majority`, `all`, `random`, or a list of
/// node names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Aim {
    /// One node.
    One,
    /// The largest minority; at least one node.
    Minority,
    /// The smallest majority.
    Majority,
    /// Every node.
    All,
    /// A nonempty subset of chance, of uniform size, at most the largest minority (but at least
    /// one node).
    #[default]
    Random,
    /// These nodes.
    Given(Vec<String>),
}

/// The largest number of nodes out of `n` that is less than half.
pub fn minority(n: usize) -> usize {
    n.saturating_sub(1) / 2
}

/// The smallest number of nodes out of `n` that is more than half.
pub fn majority(n: usize) -> usize {
    n / 2 + 1
}

impl Aim {
    /// Chooses among `candidates`, where sizes are shares of all nodes. In the order of the
    /// cluster; empty if there is nobody to choose.
    pub fn choose(
        &self,
        nodes: &[NodeId],
        candidates: &[NodeId],
        rng: &mut Pcg64Mcg,
    ) -> Vec<NodeId> {
        let n = nodes.len();
        let size = match self {
            Self::One => 1,
            Self::Minority => minority(n).max(1),
            Self::Majority => majority(n),
            Self::All => n,
            Self::Random => rng.random_range(1..=minority(n).max(1)),
            Self::Given(names) => return given(names, candidates),
        };
        let mut chosen = shuffled(candidates, rng);
        chosen.truncate(size);
        in_order(nodes, &chosen)
    }
}

fn given(names: &[String], candidates: &[NodeId]) -> Vec<NodeId> {
    let is_named = |node: &&NodeId| names.iter().any(|name| **name == ***node);
    candidates.iter().filter(is_named).cloned().collect()
}

fn in_order(nodes: &[NodeId], chosen: &[NodeId]) -> Vec<NodeId> {
    let is_chosen = |node: &&NodeId| chosen.contains(*node);
    nodes.iter().filter(is_chosen).cloned().collect()
}

/// The nodes that run: those that may be broken, because they aren't yet.
pub fn running(field: &Field) -> Vec<NodeId> {
    let runs = |node: &&NodeId| {
        matches!(
            field.processes.state(node),
            NodeState::Ready | NodeState::Starting
        )
    };
    field.nodes.iter().filter(runs).cloned().collect()
}

/// All of them in an order of chance.
pub fn shuffled(nodes: &[NodeId], rng: &mut Pcg64Mcg) -> Vec<NodeId> {
    let mut nodes = nodes.to_vec();
    nodes.shuffle(rng);
    nodes
}

impl<'de> Deserialize<'de> for Aim {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(AimVisitor)
    }
}

struct AimVisitor;

impl<'de> Visitor<'de> for AimVisitor {
    type Value = Aim;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one, minority, majority, all, random, or a list of node names such as [n1]")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Aim, E> {
        match name {
            "one" => Ok(Aim::One),
            "minority" => Ok(Aim::Minority),
            "majority" => Ok(Aim::Majority),
            "all" => Ok(Aim::All),
            "random" => Ok(Aim::Random),
            other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Aim, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = seq.next_element()? {
            names.push(name);
        }
        if names.is_empty() {
            return Err(A::Error::custom("the list names no node"));
        }
        Ok(Aim::Given(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::stream;
    use serde_json::json;

    fn nodes(n: usize) -> Vec<NodeId> {
        (1..=n).map(|i| NodeId::from(format!("n{i}"))).collect()
    }

    #[test]
    fn sizes_are_shares_of_the_cluster_and_never_nobody() {
        for n in 1..=9 {
            let all = nodes(n);
            for seed in 0..20 {
                let size = |aim: Aim| aim.choose(&all, &all, &mut stream(seed, &[])).len();
                assert_eq!(size(Aim::One), 1);
                assert_eq!(size(Aim::Minority), ((n - 1) / 2).max(1));
                assert_eq!(size(Aim::Majority), n / 2 + 1);
                assert_eq!(size(Aim::All), n);
                assert!((1..=minority(n).max(1)).contains(&size(Aim::Random)));
            }
        }
    }

    #[test]
    fn random_reaches_every_size_up_to_the_minority() {
        let all = nodes(7);
        let sizes: std::collections::BTreeSet<usize> = (0..100)
            .map(|seed| Aim::Random.choose(&all, &all, &mut stream(seed, &[])).len())
            .collect();
        assert_eq!(sizes, [1, 2, 3].into());
    }

    #[test]
    fn only_candidates_are_chosen_in_the_order_of_the_cluster() {
        let all = nodes(5);
        let candidates = [all[3].clone(), all[1].clone()];
        let mut rng = stream(7, &[]);
        let chosen = Aim::All.choose(&all, &candidates, &mut rng);
        assert_eq!(chosen, [all[1].clone(), all[3].clone()]);
        assert_eq!(Aim::One.choose(&all, &[], &mut rng), []);
        let named = Aim::Given(vec!["n2".into(), "n5".into()]);
        assert_eq!(named.choose(&all, &candidates, &mut rng), [all[1].clone()]);
    }

    #[test]
    fn suites_name_an_aim_or_list_nodes() {
        let read = |json| serde_json::from_value::<Aim>(json);
        assert_eq!(read(json!("minority")).unwrap(), Aim::Minority);
        assert_eq!(read(json!(["n1"])).unwrap(), Aim::Given(vec!["n1".into()]));
        let error = read(json!("minorty")).unwrap_err().to_string();
        assert!(error.contains("minority, majority, all"), "{error}");
        assert!(read(json!([])).is_err());
    }
}
