//! Numbers that order everything: ballots, and slots of the log.

use serde::{Deserialize, Serialize};
use tribunal_results::NodeId;

/// A place in the log, from 0.
pub(super) type Slot = u64;

/// The number of an attempt to lead: its round, then the node that makes it, so that no two nodes
/// ever share one. The smallest stands for none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Ballot(pub(super) u64, pub(super) NodeId);

impl Ballot {
    /// Less than every ballot of a node.
    pub(super) fn none() -> Self {
        Self(0, "".into())
    }

    /// Who leads, or tries to.
    pub(super) const fn node(&self) -> &NodeId {
        &self.1
    }
}

/// A number that looks random and is the same for the same node and counter (FNV-1a of Fowler,
/// Noll and Vo, mixed as in SplitMix64). Less than `bound`.
pub(super) fn scattered(node: &NodeId, counter: u64, bound: u64) -> u64 {
    let bytes = node.bytes().chain(counter.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let z = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % bound.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ballots_are_ordered_by_round_and_then_by_node() {
        let ballot = |round, node: &str| Ballot(round, node.into());
        assert!(Ballot::none() < ballot(1, "n1"));
        assert!(ballot(1, "n1") < ballot(1, "n2"));
        assert!(ballot(1, "n2") < ballot(2, "n1"));
    }

    #[test]
    fn scattered_numbers_differ_and_stay_below_their_bound() {
        let mut seen = std::collections::BTreeSet::new();
        for node in ["n1", "n2", "n3"] {
            for counter in 0..100 {
                let number = scattered(&node.into(), counter, 1_000_000);
                assert!(number < 1_000_000);
                seen.insert(number);
            }
        }
        assert!(seen.len() > 290, "{}", seen.len());
        assert_eq!(scattered(&"n1".into(), 0, 0), 0);
    }
}
