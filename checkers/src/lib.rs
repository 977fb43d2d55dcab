//! History in, verdict out.
//!
//! A [`Checker`] is a pure function of a [`Record`] and a [`Budget`]: no I/O, no clock, no
//! randomness, so the same record gets the same verdict for ever. Files in `src/` are the
//! catalogue; machinery goes in subfolders. A new checker is one file, one `pub mod` and one row
//! in [`ALL`].
//!
//! # Models of your own
//!
//! [`linearizable`] knows registers, lists, sets, counters, queues, stacks and semaphores. Any
//! other data type is a [`model::Model`]: what it does when nothing is concurrent. Here a register
//! that keeps the largest number that was ever put there, in histories of `custom` operations:
//!
//! ```
//! use tribunal_checkers::{Budget, model};
//! use tribunal_results::{Answer, Call, Operation, Outcome, Scalar, Validity, journal};
//!
//! #[derive(Clone, PartialEq, Eq, Hash)]
//! enum Step {
//!     Put(i64),
//!     Largest(i64),
//! }
//!
//! struct MaxRegister;
//!
//! impl model::Model for MaxRegister {
//!     type State = i64;
//!     type Step = Step;
//!
//!     fn initial(&self) -> i64 {
//!         0
//!     }
//!
//!     fn apply(&self, state: &i64, step: &Step) -> Option<i64> {
//!         match step {
//!             Step::Put(value) => Some(*state.max(value)),
//!             Step::Largest(seen) => (seen == state).then_some(*state),
//!         }
//!     }
//!
//!     // Optional, and makes the search faster: it never changes anything.
//!     fn observes(&self, step: &Step) -> bool {
//!         matches!(step, Step::Largest(_))
//!     }
//! }
//!
//! /// On which object a call worked, and what it did there.
//! fn read(call: &Call) -> Option<(Scalar, Step)> {
//!     let Operation::Custom { name, value } = &call.operation else {
//!         return None;
//!     };
//!     let step = match (name.as_str(), &call.outcome) {
//!         (_, Outcome::Fail(_)) => return None,
//!         ("put", _) => Step::Put(value.as_i64()?),
//!         ("largest", Outcome::Ok(Answer::Custom(seen))) => Step::Largest(seen.as_i64()?),
//!         _ => return None,
//!     };
//!     Some(("register".into(), step))
//! }
//!
//! let judge = |seen: i64| {
//!     let text = format!(
//!         r#"{{"format":"tribunal-history","version":1}}
//! {{"index":0,"time":1,"process":1,"type":"invoke","f":"custom","value":{{"name":"put","value":7}}}}
//! {{"index":1,"time":2,"process":1,"type":"ok","f":"custom","value":null}}
//! {{"index":2,"time":3,"process":2,"type":"invoke","f":"custom","value":{{"name":"put","value":5}}}}
//! {{"index":3,"time":4,"process":3,"type":"invoke","f":"custom","value":{{"name":"largest","value":null}}}}
//! {{"index":4,"time":5,"process":2,"type":"ok","f":"custom","value":null}}
//! {{"index":5,"time":6,"process":3,"type":"ok","f":"custom","value":{seen}}}
//! "#
//!     );
//!     let history = journal::read(text.as_bytes()).expect("a history").history;
//!     model::judge(&MaxRegister, &history, read, Budget::default())
//! };
//! assert_eq!(judge(7).validity, Validity::Valid);
//!
//! let verdict = judge(5);
//! assert_eq!(verdict.validity, Validity::Invalid);
//! assert_eq!(verdict.anomalies[0].name, "not-linearizable");
//! let calls = &verdict.anomalies[0].calls;
//! assert!(calls.contains(&0) && calls.contains(&3), "7 was put before anybody asked");
//! ```
//!
//! Operations that are no part of a history are decided by [`model::linearize`].
#![forbid(unsafe_code)]

pub mod bank;
pub mod cache;
pub mod causal;
pub mod causal_convergence;
pub mod causal_delivery;
pub mod causal_memory;
pub mod causal_reverse;
pub mod convergence;
pub mod counter;
pub mod crash_log;
pub mod echo;
pub mod evidence;
pub mod exact;
pub mod fencing;
pub mod fifo;
pub mod glossary;
pub mod hybrid_clocks;
pub mod lamport_clocks;
pub mod leases;
pub mod linearizable;
pub mod list_append;
pub mod log;
pub mod long_fork;
pub mod model;
pub mod monotonic;
pub mod monotonic_reads;
pub mod monotonic_writes;
pub mod mutual_exclusion;
pub mod normal;
pub mod pram;
pub mod protocol;
pub mod read_atomic;
pub mod read_committed;
pub mod read_your_writes;
pub mod recovery;
pub mod reentrancy;
pub mod rw_register;
pub mod semaphore;
pub mod sequential;
pub mod serializable;
pub mod set;
pub mod set_full;
pub mod snapshot_isolation;
pub mod staleness;
pub mod stats;
pub mod stream;
pub mod strict_serializable;
pub mod strong_session_serializable;
pub mod strong_session_snapshot_isolation;
pub mod strong_snapshot_isolation;
pub mod total_queue;
pub mod transactional_causal;
pub mod unique_ids;
pub mod vector_clocks;
pub mod verify;
pub mod wakeup;
pub mod writes_follow_reads;

