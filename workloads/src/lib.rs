//! What clients ask, and which checkers judge the answers.
//!
//! A [`Workload`] does no I/O: it is a [`Generator`] of operations and a list of checkers. Files
//! in `src/` are the catalogue; the generators to build from are in [`generator`]. A new workload
//! is one file, one `pub mod` and one row in [`ALL`].
#![forbid(unsafe_code)]

pub mod bank;
pub mod cache;
pub mod causal;
pub mod convergence;
pub mod counter;
pub mod echo;
pub mod fenced_mutex;
pub mod generator;
pub mod list_append;
pub mod lock;
pub mod log;
pub mod mutex;
pub mod register;
pub mod rw_register;
pub mod semaphore;
pub mod set;
mod transactions;
pub mod unique_ids;

pub use generator::{Completion, Generator, Offer, Proposal, Route, Threads, View};
use serde_json::Value as Json;
use tribunal_results::options::OptionError;
use tribunal_results::{Assumptions, Kind, Nanos};

/// What a workload is told about the run.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Concurrent clients: threads `0..clients`. Thread `t` is bound to node `t % nodes`.
    pub clients: usize,
    /// Nodes of the cluster.
    pub nodes: usize,
    /// The operations that the target understands.
    pub available: Vec<Kind>,
    /// How long new operations are generated, in nanoseconds.
    pub time_limit: Nanos,
    /// Operations invoked per second, of all clients together.
    pub rate: f64,
    /// Seeds every choice of the workload.
    pub seed: u64,
}

/// The node, as a number, that a thread asks for its operation number `nth`, from 0.
pub const fn node_of(thread: usize, nth: u64, moves_after: Option<u64>, nodes: usize) -> usize {
    let moves = match moves_after {
        Some(after) if after > 0 => nth / after,
        _ => 0,
    };
    let nodes = if nodes == 0 { 1 } else { nodes };
    ((thread % nodes) + (moves % nodes as u64) as usize) % nodes
}

/// How long a finale may take, in nanoseconds: what can't be had until then is given up.
const FINALE_MAX: Nanos = 10_000_000_000;

/// What clients do in one run.
pub struct Program {
    /// While faults come and go; ends by itself at the time limit.
    pub main: Box<dyn Generator>,
    /// Final operations, after everything has been healed; ends by itself.
    pub finale: Box<dyn Generator>,
}

/// A kind of load, and who judges it.
pub trait Workload: Send + Sync {
    /// Its name in suites.
    fn name(&self) -> &'static str;

    /// What it does, in one line.
    fn about(&self) -> &'static str;

    /// The operations without which it makes no sense.
    fn needs(&self) -> &'static [Kind];

    /// Further operations that it uses where the target has them.
    fn uses(&self) -> &'static [Kind];

    /// The checkers that judge it, besides those that judge every run.
    fn checkers(&self) -> &'static [&'static str];

    /// Those of them that judge it under these options: all, unless it says otherwise.
    fn judges(&self, _options: &Json) -> &'static [&'static str] {
        self.checkers()
    }

    /// Says what checkers may take for granted under it, by its options.
    fn assume(&self, _options: &Json, _assume: &mut Assumptions) {}

    /// After how many operations a client goes on to the next node; `None` if each stays where it
    /// is. Its process and its session go with it.
    fn moves_after(&self, _options: &Json) -> Option<u64> {
        None
    }

    /// The load itself. Called once to check the options, before anything starts.
    ///
    /// # Errors
    /// The path and nature of the first wrong option.
    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError>;
}

/// Every workload.
pub static ALL: &[&dyn Workload] = &[
    &lock::LOCK,
    &mutex::MUTEX,
    &fenced_mutex::FENCED_MUTEX,
    &semaphore::Semaphore,
    &cache::Cache,
    &register::Register,
    &set::Set,
    &counter::Counter,
    &unique_ids::UniqueIds,
    &causal::Causal,
    &convergence::Convergence,
    &list_append::ListAppend,
    &rw_register::RwRegister,
    &bank::Bank,
    &echo::Echo,
    &log::Log,
];

/// The workload of that name.
pub fn find(name: &str) -> Option<&'static dyn Workload> {
    ALL.iter().copied().find(|workload| workload.name() == name)
}

/// Checks that an option is a share.
fn check_share(path: &str, share: f64) -> Result<(), OptionError> {
    match (0.0..=1.0).contains(&share) {
        true => Ok(()),
        false => Err(OptionError::new(path, "must be between 0 and 1")),
    }
}
