//! Logical clocks on every message between nodes, for a message journal.
//!
//! A node that stamps counts its events (each message taken or sent is one), keeps a Lamport and
//! a vector clock over them (Lamport 1978; Fidge and Mattern 1988), and puts into each message to
//! a peer what they show, in the body's field `stamp`. Along go the messages that it took since
//! its last stamp, so that whoever reads what the nodes send, such as a proxy between them, learns
//! every event of every node in its order. The stamp is taken off before a machine sees the
//! message.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tribunal_results::NodeId;

use crate::wire::Body;

/// The body's field.
pub const FIELD: &str = "stamp";
/// The most messages taken that one stamp tells of; the rest waits for the next.
const RECEIPTS_MAX: usize = 64;
/// The most that wait; beyond it the oldest are forgotten.
const WAITING_MAX: usize = 4_096;
/// Numbers of one life of a node are below this: clocks and steps never run backwards, however
/// often it is started again.
const LIFE: u64 = 1 << 40;

/// A message that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Its number.
    pub message: u64,
    /// Where that stands among the events of the node.
    pub step: u64,
    /// The Lamport clock after it.
    pub lamport: u64,
}

/// What a message between nodes carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The message's number, unique among all messages of all nodes.
    pub message: u64,
    /// Where sending it stands among the events of its sender.
    pub step: u64,
    /// The sender's Lamport clock after that.
    pub lamport: u64,
    /// Its vector clock after that, in the order of the nodes.
    pub vector: Vec<u64>,
    /// What the sender took before that and told of in no other stamp.
    pub received: Vec<Receipt>,
}

/// The clocks of one node.
#[derive(Debug)]
pub(super) struct Stamper {
    own: usize,
    step: u64,
    sent: u64,
    lamport: u64,
    vector: Vec<u64>,
    receipts: Vec<Receipt>,
}

impl Stamper {
    /// The clocks of the node `id` among `nodes`, in its `life`-th life.
    pub(super) fn new(id: &NodeId, nodes: &[NodeId], life: u64) -> Self {
        let own = nodes.iter().position(|node| node == id).unwrap_or(0);
        let begin = life.saturating_mul(LIFE);
        let mut vector = vec![0; nodes.len().max(1)];
        vector[own] = begin;
        Self {
            own,
            step: begin,
            sent: begin,
            lamport: begin,
            vector,
            receipts: Vec::new(),
        }
    }

    /// One more event of this node.
    fn tick(&mut self) {
        self.step += 1;
        self.lamport += 1;
        self.vector[self.own] += 1;
    }

    /// Puts a stamp on a message to a peer.
    pub(super) fn stamp(&mut self, body: Body) -> Body {
        self.tick();
        self.sent += 1;
        let told = self.receipts.len().min(RECEIPTS_MAX);
        let stamp = Stamp {
            message: self.sent * self.vector.len() as u64 + self.own as u64,
            step: self.step,
            lamport: self.lamport,
            vector: self.vector.clone(),
            received: self.receipts.drain(..told).collect(),
        };
        body.with(FIELD, json!(stamp))
    }

    /// Takes the stamp off a message that arrived, if it has one that can be one.
    pub(super) fn take(&mut self, body: &mut Body) {
        let Some(stamp) = body.remove(FIELD) else {
            return;
        };
        let Ok(stamp) = serde_json::from_value::<Stamp>(stamp) else {
            return;
        };
        // A peer that lies must not drive the clocks to their end.
        if stamp.vector.len() != self.vector.len() || stamp.lamport > u64::MAX / 2 {
            return;
        }
        self.lamport = self.lamport.max(stamp.lamport);
        for (at, seen) in stamp.vector.into_iter().enumerate() {
            if at != self.own && seen <= u64::MAX / 2 {
                self.vector[at] = self.vector[at].max(seen);
            }
        }
        self.tick();
        if self.receipts.len() == WAITING_MAX {
            self.receipts.remove(0);
        }
        self.receipts.push(Receipt {
            message: stamp.message,
            step: self.step,
            lamport: self.lamport,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> [Stamper; 2] {
        let nodes: [NodeId; 2] = ["n1".into(), "n2".into()];
        nodes.clone().map(|id| Stamper::new(&id, &nodes, 0))
    }

    fn seen(body: &Body) -> Stamp {
        body.field(FIELD).unwrap()
    }

    #[test]
    fn what_was_taken_is_told_with_the_next_message_and_comes_before_it() {
        let [mut a, mut b] = pair();
        let mut first = a.stamp(Body::new("x"));
        let sent = seen(&first);
        b.take(&mut first);
        assert_eq!(first, Body::new("x"), "the machine sees no stamp");
        let answer = seen(&b.stamp(Body::new("y")));
        let [receipt] = &answer.received[..] else {
            panic!("{answer:?}");
        };
        assert_eq!(receipt.message, sent.message);
        assert!(receipt.step < answer.step);
        assert!(sent.lamport < receipt.lamport && receipt.lamport < answer.lamport);
        assert_eq!((&*sent.vector, &*answer.vector), (&[1, 0][..], &[1, 2][..]));
        assert!(seen(&b.stamp(Body::new("z"))).received.is_empty());
    }

    #[test]
    fn numbers_are_unique_and_grow_with_each_life() {
        let nodes: [NodeId; 2] = ["n1".into(), "n2".into()];
        let [mut a, mut b] = pair();
        let mut reborn = Stamper::new(&nodes[0], &nodes, 1);
        let stamps = [&mut a, &mut b, &mut reborn].map(|s| seen(&s.stamp(Body::new("x"))));
        let [a, b, reborn] = stamps;
        assert!(a.message != b.message && a.message < reborn.message);
        assert!(a.step < reborn.step && a.lamport < reborn.lamport);
        assert!(a.vector[0] < reborn.vector[0]);
    }

    #[test]
    fn a_stamp_that_is_none_is_taken_off_and_changes_nothing() {
        let [mut a, _] = pair();
        let huge =
            json!({"message": 1, "step": 1, "lamport": u64::MAX, "vector": [0, 0], "received": []});
        let short = json!({"message": 1, "step": 1, "lamport": 1, "vector": [0], "received": []});
        for wrong in [json!("soon"), huge, short] {
            let mut body = Body::new("x").with(FIELD, wrong);
            a.take(&mut body);
            assert_eq!(body, Body::new("x"));
        }
        assert_eq!(seen(&a.stamp(Body::new("x"))).lamport, 1);
    }
}
