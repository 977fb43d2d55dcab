//! Who keeps what: consistent hashing (Karger et al., "Consistent hashing and random trees",
//! STOC 1997) with virtual nodes.
//!
//! Nodes and keys are points on a ring, each node many times; a key is kept by the nodes that come
//! next after it.

use std::collections::BTreeMap;

use tribunal_results::{NodeId, Scalar};

use super::Bug;

/// How many points each node has.
const POINTS: u32 = 16;

/// The ring.
#[derive(Debug)]
pub(super) struct Ring {
    points: BTreeMap<u64, NodeId>,
    replicas: usize,
    bug: Option<Bug>,
}

impl Ring {
    /// A ring of nodes on which each key has so many replicas, or one on every node if there are
    /// fewer.
    pub(super) fn new(nodes: &[NodeId], replicas: usize, bug: Option<Bug>) -> Self {
        let points = nodes.iter().flat_map(|node| {
            let point = move |n| (hash(&format!("{node}/{n}")), node.clone());
            (0..POINTS).map(point)
        });
        Self {
            points: points.collect(),
            replicas: replicas.min(nodes.len()),
            bug,
        }
    }

    /// How many different nodes must keep each key.
    pub(super) const fn replicas(&self) -> usize {
        self.replicas
    }

    /// The nodes that keep a key, the first of them first.
    pub(super) fn owners(&self, key: &Scalar) -> Vec<NodeId> {
        let at = hash(&key.to_string());
        let mut around: Vec<&NodeId> = self.points.range(at..).map(|point| point.1).collect();
        if self.bug != Some(Bug::RingNoWrap) {
            around.extend(self.points.range(..at).map(|point| point.1));
        }
        let mut owners: Vec<NodeId> = Vec::new();
        for node in around {
            // Another point of a node that has it already is not another replica.
            let again = owners.contains(node) && self.bug != Some(Bug::ReplicasCollapse);
            if !again && owners.len() < self.replicas {
                owners.push(node.clone());
            }
        }
        owners
    }
}

/// FNV-1a, with the bits mixed at the end (the finalizer of MurmurHash3), since short texts that
/// are alike would come to lie side by side.
fn hash(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(count: usize) -> Vec<NodeId> {
        (1..=count).map(|n| format!("n{n}").into()).collect()
    }

    fn keys() -> impl Iterator<Item = Scalar> {
        (0..2_000).map(|n| format!("k{n}").into())
    }

    #[test]
    fn each_key_has_its_replicas_on_different_nodes_and_each_node_its_share() {
        let ring = Ring::new(&nodes(5), 2, None);
        let mut kept: BTreeMap<NodeId, usize> = BTreeMap::new();
        for key in keys() {
            let owners = ring.owners(&key);
            assert!(owners.len() == 2 && owners[0] != owners[1], "{key}");
            owners
                .into_iter()
                .for_each(|node| *kept.entry(node).or_default() += 1);
        }
        assert!(
            kept.len() == 5 && kept.values().all(|n| *n > 300),
            "{kept:?}"
        );
    }

    #[test]
    fn a_node_more_takes_keys_from_others_and_moves_no_others() {
        let (few, more) = (Ring::new(&nodes(4), 1, None), Ring::new(&nodes(5), 1, None));
        let moved = |key: &Scalar| few.owners(key) != more.owners(key);
        for key in keys().filter(moved) {
            assert_eq!(&*more.owners(&key)[0], "n5");
        }
        let count = keys().filter(moved).count();
        assert!((200..700).contains(&count), "{count}");
    }

    #[test]
    fn fewer_nodes_than_replicas_keep_everything() {
        let ring = Ring::new(&nodes(2), 3, None);
        assert!(keys().all(|key| ring.owners(&key).len() == 2));
    }

    #[test]
    fn planted_rings_keep_some_keys_on_too_few_nodes() {
        for bug in [Bug::RingNoWrap, Bug::ReplicasCollapse] {
            let ring = Ring::new(&nodes(3), 2, Some(bug));
            let few = |key: &Scalar| {
                let mut owners = ring.owners(key);
                owners.dedup();
                owners.len() < 2
            };
            let few = keys().filter(few).count();
            assert!(few > 5, "{bug:?}: {few}");
        }
    }
}
