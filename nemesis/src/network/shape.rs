//! Shapes of partitions: pure functions from an order of nodes to who no longer hears whom.
//!
//! Each takes the nodes in an order of chance, so that by itself it needs no chance. Where a shape
//! has sides, the last group is the one that clients can reach.

use std::collections::BTreeSet;
use std::fmt;

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_pcg::Pcg64Mcg;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tribunal_results::NodeId;

use super::{CLIENTS, Direction, Link};
use crate::{Field, aim};

/// A partition with everything chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// In a short phrase, who is parted from whom.
    pub what: String,
    /// The directed links that are cut.
    pub links: BTreeSet<Link>,
}

/// A kind of partition. In suites: one of the names below, or groups such as `[[n1], [n2, n3]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// `one`: a loner.
    One,
    /// `halves`.
    Halves,
    /// `majority`: the smallest majority and the rest.
    Majority,
    /// `majorities-ring`: every node sees a majority, but not the same one.
    MajoritiesRing,
    /// `bridge`: two halves that see each other only through one node.
    Bridge,
    /// `one-way`: a loner that isn't heard, or that doesn't hear.
    OneWay,
    /// `primaries`: each node that says that it leads is alone; the others see each other.
    Primaries,
    /// `ring-cut`: a node and the next one in the order of the cluster no longer see each other,
    /// so that a ring becomes a line.
    RingCut,
    /// `random`: any of the above, but for the ring, which hardly hurts where there are other
    /// links.
    #[default]
    Random,
    /// Groups that don't see each other; nodes in none of them form one more.
    Groups(Vec<Vec<String>>),
}

/// The names in suites of the shapes that have one.
const NAMED: [(&str, Shape); 9] = [
    ("one", Shape::One),
    ("halves", Shape::Halves),
    ("majority", Shape::Majority),
    ("majorities-ring", Shape::MajoritiesRing),
    ("bridge", Shape::Bridge),
    ("one-way", Shape::OneWay),
    ("primaries", Shape::Primaries),
    ("ring-cut", Shape::RingCut),
    ("random", Shape::Random),
];

impl Shape {
    /// Chooses who is parted from whom; `None` if this shape parts nobody in so small a cluster,
    /// or nobody leads. With `clients`, the smaller side (or the loner) is parted from the clients
    /// too. Where a shape has sides, `direction` says which bytes of the smaller one are cut; if it
    /// is not given, all are, except in shapes that are one-way by their nature: there it is drawn.
    pub fn choose(
        &self,
        field: &Field,
        clients: bool,
        direction: Option<Direction>,
        rng: &mut Pcg64Mcg,
    ) -> Option<Cut> {
        let nodes = &field.nodes;
        let order = aim::shuffled(nodes, rng);
        let outgoing = match direction.unwrap_or_default() {
            Direction::Out => true,
            Direction::In => false,
            Direction::Both | Direction::Random => rng.random_bool(0.5),
        };
        let at = rng.random_range(0..nodes.len().max(1));
        let of_ring = direction.unwrap_or_default().decide(rng);
        let of_sides = direction.unwrap_or(Direction::Both).decide(rng);
        let part = |groups: &[Vec<NodeId>]| part(groups, clients, of_sides);
        let draw = |shape: &Self| {
            let cut = match shape {
                Self::One => part(&lone(&order)),
                Self::Halves => part(&halves(&order)),
                Self::Majority => part(&majority(&order)),
                Self::MajoritiesRing => majorities_ring(&order),
                Self::Bridge => bridge(&order),
                Self::OneWay => one_way(&order, outgoing, clients),
                Self::Primaries => part(&primaries(nodes, &field.roles.leaders)),
                Self::RingCut => ring_cut(nodes, at, of_ring),
                Self::Groups(groups) => part(&given(groups, nodes)),
                Self::Random => Cut::default(),
            };
            (!cut.links.is_empty()).then_some(cut)
        };
        if *self != Self::Random {
            return draw(self);
        }
        let possible: Vec<Cut> = NAMED
            .iter()
            .filter(|(_, shape)| *shape != Self::RingCut)
            .filter_map(|(_, shape)| draw(shape))
            .collect();
        possible.choose(rng).cloned()
    }
}

