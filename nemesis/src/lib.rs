//! Who is broken and how it is mended.
//!
//! A [`Fault`] is resolved to an [`Injection`] (plain data: it can be stored and replayed),
//! injected into the [`Field`], and healed; it cannot be written without its cure, and brings its
//! colour on the report and the proof that it bit. Files in `src/` are the catalogue; machinery
//! (the network fabric, the schedule) goes in subfolders. A new fault is one file, one `pub mod`
//! and one row in [`ALL`]. Nothing here knows of workloads or checkers.
// Only TUN devices (`fabric/switch/device.rs`) need it, and say why.
#![deny(unsafe_code)]

pub mod add_node;
pub mod aim;
pub mod bit_flip;
pub mod chance;
pub mod client;
pub mod clock_drift;
pub mod clock_jump;
pub mod clock_strobe;
pub mod corruption;
pub mod delay;
pub mod disk;
pub mod disk_error;
pub mod disk_full;
pub mod duplication;
pub mod fabric;
pub mod half_open;
pub mod hold;
pub mod kill;
pub mod kill_starting;
pub mod lose_unsynced;
pub mod members;
pub mod network;
pub mod omission;
pub mod packet_corruption;
pub mod packet_duplication;
pub mod packet_loss;
pub mod packet_reordering;
pub mod partition;
pub mod pause;
pub mod process;
pub mod refuse;
pub mod remove_node;
pub mod reordering;
pub mod replace_node;
pub mod reset;
pub mod restart;
pub mod schedule;
pub mod skew;
pub mod slow_close;
pub mod slow_fsync;
pub mod stall;
pub mod tear;
pub mod terminate;
pub mod throttle;
pub mod truncate;
pub mod wipe;

use std::path::PathBuf;
use std::sync::Arc;

use network::OnLinks;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use skew::OnClocks;
use tribunal_results::options::OptionError;
use tribunal_results::{NodeId, NodeState};
pub use tribunal_targets::{MemberChange, Pending, Status};

/// The processes of the cluster, as far as a fault may touch them. Every method returns when it
/// has been done and seen to be done; restarting a node is serialized with whatever ended it.
pub trait Processes: Send + Sync {
    /// What the node is doing.
    fn state(&self, node: &str) -> NodeState;

    /// Its process id, if it runs.
    fn pid(&self, node: &str) -> Option<u32>;

    /// SIGKILL to its whole process group and its descendants; returns its exit status in words when
    /// it is reaped.
    fn kill<'a>(&'a self, node: &'a str) -> Pending<'a, Result<String, String>>;

    /// SIGTERM, then SIGKILL if it takes too long; returns its exit status in words.
    fn terminate<'a>(&'a self, node: &'a str) -> Pending<'a, Result<String, String>>;

    /// SIGSTOP to its whole process group and its descendants; returns when the kernel shows them
    /// as stopped.
    fn pause<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), String>>;

    /// SIGCONT to its whole process group and its descendants; returns when the kernel shows them
    /// as running. Does nothing to a node that is not paused.
    fn resume<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), String>>;

    /// Starts the node if it does not run; returns its process id (the node need not be ready
    /// yet: that is waited for when the run settles).
    fn start<'a>(&'a self, node: &'a str) -> Pending<'a, Result<u32, String>>;

    /// Waits until the node says that it is ready; fails if it ends meanwhile. Whoever calls
    /// bounds the time.
    fn ready<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), String>>;

    /// What the node says of itself now, asked at its own address; `None` if it does not answer.
    /// Whoever calls bounds the time.
    fn status<'a>(&'a self, node: &'a str) -> Pending<'a, Option<Status>>;

    /// Asks a node, at its own address, to change who belongs to the system; fails if it refuses,
    /// or if the target knows no such changes. Whoever calls bounds the time.
    fn change_members<'a>(
        &'a self,
        asked: &'a NodeId,
        change: &'a MemberChange,
    ) -> Pending<'a, Result<(), String>>;

    /// What the node's process is told when it asks for the time; an error if that can't be known.
    fn clock(&self, node: &str) -> Result<skew::View, String> {
        Err(format!("the clock of {node} can't be read from outside"))
    }

    /// Moves the clocks of the node's process, and of every later one of that node, or (`None`)
    /// puts them right; returns what is read back. An error if the process can't be reached.
    fn skew<'a>(
        &'a self,
        node: &'a str,
        _skew: Option<&'a skew::Skew>,
    ) -> Pending<'a, Result<skew::View, String>> {
        Box::pin(async move { Err(format!("the clocks of {node} can't be moved")) })
    }

    /// The directory where the node keeps its files, as seen by everybody but the node.
    fn data(&self, node: &str) -> Result<PathBuf, String> {
        Err(format!("it is not known where {node} keeps its files"))
    }

    /// The disk of the node, if its files go through one that can be broken.
    fn disk(&self, node: &str) -> Result<Arc<disk::Disk>, String> {
        Err(format!("the disk of {node} can't be broken"))
    }
}

