//! Locks in a ring: one token goes round, and only who has it may grant.
//!
//! The token ring of Le Lann ("Distributed systems: towards a formal approach", IFIP 1977). Each
//! node passes the token on to the next one in the list of nodes, the last to the first. While a
//! node has it, each of its locks goes once to the head of that node's own queue; when all are given
//! back, or their leases are over, the token moves on; and if nobody waited, after a short rest. So
//! there is no order between clients of different nodes, but everybody's turn comes.
//!
//! The token carries a counter of all grants ever made, from which fencing tokens are taken, and the
//! number of its hop. It is sent again until the next node has acknowledged that hop, and a hop is
//! taken up once only: so messages may be lost, doubled and overtaken, and there is one token still.
//!
//! | message | says |
//! |---|---|
//! | `token {hop, fence}` | the token is yours from this hop on |
//! | `token_ok {hop}` | I have it; don't send it again |
//!
//! Taking and passing the token is in a node's log before anybody is told, and so are the holds its
//! clients rely on: a node that dies with the token has it when it is back, with a full lease for
//! those holds. Until then the ring stands still, as it does when a node to which the token has to
//! go is down or cut off: a ring is live only without crashes that last. To make a new token after a
//! while of silence would be wrong, since the old one may be with somebody slow: that is the planted
//! bug.

mod machine;
#[cfg(test)]
mod tests;

use tribunal_results::Kind;
use tribunal_results::options::OptionError;

use self::machine::Node;
use crate::locks::LeaseOptions;
use crate::node::{Machine, Reference};
use crate::{NodeSpec, PlantedBug, Shape};

/// The token ring, as a row of the catalogue.
pub static TARGET: Reference = Reference {
    name: "lock-ring",
    about: "lock service on a token ring",
    claims: "mutual exclusion, monotonic tokens; serves while every node does",
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
    shape: Shape::Ring,
    bugs: &[PlantedBug {
        name: "two-tokens",
        about: "the first node makes a new token when it has not seen one for half a lease",
        workload: "fenced-mutex",
        faults: &[],
        anomalies: &["double-hold", "token-not-monotonic"],
    }],
    check_options: |options| LeaseOptions::read(options).map(drop),
    assume: |_, _| {},
    machine,
    change_members: None,
};

fn machine(spec: &NodeSpec) -> Result<Box<dyn Machine>, OptionError> {
    let lease = LeaseOptions::read(&spec.options)?.lease();
    let two_tokens = spec.bug.as_deref() == Some("two-tokens");
    Ok(Box::new(Node::new(
        &spec.id,
        &spec.nodes,
        lease,
        two_tokens,
    )))
}