/// The first node, and the others.
pub fn lone(order: &[NodeId]) -> Vec<Vec<NodeId>> {
    split(order, 1)
}

/// The smaller half, and the larger.
pub fn halves(order: &[NodeId]) -> Vec<Vec<NodeId>> {
    split(order, order.len() / 2)
}

/// The largest minority, and the smallest majority.
pub fn majority(order: &[NodeId]) -> Vec<Vec<NodeId>> {
    split(
        order,
        order.len() - aim::majority(order.len()).min(order.len()),
    )
}

fn split(order: &[NodeId], at: usize) -> Vec<Vec<NodeId>> {
    let (left, right) = order.split_at(at.min(order.len()));
    vec![left.to_vec(), right.to_vec()]
}

/// The groups that a suite names; nodes in none of them form one more. A node named twice belongs
/// to the first that names it.
fn given(groups: &[Vec<String>], nodes: &[NodeId]) -> Vec<Vec<NodeId>> {
    let group_of = |node: &NodeId| {
        let names = |group: &Vec<String>| group.iter().any(|name| **name == **node);
        groups.iter().position(names).unwrap_or(groups.len())
    };
    let mut chosen = vec![Vec::new(); groups.len() + 1];
    for node in nodes {
        chosen[group_of(node)].push(node.clone());
    }
    chosen.retain(|group| !group.is_empty());
    chosen
}

/// Each of those who say that they lead alone, and then all others.
pub fn primaries(nodes: &[NodeId], leaders: &[NodeId]) -> Vec<Vec<NodeId>> {
    if leaders.is_empty() {
        return Vec::new();
    }
    let (leading, others): (Vec<_>, Vec<_>) = nodes
        .iter()
        .cloned()
        .partition(|node| leaders.contains(node));
    let mut groups: Vec<Vec<NodeId>> = leading.into_iter().map(|node| vec![node]).collect();
    groups.push(others);
    groups
}

/// Nobody sees anybody of another group. With `clients`, they belong to the largest group (the
/// last such).
pub fn separate(groups: &[Vec<NodeId>], clients: bool) -> Cut {
    part(groups, clients, Direction::Both)
}

/// As [`separate`], but each group may be parted from those after it in one direction only: `Out`
/// if they don't hear it, `In` if it doesn't hear them.
pub fn part(groups: &[Vec<NodeId>], clients: bool, direction: Direction) -> Cut {
    let sign = match direction {
        Direction::Out => "→",
        Direction::In => "←",
        Direction::Both | Direction::Random => "|",
    };
    let names: Vec<String> = groups
        .iter()
        .filter(|group| !group.is_empty())
        .map(|group| format!("{{{}}}", group.join(",")))
        .collect();
    let mut groups = groups.to_vec();
    if clients && let Some(largest) = groups.iter_mut().max_by_key(|group| group.len()) {
        largest.push(CLIENTS.into());
    }
    let mut links = BTreeSet::new();
    for (i, group) in groups.iter().enumerate() {
        for other in groups.iter().skip(i + 1) {
            if direction != Direction::In {
                links.extend(pairs(group, other));
            }
            if direction != Direction::Out {
                links.extend(pairs(other, group));
            }
        }
    }
    Cut {
        what: names.join(&format!(" {sign} ")),
        links,
    }
}

fn pairs<'a>(from: &'a [NodeId], to: &'a [NodeId]) -> impl Iterator<Item = Link> + 'a {
    from.iter()
        .flat_map(move |a| to.iter().map(move |b| (a.clone(), b.clone())))
}

/// Two halves that see each other only through the first node of the larger one.
pub fn bridge(order: &[NodeId]) -> Cut {
    let (left, right) = order.split_at(order.len() / 2);
    let Some((bridge, right)) = right.split_first() else {
        return Cut::default();
    };
    let mut cut = separate(&[left.to_vec(), right.to_vec()], false);
    cut.what = format!("{} through {bridge}", cut.what);
    cut
}

