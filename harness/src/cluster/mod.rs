//! Node processes: addresses, spawning, guarding, readiness.
//!
//! | module | what it does |
//! |---|---|
//! | [`addresses`] | a block of loopback addresses that no other run has |
//! | `spawn` | starts every node from one thread, tied to the life of the controller |
//! | [`guard`] | ends every node if the controller is gone, whatever became of it |
//! | `orphans` | processes of runs whose controller is gone |
//! | `node` | one node: its state, and what faults may do to its process |
//! | `place` | where a node lives, and how it is seen from outside |
//! | `ready` | when a node is ready |
//! | `logs` | what nodes print |
//! | `owners` | whose connections are whose |
//! | `bypass` | connections that go around the fabric |
//! | `mount` | lays a layer that can be broken over a node's files |
//! | `vdso` | moves the clocks of one process |
//! | `procfs`, `exit` | what the kernel says of processes and sockets, in words |
//!
//! On no way out is a node left behind: [`Cluster::stop`] ends them and looks for stragglers;
//! dropping the cluster kills them; if the controller is killed, the kernel kills each node, and
//! the guard whatever nodes had started.

pub mod addresses;
mod bypass;
mod error;
mod exit;
pub mod guard;
mod logs;
#[cfg(target_os = "linux")]
mod mount;
mod node;
mod orphans;
mod owners;
mod place;
mod procfs;
mod ready;
mod spawn;
mod vdso;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tribunal_nemesis::disk::Disk;
use tribunal_nemesis::fabric::switch::Home;
use tribunal_nemesis::skew::{Skew, View};
use tribunal_nemesis::{Need, Pending, Processes};
use tribunal_results::run::RunDir;
use tribunal_results::{NodeEvent, NodeId, NodeState};
use tribunal_targets::{MemberChange, NodeSpec, Status, System};

pub use addresses::{Block, Layout, NODES_MAX};
pub use bypass::Lookout;
pub use error::{ClusterError, Unready};
pub use guard::guard_main;
pub use orphans::{Orphan, is_running, orphans, started};
pub use owners::Owners;

use guard::Guard;
use logs::Logs;
use node::{Ask, Node, Shared};
use place::Place;
use spawn::Spawner;

/// The environment variable that tells every process of a run, whatever it forked from.
const MARKER: &str = "TRIBUNAL_RUN";
/// How long stragglers may take to die.
const STRAGGLERS_WITHIN: Duration = Duration::from_secs(3);

/// All that a cluster is made of.
pub struct Setup<'a> {
    /// What is tested.
    pub target: System,
    /// The nodes, in order.
    pub specs: Vec<NodeSpec>,
    /// Where their files go.
    pub dir: &'a RunDir,
    /// Their addresses, held until all of them are gone.
    pub block: Arc<Block>,
    /// Where those live that have a network of their own.
    pub homes: BTreeMap<NodeId, Home>,
    /// The `tribunal` binary: the guard, and the nodes of targets that ship in it.
    pub program: PathBuf,
    /// Whether reference nodes stamp their messages with logical clocks.
    pub stamps: bool,
    /// What faults need nodes to be started with.
    pub needs: Vec<Need>,
    /// Where every change of a node's state is told. Unbounded, because it must not be lost nor
    /// wait; there are a handful for each fault.
    pub events: mpsc::UnboundedSender<NodeEvent>,
}

/// The node processes of one run.
pub struct Cluster {
    nodes: Vec<Arc<Node>>,
    ids: Vec<NodeId>,
    shared: Arc<Shared>,
    marker: String,
    _block: Arc<Block>,
}

