//! A coordinator: transactions of this node's clients, until every participant has heard of their
//! fate.

use std::collections::{BTreeMap, BTreeSet};

use tribunal_results::{NodeId, Seen};

use crate::node::Nanos;
use crate::transaction::{Statement, Step};
use crate::wire::Body;

/// A transaction on which not all have voted yet.
#[derive(Clone, Debug)]
pub(super) struct Undecided {
    pub(super) client: NodeId,
    pub(super) msg_id: Option<u64>,
    pub(super) statement: Statement,
    /// Who has which of its steps, by their place.
    pub(super) parts: BTreeMap<NodeId, Vec<usize>>,
    /// Who voted to commit, and what their steps saw.
    pub(super) votes: BTreeMap<NodeId, Vec<Seen>>,
    /// When it is aborted.
    pub(super) until: Nanos,
}

impl Undecided {
    /// The steps of one participant.
    pub(super) fn part(&self, participant: &NodeId) -> Vec<Step> {
        let places = self.parts.get(participant).into_iter().flatten();
        let steps = places.filter_map(|place| self.statement.steps.get(*place));
        steps.cloned().collect()
    }

    /// Takes a vote to commit.
    pub(super) fn vote(&mut self, participant: &NodeId, seen: Vec<Seen>) {
        let places = self.parts.get(participant).map(Vec::len);
        if places == Some(seen.len()) {
            self.votes.entry(participant.clone()).or_insert(seen);
        }
    }

    /// The participants that have not voted.
    pub(super) fn silent(&self) -> impl Iterator<Item = &NodeId> {
        let voted = |node: &&NodeId| !self.votes.contains_key(*node);
        self.parts.keys().filter(voted)
    }

    /// Whether a participant has a step whose answer the client waits for.
    pub(super) fn reads_at(&self, participant: &NodeId) -> bool {
        let mut steps = self.part(participant).into_iter();
        steps.any(|step| matches!(step, Step::Read { .. } | Step::Cas { .. }))
    }

    /// The client's answer, out of the votes.
    pub(super) fn reply(&self) -> Body {
        let mut seen = vec![Seen::Nothing; self.statement.steps.len()];
        for (participant, places) in &self.parts {
            let votes = self.votes.get(participant).into_iter().flatten();
            for (place, vote) in places.iter().zip(votes) {
                if let Some(slot) = seen.get_mut(*place) {
                    slot.clone_from(vote);
                }
            }
        }
        self.statement.reply(&seen).in_reply(self.msg_id)
    }
}

/// What a coordinator knows. Of a transaction that is in neither table it presumes that it aborted.
#[derive(Debug, Default)]
pub(super) struct Coordinator {
    pub(super) undecided: BTreeMap<u64, Undecided>,
    /// Committed transactions, and who has not acknowledged that.
    pub(super) committed: BTreeMap<u64, BTreeSet<NodeId>>,
}

/// What is known of a transaction's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Commit,
    Abort,
}

impl Coordinator {
    /// The fate of a transaction.
    pub(super) fn fate(&self, number: u64) -> Fate {
        if self.committed.contains_key(&number) {
            Fate::Commit
        } else if self.undecided.contains_key(&number) {
            Fate::Open
        } else {
            Fate::Abort
        }
    }

    /// A participant has carried a committed transaction out. Whether it was the last one.
    pub(super) fn acknowledged(&mut self, number: u64, participant: &NodeId) -> bool {
        let Some(waiting) = self.committed.get_mut(&number) else {
            return false;
        };
        waiting.remove(participant);
        let all = waiting.is_empty();
        if all {
            self.committed.remove(&number);
        }
        all
    }
}
