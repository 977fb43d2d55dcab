//! Who is broken and how it is mended.
//!
//! A [`Fault`] is resolved to an [`Injection`] (plain data: it can be stored and replayed),
//! injected into the [`Field`], and healed; it cannot be written without its cure, and brings its
//! colour on the report and the proof that it bit. Files in `src/` are the catalogue; machinery
//! (the network fabric, the schedule) goes in subfolders. A new fault is one file, one `pub mod`
//! and one row in [`ALL`]. Nothing here knows of workloads or checkers.
// Only TUN devices (`fabric/switch/device.rs`) need it, and say why.
#![deny(unsafe_code)]

pub mod aim;
pub mod chance;
pub mod delay;
pub mod fabric;
pub mod kill;
pub mod network;
pub mod packet_corruption;
pub mod packet_duplication;
pub mod packet_loss;
pub mod packet_reordering;
pub mod partition;
pub mod pause;
pub mod process;
pub mod refuse;
pub mod reset;
pub mod restart;
pub mod schedule;

use std::sync::Arc;

use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tribunal_results::options::OptionError;
use tribunal_results::{NodeId, NodeState};
pub use tribunal_targets::Pending;

/// The processes of the cluster, as far as a fault may touch them. Every method returns when it
/// has been done and seen to be done; restarting a node is serialized with whatever ended it.
pub trait Processes: Send + Sync {
    /// What the node is doing.
    fn state(&self, node: &str) -> NodeState;

    /// Its process id, if it runs.
    fn pid(&self, node: &str) -> Option<u32>;

    /// SIGKILL to its whole process group; returns its exit status in words when it is reaped.
    fn kill<'a>(&'a self, node: &'a str) -> Pending<'a, Result<String, String>>;

    /// SIGTERM, then SIGKILL if it takes too long; returns its exit status in words.
    fn terminate<'a>(&'a self, node: &'a str) -> Pending<'a, Result<String, String>>;

    /// SIGSTOP to its whole process group; returns when the kernel shows it as stopped.
    fn pause<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), String>>;

    /// SIGCONT to its whole process group; returns when the kernel shows it as running. Does
    /// nothing to a node that is not paused.
    fn resume<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), String>>;

    /// Starts the node if it does not run; returns its process id (the node need not be ready
    /// yet: that is waited for when the run settles).
    fn start<'a>(&'a self, node: &'a str) -> Pending<'a, Result<u32, String>>;
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
}

/// A fault with everything chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Injection {
    /// The fault's name.
    pub fault: String,
    /// The nodes it is aimed at.
    pub nodes: Vec<NodeId>,
    /// The directed links it is aimed at.
    pub links: Vec<(NodeId, NodeId)>,
    /// In a short phrase, what it does.
    pub what: String,
    /// Whatever else the fault needs to do the same again.
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

    /// Chooses whom and how; `None` if there is nobody left to break.
    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection>;

    /// Breaks.
    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected>;

    /// Mends. Idempotent: called after each fault, and again at the end and on every way out.
    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed>;

    /// Whether that fabric can do it.
    fn works_on(&self, _: fabric::Kind) -> bool {
        true
    }
}

/// Every fault.
pub static ALL: &[&dyn Fault] = &[
    &kill::Kill,
    &restart::Restart,
    &pause::Pause,
    &delay::Delay,
    &partition::Partition,
    &reset::Reset,
    &refuse::Refuse,
    &packet_loss::PacketLoss,
    &packet_duplication::PacketDuplication,
    &packet_reordering::PacketReordering,
    &packet_corruption::PacketCorruption,
];

/// The fault of that name.
pub fn find(name: &str) -> Option<&'static dyn Fault> {
    ALL.iter().copied().find(|fault| fault.name() == name)
}
