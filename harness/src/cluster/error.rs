//! Why a cluster did not come up: what happened, where, and what to do.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tribunal_results::{NodeId, NodeState};

/// A node that was waited for in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unready {
    /// The node.
    pub node: NodeId,
    /// What its last probe came to.
    pub detail: String,
    /// Where its log lies.
    pub log: PathBuf,
}

/// Why a cluster did not come up.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The run directory cannot be written to, or no thread can be started.
    #[error("cannot prepare {path}: {cause}", path = path.display())]
    Prepare {
        /// What was to be made.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The guard, without which nodes could outlive the run, did not start.
    #[error(
        "the guard process ({program} guard) did not start: {reason}; no node was started, \
         because nothing would end it if this process were killed", program = program.display()
    )]
    Guard {
        /// The binary.
        program: PathBuf,
        /// What came of it.
        reason: String,
    },
    /// There is no such program.
    #[error(
        "{node}: program not found: {program}; install it, or correct its path in the suite",
        program = program.display()
    )]
    ProgramNotFound {
        /// The node.
        node: NodeId,
        /// What was looked for.
        program: PathBuf,
    },
    /// The program cannot be started.
    #[error("{node}: cannot start {program}: {cause}", program = program.display())]
    Spawn {
        /// The node.
        node: NodeId,
        /// The program.
        program: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// A node ended by itself before it was ready.
    #[error("{node} died before it was ready: {exit}; see {log}{}", quoted(last), log = log.display())]
    Died {
        /// The node.
        node: NodeId,
        /// Its exit status in words.
        exit: String,
        /// The last lines that it printed.
        last: String,
        /// Where its log lies.
        log: PathBuf,
    },
    /// Nodes did not become ready in time.
    #[error("not ready within {within:?}: {}; {}", listed(nodes), advice(nodes))]
    NotReady {
        /// How long they were waited for.
        within: Duration,
        /// Each of them.
        nodes: Vec<Unready>,
    },
    /// A node that is waited for does not run.
    #[error("{node} does not run ({state:?}); it must be started before it can become ready")]
    NotRunning {
        /// The node.
        node: NodeId,
        /// What became of it.
        state: NodeState,
    },
    /// Something else listens at a node's address.
    #[error("{node}: its address {address} is taken by {by}; end that process and run again")]
    AddressTaken {
        /// The node.
        node: NodeId,
        /// Its address.
        address: SocketAddr,
        /// Who holds it.
        by: String,
    },
    /// There is no node of that name.
    #[error("no node is called {0}")]
    UnknownNode(String),
    /// Nothing is started any more.
    #[error("the cluster is shutting down; {0} is not started again")]
    ShuttingDown(NodeId),
    /// The target's own probe failed in a way that it must not.
    #[error("the probe of a node panicked: {0}; this is a bug of the target's adapter")]
    Probe(String),
}

fn quoted(last: &str) -> String {
    if last.is_empty() {
        return "; it printed nothing".into();
    }
    let mut text = String::from("; its last lines:");
    for line in last.lines() {
        let _ = write!(text, "\n    {line}");
    }
    text
}

/// What to do. A server that does not listen where it was told to is never ready.
fn advice(nodes: &[Unready]) -> &'static str {
    let refused = |node: &Unready| node.detail.contains("Connection refused");
    if nodes.iter().any(refused) {
        "nothing listens there: is the node given its host as well as its port, and does it listen \
         on that host, not on 127.0.0.1? If it only needs longer, raise `ready:` or `recovery:` in \
         the suite"
    } else {
        "raise `ready:` or `recovery:` in the suite if they need longer"
    }
}

fn listed(nodes: &[Unready]) -> String {
    let each = nodes.iter().map(|unready| {
        let detail = match unready.detail.as_str() {
            "" => "no probe was answered",
            detail => detail,
        };
        format!("{} ({detail}; see {})", unready.node, unready.log.display())
    });
    each.collect::<Vec<_>>().join(", ")
}
