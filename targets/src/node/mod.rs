//! The runtime of the reference nodes: gives a [`Machine`] sockets, timers and a write-ahead log.
//!
//! | module | what it does |
//! |---|---|
//! | [`machine`] | the interface: inputs, and what a machine may ask for |
//! | [`heartbeat`] | which peers answer, for machines that want to know |
//! | [`reference`] | a reference target: its row in the catalogue, made of plain data |
//! | `wal` | records that survive a crash |
//! | `network` | sockets, each with bounded queues |
//! | `routes` | which connection reaches whom |
//! | `event_loop` | inputs in, records durable, messages out |
//! | [`stamp`] | logical clocks on every message between nodes |
//! | `stderr` | the node's log |

mod event_loop;
pub mod heartbeat;
pub mod machine;
mod network;
pub mod reference;
mod routes;
pub mod stamp;
mod stderr;
mod wal;

use std::collections::BinaryHeap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use machine::{Handler, Input, MILLISECOND, Machine, Nanos, Outbox, receive};
pub use reference::Reference;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tribunal_results::options::OptionError;

use self::event_loop::EventLoop;
use self::routes::Routes;
use self::stamp::Stamper;
use self::stderr::note;
use self::wal::Wal;
use crate::NodeSpec;

/// The planted bug that records are not made durable, in targets that list it.
pub const NO_FSYNC: &str = "no-fsync";

/// How many events may wait for the node; beyond it, sockets are not read.
const INBOX_MAX: usize = 1024;

/// Why a node can't start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// There is no such reference target.
    #[error("no reference target is called {name:?}; there are: {known}")]
    UnknownTarget {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// The node, its peers and the list of nodes don't fit together.
    #[error("{0}")]
    Spec(String),
    /// An option of the target is wrong.
    #[error("option {:?} of {target}: {}", .error.path, .error.message)]
    Option {
        /// The target.
        target: String,
        /// What is wrong, and where.
        error: OptionError,
    },
    /// The target has no such planted bug.
    #[error("{target} has no planted bug {bug:?}; it has: {known}")]
    UnknownBug {
        /// The target.
        target: String,
        /// The name asked for.
        bug: String,
        /// The names that exist.
        known: String,
    },
    /// The address can't be listened on.
    #[error("can't listen on {address}: {source}; is another process using it?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The write-ahead log can't be opened or written.
    #[error("can't use the write-ahead log in {}: {source}", .data.display())]
    Log {
        /// The node's directory.
        data: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A record in the write-ahead log is of another target or version.
    #[error("record {number} of the write-ahead log in {} is not one of {target}: {source}", .data.display())]
    Record {
        /// The target.
        target: String,
        /// The node's directory.
        data: PathBuf,
        /// Which record, from 0.
        number: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The signal to stop can't be waited for.
    #[error("can't wait for SIGTERM: {0}")]
    Signal(io::Error),
}

/// Runs a node of the reference target called `target` until SIGTERM. Dropping the future is like
/// a crash: its sockets close, its log stays.
///
/// # Errors
/// Why it can't start, or that its log can't be written any more.
pub async fn run(target: &str, spec: NodeSpec) -> Result<(), NodeError> {
    run_with(target, spec, false).await
}

/// The same; if `stamps`, messages to peers carry [logical clocks](stamp).
///
/// # Errors
/// As [`run`].
pub async fn run_with(target: &str, spec: NodeSpec, stamps: bool) -> Result<(), NodeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(NodeError::Signal)?;
    let mut machine = reference::machine(target, &spec)?;
    let wal = recover(target, &spec, &mut *machine)?;
    let stamper = match stamps {
        true => Some(
            Stamper::open(&spec.id, &spec.nodes, &spec.data).map_err(|source| NodeError::Log {
                data: spec.data.clone(),
                source,
            })?,
        ),
        false => None,
    };
    let listener = TcpListener::bind(spec.listen)
        .await
        .map_err(|source| NodeError::Listen {
            address: spec.listen,
            source,
        })?;
    note(&format!(
        "{} of {target} listens on {}",
        spec.id, spec.listen
    ));

    let (inbox, events) = mpsc::channel(INBOX_MAX);
    let mut sockets = JoinSet::new();
    for (peer, address) in &spec.peers {
        sockets.spawn(network::dial(peer.clone(), *address, inbox.clone()));
    }
    sockets.spawn(network::listen(listener, inbox));

    let event_loop = EventLoop {
        routes: Routes::new(spec.id.clone(), spec.peers.iter().map(|(id, _)| id.clone())),
        id: spec.id,
        machine,
        wal,
        out: Outbox::default(),
        timers: BinaryHeap::new(),
        stamper,
        origin: Instant::now(),
    };
    let stop = async move {
        terminate.recv().await;
        note("stopping as asked by SIGTERM");
    };
    let data = spec.data;
    event_loop
        .run(events, stop)
        .await
        .map_err(|source| NodeError::Log { data, source })
}

/// Opens the log and gives every record in it to the machine.
fn recover(target: &str, spec: &NodeSpec, machine: &mut dyn Machine) -> Result<Wal, NodeError> {
    let data = spec.data.clone();
    let (wal, records) = Wal::open(&data).map_err(|source| NodeError::Log {
        data: data.clone(),
        source,
    })?;
    for (number, record) in records.iter().enumerate() {
        machine
            .recover(record)
            .map_err(|source| NodeError::Record {
                target: target.to_owned(),
                data: data.clone(),
                number,
                source,
            })?;
    }
    let wal = match spec.bug.as_deref() {
        Some(NO_FSYNC) => wal.hasty(),
        _ => wal,
    };
    if !records.is_empty() {
        note(&format!("recovered {} records", records.len()));
    }
    Ok(wal)
}