mod clocks;
mod engine;
mod explain;
mod graph;
mod intern;
mod levels;
mod locks;
mod models;
mod order;
mod polygraph;
mod register;
mod replicas;
mod tally;
mod transactions;

pub use evidence::gather;
pub use graph::{forbids, levels};
pub use order::{ModelVerdict, Standing, strongest, strongest_isolation};
pub use stream::{Fold, Moment};
use tribunal_results::{
    Assumptions, Call, History, Kind, MessageEvent, Messages, Micro, Operation, Record, Verdict,
    message::Act,
};

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
    &causal_memory::CHECKER,
    &causal_convergence::CHECKER,
    &causal::CHECKER,
    &pram::CHECKER,
    &read_your_writes::CHECKER,
    &monotonic_reads::CHECKER,
    &monotonic_writes::CHECKER,
    &writes_follow_reads::CHECKER,
    &list_append::ListAppend,
    &rw_register::RwRegister,
    &set::SetCheck,
    &set_full::SetFull,
    &total_queue::TotalQueue,
    &unique_ids::UniqueIds,
    &counter::Counter,
    &cache::Cache,
    &bank::Bank,
    &long_fork::LongFork,
    &causal_reverse::CausalReverse,
    &monotonic::Monotonic,
    &transactional_causal::CHECKER,
    &read_atomic::CHECKER,
    &read_committed::CHECKER,
    &strict_serializable::CHECKER,
    &strong_session_serializable::CHECKER,
    &serializable::CHECKER,
    &strong_snapshot_isolation::CHECKER,
    &strong_session_snapshot_isolation::CHECKER,
    &snapshot_isolation::CHECKER,
    &mutual_exclusion::MutualExclusion,
    &fencing::Fencing,
    &fifo::Fifo,
    &reentrancy::Reentrancy,
    &leases::Leases,
    &semaphore::Semaphore,
    &wakeup::Wakeup,
    &convergence::Convergence,
    &staleness::Staleness,
    &lamport_clocks::LamportClocks,
    &hybrid_clocks::HybridClocks,
    &vector_clocks::VectorClocks,
    &causal_delivery::CausalDelivery,
    &echo::Echo,
    &log::Log,
    &protocol::ProtocolCheck,
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
    suited(history.calls())
}

/// The same for some calls.
pub fn suited(calls: &[Call]) -> Vec<&'static dyn Checker> {
    let mut names: Vec<&str> = Vec::new();
    for call in calls {
        let suited: &[&str] = match call.operation.kind() {
            Kind::Read
            | Kind::Write
            | Kind::Cas
            | Kind::Add
            | Kind::Remove
            | Kind::Contains
            | Kind::Enqueue
            | Kind::Dequeue
            | Kind::Push
            | Kind::Pop
            | Kind::Elements => &["linearizable"],
            Kind::Request
            | Kind::Acquire
            | Kind::TryAcquire
            | Kind::Renew
            | Kind::Release
            | Kind::GuardedWrite => &["mutual-exclusion", "fencing", "fifo"],
            Kind::Append => &["linearizable", "list-append"],
            Kind::Members => &["linearizable", "set-full"],
            Kind::Increment | Kind::Count => &["linearizable", "counter"],
            Kind::Drain => &["linearizable", "total-queue"],
            Kind::AcquirePermits | Kind::ReleasePermits => &["linearizable", "semaphore"],
            Kind::Generate => &["unique-ids"],
            Kind::Transfer | Kind::Balances => &["bank"],
            Kind::Advance | Kind::Rows => &["monotonic"],
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

/// The checkers that judge what a message journal shows: the clocks that its nodes have, and the
/// order of its deliveries.
pub fn of_messages(messages: &Messages) -> Vec<&'static dyn Checker> {
    let some = |wanted: fn(&MessageEvent) -> bool| messages.events.iter().any(wanted);
    let shown = [
        (
            "lamport-clocks",
            some(|event| event.clocks.lamport.is_some()),
        ),
        ("hybrid-clocks", some(|event| event.clocks.hybrid.is_some())),
        ("vector-clocks", some(|event| event.clocks.vector.is_some())),
        (
            "causal-delivery",
            some(|event| matches!(event.act, Act::Deliver { .. })),
        ),
    ];
    let named = shown.into_iter().filter(|(_, shown)| *shown);
    named.filter_map(|(name, _)| find(name)).collect()
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
