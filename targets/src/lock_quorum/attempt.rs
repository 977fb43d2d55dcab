//! How far a node is with a majority of leases for one lock.

use std::collections::BTreeMap;

use tribunal_results::NodeId;

use crate::node::Nanos;

/// What a node wants of the instances, for one of its clients.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// The ticket of the client, which is the value of the leases and the token too.
    pub(super) value: u64,
    /// Numbers what is asked: answers to earlier rounds count for nothing.
    pub(super) round: u64,
    /// When the round began.
    pub(super) began: Nanos,
    /// Until when a majority had been granted by the latest round that had one; nothing yet if
    /// none had.
    pub(super) valid_until: Option<Nanos>,
    answers: BTreeMap<NodeId, bool>,
}

impl Attempt {
    pub(super) const fn new(value: u64, round: u64, now: Nanos) -> Self {
        Self {
            value,
            round,
            began: now,
            valid_until: None,
            answers: BTreeMap::new(),
        }
    }

    /// Asks once more, to extend what was granted.
    pub(super) fn again(&mut self, round: u64, now: Nanos) {
        self.round = round;
        self.began = now;
        self.answers.clear();
    }

    /// An instance answered. If that makes `enough` leases of `ttl`, they are valid from the
    /// beginning of the round on.
    pub(super) fn answered(&mut self, from: &NodeId, granted: bool, enough: usize, ttl: Nanos) {
        self.answers.insert(from.clone(), granted);
        if self.count(true) >= enough {
            self.valid_until = Some(self.began.saturating_add(ttl));
        }
    }

    /// How many instances said so.
    pub(super) fn count(&self, granted: bool) -> usize {
        self.answers
            .values()
            .filter(|said| **said == granted)
            .count()
    }

    /// Whether a majority is had for longer than now.
    pub(super) fn is_valid(&self, now: Nanos) -> bool {
        self.valid_until.is_some_and(|until| now < until)
    }
}