/// What must be laid when nodes are started, so that a fault can be injected later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A way into what processes are told when they ask for the time.
    Clocks,
    /// A layer between processes and their files.
    Disk,
}

/// What faults work on.
#[derive(Clone)]
pub struct Field {
    /// Every node, in order.
    pub nodes: Vec<NodeId>,
    /// Their processes.
    pub processes: Arc<dyn Processes>,
    /// The network between them.
    pub fabric: Arc<fabric::Fabric>,
    /// Those who use it.
    pub clients: Arc<dyn client::Clients>,
    /// Who leads and who holds locks, when last [looked at](Self::look).
    pub roles: aim::Roles,
    /// Who belonged to the system at the beginning, where that can be changed.
    pub members: Option<Vec<NodeId>>,
}

impl Field {
    /// The same, with the roles that nodes and clients play now.
    pub async fn look(&self) -> Self {
        Self {
            roles: aim::ask(self).await,
            ..self.clone()
        }
    }
}

/// A fault with everything chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Injection {
    /// The fault's name.
    pub fault: String,
    /// The nodes it is aimed at.
    pub nodes: Vec<NodeId>,
    /// The directed links it is aimed at.
    #[serde(default)]
    pub links: Vec<(NodeId, NodeId)>,
    /// In a short phrase, what it does.
    #[serde(default)]
    pub what: String,
    /// Whatever else the fault needs to do the same again.
    #[serde(default)]
    pub detail: Json,
}

/// What injecting came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Injected {
    /// It is in force; what shows it so far.
    Installed(Json),
    /// Nothing was done, and why.
    Skipped(String),
}

/// What healing came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Healed {
    /// Whether the fault had an effect while it lasted.
    pub bit: bool,
    /// What shows it: pids, bytes, counts.
    pub proof: Json,
}

/// A way to break something, with its cure.
pub trait Fault: Send + Sync {
    /// Its name in suites.
    fn name(&self) -> &'static str;

    /// What it does, in one line.
    fn about(&self) -> &'static str;

    /// Its colour on reports, as `#rrggbb`.
    fn colour(&self) -> &'static str;

    /// Checks its options, before anything starts.
    ///
    /// # Errors
    /// The path and nature of the first wrong option.
    fn check_options(&self, options: &Json) -> Result<(), OptionError>;

    /// What nodes must be started with for it; nothing for most.
    fn needs(&self) -> Option<Need> {
        None
    }

    /// Chooses whom and how; `None` if there is nobody left to break.
    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection>;

    /// Breaks.
    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected>;

    /// Mends. Idempotent: called after each fault, and again at the end and on every way out.
    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed>;

    /// The nodes that can't serve while it lasts: they are down, stand still, or are cut off from
    /// most others. A budget counts them. Unless a fault knows better, one that is aimed at nodes
    /// disables these, and one that is aimed at links disables nobody.
    fn disables(&self, injection: &Injection, _field: &Field) -> Vec<NodeId> {
        match injection.links.is_empty() {
            true => injection.nodes.clone(),
            false => Vec::new(),
        }
    }

    /// Whether that fabric can do it.
    fn works_on(&self, _: fabric::Kind) -> bool {
        true
    }
}

/// Every fault.
pub static ALL: &[&dyn Fault] = &[
    &hold::Hold,
    &kill::Kill,
    &kill_starting::KillStarting,
    &terminate::Terminate,
    &restart::Restart,
    &pause::Pause,
    &wipe::Wipe,
    &tear::Tear,
    &truncate::Truncate,
    &add_node::ADD_NODE,
    &remove_node::REMOVE_NODE,
    &replace_node::REPLACE_NODE,
    &OnLinks(delay::Delay),
    &partition::Partition,
    &reset::Reset,
    &refuse::Refuse,
    &OnLinks(throttle::Throttle),
    &OnLinks(half_open::HalfOpen),
    &OnLinks(slow_close::SlowClose),
    &OnLinks(stall::Stall),
    &OnLinks(omission::Omission),
    &OnLinks(duplication::Duplication),
    &OnLinks(reordering::Reordering),
    &OnLinks(corruption::Corruption),
    &OnClocks(clock_jump::ClockJump),
    &OnClocks(clock_drift::ClockDrift),
    &OnClocks(clock_strobe::ClockStrobe),
    &disk_full::DiskFull,
    &disk_error::DiskError,
    &slow_fsync::SlowFsync,
    &lose_unsynced::LoseUnsynced,
    &bit_flip::BitFlip,
    &OnLinks(packet_loss::PacketLoss),
    &OnLinks(packet_duplication::PacketDuplication),
    &OnLinks(packet_reordering::PacketReordering),
    &OnLinks(packet_corruption::PacketCorruption),
];

/// The fault of that name.
pub fn find(name: &str) -> Option<&'static dyn Fault> {
    ALL.iter().copied().find(|fault| fault.name() == name)
}
