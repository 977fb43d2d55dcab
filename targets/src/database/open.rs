//! A transaction under way at the node that its client asked.

use std::collections::BTreeMap;

use tribunal_results::{NodeId, Scalar, Seen};

use super::Bug;
use super::level::Rules;
use super::primary::Request;
use crate::node::Nanos;
use crate::transaction::{Statement, Step};

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// This step is next.
    Step(usize),
    /// The primary has been asked to commit it.
    Asked,
    /// It has committed, and waits until the node has its version.
    Committed(u64),
}

/// The transaction.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) client: NodeId,
    pub(super) msg_id: Option<u64>,
    pub(super) statement: Statement,
    pub(super) phase: Phase,
    /// The version at which it began.
    pub(super) snapshot: u64,
    /// What each step so far found.
    pub(super) seen: Vec<Seen>,
    /// What it has written itself, so far for itself alone.
    pub(super) own: BTreeMap<Scalar, Seen>,
    /// As of which version it first wrote each of these.
    written: BTreeMap<Scalar, u64>,
    /// Keys that must not be written by others after these versions until it commits.
    unchanged: BTreeMap<Scalar, u64>,
    /// When it is given up.
    pub(super) until: Nanos,
}

impl Open {
    pub(super) fn new(
        (client, msg_id): (NodeId, Option<u64>),
        statement: Statement,
        snapshot: u64,
        until: Nanos,
    ) -> Self {
        Self {
            client,
            msg_id,
            statement,
            phase: Phase::Step(0),
            snapshot,
            seen: Vec::new(),
            own: BTreeMap::new(),
            written: BTreeMap::new(),
            unchanged: BTreeMap::new(),
            until,
        }
    }

    /// Whether it changes anything.
    pub(super) fn writes(&self) -> bool {
        self.statement.steps.iter().any(Step::writes)
    }

    /// Does a step on what the key holds, for others, at a version. Whether a condition holds is for
    /// the primary to say, which knows better: to be refused tells its client something too.
    pub(super) fn take(
        &mut self,
        step: &Step,
        (held, version): (Seen, u64),
        rules: Rules,
        bug: Option<Bug>,
    ) {
        let key = step.key();
        let own = self.own.get(key).cloned();
        // Who reads what it wrote itself has told where in the order of writes its own is.
        let settled = own.is_some() && step.reads();
        let checked = match step.writes() {
            true => rules.checks_writes && bug != Some(Bug::LostUpdate),
            false => rules.checks_reads && bug != Some(Bug::WriteSkew),
        };
        let written = self.written.get(key).copied();
        if checked || settled {
            let base = written.unwrap_or(version);
            self.unchanged.entry(key.clone()).or_insert(base);
        }
        let held = own.unwrap_or(held);
        if step.writes() {
            self.written.entry(key.clone()).or_insert(version);
            let left = step.applied(&held).unwrap_or_else(|_| held.clone());
            self.own.insert(key.clone(), left);
        }
        self.seen.push(held);
    }

    /// What the primary is asked.
    pub(super) fn request(&self, txn: u64, bug: Option<Bug>) -> Request {
        let steps = self.statement.steps.iter().filter(|step| step.writes());
        // The planted bug leaves keys that are written to a check that is not made.
        let kept = |key: &Scalar| bug != Some(Bug::LostUpdate) || !self.own.contains_key(key);
        let unchanged = self.unchanged.iter().filter(|(key, _)| kept(key));
        Request {
            txn,
            unchanged: unchanged.map(|(key, at)| (key.clone(), *at)).collect(),
            steps: steps.cloned().collect(),
        }
    }
}
