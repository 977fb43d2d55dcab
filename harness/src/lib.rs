//! When: suite → plans → run → record → report; and the command line.
//!
//! | module | what it does |
//! |---|---|
//! | [`messages`] | the message journal of a run |
//! | [`Test`] | a test written in Rust, with parts of one's own |
//! | [`parts`] | what runs are made of |
//! | [`plan`] | one run to do, fully resolved and seeded |
//! | [`pool`] | work done several at a time |
//! | [`campaign`] | a suite again and again, several runs at a time |
//! | [`suite`] | YAML in, plans out, with errors that point at the line |
//! | [`run`] | one run from its plan to its report |
//! | [`cluster`] | node processes: addresses, spawning, guarding, readiness |
//! | [`drive`] | clients: generate, record, ask, record |
//! | [`holds`] | which clients are inside a critical section, and stopped there |
//! | [`recorder`] | stamps what happens and brings it to disk |
//! | [`follow`] | judges a history while it is being written |
//! | [`explore`] | reference nodes in virtual time, thousands of schedules |
//! | [`init`] | the files that a test of one's own system begins with |
//! | [`known`] | which violations are known issues |
//! | [`baseline`] | the figures of runs, saved and compared |
//! | [`triage`] | violations by what they have in common |
//! | [`artifacts`] | what a pipeline keeps of its runs |
//! | [`judge`] | verdicts from what is on disk, in a bounded child process |
//! | [`leftovers`] | what could outlive a run, and how it is undone |
//! | [`prove`] | every planted bug, again and again |
//! | [`recorded`] | runs found on disk |
//! | [`corpus`] | failing runs, kept to be run first |
//! | [`replay`], [`shrink`] | a recorded run again; a small suite of a failing one |
//! | `serve` | pages on loopback that browse runs (feature `serve`) |
//! | [`show`] | the files that a run leaves to look at |
//! | [`topology`] | who is linked to whom, and how far apart |
//! | [`cli`] | the command line and its exit codes |

pub mod artifacts;
pub mod baseline;
pub mod campaign;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod corpus;
pub mod drive;
pub mod explore;
pub mod follow;
pub mod holds;
pub mod init;
pub mod judge;
pub mod known;
pub mod leftovers;
pub mod line_journal;
pub mod logging;
pub mod messages;
pub mod parts;
pub mod plan;
pub mod pool;
pub mod prove;
pub mod recorded;
pub mod recorder;
pub mod replay;
pub mod run;
pub mod seed;
#[cfg(feature = "serve")]
pub mod serve;
pub mod show;
pub mod shrink;
pub mod standstill;
pub mod status;
pub mod suite;
pub mod test;
pub mod topology;
pub mod triage;

pub use test::{Concluded, Test, own};
// What parts of one's own are made with.
pub use {
    rand_pcg, tribunal_checkers as checkers, tribunal_nemesis as nemesis,
    tribunal_results as results, tribunal_targets as targets, tribunal_workloads as workloads,
};
