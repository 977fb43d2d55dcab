//! A lock service: the first node coordinates, the others relay to it (a star).
//!
//! Requests join a first-in-first-out queue; a grant comes with a fencing token and a lease; the
//! holder may enter again. Holds, tokens and what guarded resources have accepted survive a
//! crash of the coordinator; its queue does not, and says so to whoever comes back with a ticket.
//!
//! | module | what it holds |
//! |---|---|
//! | `coordinator` | the machine of the first node; the others are relays |
//! | `bug` | the planted bugs |
//!
//! The locks themselves, requests and relays are in [`locks`](crate::locks).

mod bug;
mod coordinator;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::Kind;
use tribunal_results::options::{OptionError, decode};

use self::bug::BUGS;
pub(crate) use self::bug::Bug;
use self::coordinator::Coordinator;
use crate::locks::{Relay, Rules};

use crate::NodeSpec;
use crate::node::{MILLISECOND, Machine, Reference};

/// The lock manager, as a row of the catalogue.
pub static TARGET: Reference = Reference {
    name: "lock-manager",
    about: "lock service with a coordinator, FIFO queue, leases and fencing tokens",
    claims: "mutual exclusion, FIFO grants, monotonic tokens; serves while the first node does",
    operations: &[
        Kind::Request,
        Kind::Acquire,
        Kind::TryAcquire,
        Kind::Renew,
        Kind::Release,
        Kind::GuardedWrite,
    ],
    survives: &[
        "kill",
        "restart",
        "pause",
        "delay",
        "partition",
        "reset",
        "refuse",
    ],
    bugs: &BUGS,
    check_options: |options| Options::read(options).map(drop),
    assume: |_, _| {},
    machine,
};

/// The longest lease, in milliseconds: a day.
const LEASE_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// How long a hold lasts unless it is renewed, in milliseconds.
    lease_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { lease_ms: 1_500 }
    }
}

impl Options {
    fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        match options.lease_ms {
            1..=LEASE_MS_MAX => Ok(options),
            wrong => Err(OptionError::new(
                "lease_ms",
                format!("{wrong} is no lease; it lasts from 1 to {LEASE_MS_MAX} ms"),
            )),
        }
    }
}

fn machine(spec: &NodeSpec) -> Result<Box<dyn Machine>, OptionError> {
    let rules = Rules {
        lease: Options::read(&spec.options)?.lease_ms * MILLISECOND,
        grants_by_itself: true,
        bug: spec.bug.as_deref().and_then(Bug::from_name),
    };
    let nodes = spec.nodes.clone();
    Ok(match nodes.first() {
        Some(first) if *first != spec.id => Box::new(Relay::new(nodes.clone(), first.clone())),
        _ => Box::new(Coordinator::new(spec.id.clone(), nodes, rules)),
    })
}
