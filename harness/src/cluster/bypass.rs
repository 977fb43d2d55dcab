//! Traffic that goes around the fabric: what no fault reaches, and no report may be silent about.
//!
//! Whatever is said to a node comes from this very process: from a proxy of the fabric, or a probe.
//! So a connection to a node's own address that another process of the run has open bypasses the
//! fabric. Where there is no `/proc` nothing is found; a connection that lives for less than
//! [`EVERY`] may be missed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{Cluster, procfs};

/// How long between two looks.
const EVERY: Duration = Duration::from_millis(250);

/// Looks for it as long as this lives.
pub struct Lookout {
    cluster: Arc<Cluster>,
    found: Arc<Mutex<Option<String>>>,
    task: JoinHandle<()>,
}

impl Lookout {
    /// Begins to look.
    pub fn start(cluster: &Arc<Cluster>) -> Self {
        let found: Arc<Mutex<Option<String>>> = Arc::default();
        let (theirs, note) = (Arc::clone(cluster), Arc::clone(&found));
        let task = tokio::spawn(async move {
            loop {
                sleep(EVERY).await;
                if let Some(what) = look(&theirs).await {
                    tracing::error!("{what}");
                    note.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .replace(what);
                    return;
                }
            }
        });
        Self {
            cluster: Arc::clone(cluster),
            found,
            task,
        }
    }

    /// Looks once more; what was found, in a sentence.
    pub async fn end(self) -> Option<String> {
        self.task.abort();
        let found = self
            .found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match found {
            Some(found) => Some(found),
            None => look(&self.cluster).await,
        }
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A look on a thread that may wait.
async fn look(cluster: &Arc<Cluster>) -> Option<String> {
    let cluster = Arc::clone(cluster);
    let look = tokio::task::spawn_blocking(move || cluster.bypass());
    look.await.ok().flatten()
}

impl Cluster {
    /// Whether a process of this run, but this one, is connected to a node other than by way of
    /// the fabric; says in a sentence which, and what to do.
    pub fn bypass(&self) -> Option<String> {
        let addresses: Vec<SocketAddr> = self.nodes.iter().map(|node| node.spec.listen).collect();
        let connections = procfs::connections_to(&addresses);
        let own = procfs::sockets(std::process::id());
        let strange: Vec<_> = connections
            .into_iter()
            .filter(|(_, inode)| !own.contains(inode))
            .collect();
        if strange.is_empty() {
            return None;
        }
        // One of ours that was closed since is nobody's.
        for pid in procfs::marked(&self.marker) {
            let theirs = procfs::sockets(pid);
            let hit = strange.iter().find(|(_, inode)| theirs.contains(inode));
            if let Some((address, _)) = hit {
                return self.describe(pid, *address);
            }
        }
        None
    }

    /// A sentence, unless a node talks to itself.
    fn describe(&self, pid: u32, address: SocketAddr) -> Option<String> {
        let to = self.nodes.iter().find(|node| node.spec.listen == address)?;
        let group = |node: &super::Node| node.now.borrow().pid;
        let from = self
            .nodes
            .iter()
            .find(|node| group(node).is_some_and(|group| procfs::group(group).contains(&pid)));
        if from.is_some_and(|from| from.id() == to.id()) {
            return None;
        }
        let whose = from.map_or_else(|| "a node".to_owned(), |node| node.id().to_string());
        Some(format!(
            "process {pid} ({}) of {whose} is connected to {} at {address}, which bypasses the \
             fabric: no network fault reaches it, so this run proves nothing; make nodes use the \
             address that they are given of each peer",
            procfs::name(pid),
            to.id(),
        ))
    }
}
