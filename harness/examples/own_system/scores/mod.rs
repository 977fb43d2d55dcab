//! A system of one's own, and what it takes to test it: a page each.
//!
//! | file | what it is |
//! |---|---|
//! | `server` | the system itself: a server that keeps the highest score, with a bug |
//! | `target` | how to start a node, ask how it is, and talk to it |
//! | `workload` | what clients ask |
//! | `checker` | what must hold of the answers |
//! | `fault` | a way to break it |

mod checker;
mod fault;
pub(crate) mod server;
mod target;
mod workload;

pub(crate) use checker::HighScore;
pub(crate) use fault::CrashTwice;
pub(crate) use target::{Version, board};
pub(crate) use workload::Play;

/// What a run must show: of operations of one's own nobody knows which are reads, so none are asked
/// for.
pub(crate) const SHOWN: [(&str, u64); 3] = [
    ("ok_operations", 200),
    ("cross_observations", 0),
    ("final_reads", 0),
];
