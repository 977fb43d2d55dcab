//! A primary that tells its backups later, and backups that take over when it falls silent.
//!
//! The primary-backup approach of Alsberg and Day, "A principle for resilient sharing of
//! distributed resources" (ICSE 1976), as most databases still ship it: replication is
//! asynchronous, reads are local. All writes go to the primary, which numbers them, acknowledges
//! its own clients at once, and sends each to all backups; a backup that passed a client's write
//! on answers when the write has come back to it. So every node shows the same writes in the same
//! order, some later than others, and sessions that stay at one node find them sequentially
//! consistent.
//!
//! Views are numbered; view `v` belongs to node `v mod n`. A backup that hears nothing of the
//! primary for a while takes the next view of its own, the next in line first. Whoever hears of a
//! higher view drops what it has and takes over the state of that view's primary. That is right
//! in a synchronous system only, where silence means that nobody is there: a primary that finds
//! that it stood still asks every backup whether it still is the primary, before it takes another
//! write; so does one that has just taken over, of all but the one that it succeeds. It survives
//! pauses, and nothing else that lasts: where messages are late or cut off there are two
//! primaries, and where a primary dies with what it acknowledged still under way, that is lost.
//!
//! | message | fields | says |
//! |---|---|---|
//! | `beat` | `view`, `seq`, `round` | the sender is the primary of the view, and has so many writes |
//! | `beat_ok` | `view`, `round` | the sender is a backup of the view |
//! | `forward` | `number`, `key`, `value` | a client of the sender asks for a write |
//! | `refused` | `number` | that write was not done |
//! | `entry` | `view`, `seq`, `key`, `value`, `by`, `number` | a write, who passed it on, and under which number |
//! | `sync` | | the sender lacks writes |
//! | `state` | `view`, `seq`, `registers` | all that the primary has |
//!
//! | module | what it holds |
//! |---|---|
//! | `machine` | the node |
//! | `replica` | views, writes and registers |

mod machine;
mod replica;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::Kind;
use tribunal_results::options::{OptionError, decode};

use self::machine::Node;
use crate::node::{MILLISECOND, Machine, Reference};
use crate::{NodeSpec, PlantedBug, Shape};

/// The store with one primary, as a row of the catalogue.
pub static TARGET: Reference = Reference {
    name: "primary-backup",
    about: "asynchronous replication by a primary, local reads, failover by timeout",
    claims: "sequentially consistent for sessions that stay at one node, as long as nothing but \
             pauses happens; otherwise acknowledged writes are lost on failover",
    operations: &[Kind::Read, Kind::Write],
    survives: &["pause"],
    shape: Shape::Mesh,
    bugs: &[PlantedBug {
        name: "resurrect",
        about: "an old primary that comes back pushes its old values over newer ones",
        workload: "causal",
        faults: &["pause"],
        anomalies: &[
            "write-co-read",
            "write-co-init-read",
            "lost-own-write",
            "non-monotonic-read",
        ],
    }],
    check_options: |options| Options::read(options).map(drop),
    assume: |_, _| {},
    machine,
    change_members: None,
};

/// The shortest and the longest patience, in milliseconds.
const SILENCE_MS: RangeInclusive<u64> = 100..=60_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// After so long a silence of the primary the next in line takes over, in milliseconds. Where
    /// messages or nodes may be later than that, there are two primaries.
    silence_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { silence_ms: 600 }
    }
}

impl Options {
    fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        match SILENCE_MS.contains(&options.silence_ms) {
            true => Ok(options),
            false => Err(OptionError::new(
                "silence_ms",
                format!(
                    "must be from {} to {}",
                    SILENCE_MS.start(),
                    SILENCE_MS.end()
                ),
            )),
        }
    }
}

/// Which planted bug a node shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    Resurrect,
}

impl Bug {
    fn from_name(name: &str) -> Option<Self> {
        (name == "resurrect").then_some(Self::Resurrect)
    }
}

fn machine(spec: &NodeSpec) -> Result<Box<dyn Machine>, OptionError> {
    let silence = Options::read(&spec.options)?.silence_ms * MILLISECOND;
    let bug = spec.bug.as_deref().and_then(Bug::from_name);
    let node = Node::new(spec.id.clone(), spec.nodes.clone(), silence, bug);
    Ok(Box::new(node))
}
