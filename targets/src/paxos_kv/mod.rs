//! Registers on a log that replicas agree upon: linearizable as long as a majority answers.
//!
//! Multi-Paxos, after Lamport ("Paxos Made Simple", 2001; "The Part-Time Parliament", TOCS 1998)
//! and van Renesse and Altinbuken ("Paxos Made Moderately Complex", ACM Computing Surveys 2015).
//! Each slot of the log is one instance of the synod protocol. A candidate runs phase 1 once for
//! all slots from the first that it does not know to be chosen (`prepare`, `promise`); as the
//! leader it proposes again what a majority reported, fills gaps with no-ops, and then runs phase 2
//! alone, for several slots at once (`accept`, `accepted`). A slot holds a batch of commands.
//!
//! - **Reads** go through the log like writes: there are no leases, and clocks matter for
//!   liveness only.
//! - **Leaders** send heartbeats. A follower that hears none for a time of its own (from its name
//!   and a counter) campaigns; a leader that no majority answers resigns. A candidate repeats its
//!   ballot until it meets a higher one.
//! - **Clients** may talk to any node. It numbers their commands, passes them on to the leader
//!   and again until they are chosen, and answers from its own copy of the state once it has
//!   carried them out. The state remembers each node's numbers, so a command that got into several
//!   slots is carried out once. Without a leader that a majority follows, requests are refused.
//! - **Catching up**: whoever is told of more than it has asks for it (`learn`), and gets slots
//!   (`learned`) or, where those are gone, a snapshot in parts (`fetch`, `snapshot`). A candidate
//!   that lacks something is told so instead of a promise (`behind`), and learns it first; a leader
//!   that is told so resigns. So a leader calls chosen only what its own ballot chose.
//! - **Members** change by a command, one at a time (`add_node {node}`, `remove_node {node}` from
//!   any client). The world stops for it: a leader proposes nothing beyond such a command until it
//!   is chosen, and then runs phase 1 anew with the new members. So every slot is decided, in both
//!   phases, by the members that the slots before it make. Nodes that are no members learn what
//!   is chosen and serve clients all the same.
//!
//! Durable before a message says so: promises, what was accepted (with up to where all was known
//! to be chosen), what was learned, snapshots. What is chosen after the last acceptance is learned
//! anew after a restart.
//!
//! It survives everything but lies and lost disks: messages may be lost, doubled and overtaken,
//! nodes may crash and pause at any instant. It is live while a majority of the members is
//! connected and messages are faster than elections are patient; by Fischer, Lynch and Paterson
//! (1985) nothing better can be had, and `harness/src/explore/adversary.rs` shows it.
//!
//! Simplified: one command is not spread over slots, all state fits into memory, a removed leader
//! leaves its succession to the others' patience.
//!
//! | module | what it holds |
//! |---|---|
//! | `ballot` | numbers of ballots and slots |
//! | `command` | commands, and the batches that fill slots |
//! | `message` | what replicas say to each other, with all fields |
//! | `state` | registers, sessions and members: what chosen commands make |
//! | `log` | what is durable: promise, votes, chosen slots, snapshot |
//! | `requests` | requests of the replica's own clients |
//! | `replica` | the machine: clients, time, status |
//! | `acceptor` | phases 1b and 2b, and following |
//! | `leader` | phases 1a and 2a, and leading |
//! | `catch_up` | learning what was chosen without it |

mod acceptor;
mod ballot;
mod catch_up;
mod command;
mod leader;
mod log;
mod message;
mod replica;
mod requests;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{Kind, NodeId};

use self::replica::{Replica, Settings};
use crate::node::{MILLISECOND, Machine, Reference};
use crate::wire::Body;
use crate::{MemberChange, NodeSpec, PlantedBug, Shape};

