//! The requests for one lock at one node. A request is known by its stamp as one number, which is
//! its ticket and its token too.

use std::collections::{BTreeMap, BTreeSet};

use tribunal_results::NodeId;

use crate::locks::Origin;
use crate::node::Nanos;

/// How many requests of others are deferred at most; more are asked again later.
const DEFERRED_MAX: usize = 100_000;

/// A request of the node itself.
#[derive(Clone, Debug)]
pub(super) struct Own {
    /// Who has not replied yet.
    pub(super) missing: BTreeSet<NodeId>,
    /// Who has not even said that it has seen it.
    unseen: BTreeSet<NodeId>,
    /// The client that waits to be told its ticket, and until when.
    pub(super) asking: Option<(Origin, Nanos)>,
}

/// The requests for one lock.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pub(super) own: BTreeMap<u64, Own>,
    /// Requests of others that wait for a reply, and whose they are.
    deferred: BTreeMap<u64, NodeId>,
}

impl Claims {
    /// A new request of the node itself, which every peer has to reply to.
    pub(super) fn ask(&mut self, number: u64, peers: &[NodeId], asking: (Origin, Nanos)) {
        let all: BTreeSet<NodeId> = peers.iter().cloned().collect();
        let own = Own {
            missing: all.clone(),
            unseen: all,
            asking: Some(asking),
        };
        self.own.insert(number, own);
    }

    /// A peer has seen a request, and perhaps replied to it. Gives whom to tell its ticket, if
    /// everybody has seen it now.
    pub(super) fn heard(&mut self, number: u64, peer: &NodeId, replied: bool) -> Option<Origin> {
        let own = self.own.get_mut(&number)?;
        own.unseen.remove(peer);
        if replied {
            own.missing.remove(peer);
        }
        self.acknowledged(number)
    }

    /// Whom to tell the ticket of a request that everybody has seen; once.
    pub(super) fn acknowledged(&mut self, number: u64) -> Option<Origin> {
        let own = self.own.get_mut(&number)?;
        let asking = own.asking.take_if(|_| own.unseen.is_empty());
        asking.map(|(origin, _)| origin)
    }

    /// Those that not everybody has seen in time, and whom to tell.
    pub(super) fn overdue(&mut self, now: Nanos) -> Vec<(u64, Origin)> {
        let mut overdue = Vec::new();
        for (number, own) in &mut self.own {
            if let Some((origin, _)) = own.asking.take_if(|(_, until)| *until <= now) {
                overdue.push((*number, origin));
            }
        }
        overdue
    }

    /// Whether a request has every reply.
    pub(super) fn is_due(&self, number: u64) -> bool {
        let own = self.own.get(&number);
        own.is_some_and(|own| own.missing.is_empty())
    }

    /// Defers the reply to a peer's request.
    pub(super) fn defer(&mut self, number: u64, peer: &NodeId) {
        if self.deferred.len() < DEFERRED_MAX {
            self.deferred.insert(number, peer.clone());
        }
    }

    /// Takes out those deferred that need not wait any more.
    pub(super) fn take_deferred(&mut self, waits: impl Fn(u64) -> bool) -> Vec<(u64, NodeId)> {
        let all = std::mem::take(&mut self.deferred).into_iter();
        let (waiting, free) = all.partition::<BTreeMap<_, _>, _>(|(number, _)| waits(*number));
        self.deferred = waiting;
        free.into_iter().collect()
    }
}
