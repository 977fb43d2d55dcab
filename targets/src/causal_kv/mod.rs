//! A store of registers that never shows an effect without its cause, and that comes to agree.
//!
//! Causal+ consistency after Lloyd, Freedman, Kaminsky and Andersen, "Don't settle for eventual:
//! scalable causal consistency for wide-area storage with COPS" (SOSP 2011). A write carries what
//! it depends on: all that its session had read or written before, as a vector clock. Each node
//! sends its own writes to all others, numbered; a node shows a write of another only once it
//! shows everything that this one depends on, and until then holds it back. Of concurrent writes
//! of one register the one with the later hybrid logical clock wins, everywhere.
//!
//! What a session depends on comes back with each answer as `context`, and goes with each
//! request: so a session may move to another node, which lets it wait until it has all that the
//! session has seen, and refuses it for sure if that takes too long. A session that stays at one
//! node never waits.
//!
//! Simplified: nodes are whole replicas, without partitions; dependencies are vectors and not
//! lists of the nearest ones; there are no transactions that only read. Writes are sent again
//! until they are acknowledged, and so survive messages lost, doubled or overtaken. A node that
//! never comes back makes all others keep the writes that it lacks, and in the end refuse more.
//!
//! | message | fields | says |
//! |---|---|---|
//! | `writes` | `writes [{number, after, key, value, at}]` | writes of the sender, in order: what each depends on, and its clock |
//! | `ack` | `until` | up to which number of the receiver's writes the sender shows all |
//!
//! | module | what it holds |
//! |---|---|
//! | `store` | writes, and the registers that they make |
//! | `machine` | the node |

mod machine;
mod store;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use tribunal_results::Kind;
use tribunal_results::options::{OptionError, decode};

use self::machine::Replica;
use crate::node::{Machine, Reference};
use crate::{NodeSpec, PlantedBug, Shape};

/// The causally consistent store, as a row of the catalogue.
pub static TARGET: Reference = Reference {
    name: "causal-kv",
    about: "registers with vector clocks and dependency waiting; the last writer wins",
    claims: "causal+: causally consistent, also for sessions that move, and replicas agree; a \
             session that stays at one node is always served",
    operations: &[Kind::Read, Kind::Write],
    survives: &[
        "kill",
        "restart",
        "pause",
        "delay",
        "partition",
        "reset",
        "refuse",
        "omission",
        "duplication",
        "reordering",
    ],
    shape: Shape::Mesh,
    bugs: &[
        // Shows where writes of different nodes arrive late by different times.
        PlantedBug {
            name: "ignore-dependencies",
            about: "neither writes nor sessions wait for what they depend on",
            workload: "causal",
            faults: &["delay"],
            anomalies: &[
                "write-co-read",
                "write-co-init-read",
                "lost-own-write",
                "non-monotonic-read",
            ],
        },
        PlantedBug {
            name: "lost-clock",
            about: "after a restart a node numbers and stamps its writes anew",
            workload: "causal",
            faults: &["kill"],
            anomalies: &[
                "write-co-read",
                "write-co-init-read",
                "lost-own-write",
                "non-monotonic-read",
                "cyclic-conflict",
            ],
        },
    ],
    check_options: |options| decode::<Options>(options).map(drop),
    assume: |_, _| {},
    machine,
    change_members: None,
};

/// There is nothing to choose.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {}

/// Which planted bug a node shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    IgnoreDependencies,
    LostClock,
}

impl Bug {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "ignore-dependencies" => Some(Self::IgnoreDependencies),
            "lost-clock" => Some(Self::LostClock),
            _ => None,
        }
    }
}

fn machine(spec: &NodeSpec) -> Result<Box<dyn Machine>, OptionError> {
    decode::<Options>(&spec.options)?;
    let bug = spec.bug.as_deref().and_then(Bug::from_name);
    let peers = spec.peers.iter().map(|(id, _)| id.clone()).collect();
    Ok(Box::new(Replica::new(spec.id.clone(), peers, bug)))
}
