//! Locks by a majority of independent leases: Redlock, as its author published it (Salvatore
//! Sanfilippo, "Distributed locks with Redis", 2014), and shown to be unsafe as Martin Kleppmann
//! said ("How to do distributed locking", 2016).
//!
//! Every node keeps leases in memory, and knows of no other node's. A node that wants a lock for one
//! of its clients asks all for a lease of `ttl_ms` under a value of its own; it has the lock if a
//! majority grants it, in less time than the lease lasts. If not it takes everything back and tries
//! again after a while that differs from node to node. As long as the client holds the lock its node
//! has the leases extended, every third of their time, by a majority again.
//!
//! | message | says |
//! |---|---|
//! | `lease {lock, value, ttl_ms, round}` | grant me a lease, or extend mine |
//! | `lease_ok {lock, value, round, granted}` | whether it is granted |
//! | `unlease {lock, value}` | I don't want it any more |
//!
//! It is safe as long as no node is slow or forgets, and no clock jumps: leases end by the time of
//! day of those who grant them, as keys in Redis do. But the leases end by the clocks of those who
//! grant them, while a client believes what it was told when it got the lock: that it has it for
//! `lease_ms`. If its node is paused, or cut off, for longer than `ttl_ms`, the leases end, another
//! node gets them, and two clients hold the lock; so too if an instance is killed, since leases are
//! in no log. The values are unique, but in no order: they are no fencing tokens, and a resource
//! can't tell a late write by them. That would take tokens that only rise, which takes agreement
//! between the instances, which the scheme does without. So it claims nothing under any fault.
//!
//! | module | what it holds |
//! |---|---|
//! | `instance` | the leases of one node |
//! | `attempt` | how far a node is with a majority for one lock |
//! | `machine` | the node |

mod attempt;
mod instance;
mod machine;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::Kind;
use tribunal_results::options::{OptionError, decode};

use self::machine::{Node, Terms};
use crate::node::{MILLISECOND, Machine, Reference};
use crate::{NodeSpec, PlantedBug, Shape};

/// Redlock, as a row of the catalogue.
pub static TARGET: Reference = Reference {
    name: "lock-quorum",
    about: "lock service by a majority of independent leases (Redlock's scheme)",
    claims: "mutual exclusion as long as nothing is slow, cut off or killed; nothing otherwise",
    operations: &[Kind::Request, Kind::Acquire, Kind::Renew, Kind::Release],
    survives: &[],
    shape: Shape::Mesh,
    bugs: &[PlantedBug {
        name: "no-majority",
        about: "one lease is enough",
        workload: "mutex",
        faults: &[],
        anomalies: &["double-hold"],
    }],
    check_options: |options| Options::read(options).map(drop),
    assume: |_, _| {},
    machine,
    change_members: None,
};

/// The longest lease, in milliseconds: a day.
const LEASE_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// The shortest lease of an instance: so much longer than messages take that it can be extended.
const TTL_MS_MIN: u64 = 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// How long an instance's lease lasts unless it is extended, in milliseconds.
    ttl_ms: u64,
    /// How long a client is told that it holds a lock unless it renews, in milliseconds.
    lease_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ttl_ms: 300,
            lease_ms: 1_500,
        }
    }
}

impl Options {
    fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        for (path, ms, least) in [
            ("ttl_ms", options.ttl_ms, TTL_MS_MIN),
            ("lease_ms", options.lease_ms, 1),
        ] {
            if !(least..=LEASE_MS_MAX).contains(&ms) {
                let text = format!("{ms} is no lease; it lasts from {least} to {LEASE_MS_MAX} ms");
                return Err(OptionError::new(path, text));
            }
        }
        Ok(options)
    }
}

fn machine(spec: &NodeSpec) -> Result<Box<dyn Machine>, OptionError> {
    let options = Options::read(&spec.options)?;
    let terms = Terms {
        ttl: options.ttl_ms * MILLISECOND,
        lease: options.lease_ms * MILLISECOND,
        no_majority: spec.bug.as_deref() == Some("no-majority"),
    };
    Ok(Box::new(Node::new(&spec.id, &spec.nodes, terms)))
}
