//! A participant: the keys of one node, their locks, and transactions that are prepared there.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tribunal_results::{NodeId, Scalar, Seen};

use crate::node::Nanos;
use crate::transaction::Step;
use crate::wire::{Code, WireError};

/// How many transactions may be prepared at once.
const PREPARED_MAX: usize = 10_000;
/// How many keys there may be.
const KEYS_MAX: usize = 1_000_000;
/// How many committed transactions of each coordinator are remembered by number.
const COMMITTED_MAX: usize = 1_000;

/// A transaction: who coordinates it, and its number there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct TxnId {
    pub(super) coordinator: NodeId,
    pub(super) number: u64,
}

/// Its steps on the keys of this node.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) steps: Vec<Step>,
    /// When it was prepared, or its fate last asked for.
    pub(super) since: Nanos,
}

/// Who has a key locked: one to write, or any number to read.
#[derive(Clone, Debug, Default)]
struct Lock {
    writer: Option<TxnId>,
    readers: BTreeSet<TxnId>,
}

/// Transactions of one coordinator that have committed. A message of theirs that comes late must
/// not make them happen again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Committed {
    /// Up to this number they are forgotten: none is prepared any more.
    floor: u64,
    numbers: BTreeSet<u64>,
}

impl Committed {
    fn has(&self, number: u64) -> bool {
        number <= self.floor || self.numbers.contains(&number)
    }

    fn note(&mut self, number: u64) {
        self.numbers.insert(number);
        if self.numbers.len() > COMMITTED_MAX {
            self.floor = self.numbers.pop_first().unwrap_or(self.floor);
        }
    }
}

/// The participant.
#[derive(Debug, Default)]
pub(super) struct Participant {
    pub(super) data: BTreeMap<Scalar, Seen>,
    pub(super) prepared: BTreeMap<TxnId, Part>,
    pub(super) committed: BTreeMap<NodeId, Committed>,
    locks: BTreeMap<Scalar, Lock>,
    /// The planted bug: reads heed no locks, and see what is prepared.
    dirty_reads: bool,
}

impl Participant {
    /// Nothing is held, promised or locked.
    pub(super) fn new(dirty_reads: bool) -> Self {
        Self {
            dirty_reads,
            ..Self::default()
        }
    }

    /// Locks the keys of a transaction's steps and carries them out aside: what each of them saw,
    /// and whether this is new. Locks are held until [`end`](Self::end). Nothing waits for a lock,
    /// so there are no deadlocks.
    ///
    /// # Errors
    /// Why it must abort: nothing was done.
    pub(super) fn prepare(
        &mut self,
        id: &TxnId,
        steps: &[Step],
        now: Nanos,
    ) -> Result<(Vec<Seen>, bool), WireError> {
        if let Some(part) = self.prepared.get(id) {
            return Ok((self.carry_out(&part.steps)?.0, false));
        }
        let committed = self.committed.get(&id.coordinator);
        if committed.is_some_and(|committed| committed.has(id.number)) {
            return Err(conflict("it has ended already"));
        }
        if let Some(step) = steps.iter().find(|step| self.is_locked(step)) {
            return Err(conflict(&format!("{} is locked", step.key())));
        }
        if self.prepared.len() >= PREPARED_MAX || self.data.len() >= KEYS_MAX {
            return Err(conflict("too many keys, or transactions in doubt"));
        }
        let (seen, _) = self.carry_out(steps)?;
        self.take_up(id.clone(), steps.to_vec(), now);
        Ok((seen, true))
    }

    /// A transaction is prepared: takes its locks.
    pub(super) fn take_up(&mut self, id: TxnId, steps: Vec<Step>, now: Nanos) {
        for step in &steps {
            let dirty = self.dirty_reads && !step.writes();
            let lock = self.locks.entry(step.key().clone()).or_default();
            match step.writes() {
                true => lock.writer = Some(id.clone()),
                false if dirty => {}
                false => drop(lock.readers.insert(id.clone())),
            }
        }
        self.prepared.insert(id, Part { steps, since: now });
    }

    /// A transaction's fate is known: carries it out or drops it, and gives its locks back. Whether
    /// it was prepared here.
    pub(super) fn end(&mut self, id: &TxnId, commit: bool) -> bool {
        let Some(part) = self.prepared.remove(id) else {
            return false;
        };
        if commit {
            // It was carried out aside under the same locks, so no step fails now.
            if let Ok((_, changed)) = self.carry_out(&part.steps) {
                self.data.extend(changed);
            }
            let committed = self.committed.entry(id.coordinator.clone());
            committed.or_default().note(id.number);
        }
        for step in &part.steps {
            self.unlock(step.key(), id);
        }
        true
    }

    fn unlock(&mut self, key: &Scalar, id: &TxnId) {
        let Some(lock) = self.locks.get_mut(key) else {
            return;
        };
        lock.readers.remove(id);
        lock.writer.take_if(|writer| writer == id);
        if lock.readers.is_empty() && lock.writer.is_none() {
            self.locks.remove(key);
        }
    }

    /// Whether other transactions keep this step from being done.
    fn is_locked(&self, step: &Step) -> bool {
        let Some(lock) = self.locks.get(step.key()) else {
            return false;
        };
        match step.writes() {
            true => lock.writer.is_some() || !lock.readers.is_empty(),
            false if self.dirty_reads => false,
            false => lock.writer.is_some(),
        }
    }

    /// What each step sees, and what the keys hold in the end.
    fn carry_out(&self, steps: &[Step]) -> Result<(Vec<Seen>, BTreeMap<Scalar, Seen>), WireError> {
        let mut changed: BTreeMap<Scalar, Seen> = BTreeMap::new();
        let mut seen = Vec::with_capacity(steps.len());
        for step in steps {
            let held = match changed.get(step.key()) {
                Some(held) => held.clone(),
                None => self.held(step),
            };
            if step.writes() {
                changed.insert(step.key().clone(), step.applied(&held)?);
            }
            seen.push(held);
        }
        Ok((seen, changed))
    }

    /// What a key holds, for this step.
    fn held(&self, step: &Step) -> Seen {
        let mut held = self.data.get(step.key()).cloned().unwrap_or_default();
        if !step.writes() && self.dirty_reads {
            let writer = self.locks.get(step.key()).and_then(|l| l.writer.as_ref());
            let part = writer.and_then(|writer| self.prepared.get(writer));
            let steps = part.into_iter().flat_map(|part| &part.steps);
            for other in steps.filter(|other| other.key() == step.key()) {
                held = other.applied(&held).unwrap_or(held);
            }
        }
        held
    }
}

fn conflict(why: &str) -> WireError {
    WireError::new(Code::TxnConflict, why)
}