/// The replicated log, as a row of the catalogue.
pub static TARGET: Reference = Reference {
    name: "paxos-kv",
    about: "registers over a Multi-Paxos log with leader, snapshots and membership change",
    claims: "linearizable reads, writes and compare-and-sets; serves while a majority does",
    operations: &[Kind::Read, Kind::Write, Kind::Cas],
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
        "terminate",
        "kill-starting",
        "tear",
        "add-node",
        "remove-node",
        "replace-node",
        "disk-full",
        "disk-error",
        "slow-fsync",
        "lose-unsynced",
    ],
    shape: Shape::Mesh,
    bugs: &BUGS,
    check_options: |options| Options::read(options).map(drop),
    assume: |_, _| {},
    machine,
    change_members: Some(|change| match change {
        MemberChange::Add(node) => Body::new("add_node").with("node", &**node),
        MemberChange::Remove(node) => Body::new("remove_node").with("node", &**node),
    }),
};

/// What all of the bugs lead to.
const ANOMALIES: &[&str] = &["stale-read", "not-linearizable"];

static BUGS: [PlantedBug; 5] = [
    PlantedBug {
        name: "stale-read",
        about: "a leader answers reads out of its own state, without asking whether it still leads",
        workload: "register",
        faults: &["partition"],
        anomalies: ANOMALIES,
    },
    PlantedBug {
        name: "forget-promise",
        about: "what an acceptor promised and accepted is forgotten by a restart",
        workload: "register",
        faults: &["kill"],
        anomalies: ANOMALIES,
    },
    PlantedBug {
        name: "minority-commit",
        about: "a slot counts as chosen with one acceptor fewer than a majority",
        workload: "register",
        faults: &["partition"],
        anomalies: ANOMALIES,
    },
    PlantedBug {
        name: "lease-clock",
        about: "reads under a lease that outlasts the patience of those who may elect another",
        workload: "register",
        faults: &["partition"],
        anomalies: ANOMALIES,
    },
    PlantedBug {
        name: "apply-twice",
        about: "a command that was proposed again is carried out again",
        workload: "register",
        faults: &["delay"],
        anomalies: ANOMALIES,
    },
];

/// Which planted bug a node shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    StaleRead,
    ForgetPromise,
    MinorityCommit,
    LeaseClock,
    ApplyTwice,
}

impl Bug {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "stale-read" => Some(Self::StaleRead),
            "forget-promise" => Some(Self::ForgetPromise),
            "minority-commit" => Some(Self::MinorityCommit),
            "lease-clock" => Some(Self::LeaseClock),
            "apply-twice" => Some(Self::ApplyTwice),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// The members at the beginning; all nodes if absent.
    members: Option<Vec<NodeId>>,
    /// The shortest time after which a silent leader is given up, in milliseconds.
    election_ms: u64,
    /// How many slots a snapshot is taken after.
    snapshot_every: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            members: None,
            election_ms: 300,
            snapshot_every: 1_000,
        }
    }
}

impl Options {
    fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        if !(10..=60_000).contains(&options.election_ms) {
            return Err(OptionError::new("election_ms", "must be from 10 to 60000"));
        }
        if !(1..=1_000_000).contains(&options.snapshot_every) {
            return Err(OptionError::new(
                "snapshot_every",
                "must be from 1 to 1000000",
            ));
        }
        if let Some(members) = &options.members {
            let different: BTreeSet<&NodeId> = members.iter().collect();
            if members.is_empty() || different.len() < members.len() {
                return Err(OptionError::new(
                    "members",
                    "must name at least one node, and none twice",
                ));
            }
        }
        Ok(options)
    }
}

fn machine(spec: &NodeSpec) -> Result<Box<dyn Machine>, OptionError> {
    let options = Options::read(&spec.options)?;
    let members = options.members.unwrap_or_else(|| spec.nodes.clone());
    if let Some(stranger) = members.iter().find(|id| !spec.nodes.contains(*id)) {
        let message = format!("{stranger} is none of the nodes");
        return Err(OptionError::new("members", message));
    }
    Ok(Box::new(Replica::new(Settings {
        id: spec.id.clone(),
        nodes: spec.nodes.clone(),
        members,
        election: options.election_ms * MILLISECOND,
        snapshot_every: options.snapshot_every,
        bug: spec.bug.as_deref().and_then(Bug::from_name),
    })))
}
