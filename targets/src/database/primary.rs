//! The primary: puts commits in order, and knows which nodes belong to the database.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tribunal_results::{NodeId, Scalar};

use super::versions::{Versions, Writes};
use crate::transaction::Step;
use crate::wire::{Code, WireError};

/// How many commits there may be in all: each is kept, for nodes that come late.
const COMMITS_MAX: usize = 1_000_000;
/// How many keys there may be.
const KEYS_MAX: usize = 1_000_000;
/// The most bytes that one commit writes, or that one message of commits has but for its last.
const COMMIT_BYTES_MAX: usize = 256 * 1024;
/// How many ended transactions of each node are remembered by number.
const ENDED_MAX: usize = 10_000;
/// How many commits go into one message.
const BATCH_MAX: usize = 64;

/// What a node asks the primary to commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Request {
    /// Its number at the node.
    pub(super) txn: u64,
    /// Keys that must not have been written after these versions.
    pub(super) unchanged: Vec<(Scalar, u64)>,
    /// What it writes.
    pub(super) steps: Vec<Step>,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Committed(u64),
    Refused,
}

/// What the primary says to a request.
pub(super) enum Ruling {
    /// It committed before and made this version; or it only reads, and this is the newest one.
    Committed(u64),
    /// It commits with these writes, once they are durable.
    Commits(Writes),
    /// It has had no effect and never will; whether it must be recorded that it was refused.
    Refused(WireError, bool),
    /// It ended so long ago that nobody knows how.
    Forgotten,
}

/// The primary.
#[derive(Debug, Default)]
pub(super) struct Primary {
    pub(super) members: BTreeSet<NodeId>,
    /// What each version wrote, and whose transaction it was.
    commits: Vec<(NodeId, u64, Writes)>,
    ended: BTreeMap<NodeId, BTreeMap<u64, Ended>>,
    /// Up to this number, what a node asked is forgotten.
    floors: BTreeMap<NodeId, u64>,
}

impl Primary {
    /// Of a database without commits, to which these nodes belong.
    pub(super) fn new(members: impl Iterator<Item = NodeId>) -> Self {
        Self {
            members: members.collect(),
            ..Self::default()
        }
    }

    /// Rules on a request. Nothing changes.
    pub(super) fn rule(&self, node: &NodeId, request: &Request, now: &Versions) -> Ruling {
        let ended = self.ended.get(node).and_then(|e| e.get(&request.txn));
        match ended {
            Some(Ended::Committed(version)) => return Ruling::Committed(*version),
            Some(Ended::Refused) => {
                return Ruling::Refused(conflict("it was refused before"), false);
            }
            None if self.floors.get(node) >= Some(&request.txn) => return Ruling::Forgotten,
            None => {}
        }
        if !self.members.contains(node) {
            let error = WireError::unavailable(format!("{node} does not belong to the database"));
            return Ruling::Refused(error, true);
        }
        // Versions only grow: asked again, it would be refused again.
        let changed = |(key, version): &&(Scalar, u64)| now.written(key) > *version;
        if let Some((key, _)) = request.unchanged.iter().find(changed) {
            return Ruling::Refused(conflict(&format!("{key} was changed meanwhile")), false);
        }
        if request.steps.is_empty() {
            return Ruling::Committed(now.newest);
        }
        match self.writes(request, now) {
            Ok(writes) => Ruling::Commits(writes),
            Err(error) => Ruling::Refused(error, true),
        }
    }

    fn writes(&self, request: &Request, now: &Versions) -> Result<Writes, WireError> {
        let mut writes: BTreeMap<Scalar, _> = BTreeMap::new();
        for step in &request.steps {
            let held = writes.get(step.key()).cloned();
            let held = held.unwrap_or_else(|| now.at(step.key(), now.newest));
            writes.insert(step.key().clone(), step.applied(&held)?);
        }
        let writes = Writes(writes.into_iter().collect());
        let full = self.commits.len() >= COMMITS_MAX || now.len() >= KEYS_MAX;
        if full || bytes(&writes) > COMMIT_BYTES_MAX {
            return Err(WireError::unavailable(
                "the database, or the transaction, is too large",
            ));
        }
        Ok(writes)
    }

    /// Takes a commit up: the version that it made.
    pub(super) fn committed(&mut self, node: NodeId, txn: u64, writes: Writes) -> u64 {
        self.commits.push((node.clone(), txn, writes));
        let version = self.commits.len() as u64;
        self.ended(node, txn, Ended::Committed(version));
        version
    }

    /// Remembers that a transaction was refused.
    pub(super) fn refused(&mut self, node: NodeId, txn: u64) {
        self.ended(node, txn, Ended::Refused);
    }

    fn ended(&mut self, node: NodeId, txn: u64, how: Ended) {
        let ended = self.ended.entry(node.clone()).or_default();
        ended.insert(txn, how);
        if ended.len() > ENDED_MAX
            && let Some((oldest, _)) = ended.pop_first()
        {
            self.floors.insert(node, oldest);
        }
    }

    /// All transactions that committed, in order, with what they wrote, and then those known to have
    /// been refused.
    pub(super) fn log(&self) -> impl Iterator<Item = (NodeId, u64, Option<Writes>)> + '_ {
        let committed = self.commits.iter();
        let committed = committed.map(|(node, txn, w)| (node.clone(), *txn, Some(w.clone())));
        let ended = self.ended.iter().flat_map(|(node, ended)| {
            let refused = ended.iter().filter(|(_, how)| **how == Ended::Refused);
            refused.map(|(txn, _)| (node.clone(), *txn, None))
        });
        committed.chain(ended)
    }

    /// The commits that follow a version, as many as go into one message.
    pub(super) fn after(&self, version: u64) -> Vec<Writes> {
        let from = usize::try_from(version).unwrap_or(usize::MAX);
        let commits = self.commits.iter().skip(from).take(BATCH_MAX);
        let commits = commits.map(|(_, _, writes)| writes);
        let mut total = 0;
        let fits = commits.take_while(|writes| {
            let before = total;
            total += bytes(writes);
            before < COMMIT_BYTES_MAX
        });
        fits.cloned().collect()
    }
}

fn bytes(writes: &Writes) -> usize {
    serde_json::to_vec(writes).map_or(usize::MAX, |text| text.len())
}

fn conflict(why: &str) -> WireError {
    WireError::new(Code::TxnConflict, why)
}
