//! Logical clocks on every message between nodes, for a message journal.
//!
//! A node that stamps counts its events (each message taken or sent is one) and keeps a Lamport and
//! a vector clock over them (Lamport 1978; Fidge and Mattern 1988). Each message to a peer carries
//! its number and what the clocks show, in the body's field `clocks`; the stamp is taken off before
//! a machine sees the message.
//!
//! Each event is appended to a file before the message leaves, or the machine sees it. So whoever
//! reads the files of all nodes knows every event of every node in its order, and a node that is
//! killed goes on where its clocks were. The file is not synced, since a process that dies loses
//! nothing of what it has handed to the kernel.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tribunal_results::NodeId;

use crate::wire::Body;

/// The body's field.
pub const FIELD: &str = "clocks";
/// The file in a node's data directory.
const FILE: &str = "clocks";
/// Numbers of an event in the file: the message, the Lamport clock, the entries of the vector
/// clock; each of eight bytes, the least first.
const SCALARS: usize = 2;
const BYTES: usize = size_of::<u64>();

/// What a message between nodes carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The message's number, unique among all messages of all nodes.
    pub message: u64,
    /// The sender's Lamport clock after sending it.
    pub lamport: u64,
    /// Its vector clock after that, in the order of the nodes.
    pub vector: Vec<u64>,
}

/// An event of a node: a message was sent or taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The message's number and the node's clocks after the event.
    pub stamp: Stamp,
    /// Whether it was sent, not taken.
    pub sent: bool,
    /// Where it stands among the events of the node, from 1.
    pub step: u64,
}

/// The events that a node of so many, its place among them, has kept in its data directory, in its
/// order. What is left of one that was being written when it was killed is left out.
///
/// # Errors
/// The file cannot be opened; none if the node never kept any.
pub fn kept(
    data: &Path,
    nodes: usize,
    own: usize,
) -> io::Result<impl Iterator<Item = Kept> + use<>> {
    let file = match File::open(data.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        opened => Some(BufReader::new(opened?)),
    };
    let mut bytes = vec![0; (SCALARS + nodes) * BYTES];
    let events = file.into_iter().flat_map(move |mut file| {
        let mut bytes = std::mem::take(&mut bytes);
        std::iter::from_fn(move || {
            file.read_exact(&mut bytes).ok()?;
            Some(event(&bytes, nodes, own))
        })
    });
    Ok(events)
}

/// Reads an event.
fn event(bytes: &[u8], nodes: usize, own: usize) -> Kept {
    let (words, _) = bytes.as_chunks::<BYTES>();
    let mut numbers = words.iter().map(|word| u64::from_le_bytes(*word));
    let message = numbers.next().unwrap_or_default();
    let lamport = numbers.next().unwrap_or_default();
    let mut vector: Vec<u64> = numbers.collect();
    vector.resize(nodes, 0);
    Kept {
        step: vector.get(own).copied().unwrap_or_default(),
        sent: message % nodes.max(1) as u64 == own as u64,
        stamp: Stamp {
            message,
            lamport,
            vector,
        },
    }
}

/// The clocks of one node.
#[derive(Debug)]
pub(super) struct Stamper {
    file: File,
    own: usize,
    lamport: u64,
    /// Its own entry counts its events.
    vector: Vec<u64>,
}

