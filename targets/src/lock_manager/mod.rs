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

use tribunal_results::Kind;
use tribunal_results::options::OptionError;

use self::bug::BUGS;
pub(crate) use self::bug::Bug;
use self::coordinator::Coordinator;
use crate::locks::{LeaseOptions, Relay, Rules};
use crate::node::{Machine, Reference};
use crate::{NodeSpec, Shape};

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
        "hold",
        "clock-jump",
        "clock-strobe",
    ],
    shape: Shape::Star,
    bugs: &BUGS,
    check_options: |options| LeaseOptions::read(options).map(drop),
    assume: |_, _| {},
    machine,
    change_members: None,
};

fn machine(spec: &NodeSpec) -> Result<Box<dyn Machine>, OptionError> {
    let rules = Rules {
        lease: LeaseOptions::read(&spec.options)?.lease(),
        grants_by_itself: true,
        bug: spec.bug.as_deref().and_then(Bug::from_name),
    };
    let nodes = spec.nodes.clone();
    Ok(match nodes.first() {
        Some(first) if *first != spec.id => Box::new(Relay::new(nodes.clone(), first.clone())),
        _ => Box::new(Coordinator::new(spec.id.clone(), nodes, rules)),
    })
}
