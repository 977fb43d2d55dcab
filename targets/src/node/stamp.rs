//! Logical clocks on every message between nodes, for a message journal.
//!
//! A node that stamps counts its events (each message taken or sent is one), keeps a Lamport and
//! a vector clock over them (Lamport 1978; Fidge and Mattern 1988), and puts into each message to
//! a peer what they show, in the body's field `clocks`. Along go the messages that it took since
//! its last stamp, so that whoever reads what the nodes send, such as a proxy between them, learns
//! every event of every node in its order. The stamp is taken off before a machine sees the
//! message.
//!
//! A node that is killed forgets its clocks, and must not go on with smaller ones: after each event
//! they are written to a file. That is not synced, since a process that dies loses nothing of what
//! it has handed to the kernel.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tribunal_results::NodeId;

use crate::wire::Body;

/// The body's field.
pub const FIELD: &str = "clocks";
/// The most messages taken that one stamp tells of; the rest waits for the next.
const RECEIPTS_MAX: usize = 64;
/// The most that wait; beyond it the oldest are forgotten.
const WAITING_MAX: usize = 4_096;

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
    file: File,
    own: usize,
    lamport: u64,
    /// Its own entry counts its events.
    vector: Vec<u64>,
    receipts: Vec<Receipt>,
}

impl Stamper {
    /// The clocks of the node `id` among `nodes`, which keeps its files in `data`, as its earlier
    /// lives left them.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn open(id: &NodeId, nodes: &[NodeId], data: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(data.join("clocks"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut kept = bytes
            .as_chunks::<8>()
            .0
            .iter()
            .copied()
            .map(u64::from_le_bytes);
        let lamport = kept.next().unwrap_or(0);
        let mut vector: Vec<u64> = kept.collect();
        vector.resize(nodes.len().max(1), 0);
        Ok(Self {
            file,
            own: nodes.iter().position(|node| node == id).unwrap_or(0),
            lamport,
            vector,
            receipts: Vec::new(),
        })
    }

    /// One more event of this node; where it stands among them.
    fn tick(&mut self) -> io::Result<u64> {
        self.lamport += 1;
        self.vector[self.own] += 1;
        let clocks = std::iter::once(&self.lamport).chain(&self.vector);
        let bytes: Vec<u8> = clocks.flat_map(|clock| clock.to_le_bytes()).collect();
        self.file.write_all_at(&bytes, 0)?;
        Ok(self.vector[self.own])
    }

    /// Puts a stamp on a message to a peer.
    ///
    /// # Errors
    /// The clocks could not be kept: they must not be used any more.
    pub(super) fn stamp(&mut self, body: Body) -> io::Result<Body> {
        let step = self.tick()?;
        let told = self.receipts.len().min(RECEIPTS_MAX);
        let stamp = Stamp {
            message: step * self.vector.len() as u64 + self.own as u64,
            step,
            lamport: self.lamport,
            vector: self.vector.clone(),
            received: self.receipts.drain(..told).collect(),
        };
        Ok(body.with(FIELD, json!(stamp)))
    }

    /// Takes the stamp off a message that arrived, if it has one that can be one.
    ///
    /// # Errors
    /// As [`stamp`](Self::stamp).
    pub(super) fn take(&mut self, body: &mut Body) -> io::Result<()> {
        let Some(stamp) = body.remove(FIELD) else {
            return Ok(());
        };
        let Ok(stamp) = serde_json::from_value::<Stamp>(stamp) else {
            return Ok(());
        };
        // A peer that lies must not drive the clocks to their end.
        if stamp.vector.len() != self.vector.len() || stamp.lamport > u64::MAX / 2 {
            return Ok(());
        }
        self.lamport = self.lamport.max(stamp.lamport);
        for (at, seen) in stamp.vector.into_iter().enumerate() {
            if at != self.own && seen <= u64::MAX / 2 {
                self.vector[at] = self.vector[at].max(seen);
            }
        }
        let step = self.tick()?;
        if self.receipts.len() == WAITING_MAX {
            self.receipts.remove(0);
        }
        self.receipts.push(Receipt {
            message: stamp.message,
            step,
            lamport: self.lamport,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamper(id: &str, data: &Path) -> Stamper {
        let own = data.join(id);
        std::fs::create_dir_all(&own).unwrap();
        Stamper::open(&id.into(), &["n1".into(), "n2".into()], &own).unwrap()
    }

    fn pair() -> (tempfile::TempDir, Stamper, Stamper) {
        let data = tempfile::tempdir().unwrap();
        let (a, b) = (stamper("n1", data.path()), stamper("n2", data.path()));
        (data, a, b)
    }

    fn sent(stamper: &mut Stamper) -> Body {
        stamper.stamp(Body::new("x")).unwrap()
    }

    fn seen(body: &Body) -> Stamp {
        body.field(FIELD).unwrap()
    }

    #[test]
    fn what_was_taken_is_told_with_the_next_message_and_comes_before_it() {
        let (_data, mut a, mut b) = pair();
        let mut first = sent(&mut a);
        let stamp = seen(&first);
        b.take(&mut first).unwrap();
        assert_eq!(first, Body::new("x"), "the machine sees no stamp");
        let answer = seen(&sent(&mut b));
        let [receipt] = &answer.received[..] else {
            panic!("{answer:?}");
        };
        assert_eq!(receipt.message, stamp.message);
        assert!(receipt.step < answer.step);
        assert!(stamp.lamport < receipt.lamport && receipt.lamport < answer.lamport);
        assert_eq!(
            (&*stamp.vector, &*answer.vector),
            (&[1, 0][..], &[1, 2][..])
        );
        assert!(seen(&sent(&mut b)).received.is_empty());
    }

    #[test]
    fn numbers_are_unique_and_no_clock_falls_with_a_new_life() {
        let (data, mut a, mut b) = pair();
        // What it heard counts too.
        b.lamport = 1_000_000;
        a.take(&mut sent(&mut b)).unwrap();
        let before = seen(&sent(&mut a));
        drop(a);
        let mut reborn = stamper("n1", data.path());
        let (after, other) = (seen(&sent(&mut reborn)), seen(&sent(&mut b)));
        assert!(before.message < after.message && other.message != after.message);
        assert!(before.step < after.step && before.lamport < after.lamport);
        assert!(before.vector[0] < after.vector[0]);
        assert_eq!(before.vector[1], after.vector[1]);
    }

    #[test]
    fn a_stamp_that_is_none_is_taken_off_and_changes_nothing() {
        let (_data, mut a, _) = pair();
        let huge =
            json!({"message": 1, "step": 1, "lamport": u64::MAX, "vector": [0, 0], "received": []});
        let short = json!({"message": 1, "step": 1, "lamport": 1, "vector": [0], "received": []});
        for wrong in [json!("soon"), huge, short] {
            let mut body = Body::new("x").with(FIELD, wrong);
            a.take(&mut body).unwrap();
            assert_eq!(body, Body::new("x"));
        }
        assert_eq!(seen(&sent(&mut a)).lamport, 1);
    }
}