impl Stamper {
    /// The clocks of the node `id` among `nodes`, which keeps its files in `data`, as its earlier
    /// lives left them.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn open(id: &NodeId, nodes: &[NodeId], data: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(data.join(FILE))?;
        let (own, count) = (
            nodes.iter().position(|node| node == id).unwrap_or(0),
            nodes.len().max(1),
        );
        let size = ((SCALARS + count) * BYTES) as u64;
        let whole = file.metadata()?.len() / size * size;
        file.set_len(whole)?;
        let (mut lamport, mut vector) = (0, vec![0; count]);
        if let Some(last) = whole.checked_sub(size) {
            let mut bytes = vec![0; size as usize];
            file.read_exact_at(&mut bytes, last)?;
            Stamp {
                lamport,
                vector,
                ..
            } = event(&bytes, count, own).stamp;
        }
        Ok(Self {
            file,
            own,
            lamport,
            vector,
        })
    }

    /// One more event of this node, of the message of that number; of none it sends the next.
    fn tick(&mut self, message: Option<u64>) -> io::Result<u64> {
        self.lamport += 1;
        self.vector[self.own] += 1;
        let next = || self.vector[self.own] * self.vector.len() as u64 + self.own as u64;
        let message = message.unwrap_or_else(next);
        let numbers = [message, self.lamport];
        let numbers = numbers.iter().chain(&self.vector);
        let bytes: Vec<u8> = numbers.flat_map(|number| number.to_le_bytes()).collect();
        self.file.write_all(&bytes)?;
        Ok(message)
    }

    /// Puts a stamp on a message to a peer.
    ///
    /// # Errors
    /// The clocks could not be kept: they must not be used any more.
    pub(super) fn stamp(&mut self, body: Body) -> io::Result<Body> {
        let stamp = Stamp {
            message: self.tick(None)?,
            lamport: self.lamport,
            vector: self.vector.clone(),
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
        let from = (stamp.message % self.vector.len() as u64) as usize;
        let clocks = stamp.vector.iter().chain([&stamp.lamport, &stamp.message]);
        // A peer that lies must not drive the clocks to their end.
        let possible = clocks.copied().all(|clock| clock <= u64::MAX / 2);
        if stamp.vector.len() != self.vector.len() || from == self.own || !possible {
            return Ok(());
        }
        self.lamport = self.lamport.max(stamp.lamport);
        for (at, seen) in stamp.vector.into_iter().enumerate() {
            if at != self.own {
                self.vector[at] = self.vector[at].max(seen);
            }
        }
        self.tick(Some(stamp.message)).map(drop)
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

    fn kept_by(data: &Path, own: usize) -> Vec<Kept> {
        let id = ["n1", "n2"][own];
        kept(&data.join(id), 2, own).unwrap().collect()
    }

    #[test]
    fn what_was_taken_is_kept_and_comes_before_what_is_sent_then() {
        let (data, mut a, mut b) = pair();
        let mut first = sent(&mut a);
        let stamp = seen(&first);
        b.take(&mut first).unwrap();
        assert_eq!(first, Body::new("x"), "the machine sees no stamp");
        let answer = seen(&sent(&mut b));
        let [taken, sent] = &kept_by(data.path(), 1)[..] else {
            panic!("two events");
        };
        assert_eq!(taken.stamp.message, stamp.message);
        assert_eq!((taken.sent, taken.step), (false, 1));
        assert_eq!((sent.sent, sent.step), (true, 2));
        assert_eq!(sent.stamp, answer);
        assert!(stamp.lamport < taken.stamp.lamport && taken.stamp.lamport < answer.lamport);
        assert_eq!(
            (&*stamp.vector, &*answer.vector),
            (&[1, 0][..], &[1, 2][..])
        );
        let none = tempfile::tempdir().unwrap();
        assert_eq!(kept(none.path(), 2, 0).unwrap().count(), 0);
    }

    #[test]
    fn numbers_are_unique_and_no_clock_falls_with_a_new_life() {
        let (data, mut a, mut b) = pair();
        // What it heard counts too.
        b.lamport = 1_000_000;
        a.take(&mut sent(&mut b)).unwrap();
        let before = seen(&sent(&mut a));
        drop(a);
        // It was killed while it wrote.
        let path = data.path().join("n1").join(FILE);
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(&[7; 5]).unwrap();
        let mut reborn = stamper("n1", data.path());
        let (after, other) = (seen(&sent(&mut reborn)), seen(&sent(&mut b)));
        assert!(before.message < after.message && other.message != after.message);
        assert!(before.lamport < after.lamport);
        assert!(before.vector[0] < after.vector[0]);
        assert_eq!(before.vector[1], after.vector[1]);
        let steps: Vec<u64> = kept_by(data.path(), 0).iter().map(|it| it.step).collect();
        assert_eq!(steps, [1, 2, 3]);
    }

    #[test]
    fn a_stamp_that_is_none_is_taken_off_and_changes_nothing() {
        let (data, mut a, _) = pair();
        let huge = json!({"message": 1, "lamport": u64::MAX, "vector": [0, 0]});
        let short = json!({"message": 1, "lamport": 1, "vector": [0]});
        let own = json!({"message": 2, "lamport": 1, "vector": [0, 0]});
        for wrong in [json!("soon"), huge, short, own] {
            let mut body = Body::new("x").with(FIELD, wrong);
            a.take(&mut body).unwrap();
            assert_eq!(body, Body::new("x"));
        }
        assert_eq!(kept_by(data.path(), 0), []);
        assert_eq!(seen(&sent(&mut a)).lamport, 1);
    }
}
