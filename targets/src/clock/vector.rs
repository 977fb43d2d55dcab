//! Vector clocks: Fidge, "Timestamps in message-passing systems that preserve the partial
//! ordering" (1988); Mattern, "Virtual time and global states of distributed systems" (1989).
//!
//! One counter for each node: how many of its events are known. An event is a cause of another if
//! and only if its clock is smaller. The same vectors say which updates of which node a replica
//! has; they are then called version vectors.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tribunal_results::NodeId;

/// A counter for each node; 0 for those that it doesn't list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VectorClock(BTreeMap<NodeId, u64>);

impl VectorClock {
    /// A clock at which nothing has happened.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// How many events of a node are known.
    pub fn get(&self, node: &NodeId) -> u64 {
        self.0.get(node).copied().unwrap_or(0)
    }

    /// Every node of which an event is known, with their number, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&NodeId, u64)> {
        self.0.iter().map(|(node, count)| (node, *count))
    }

    /// One more event of a node: its number.
    pub fn tick(&mut self, node: &NodeId) -> u64 {
        let next = self.get(node).saturating_add(1);
        self.raise(node, next);
        next
    }

    /// At least so many events of a node are known.
    pub fn raise(&mut self, node: &NodeId, count: u64) {
        if count > self.get(node) {
            self.0.insert(node.clone(), count);
        }
    }

    /// What is known to either: the least upper bound.
    pub fn merge(&mut self, other: &Self) {
        for (node, count) in other.entries() {
            self.raise(node, count);
        }
    }

    /// Whether all that the other one knows is known: the other is equal, or smaller.
    pub fn covers(&self, other: &Self) -> bool {
        other.entries().all(|(node, count)| self.get(node) >= count)
    }

    /// Forgets all nodes but those of which `keep` says so.
    pub fn retain(&mut self, keep: impl Fn(&NodeId) -> bool) {
        self.0.retain(|node, _| keep(node));
    }
}

impl PartialOrd for VectorClock {
    /// Smaller if it is a cause, nothing if the two are concurrent.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (other.covers(self), self.covers(other)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Less),
            (false, true) => Some(Ordering::Greater),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        name.into()
    }

    #[test]
    fn an_effect_is_greater_than_its_cause_and_what_is_neither_is_concurrent() {
        let (a, b) = (node("a"), node("b"));
        let mut at_a = VectorClock::new();
        let mut at_b = VectorClock::new();
        assert_eq!(at_a.partial_cmp(&at_b), Some(Ordering::Equal));
        assert_eq!(at_a.tick(&a), 1);
        assert_eq!(at_b.tick(&b), 1);
        assert_eq!(at_a.partial_cmp(&at_b), None);
        // A message from a to b.
        let sent = at_a.clone();
        at_b.merge(&sent);
        assert_eq!(at_b.tick(&b), 2);
        assert!(sent < at_b);
        assert_eq!(at_a.tick(&a), 2);
        assert_eq!(at_a.partial_cmp(&at_b), None);
    }

    #[test]
    fn merging_is_commutative_associative_and_idempotent() {
        let of = |counts: [u64; 3]| {
            let mut clock = VectorClock::new();
            for (name, count) in ["a", "b", "c"].into_iter().zip(counts) {
                clock.raise(&node(name), count);
            }
            clock
        };
        let join = |x: &VectorClock, y: &VectorClock| {
            let mut both = x.clone();
            both.merge(y);
            both
        };
        let (x, y, z) = (of([1, 0, 5]), of([2, 3, 0]), of([0, 4, 4]));
        assert_eq!(join(&x, &y), join(&y, &x));
        assert_eq!(join(&join(&x, &y), &z), join(&x, &join(&y, &z)));
        assert_eq!(join(&x, &x), x);
        assert_eq!(join(&x, &y), of([2, 3, 5]));
    }

    #[test]
    fn a_zero_is_as_good_as_no_entry() {
        let mut zero = VectorClock::new();
        zero.raise(&node("a"), 0);
        assert_eq!(zero, VectorClock::new());
        assert_eq!(zero.get(&node("b")), 0);
    }

    #[test]
    fn it_is_written_as_an_object_of_counts() {
        let mut clock = VectorClock::new();
        clock.tick(&node("n1"));
        let text = serde_json::to_string(&clock).unwrap();
        assert_eq!(text, r#"{"n1":1}"#);
        assert_eq!(serde_json::from_str::<VectorClock>(&text).unwrap(), clock);
    }
}