impl Cluster {
    /// Starts the guard and then every node. They need not be ready yet.
    ///
    /// # Errors
    /// If the guard or any node cannot be started; those that were are ended again.
    pub async fn start(setup: Setup<'_>) -> Result<Arc<Self>, ClusterError> {
        let run = run_id(&setup.block);
        let marker = format!("{MARKER}={run}");
        let prepare = |cause| ClusterError::Prepare {
            path: setup.dir.path().to_owned(),
            cause,
        };
        let spawner = Spawner::start().map_err(prepare)?;
        let lock = setup.block.share().map_err(prepare)?;
        setup.target.mark(MARKER, &run);
        let shared = Arc::new(Shared {
            target: setup.target,
            stamps: setup.stamps,
            needs: setup.needs,
            guard: Guard::spawn(&setup.program, &marker, lock).await?,
            program: setup.program,
            run,
            block: setup.block.lock(),
            events: setup.events,
        });
        let disks = match shared.needs.contains(&Need::Disk) {
            true => can_break_disks(&shared.program).await,
            false => Err("it was started with a disk that can't be broken".into()),
        };
        let mut nodes = Vec::new();
        for mut spec in setup.specs {
            spec.data = std::path::absolute(&spec.data).map_err(prepare)?;
            let dir = std::path::absolute(setup.dir.node(&spec.id)).map_err(prepare)?;
            std::fs::create_dir_all(&dir).map_err(prepare)?;
            let disk = disks
                .clone()
                .map(|()| Arc::new(Disk::new(spec.data.clone())));
            let place = match setup.homes.get(&spec.id) {
                Some(home) => Place::apart(home).map_err(prepare)?,
                None => Place::shared(&spawner, spec.listen),
            };
            let node = Node::new(spec, place, disk, Logs::within(&dir), Arc::clone(&shared));
            nodes.push(Arc::new(node));
        }
        let cluster = Self {
            ids: nodes.iter().map(|node| node.id().clone()).collect(),
            nodes,
            shared,
            marker,
            _block: setup.block,
        };
        for node in &cluster.nodes {
            if let Err(error) = node.start().await {
                cluster.stop().await;
                return Err(error);
            }
        }
        Ok(Arc::new(cluster))
    }

    /// The names of the nodes, in order.
    pub fn ids(&self) -> &[NodeId] {
        &self.ids
    }

    /// Where a node itself listens.
    pub fn address(&self, node: &str) -> Option<SocketAddr> {
        self.find(node).ok().map(|node| node.spec.listen)
    }

    /// Waits until each of these nodes says *now* that it is ready, and it is the node that says
    /// so. Fails at once if one of them dies meanwhile.
    ///
    /// # Errors
    /// The first node that died or cannot become ready, or all that are not ready in time.
    pub async fn wait_ready(&self, nodes: &[NodeId], within: Duration) -> Result<(), ClusterError> {
        let mut waiting = BTreeSet::new();
        let mut tasks = JoinSet::new();
        for id in nodes {
            let node = Arc::clone(self.find(id).map_err(ClusterError::UnknownNode)?);
            waiting.insert(id.clone());
            tasks.spawn(async move { node.confirm_ready().await.map(|()| node.id().clone()) });
        }
        let all = async {
            while let Some(done) = tasks.join_next().await {
                let id = done.map_err(|panic| ClusterError::Probe(panic.to_string()))??;
                waiting.remove(&id);
            }
            Ok(())
        };
        match timeout(within, all).await {
            Ok(result) => result,
            Err(_) => Err(ClusterError::NotReady {
                within,
                nodes: self
                    .nodes
                    .iter()
                    .filter(|node| waiting.contains(node.id()))
                    .map(|node| node.unready())
                    .collect(),
            }),
        }
    }

    /// Records that a running node did not become ready although everything was healed.
    pub fn mark_unresponsive(&self, node: &str) {
        let Ok(node) = self.find(node) else { return };
        let pid = node.now.borrow().pid;
        if let Some(pid) = pid {
            node.change(pid, |now| now.state = NodeState::Unresponsive);
        }
    }

    /// Ends every node (SIGTERM, then SIGKILL), and whatever they left behind, and the guard.
    /// Nothing is started after this. Returns, in words, what was not as it should be; nothing
    /// when it is called again.
    pub async fn stop(&self) -> Vec<String> {
        let mut tasks = JoinSet::new();
        for node in &self.nodes {
            let node = Arc::clone(node);
            tasks.spawn(async move { node.close().await });
        }
        let mut problems = Vec::new();
        for closed in tasks.join_all().await {
            problems.extend(closed.err());
        }
        self.shared.target.close().await;
        problems.extend(self.end_stragglers().await);
        for node in &self.nodes {
            if node.place.listener().is_some() {
                let (id, at, by) = (node.id(), node.place.listen, node.place.holder());
                problems.push(format!("{id} has ended, but {at} is held by {by}"));
            }
        }
        problems.extend(self.shared.guard.dismiss().await);
        problems
    }

