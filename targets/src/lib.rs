//! What is tested: how to launch a node, know that it is ready, talk to it, and decide how each
//! operation ended; and the reference nodes themselves.
//!
//! Files in `src/` are the catalogue of targets; machinery (wire protocol, node runtime, client
//! session) goes in subfolders. A new target is one file (or folder), one `pub mod` and one row
//! in [`ALL`]. A target knows nothing of who is broken or when, nor of what is checked.
#![forbid(unsafe_code)]

pub mod adapter;
pub mod cache;
pub mod causal_kv;
pub mod client;
pub mod clock;
pub mod command;
pub mod database;
#[cfg(feature = "etcd")]
pub mod etcd;
pub mod eventual_kv;
pub mod http;
pub mod lock_lamport;
pub mod lock_manager;
pub mod lock_quorum;
pub mod lock_ring;
mod locks;
pub mod maelstrom;
#[cfg(feature = "mariadb")]
pub mod mariadb;
#[cfg(feature = "nats")]
pub mod nats;
pub mod network;
pub mod node;
pub mod paxos_kv;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod primary_backup;
pub mod program;
pub mod quorum_register;
#[cfg(feature = "redis")]
pub mod redis;
pub mod semaphore;
pub mod shape;
#[cfg(any(feature = "mariadb", feature = "postgres"))]
mod sql;
mod system;
pub mod transaction;
pub mod twophase_kv;
pub mod wire;
#[cfg(feature = "zookeeper")]
pub mod zookeeper;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use client::Session;
use node::Reference;
use serde_json::Value as Json;
pub use shape::Shape;
pub use system::System;
use tribunal_results::options::OptionError;
use tribunal_results::{Assumptions, Kind, NodeId, Operation, Outcome, Reason};

/// A boxed future: what asynchronous methods of object-safe traits return.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where each node finds each other: a fabric gives every node its own view of its peers.
pub trait Router: Send + Sync {
    /// The address at which `from` (a node, or `clients`) reaches `to`.
    fn address(&self, from: &str, to: &str) -> Option<SocketAddr>;
}

/// All that one node is told.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// Its name.
    pub id: NodeId,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Every other node, in order, at the address where *this* node reaches it.
    pub peers: Vec<(NodeId, SocketAddr)>,
    /// What it has to tell others as its own address: the one at which every other dials it. Only
    /// of targets that [advertise one address](Target::advertises_one_address); the others' are
    /// then those in `peers`, the same for all.
    pub advertised: Option<SocketAddr>,
    /// Every node of the cluster in order, itself included.
    pub nodes: Vec<NodeId>,
    /// Its own directory; survives restarts. What it prints lies beside it, in `stdout` and
    /// `stderr`.
    pub data: PathBuf,
    /// The planted bug it shows, if any.
    pub bug: Option<String>,
    /// Options of the target, as in the suite.
    pub options: Json,
}

/// How a node is told that the run is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// By SIGTERM.
    #[default]
    Terminate,
    /// By the signal of this number.
    Signal(i32),
    /// By a command, with its arguments.
    Command(Vec<String>),
}

/// How to start a node's process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// The program; `None` is this very binary.
    pub program: Option<PathBuf>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables added to its environment.
    pub env: Vec<(String, String)>,
    /// Files written before each start, with their contents.
    pub files: Vec<(PathBuf, String)>,
    /// How it is told that the run is over.
    pub stop: Stop,
    /// Where it runs; in its own directory if absent.
    pub cwd: Option<PathBuf>,
    /// What it reads as its standard input; nothing if absent.
    pub stdin: Option<PathBuf>,
    /// Where its standard output goes; to its log if absent.
    pub stdout: Option<PathBuf>,
}

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether it can serve clients now.
    pub ready: bool,
    /// Its role: `coordinator`, `replica`, `leader`, …
    pub role: String,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// Why it isn't ready, or anything else worth a line in a log.
    pub detail: String,
    /// The nodes that belong to the system, as far as it knows; `None` if that never changes, or
    /// is for others to say.
    pub members: Option<Vec<NodeId>>,
}

/// A change of who belongs to a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// This node belongs to it from now on.
    Add(NodeId),
    /// This node no longer does.
    Remove(NodeId),
}

