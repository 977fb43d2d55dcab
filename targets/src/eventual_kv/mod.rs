//! A store that always answers and comes to agree: registers, counters and sets, replicated on
//! every node by gossip.
//!
//! Anti-entropy after Demers et al., "Epidemic algorithms for replicated database maintenance"
//! (PODC 1987), push and pull: a node sends a digest of what it knows to one peer after the other,
//! gets what it lacks, and is asked for what the peer lacks. The digest is a version vector: each
//! update has the number that its origin gave it, and a node takes updates of an origin up only
//! without gaps. So a message may be lost, doubled or overtaken: what is missing is asked for
//! again. The objects are those of Shapiro, Preguiça, Baquero and Zawirski, "Conflict-free
//! replicated data types" (SSS 2011): last-writer-wins registers, by hybrid logical clock;
//! counters that go up and down; observed-remove sets, which are grow-only sets as long as nobody
//! removes. Every node answers from its own replica, durably, and asks nobody.
//!
//! Simplified: peers take turns instead of being drawn by lot; what a removal took back is
//! remembered for ever; a stamp from the future of a clock that is wrong is
//! taken up like any other. In tests without a time of day the physical clock is monotonic, and
//! after a restart goes on from the latest stamp that the node knows.
//!
//! It claims no order: reads may miss what is acknowledged elsewhere, and of writes to one
//! register at two nodes one is lost, as `convergence` allows. The counter and the sets lose
//! nothing.
//!
//! | message | fields | says |
//! |---|---|---|
//! | `digest` | `seen`, `asks`, `clock` | up to which number of each origin the sender has all; whether it wants the receiver's digest, if that lacks something |
//! | `updates` | `delta {since, until, updates}`, `clock` | all that counts of what came after `since`, up to `until` |
//!
//! | module | what it holds |
//! |---|---|
//! | `update` | updates and their numbers |
//! | `objects` | registers, counters and sets that merge |
//! | `store` | which updates are known, and what another node lacks |
//! | `machine` | the node |

mod machine;
mod objects;
mod store;
#[cfg(test)]
mod tests;
mod update;

use serde::Deserialize;
use tribunal_results::Kind;
use tribunal_results::options::{OptionError, decode};

use self::machine::Replica;
use crate::node::{Machine, Reference};
use crate::{NodeSpec, PlantedBug, Shape};

/// The eventually consistent store, as a row of the catalogue.
pub static TARGET: Reference = Reference {
    name: "eventual-kv",
    about: "registers, counters and sets that merge, spread by anti-entropy gossip",
    claims: "always available; replicas agree once updates cease; no acknowledged addition or \
             increment is lost; identifiers are unique",
    operations: &[
        Kind::Read,
        Kind::Write,
        Kind::Add,
        Kind::Remove,
        Kind::Contains,
        Kind::Members,
        Kind::Increment,
        Kind::Count,
        Kind::Generate,
    ],
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
        "clock-jump",
        "clock-drift",
        "clock-strobe",
    ],
    shape: Shape::Mesh,
    bugs: &[
        PlantedBug {
            name: "keep-mine",
            about: "a merge only fills in registers that are missing, and keeps its own value",
            workload: "convergence",
            faults: &[],
            anomalies: &["diverged"],
        },
        PlantedBug {
            name: "no-gossip-after-heal",
            about: "a peer that was silent, or whose connection broke, is never gossiped with again",
            workload: "convergence",
            faults: &["kill"],
            anomalies: &["diverged", "lost-update-after-settling"],
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
    KeepMine,
    NoGossipAfterHeal,
}

impl Bug {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "keep-mine" => Some(Self::KeepMine),
            "no-gossip-after-heal" => Some(Self::NoGossipAfterHeal),
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
