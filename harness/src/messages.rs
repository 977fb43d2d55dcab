//! The message journal of a run: what the fabric sees of stamped lines between nodes.
//!
//! Nodes say in each message where it stands among their events and what they took before it
//! ([`stamp`]); the fabric says when each passed, arrived or was lost. Both together are the
//! journal, written by a thread of its own. If it cannot keep up the journal ends there, and the
//! log says so: a beginning is a journal too, one with holes is none.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use serde::Deserialize;
use tribunal_nemesis::fabric::Tap;
use tribunal_results::message::{Act, Clocks, Loss, MessageEvent, MessagesWriter};
use tribunal_results::{Nanos, NodeId};
use tribunal_targets::node::stamp::Stamp;

use crate::clock::Clock;

/// What may wait to be written.
const WAITING_MAX: usize = 1 << 16;

/// Something that the fabric saw.
#[derive(Debug)]
enum Seen {
    Sent {
        from: NodeId,
        to: NodeId,
        what: String,
        stamp: Stamp,
    },
    Delivered(u64),
    Lost(u64, &'static str),
}

/// Writes a message journal while a run is on.
#[derive(Debug)]
pub struct Journal {
    clock: Clock,
    seen: Mutex<Option<SyncSender<(Nanos, Seen)>>>,
    /// Whether something could not be taken: nothing more is.
    ended: AtomicBool,
    writer: Mutex<Option<JoinHandle<std::io::Result<()>>>>,
}

impl Journal {
    /// Begins the file.
    ///
    /// # Errors
    /// If it cannot be made, or no thread can be started.
    pub fn create(path: &Path, nodes: &[NodeId], clock: Clock) -> std::io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let places = nodes.to_vec();
        let writer = std::thread::Builder::new()
            .name("messages".into())
            .spawn(move || write(file, &places, &receiver))?;
        Ok(Self {
            clock,
            seen: Mutex::new(Some(sender)),
            ended: AtomicBool::new(false),
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Writes what is left and ends the file.
    ///
    /// # Errors
    /// If it could not be written, or did not keep up; it ends before that.
    pub fn close(&self) -> std::io::Result<()> {
        drop(taken(&self.seen));
        let Some(writer) = taken(&self.writer) else {
            return Ok(());
        };
        let failed = |_| std::io::Error::other("the thread that writes it has failed");
        writer.join().map_err(failed)??;
        match self.ended.load(Ordering::Relaxed) {
            true => Err(std::io::Error::other("it did not keep up with the nodes")),
            false => Ok(()),
        }
    }

    fn note(&self, seen: Seen) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        let sender = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = &*sender else { return };
        if let Err(TrySendError::Full(_)) = sender.try_send((self.clock.now(), seen)) {
            self.ended.store(true, Ordering::Relaxed);
        }
    }
}

fn taken<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// What matters of a line.
#[derive(Deserialize)]
struct Line {
    body: Inside,
}

#[derive(Deserialize)]
struct Inside {
    #[serde(rename = "type", default)]
    what: String,
    clocks: Option<Stamp>,
}

impl Tap for Journal {
    fn sent(&self, from: &NodeId, to: &NodeId, line: &[u8]) -> Option<u64> {
        let Inside { what, clocks } = serde_json::from_slice::<Line>(line).ok()?.body;
        let stamp = clocks?;
        let number = stamp.message;
        self.note(Seen::Sent {
            from: from.clone(),
            to: to.clone(),
            what,
            stamp,
        });
        Some(number)
    }

    fn delivered(&self, message: u64) {
        self.note(Seen::Delivered(message));
    }

    fn lost(&self, message: u64, why: &'static str) {
        self.note(Seen::Lost(message, why));
    }
}

/// Writes until nobody notes anything any more.
fn write(
    mut file: BufWriter<File>,
    nodes: &[NodeId],
    seen: &Receiver<(Nanos, Seen)>,
) -> std::io::Result<()> {
    let names = nodes.iter().map(ToString::to_string).collect();
    let mut pages = Pages {
        nodes,
        writer: MessagesWriter::new(names)?,
        arrived: rustc_hash::FxHashMap::default(),
    };
    while let Ok((time, seen)) = seen.recv() {
        pages.take(time, seen)?;
        file.write_all(&pages.writer.take())?;
    }
    file.flush()
}

/// The journal's lines, made of what is seen.
struct Pages<'n> {
    nodes: &'n [NodeId],
    writer: MessagesWriter,
    /// When messages arrived of which their receivers have told nothing yet.
    arrived: rustc_hash::FxHashMap<u64, Nanos>,
}

impl Pages<'_> {
    fn take(&mut self, time: Nanos, seen: Seen) -> serde_json::Result<()> {
        match seen {
            Seen::Delivered(message) => {
                self.arrived.insert(message, time);
                Ok(())
            }
            Seen::Lost(message, why) => self.writer.lost(&Loss {
                message,
                time,
                why: why.into(),
            }),
            Seen::Sent {
                from,
                to,
                what,
                stamp,
            } => self.sent(time, (&from, &to), &what, stamp),
        }
    }

    fn sent(
        &mut self,
        time: Nanos,
        (from, to): (&NodeId, &NodeId),
        what: &str,
        stamp: Stamp,
    ) -> serde_json::Result<()> {
        let place = |name: &NodeId| self.nodes.iter().position(|node| node == name);
        let (Some(node), Some(to)) = (place(from), place(to)) else {
            return Ok(());
        };
        let (node, to) = (node as u32, to as u32);
        for receipt in stamp.received {
            let Some(arrived) = self.arrived.remove(&receipt.message) else {
                continue;
            };
            let act = Act::Receive {
                message: receipt.message,
            };
            self.writer.append(&MessageEvent {
                node,
                step: receipt.step,
                time: arrived,
                act,
                clocks: Clocks {
                    lamport: Some(receipt.lamport),
                    ..Clocks::default()
                },
            })?;
        }
        let event = MessageEvent {
            node,
            step: stamp.step,
            time,
            act: Act::Send {
                message: stamp.message,
                to: Some(to),
            },
            clocks: Clocks {
                lamport: Some(stamp.lamport),
                vector: Some(stamp.vector.into()),
                ..Clocks::default()
            },
        };
        self.writer.append_named(&event, what)
    }
}
