//! Whose connections are whose, for systems of which each node has one address that all dial.
//!
//! Every process of a node carries the node's name in its environment, and so does whatever it
//! started, unless that has cleaned its environment. The socket at the other end of a connection
//! is found in the kernel's tables by its addresses, and its process by the inode.

use std::net::SocketAddr;

use tribunal_nemesis::fabric::SocketOwners;
use tribunal_results::NodeId;

use super::{Block, procfs};

/// The environment variable that tells every process of a node: `block/node`.
const NODE: &str = "TRIBUNAL_NODE";

/// What a node's processes carry, of the run that has that block.
pub(super) fn mark(block: SocketAddr, node: &str) -> (&'static str, String) {
    (NODE, format!("{block}/{node}"))
}

/// Knows the nodes of one run by their processes.
#[derive(Debug)]
pub struct Owners {
    block: SocketAddr,
    others: NodeId,
}

impl Owners {
    /// Of the run that has that block; `others` is the name of whoever is no node.
    pub fn of(block: &Block, others: NodeId) -> Self {
        Self {
            block: block.lock(),
            others,
        }
    }
}

impl SocketOwners for Owners {
    fn owner(&self, near: SocketAddr, far: SocketAddr) -> Option<NodeId> {
        let inode = procfs::connected(near, far)?;
        let (_, prefix) = mark(self.block, "");
        let mut marked = procfs::values_of(NODE)
            .into_iter()
            .filter_map(|(pid, value)| {
                let node = value.strip_prefix(&prefix)?;
                procfs::holds(pid, inode).then(|| NodeId::from(node))
            });
        Some(marked.next().unwrap_or_else(|| self.others.clone()))
    }
}