/// A named defect built into a reference target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlantedBug {
    /// Its name, for `bug:` in suites.
    pub name: &'static str,
    /// What is wrong, in one line.
    pub about: &'static str,
    /// The workload that shows it.
    pub workload: &'static str,
    /// The faults that it needs to show; empty if it needs none.
    pub faults: &'static [&'static str],
    /// The anomalies of which at least one must be found.
    pub anomalies: &'static [&'static str],
}

/// What one client is told.
#[derive(Clone, Debug)]
pub struct ClientSpec {
    /// The logical process it acts for; names it to the node (`c7`).
    pub process: u64,
    /// The node it talks to.
    pub node: NodeId,
    /// Where it reaches that node.
    pub address: SocketAddr,
    /// Every node in order, that one included, at the address where clients reach it: for clients
    /// that look for another node by themselves, or ask several at once.
    pub nodes: Arc<[(NodeId, SocketAddr)]>,
    /// The most that one operation may take, and the opening too.
    pub timeout: Duration,
}

/// One connection of one client to one node.
///
/// It decides how each operation ended, once and for all: `Fail` only if the operation
/// definitely had no effect and never will; after bytes were sent, any error that the protocol
/// does not call definite is `Info`.
pub trait Client: Send {
    /// Asks, and waits for the answer. Whoever calls bounds the time: dropping the future closes
    /// the connection, and the outcome is then unknown.
    fn invoke<'a>(&'a mut self, operation: &'a Operation) -> Pending<'a, Outcome>;

    /// What the node has told the session to bring along to any other node: opaque to the client.
    fn context(&self) -> Option<&Json> {
        None
    }

    /// Goes on with what an earlier connection of the same session was told.
    fn resume(&mut self, _context: Json) {}

    /// Whether the connection can carry another operation: false once it has failed or an answer
    /// is missing on it, or if the node is seen to have closed it.
    fn is_usable(&mut self) -> bool {
        true
    }
}

/// A system that can be tested.
pub trait Target: Send + Sync {
    /// Its name in suites.
    fn name(&self) -> &'static str;

    /// What it is, in one line.
    fn about(&self) -> &'static str;

    /// What it claims, in one line.
    fn claims(&self) -> &'static str;

    /// The operations that it understands.
    fn operations(&self) -> &'static [Kind];

