//! A cache spread over all nodes: each key on a few of them, for a limited time, in limited room.
//!
//! Who keeps a key follows from a consistent-hash ring with virtual nodes (Karger et al.,
//! "Consistent hashing and random trees", STOC 1997). A client may ask any node, which passes the
//! request on. Writes and deletes go to the first owner of the key, which numbers them and waits
//! until every other owner has them before it answers; reads are answered by any owner. So what
//! was deleted or overwritten is gone when the answer comes. Entries expire some time after they
//! arrived (their TTL), and where there is no room the least recently used are given up.
//!
//! It is a cache: a key that is not there may have expired or been given up, a node that restarts
//! has forgotten all, and while an owner can't be reached its keys can't be written. What it does
//! return was written, not deleted since, and is no older than the TTL. Nodes remember the number
//! of the last write of each key, so that what is late on an old connection doesn't come back.
//!
//! | message | fields | says |
//! |---|---|---|
//! | `fetch` | `number`, `key` | a client of the sender asks for a key |
//! | `fetched` | `number`, `value` | what the owner has |
//! | `change` | `number`, `key`, `value` | a client asks for a write, or for a delete if there is no value |
//! | `put` | `number`, `stamp`, `key`, `value` | the first owner tells the others |
//! | `put_ok` | `number` | the owner has it |
//! | `changed` | `number` | all owners have it |
//!
//! Two operations are its own, as `custom`: `delete {key}`; `inspect {key}`, which answers with
//! the owners of the key as the node knows them, how many replicas there must be, the bytes that
//! the node's entries take and may take, and what it gave up last.
//!
//! | module | what it holds |
//! |---|---|
//! | `ring` | who keeps what |
//! | `entries` | what one node keeps, and what it gives up |
//! | `machine` | the node |

mod entries;
mod machine;
mod ring;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use tribunal_results::Kind;
use tribunal_results::options::{OptionError, decode};

use self::machine::Node;
use crate::node::{Machine, Reference};
use crate::{NodeSpec, PlantedBug, Shape};

/// The cache, as a row of the catalogue.
pub static TARGET: Reference = Reference {
    name: "cache",
    about: "consistent-hash ring with virtual nodes, replicas, TTL, and LRU by bytes",
    claims: "never returns what was not written, was deleted, or is older than the TTL; each key \
             on its replicas; never over its capacity; the least recently used goes first",
    operations: &[Kind::Read, Kind::Write, Kind::Custom],
    survives: &[
        "kill",
        "restart",
        "pause",
        "delay",
        "partition",
        "reset",
        "refuse",
    ],
    shape: Shape::Mesh,
    bugs: &[
        bug(
            "ring-no-wrap",
            "what lies behind the ring's last point is not kept by those at its beginning",
            &["too-few-replicas"],
        ),
        bug(
            "replicas-collapse",
            "two points of one node count as two replicas",
            &["too-few-replicas"],
        ),
        bug("ttl-ignored", "entries never expire", &["expired-value"]),
        bug(
            "stale-after-delete",
            "a delete does not reach the other replicas",
            &["deleted-value"],
        ),
        bug(
            "fifo-eviction",
            "what came first is given up first, however recently it was used",
            &["not-least-recently-used"],
        ),
        bug(
            "size-leak",
            "what takes another one's place is not accounted",
            &["over-capacity"],
        ),
    ],
    check_options: |options| Options::checked(options).map(drop),
    assume: |options, assume| {
        assume.staleness_ms = Options::checked(options).ok().map(|o| o.ttl_ms);
    },
    machine,
    change_members: None,
};

const fn bug(
    name: &'static str,
    about: &'static str,
    anomalies: &'static [&'static str],
) -> PlantedBug {
    PlantedBug {
        name,
        about,
        workload: "cache",
        faults: &[],
        anomalies,
    }
}

/// Options of the target.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// How long an entry is kept, in milliseconds.
    ttl_ms: u64,
    /// How many bytes the entries of one node may take.
    capacity: usize,
    /// On how many nodes each key is kept.
    replicas: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ttl_ms: 200,
            capacity: 600,
            replicas: 2,
        }
    }
}

impl Options {
    fn checked(options: &serde_json::Value) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        let positive = |path: &str, is: bool| match is {
            true => Ok(()),
            false => Err(OptionError::new(path, "must be at least 1")),
        };
        positive("ttl_ms", options.ttl_ms > 0)?;
        positive("capacity", options.capacity > 0)?;
        positive("replicas", options.replicas > 0)?;
        Ok(options)
    }
}

/// Which planted bug a node shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    RingNoWrap,
    ReplicasCollapse,
    TtlIgnored,
    StaleAfterDelete,
    FifoEviction,
    SizeLeak,
}

impl Bug {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "ring-no-wrap" => Self::RingNoWrap,
            "replicas-collapse" => Self::ReplicasCollapse,
            "ttl-ignored" => Self::TtlIgnored,
            "stale-after-delete" => Self::StaleAfterDelete,
            "fifo-eviction" => Self::FifoEviction,
            "size-leak" => Self::SizeLeak,
            _ => return None,
        })
    }
}

fn machine(spec: &NodeSpec) -> Result<Box<dyn Machine>, OptionError> {
    let options = Options::checked(&spec.options)?;
    let bug = spec.bug.as_deref().and_then(Bug::from_name);
    let node = Node::new(spec.id.clone(), spec.nodes.clone(), options, bug);
    Ok(Box::new(node))
}