    /// Kills what still carries the run's marker, and says what it was.
    async fn end_stragglers(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        let none_left = async {
            loop {
                let left = procfs::marked(&self.marker);
                if left.is_empty() {
                    return;
                }
                for pid in left {
                    found.insert((pid, procfs::name(pid)));
                    guard::kill_one(pid);
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = timeout(STRAGGLERS_WITHIN, none_left).await.is_ok();
        let end = if in_time {
            "it was killed"
        } else {
            "it does not die of SIGKILL"
        };
        let words = |(pid, name)| format!("a node left process {pid} ({name}) behind: {end}");
        found.into_iter().map(words).collect()
    }

    fn find(&self, node: &str) -> Result<&Arc<Node>, String> {
        let found = self.nodes.iter().find(|each| &**each.id() == node);
        found.ok_or_else(|| node.to_owned())
    }

    /// The node, for a fault.
    fn known(&self, node: &str) -> Result<&Arc<Node>, String> {
        self.find(node)
            .map_err(|name| ClusterError::UnknownNode(name).to_string())
    }
}

/// The last resort: nobody is left to stop the cluster in order.
impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &self.nodes {
            if let Some(group) = node.now.borrow().pid {
                guard::kill_group(group);
            }
        }
        self.shared.guard.abandon();
    }
}

impl Processes for Cluster {
    fn state(&self, node: &str) -> NodeState {
        self.find(node)
            .map_or(NodeState::Stopped, |node| node.now.borrow().state)
    }

    fn pid(&self, node: &str) -> Option<u32> {
        self.find(node).ok().and_then(|node| node.now.borrow().pid)
    }

    fn kill<'a>(&'a self, node: &'a str) -> Pending<'a, Result<String, String>> {
        Box::pin(async move { self.known(node)?.end(Ask::Kill).await })
    }

    fn terminate<'a>(&'a self, node: &'a str) -> Pending<'a, Result<String, String>> {
        Box::pin(async move { self.known(node)?.end(Ask::Terminate).await })
    }

    fn pause<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), String>> {
        Box::pin(async move { self.known(node)?.pause().await })
    }

    fn resume<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), String>> {
        Box::pin(async move { self.known(node)?.resume().await })
    }

    fn start<'a>(&'a self, node: &'a str) -> Pending<'a, Result<u32, String>> {
        Box::pin(async move {
            let node = self.known(node)?;
            node.start().await.map_err(|error| error.to_string())
        })
    }

    fn ready<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), String>> {
        Box::pin(async move {
            let ready = self.known(node)?.confirm_ready();
            ready.await.map_err(|error| error.to_string())
        })
    }

    fn status<'a>(&'a self, node: &'a str) -> Pending<'a, Option<Status>> {
        Box::pin(async move { self.find(node).ok()?.ask().await.ok() })
    }

    fn change_members<'a>(
        &'a self,
        asked: &'a NodeId,
        change: &'a MemberChange,
    ) -> Pending<'a, Result<(), String>> {
        Box::pin(async move {
            let address = self.known(asked)?.spec.listen;
            let asking = self.shared.target.change_members((asked, address), change);
            let cannot = || "the target cannot change its members while it runs".to_owned();
            asking.ok_or_else(cannot)?.await.map_err(|e| e.to_string())
        })
    }

    fn clock(&self, node: &str) -> Result<View, String> {
        self.known(node)?.clock()
    }

    fn skew<'a>(
        &'a self,
        node: &'a str,
        skew: Option<&'a Skew>,
    ) -> Pending<'a, Result<View, String>> {
        Box::pin(async move { self.known(node)?.skew(skew).await })
    }

    fn data(&self, node: &str) -> Result<PathBuf, String> {
        Ok(self.known(node)?.spec.data.clone())
    }

    fn disk(&self, node: &str) -> Result<Arc<Disk>, String> {
        self.known(node)?.disk.clone()
    }
}

/// Whether disks can be broken here; `program` is run once to try.
///
/// # Errors
/// Why not.
#[cfg(target_os = "linux")]
pub async fn can_break_disks(program: &Path) -> Result<(), String> {
    mount::probe(program).await
}

/// Whether disks can be broken here.
///
/// # Errors
/// Why not.
#[cfg(not(target_os = "linux"))]
pub async fn can_break_disks(_: &Path) -> Result<(), String> {
    Err("disks can be broken on Linux only".into())
}

/// Whether clocks of single processes can be moved here; `program` is run once to try.
///
/// # Errors
/// Why not.
pub async fn can_move_clocks(program: &Path) -> Result<(), String> {
    let spawner = Spawner::start().map_err(|e| e.to_string())?;
    let mut command = tokio::process::Command::new(program);
    command.arg("--version").stdout(std::process::Stdio::null());
    let clocks = spawn::Clocks::Movable(Some(Skew::default()));
    let (mut child, lever) = spawner
        .spawn(command, clocks)
        .await
        .map_err(|e| e.to_string())?;
    let ended = child.wait().await.map_err(|e| e.to_string())?;
    lever?;
    match ended.success() {
        true => Ok(()),
        false => Err(format!(
            "a process whose clocks can be moved ended with {ended}"
        )),
    }
}

/// A name that no other run alive has: its block is its own, and one process may have the same
/// block again.
fn run_id(block: &Block) -> String {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{run}", block.lock(), std::process::id())
}