/// The first node no longer sends to anybody, or no longer receives from anybody; with `clients`,
/// neither to or from them.
pub fn one_way(order: &[NodeId], outgoing: bool, clients: bool) -> Cut {
    let Some((loner, others)) = order.split_first() else {
        return Cut::default();
    };
    let clients = clients.then(|| NodeId::from(CLIENTS));
    let link = |other: &NodeId| match outgoing {
        true => (loner.clone(), other.clone()),
        false => (other.clone(), loner.clone()),
    };
    Cut {
        what: match outgoing {
            true => format!("{loner} is not heard"),
            false => format!("{loner} does not hear"),
        },
        // Without other nodes there is nothing to be parted from.
        links: match others {
            [] => BTreeSet::new(),
            _ => others.iter().chain(&clients).map(link).collect(),
        },
    }
}

/// The node at that place, from 0, and the next one in the ring of all no longer see each other;
/// or only one of them the other: with `Out` the first is not heard.
pub fn ring_cut(nodes: &[NodeId], at: usize, direction: Direction) -> Cut {
    let ring = || nodes.iter().cycle().skip(at);
    let (Some(node), Some(next)) = (ring().next(), ring().nth(1)) else {
        return Cut::default();
    };
    if node == next {
        return Cut::default();
    }
    let ends = [vec![node.clone()], vec![next.clone()]];
    let mut cut = part(&ends, false, direction);
    cut.what = format!("the ring at {}", cut.what);
    cut
}

/// Every node keeps links, both ways, with just enough others to form a majority with them, but
/// not all with the same.
///
/// The kept links are a Harary graph (F. Harary, "The maximum connectivity of a graph", PNAS 48,
/// 1962) of degree ⌊n/2⌋, which keeps the cluster as connected as so few links can. For 3 nodes
/// that is a path: its ends see two nodes, its middle sees all.
pub fn majorities_ring(order: &[NodeId]) -> Cut {
    let n = order.len();
    let kept = harary(n / 2, n);
    let is_cut = |a: usize, b: usize| a != b && !kept.contains(&(a, b)) && !kept.contains(&(b, a));
    let mut links = BTreeSet::new();
    for (a, from) in order.iter().enumerate() {
        for (b, to) in order.iter().enumerate() {
            if is_cut(a, b) {
                links.insert((from.clone(), to.clone()));
            }
        }
    }
    Cut {
        what: format!("majorities in the ring {}", order.join("–")),
        links,
    }
}

/// The edges of the Harary graph of least degree `degree` on `n` vertices, for `degree` < `n`.
fn harary(degree: usize, n: usize) -> BTreeSet<(usize, usize)> {
    let mut edges = BTreeSet::new();
    for step in 1..=degree / 2 {
        edges.extend((0..n).map(|i| (i, (i + step) % n)));
    }
    if degree % 2 == 1 {
        // Opposite vertices. If n is odd, one vertex gets two opposites, as degrees must add up
        // to an even number.
        let opposites = n.div_ceil(2);
        edges.extend((0..opposites).map(|i| (i, (i + n / 2) % n)));
    }
    edges
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMED.map(|(name, _)| name).join(", ");
        write!(f, "{names}, or groups such as [[n1], [n2, n3]]")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Shape, E> {
        let unknown = || E::invalid_value(serde::de::Unexpected::Str(name), &self);
        NAMED
            .into_iter()
            .find_map(|(known, shape)| (known == name).then_some(shape))
            .ok_or_else(unknown)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut groups: Vec<Vec<String>> = Vec::new();
        while let Some(group) = seq.next_element()? {
            groups.push(group);
        }
        if groups.is_empty() || groups.iter().any(Vec::is_empty) {
            return Err(A::Error::custom("there must be a group, and none empty"));
        }
        Ok(Shape::Groups(groups))
    }
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
