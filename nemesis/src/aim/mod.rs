//! Whom a fault is aimed at.

mod roles;

use std::fmt;

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{NodeId, NodeState};

use crate::Field;

pub use roles::{Roles, ask};

/// Which nodes to break. In suites: one of the names in [`NAMED`], or a list of node names.
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
    /// The node that says that it leads; of several, the one that most nodes follow.
    Leader,
    /// The nodes that don't say that they lead, if there is one that does.
    Followers,
    /// The nodes that hold a lock, or through which a client holds one.
    Holder,
    /// A nonempty subset of chance, of uniform size, at most the largest minority (but at least
    /// one node).
    #[default]
    Random,
    /// These nodes.
    Given(Vec<String>),
}

/// The options of a fault in two: those of these names, which say whom it hits, and its own.
pub(crate) fn split<W: DeserializeOwned, T: DeserializeOwned>(
    options: &Json,
    names: &[&str],
) -> Result<(W, T), OptionError> {
    let given = options.as_object().cloned().unwrap_or_default();
    let (whom, own): (Map<_, _>, Map<_, _>) = given
        .into_iter()
        .partition(|(name, _)| names.contains(&name.as_str()));
    let own = decode(&Json::Object(own)).map_err(|mut e| {
        if e.message.starts_with("unknown field") {
            e.message = format!("{}; besides {}", e.message, names.join(", "));
        }
        e
    })?;
    Ok((decode(&Json::Object(whom))?, own))
}

/// The largest number of nodes out of `n` that is less than half.
pub fn minority(n: usize) -> usize {
    n.saturating_sub(1) / 2
}

/// The smallest number of nodes out of `n` that is more than half.
pub fn majority(n: usize) -> usize {
    n / 2 + 1
}

/// The names in suites of the aims that have one.
const NAMED: [(&str, Aim); 8] = [
    ("one", Aim::One),
    ("minority", Aim::Minority),
    ("majority", Aim::Majority),
    ("all", Aim::All),
    ("leader", Aim::Leader),
    ("followers", Aim::Followers),
    ("holder", Aim::Holder),
    ("random", Aim::Random),
];

impl Aim {
    /// Chooses among `candidates`, where sizes are shares of all nodes, and roles those that were
    /// last [looked at](Field::look). In the order of the cluster; empty if there is nobody to
    /// choose.
    pub fn choose(&self, field: &Field, candidates: &[NodeId], rng: &mut Pcg64Mcg) -> Vec<NodeId> {
        let roles = &field.roles;
        let n = field.nodes.len();
        let size = match self {
            Self::One => 1,
            Self::Minority => minority(n).max(1),
            Self::Majority => majority(n),
            Self::All => n,
            Self::Random => rng.random_range(1..=minority(n).max(1)),
            Self::Leader => {
                let leader = roles.leaders.iter().find(|node| candidates.contains(node));
                return leader.into_iter().cloned().collect();
            }
            Self::Followers if roles.leaders.is_empty() => return Vec::new(),
            Self::Followers => {
                return those(&field.nodes, |node| {
                    candidates.contains(node) && !roles.leaders.contains(node)
                });
            }
            Self::Holder => {
                return those(&field.nodes, |node| {
                    candidates.contains(node) && roles.holders.contains(node)
                });
            }
            Self::Given(names) => return given(names, candidates),
        };
        let mut chosen = shuffled(candidates, rng);
        chosen.truncate(size);
        those(&field.nodes, |node| chosen.contains(node))
    }
}

fn given(names: &[String], candidates: &[NodeId]) -> Vec<NodeId> {
    let is_named = |node: &&NodeId| names.iter().any(|name| **name == ***node);
    candidates.iter().filter(is_named).cloned().collect()
}

/// Those of the nodes, in their order.
fn those(nodes: &[NodeId], wanted: impl Fn(&NodeId) -> bool) -> Vec<NodeId> {
    nodes.iter().filter(|node| wanted(node)).cloned().collect()
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
        let names = NAMED.map(|(name, _)| name).join(", ");
        write!(f, "{names}, or a list of node names such as [n1]")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Aim, E> {
        let unknown = || E::invalid_value(serde::de::Unexpected::Str(name), &self);
        NAMED
            .into_iter()
            .find_map(|(known, aim)| (known == name).then_some(aim))
            .ok_or_else(unknown)
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
#[path = "aim_tests.rs"]
mod tests;