    /// The faults under which it keeps its claims, by name.
    fn survives(&self) -> &'static [&'static str] {
        &[]
    }

    /// The links between nodes without which it does not work.
    fn shape(&self) -> Shape {
        Shape::Mesh
    }

    /// Whether a node tells the others, and clients perhaps, one address at which all dial it, as
    /// etcd, Redis, ZooKeeper and NATS do. It must then advertise [`NodeSpec::advertised`] and
    /// listen at [`NodeSpec::listen`]; who dials is told by whose socket it is. That takes some
    /// milliseconds for each connection, and Linux. Otherwise each node is given addresses of its
    /// own for its peers.
    fn advertises_one_address(&self, _options: &Json) -> bool {
        false
    }

    /// Whether each node needs a network address of its own with all ports, as on a machine of its
    /// own: it listens at several ports, or tells others its address. Its runs are then on
    /// `fabric: switch`, and [`NodeSpec::listen`] is where its clients are, whatever else it
    /// listens at.
    fn needs_own_address(&self, _options: &Json) -> bool {
        false
    }

    /// Looks on this machine for what its nodes are started with, and returns name and version of
    /// it; `None` for systems that are part of this program, or of which nothing is known. May wait
    /// for programs to say their version.
    ///
    /// # Errors
    /// What is missing, and how to install it.
    fn installed(&self, _options: &Json) -> Result<Option<String>, String> {
        Ok(None)
    }

    /// Its planted bugs; none for systems of others.
    fn bugs(&self) -> &'static [PlantedBug] {
        &[]
    }

    /// Checks its options, before anything starts.
    ///
    /// # Errors
    /// The path and nature of the first wrong option.
    fn check_options(&self, options: &Json) -> Result<(), OptionError>;

    /// The operations that it understands with those options, in a cluster of those nodes.
    ///
    /// # Errors
    /// The path and nature of the first wrong option.
    fn understands(&self, options: &Json, _nodes: &[NodeId]) -> Result<Vec<Kind>, OptionError> {
        self.check_options(options)?;
        Ok(self.operations().to_vec())
    }

    /// The target that it is with those options, if they make it another: with what it keeps
    /// during one run.
    fn configured(&self, _options: &Json) -> Option<Result<Arc<dyn Target>, OptionError>> {
        None
    }

    /// The number of its first node: 0 for n0, n1, …
    fn first_node(&self, _options: &Json) -> usize {
        1
    }

    /// Whether what its nodes and clients send are lines that the target itself carries, as a
    /// [network](network::Network) says: then, the names of whoever else takes part.
    fn carries_lines(&self) -> Option<&'static [&'static str]> {
        None
    }

    /// Told before the first node starts, if it [carries lines](Self::carries_lines): what
    /// happens to them, and the seed of its own choices.
    fn attach(&self, _network: Arc<dyn network::Network>, _seed: u64) {}

    /// Told before the first node starts: what the environment of every process must hold that
    /// the target itself starts, so that none outlives the run.
    fn mark(&self, _name: &str, _value: &str) {}

    /// How long opening a connection may take where an operation may take `timeout`.
    fn opens_within(&self, timeout: Duration) -> Duration {
        timeout
    }

    /// Ends whatever processes the target itself has started.
    fn close(&self) -> Pending<'_, ()> {
        Box::pin(async {})
    }

    /// Says what checkers may take for granted of it, by its options.
    fn assume(&self, _options: &Json, _assume: &mut Assumptions) {}

    /// How to start the node.
    fn launch(&self, spec: &NodeSpec) -> Launch;

    /// Asks the node at `address` how it is. Whoever calls bounds the time.
    fn status(&self, address: SocketAddr) -> Pending<'_, std::io::Result<Status>>;

    /// Asks that node, which is found at `address`, how it is. Whoever calls bounds the time.
    fn status_of<'a>(
        &'a self,
        _node: &'a NodeId,
        address: SocketAddr,
    ) -> Pending<'a, std::io::Result<Status>> {
        self.status(address)
    }

    /// Opens a connection, with a handshake that the node itself answers: a proxy accepts for a
    /// dead node, so a bare connect proves nothing.
    ///
    /// # Errors
    /// Why there is no connection. No operation has been sent.
    fn open<'a>(&'a self, spec: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>>;

    /// Asks a node, by its name and address, for a change of who belongs to the system; `None` if
    /// the target knows no such changes. A change that failed, or whose outcome nobody knows, may
    /// be asked for again; [`Status::members`] says when it has come about. Whoever calls bounds
    /// the time.
    fn change_members<'a>(
        &'a self,
        _asked: (&'a NodeId, SocketAddr),
        _change: &'a MemberChange,
    ) -> Option<Pending<'a, Result<(), Reason>>> {
        None
    }

    /// The reference target that it is, if its nodes are this very binary.
    fn reference(&self) -> Option<&Reference> {
        None
    }
}

/// Every target.
pub static ALL: &[&dyn Target] = &[
    &lock_lamport::TARGET,
    &lock_manager::TARGET,
    &lock_quorum::TARGET,
    &lock_ring::TARGET,
    &semaphore::TARGET,
    &quorum_register::TARGET,
    &paxos_kv::TARGET,
    &primary_backup::TARGET,
    &cache::TARGET,
    &causal_kv::TARGET,
    &eventual_kv::TARGET,
    &twophase_kv::TARGET,
    &database::TARGET,
    &command::TARGET,
    &maelstrom::TARGET,
    #[cfg(feature = "etcd")]
    &etcd::TARGET,
    #[cfg(feature = "mariadb")]
    &mariadb::TARGET,
    #[cfg(feature = "nats")]
    &nats::TARGET,
    #[cfg(feature = "postgres")]
    &postgres::TARGET,
    #[cfg(feature = "redis")]
    &redis::TARGET,
    #[cfg(feature = "zookeeper")]
    &zookeeper::TARGET,
];

/// The target of that name.
pub fn find(name: &str) -> Option<&'static dyn Target> {
    ALL.iter().copied().find(|target| target.name() == name)
}
