//! Locks without a coordinator: every node asks all others, and Lamport's clock tells who is first
//! (a mesh).
//!
//! The algorithm of Ricart and Agrawala ("An optimal algorithm for mutual exclusion in computer
//! networks", CACM 1981) over the clock of Lamport (1978). A request is stamped with the clock's
//! time and the node's number, and told to all others. Each replies at once, unless it holds the
//! lock or has an earlier request of its own: then it defers its reply until it is through. Who has
//! every reply to its earliest request holds the lock. A reply says: I have no earlier request, and
//! will never make one, since my clock is beyond yours. So the lock is granted in the order of the
//! stamps, and a stamp as one number is an honest fencing token: each grant has a higher one.
//!
//! As in the paper only requests make the clock tick; whatever else arrives is only taken up.
//! What differs from it: a node makes one request for each of its clients (it need not wait
//! for one to end before the next); a deferring node says so (`later`), which lets a client's
//! request be acknowledged once every node has seen it, so that whoever asks after that comes after
//! it in real time too (as in Lamport's own algorithm); what was not replied to is asked again, so
//! messages may be lost, doubled and overtaken; the holder's node ends a hold when its lease is over
//! by its own clock, so that a client that is gone does not block the lock for ever.
//!
//! Messages between nodes, all with `lock`, `time` (of the request, which is the asking node's) and
//! `clock` (the sender's, which every receipt takes up):
//!
//! | message | says |
//! |---|---|
//! | `claim` | my request has this time |
//! | `reply` | yours goes first, for all that I know and will do |
//! | `later` | I have seen it; the reply follows |
//!
//! Every grant needs a reply of every node: one that is down or cut off stops all (the paper has no
//! answer to that either), until it is back. It never makes them wrong: a node's log holds which
//! holds its clients rely on, and a bound that its clock never was beyond, from which it goes on
//! after a crash; so it never makes a request earlier than one that it replied to.
//!
//! | module | what it holds |
//! |---|---|
//! | `claims` | the requests for one lock: a node's own, and those that it defers |
//! | `machine` | the node |

mod claims;
mod machine;
#[cfg(test)]
mod tests;

use tribunal_results::Kind;
use tribunal_results::options::OptionError;

use self::machine::Node;
use crate::locks::LeaseOptions;
use crate::node::{Machine, Reference};
use crate::{NodeSpec, PlantedBug, Shape};

/// The lock of Ricart and Agrawala, as a row of the catalogue.
pub static TARGET: Reference = Reference {
    name: "lock-lamport",
    about: "lock service of Ricart and Agrawala over Lamport clocks, without a coordinator",
    claims: "mutual exclusion, grants in the order of Lamport's timestamps, monotonic tokens; \
             serves while every node does",
    operations: &[Kind::Request, Kind::Acquire, Kind::Renew, Kind::Release],
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
        PlantedBug {
            name: "no-tiebreak",
            about: "requests of the same time are told apart by nobody, and none defers to another",
            workload: "lock",
            faults: &["delay"],
            anomalies: &["double-hold", "token-not-monotonic"],
        },
        PlantedBug {
            name: "stale-clock",
            about: "a node's clock does not take up the time of what it receives",
            workload: "lock",
            faults: &[],
            anomalies: &["double-hold", "overtaking", "token-not-monotonic"],
        },
    ],
    check_options: |options| LeaseOptions::read(options).map(drop),
    assume: |_, _| {},
    machine,
    change_members: None,
};

/// Which planted bug a node shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    NoTiebreak,
    StaleClock,
}

impl Bug {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "no-tiebreak" => Some(Self::NoTiebreak),
            "stale-clock" => Some(Self::StaleClock),
            _ => None,
        }
    }
}

fn machine(spec: &NodeSpec) -> Result<Box<dyn Machine>, OptionError> {
    let lease = LeaseOptions::read(&spec.options)?.lease();
    let bug = spec.bug.as_deref().and_then(Bug::from_name);
    Ok(Box::new(Node::new(&spec.id, &spec.nodes, lease, bug)))
}
