//! History in, verdict out.
//!
//! A [`Checker`] is a pure function of a [`Record`] and a [`Budget`]: no I/O, no clock, no
//! randomness, so the same record gets the same verdict for ever. Files in `src/` are the
//! catalogue; machinery goes in subfolders. A new checker is one file, one `pub mod` and one row
//! in [`ALL`].
#![forbid(unsafe_code)]

pub mod causal;
pub mod causal_convergence;
pub mod causal_memory;
pub mod crash_log;
pub mod evidence;
pub mod fencing;
pub mod fifo;
pub mod linearizable;
pub mod list_append;
pub mod monotonic_reads;
pub mod monotonic_writes;
pub mod mutual_exclusion;
pub mod pram;
pub mod read_your_writes;
pub mod recovery;
pub mod rw_register;
pub mod sequential;
pub mod serializable;
pub mod snapshot_isolation;
pub mod stats;
pub mod stream;
pub mod strict_serializable;
pub mod strong_session_serializable;
pub mod strong_session_snapshot_isolation;
pub mod strong_snapshot_isolation;
pub mod verify;
pub mod writes_follow_reads;

mod engine;
mod explain;
mod graph;
mod locks;
mod order;
mod polygraph;
mod register;
mod transactions;

pub use evidence::gather;
pub use order::{ModelVerdict, Standing, strongest, strongest_isolation};
pub use stream::{Fold, Moment};
use tribunal_results::{Assumptions, History, Kind, Micro, Operation, Record, Verdict};

/// What a checker may spend. On exhaustion it says *unknown*, and what it verified until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Elementary steps, such as configurations explored.
    pub steps: u64,
    /// Bytes of memory for its own structures.
    pub bytes: u64,
}

impl Default for Budget {
    /// Enough for any run of the built-in suites: about ten seconds and 1 GiB.
    fn default() -> Self {
        Self {
            steps: 50_000_000,
            bytes: 1 << 30,
        }
    }
}

/// Judges one property of a record.
pub trait Checker: Send + Sync {
    /// Its name in suites and verdicts.
    fn name(&self) -> &'static str;

    /// What it checks, in one line, with its source.
    fn about(&self) -> &'static str;

    /// The names of the anomalies that it can find.
    fn anomalies(&self) -> &'static [&'static str];

    /// What it cannot find, in one line.
    fn blind_to(&self) -> &'static str;

    /// Judges the record. Never panics, never exceeds the budget; where nothing can be said
    /// (nothing read, nothing acknowledged) the verdict is unknown, with code `vacuous`.
    fn check(&self, record: &Record, budget: Budget) -> Verdict;

    /// The same as a fold, to judge a run that is still on; `None` if it needs the whole record.
    fn fold(&self, assume: &Assumptions, budget: Budget) -> Option<Box<dyn Fold>> {
        let _ = (assume, budget);
        None
    }
}

/// Every checker.
pub static ALL: &[&dyn Checker] = &[
    &linearizable::Linearizable,
    &sequential::Sequential,
    &causal_memory::CausalMemory,
    &causal_convergence::CausalConvergence,
    &causal::Causal,
    &pram::Pram,
    &read_your_writes::ReadYourWrites,
    &monotonic_reads::MonotonicReads,
    &monotonic_writes::MonotonicWrites,
    &writes_follow_reads::WritesFollowReads,
    &list_append::ListAppend,
    &rw_register::RwRegister,
    &strict_serializable::StrictSerializable,
    &strong_session_serializable::StrongSessionSerializable,
    &serializable::Serializable,
    &strong_snapshot_isolation::StrongSnapshotIsolation,
    &strong_session_snapshot_isolation::StrongSessionSnapshotIsolation,
    &snapshot_isolation::SnapshotIsolation,
    &mutual_exclusion::MutualExclusion,
    &fencing::Fencing,
    &fifo::Fifo,
    &recovery::Recovery,
    &crash_log::CrashLog,
    &stats::Stats,
    &evidence::EvidenceCheck,
];

/// The checker of that name.
pub fn find(name: &str) -> Option<&'static dyn Checker> {
    ALL.iter().copied().find(|checker| checker.name() == name)
}

/// The checkers that judge the operations of a history, for when nobody says which.
pub fn applicable(history: &History) -> Vec<&'static dyn Checker> {
    let mut names: Vec<&str> = Vec::new();
    for call in history.calls() {
        let suited: &[&str] = match call.operation.kind() {
            Kind::Read | Kind::Write | Kind::Cas => &["linearizable"],
            Kind::Request
            | Kind::Acquire
            | Kind::TryAcquire
            | Kind::Renew
            | Kind::Release
            | Kind::GuardedWrite => &["mutual-exclusion", "fencing", "fifo"],
            Kind::Append => &["list-append"],
            Kind::Txn => of_transaction(&call.operation),
            _ => &[],
        };
        if !suited.iter().all(|name| names.contains(name)) {
            names.extend(suited);
        }
    }
    let suits = |checker: &&&dyn Checker| names.contains(&checker.name());
    ALL.iter().filter(suits).copied().collect()
}

/// The checkers that suit the steps of a transaction.
fn of_transaction(operation: &Operation) -> &'static [&'static str] {
    let Operation::Txn { micros } = operation else {
        return &[];
    };
    let has = |wanted: fn(&Micro) -> bool| micros.iter().any(wanted);
    if has(|micro| matches!(micro, Micro::Append { .. })) {
        &["list-append"]
    } else if has(|micro| matches!(micro, Micro::Write { .. })) {
        &["rw-register"]
    } else {
        &[]
    }
}
