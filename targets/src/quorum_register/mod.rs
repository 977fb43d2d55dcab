//! A register replicated on every node, linearizable as long as a majority answers.
//!
//! The multi-writer algorithm of Attiya, Bar-Noy and Dolev ("Sharing memory robustly in
//! message-passing systems", JACM 1995; with many writers after Lynch and Shvartsman, 1997).
//! A request first asks a majority for the newest version. A write then stores its value under a
//! higher timestamp at a majority; a read stores what it found, so that no later read can find
//! something older. At first it asks just as many replicas as a majority needs, in turn, and the
//! rest only if one of them stays silent.
//!
//! | module | what it holds |
//! |---|---|
//! | `replica` | versions, and what one replica stores |
//! | `request` | one request on its way |
//! | `machine` | the node |

mod machine;
mod replica;
mod request;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use tribunal_results::Kind;
use tribunal_results::options::{OptionError, decode};

use self::machine::Register;
use crate::node::{Machine, NO_FSYNC, Reference};
use crate::{NodeSpec, PlantedBug, Shape};

/// The quorum register, as a row of the catalogue.
pub static TARGET: Reference = Reference {
    name: "quorum-register",
    about: "multi-writer register of Attiya, Bar-Noy and Dolev on a majority of replicas",
    claims: "linearizable reads and writes; serves while a majority does",
    operations: &[Kind::Read, Kind::Write],
    survives: &[
        "kill",
        "restart",
        "pause",
        "delay",
        "partition",
        "reset",
        "refuse",
        "tear",
        "disk-full",
        "disk-error",
        "slow-fsync",
        "lose-unsynced",
    ],
    shape: Shape::Mesh,
    bugs: &[
        // Seen while a version is at its writer alone and its store still on the way: a third node
        // that asks the writer finds it, and then, asking the other one, does not. So the link
        // from the writer to one other node must be slow, and the rest fast.
        PlantedBug {
            name: "no-write-back",
            about: "a read answers without storing what it found at a majority",
            workload: "register",
            faults: &["delay"],
            anomalies: &["stale-read", "not-linearizable"],
        },
        PlantedBug {
            name: "read-one",
            about: "a read asks the node's own replica only",
            workload: "register",
            faults: &[],
            anomalies: &["stale-read", "not-linearizable"],
        },
        // As long as the power stays on nothing is wrong. A write is gone when all that have it
        // lose it at once.
        PlantedBug {
            name: NO_FSYNC,
            about: "a node answers before its records are durable",
            workload: "register",
            faults: &["lose-unsynced"],
            anomalies: &["stale-read", "not-linearizable"],
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
    NoWriteBack,
    ReadOne,
}

impl Bug {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "no-write-back" => Some(Self::NoWriteBack),
            "read-one" => Some(Self::ReadOne),
            _ => None,
        }
    }
}

fn machine(spec: &NodeSpec) -> Result<Box<dyn Machine>, OptionError> {
    decode::<Options>(&spec.options)?;
    let bug = spec.bug.as_deref().and_then(Bug::from_name);
    let peers = spec.peers.iter().map(|(id, _)| id.clone()).collect();
    Ok(Box::new(Register::new(spec.id.clone(), peers, bug)))
}
