//! What a replica keeps durably: its promise, what it accepted, what it knows to be chosen, and
//! the snapshot that stands for the beginning.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ballot::{Ballot, Slot};
use super::command::Batch;
use super::message::Vote;
use super::state::{Row, State};
use crate::node::Outbox;

/// How many slots a leader may have under way.
pub(super) const WINDOW: Slot = 8;
/// How far beyond what it knows to be chosen an acceptor accepts: what it reports in a promise
/// must fit into one message.
pub(super) const REACH: Slot = 2 * WINDOW;
/// How many slots are kept before the snapshot, for replicas that are a little late.
const KEPT: Slot = 4 * WINDOW;
/// The most that the rows of one part of a snapshot weigh together (a row alone may weigh more).
const PART_WEIGHT_MAX: usize = 64 << 10;

/// What the log on disk holds.
#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
enum Record {
    /// The node started, for the so-many-th time.
    Started { life: u64 },
    /// It accepts nothing of lower ballots any more.
    Promised { ballot: Ballot },
    /// It accepted. All below `chosen` was chosen by then, with what it had accepted there.
    Accepted {
        slot: Slot,
        ballot: Ballot,
        batch: Batch,
        chosen: Slot,
    },
    /// It learned what was chosen in a slot; and all below was chosen, as above.
    Chosen { slot: Slot, batch: Batch },
    /// Part of the state that all slots below `slot` make.
    Snapshot {
        slot: Slot,
        last: bool,
        rows: Arc<Vec<Row>>,
    },
}

/// The state that all slots below `slot` make, in parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) slot: Slot,
    pub(super) parts: Vec<Arc<Vec<Row>>>,
}

impl Snapshot {
    fn of(state: &State, slot: Slot) -> Self {
        let mut parts: Vec<Vec<Row>> = Vec::new();
        let mut weight = PART_WEIGHT_MAX;
        for row in state.rows() {
            weight += row.weight();
            match parts.last_mut().filter(|_| weight <= PART_WEIGHT_MAX) {
                Some(part) => part.push(row),
                None => {
                    weight = row.weight();
                    parts.push(vec![row]);
                }
            }
        }
        let parts = parts.into_iter().map(Arc::new).collect();
        Self { slot, parts }
    }

    /// The state itself.
    pub(super) fn state(&self) -> State {
        State::from_rows(self.parts.iter().flat_map(|part| part.iter()))
    }
}

/// What one record does to the state of a replica that takes it up again.
#[derive(Debug)]
pub(super) enum Recovered {
    /// Nothing.
    Nothing,
    /// These were chosen next, in order.
    Batches(Vec<Batch>),
    /// It is this.
    State(State),
}

/// An acceptor's and learner's memory.
#[derive(Debug)]
pub(super) struct Log {
    /// Which life of the node this is, from 1.
    pub(super) life: u64,
    /// It accepts nothing of lower ballots.
    pub(super) promised: Ballot,
    /// The first slot not known to be chosen.
    pub(super) next: Slot,
    /// What was accepted from `next` on.
    accepted: BTreeMap<Slot, (Ballot, Batch)>,
    /// What was chosen in the slots right before `next`.
    chosen: VecDeque<Batch>,
    pub(super) snapshot: Snapshot,
    /// The snapshot's parts that were read so far, while a log is taken up.
    parts: Vec<Arc<Vec<Row>>>,
}

impl Log {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self {
            life: 0,
            promised: Ballot::none(),
            next: 0,
            accepted: BTreeMap::new(),
            chosen: VecDeque::new(),
            snapshot: Snapshot::default(),
            parts: Vec::new(),
        }
    }

    /// Begins another life.
    pub(super) fn start(&mut self, out: &mut Outbox) {
        self.life += 1;
        out.persist(&Record::Started { life: self.life });
    }

    /// Promises to accept nothing below `ballot`.
    pub(super) fn promise(&mut self, ballot: &Ballot, out: &mut Outbox) {
        if *ballot > self.promised {
            self.promised = ballot.clone();
            let ballot = ballot.clone();
            out.persist(&Record::Promised { ballot });
        }
    }

    /// What was accepted from `next` on.
    pub(super) fn votes(&self) -> Vec<Vote> {
        let votes = self.accepted.iter();
        votes
            .map(|(slot, (ballot, batch))| (*slot, ballot.clone(), Arc::clone(batch)))
            .collect()
    }

    /// What was accepted in a slot from `next` on.
    pub(super) fn vote(&self, slot: Slot) -> Option<&(Ballot, Batch)> {
        self.accepted.get(&slot)
    }

    /// Accepts. The caller has compared the ballot with what was promised, and the slot with
    /// `next`.
    pub(super) fn accept(&mut self, slot: Slot, ballot: &Ballot, batch: &Batch, out: &mut Outbox) {
        if self.vote(slot).is_some_and(|(of, _)| of == ballot) {
            return;
        }
        out.persist(&Record::Accepted {
            slot,
            ballot: ballot.clone(),
            batch: Arc::clone(batch),
            chosen: self.next,
        });
        self.note_accepted(slot, ballot, batch);
    }

    fn note_accepted(&mut self, slot: Slot, ballot: &Ballot, batch: &Batch) {
        self.promised = ballot.clone().max(self.promised.clone());
        let vote = (ballot.clone(), Arc::clone(batch));
        self.accepted.insert(slot, vote);
    }

    /// The next slot is chosen with what was accepted there, if anything was.
    pub(super) fn choose_accepted(&mut self) -> Option<Batch> {
        let (_, batch) = self.accepted.remove(&self.next)?;
        self.push_chosen(&batch);
        Some(batch)
    }

    /// The next slot is chosen with this, which others said.
    pub(super) fn choose_learned(&mut self, batch: &Batch, out: &mut Outbox) {
        out.persist(&Record::Chosen {
            slot: self.next,
            batch: Arc::clone(batch),
        });
        self.accepted.remove(&self.next);
        self.push_chosen(batch);
    }

    fn push_chosen(&mut self, batch: &Batch) {
        self.chosen.push_back(Arc::clone(batch));
        self.next = self.next.saturating_add(1);
    }

    /// What was chosen from a slot on, at most so many; `None` if that is not kept any more.
    pub(super) fn chosen_from(&self, slot: Slot, most: usize) -> Option<Vec<Batch>> {
        let first = self.next.saturating_sub(self.chosen.len() as Slot);
        let skipped = usize::try_from(slot.checked_sub(first)?).ok()?;
        Some(
            self.chosen
                .iter()
                .skip(skipped)
                .take(most)
                .cloned()
                .collect(),
        )
    }

    /// Puts a snapshot in the place of the beginning once `every` slots came after the last one.
    pub(super) fn compact(&mut self, state: &State, every: Slot, out: &mut Outbox) {
        if self.next < self.snapshot.slot.saturating_add(every) {
            return;
        }
        self.snapshot = Snapshot::of(state, self.next);
        while self.chosen.len() as Slot > KEPT {
            self.chosen.pop_front();
        }
        self.rewrite(out);
    }

    /// Takes up another replica's snapshot, which goes beyond what is known here.
    pub(super) fn install(&mut self, snapshot: Snapshot, out: &mut Outbox) {
        self.begin_at(snapshot);
        self.rewrite(out);
    }

    fn begin_at(&mut self, snapshot: Snapshot) {
        self.next = snapshot.slot;
        self.chosen.clear();
        self.accepted = self.accepted.split_off(&self.next);
        self.snapshot = snapshot;
    }

    /// Writes the log anew; the snapshot is of all that is chosen.
    fn rewrite(&self, out: &mut Outbox) {
        let Snapshot { slot, parts } = &self.snapshot;
        let last = parts.len().saturating_sub(1);
        let started = Record::Started { life: self.life };
        let ballot = self.promised.clone();
        let snapshot = parts
            .iter()
            .enumerate()
            .map(|(part, rows)| Record::Snapshot {
                slot: *slot,
                last: part == last,
                rows: Arc::clone(rows),
            });
        let accepted = self.accepted.iter();
        let accepted = accepted.map(|(slot, (ballot, batch))| Record::Accepted {
            slot: *slot,
            ballot: ballot.clone(),
            batch: Arc::clone(batch),
            chosen: self.next,
        });
        let head = [started, Record::Promised { ballot }];
        out.compact(head.into_iter().chain(snapshot).chain(accepted));
    }

    /// Takes up one record; with `forgetful`, a planted bug, nothing that binds an acceptor.
    ///
    /// # Errors
    /// It is none of these.
    pub(super) fn recover(
        &mut self,
        record: &[u8],
        forgetful: bool,
    ) -> serde_json::Result<Recovered> {
        match serde_json::from_slice(record)? {
            Record::Promised { .. } | Record::Accepted { .. } if forgetful => {}
            Record::Started { life } => self.life = life,
            Record::Promised { ballot } => self.promised = ballot.max(self.promised.clone()),
            Record::Accepted {
                slot,
                ballot,
                batch,
                chosen,
            } => {
                let batches = self.choose_below(chosen);
                if slot >= self.next {
                    self.note_accepted(slot, &ballot, &batch);
                }
                return Ok(Recovered::Batches(batches));
            }
            Record::Chosen { slot, batch } => {
                let mut batches = self.choose_below(slot);
                if slot == self.next {
                    self.accepted.remove(&slot);
                    self.push_chosen(&batch);
                    batches.push(batch);
                }
                return Ok(Recovered::Batches(batches));
            }
            Record::Snapshot { slot, last, rows } => {
                self.parts.push(rows);
                if last {
                    let parts = std::mem::take(&mut self.parts);
                    self.begin_at(Snapshot { slot, parts });
                    return Ok(Recovered::State(self.snapshot.state()));
                }
            }
        }
        Ok(Recovered::Nothing)
    }

    fn choose_below(&mut self, slot: Slot) -> Vec<Batch> {
        let mut batches = Vec::new();
        while self.next < slot
            && let Some(batch) = self.choose_accepted()
        {
            batches.push(batch);
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paxos_kv::command::{Act, Command};

    fn ballot(round: u64) -> Ballot {
        Ballot(round, "n1".into())
    }

    fn batch(number: u64) -> Batch {
        Arc::new(vec![Command {
            origin: "n1".into(),
            number,
            settled: 0,
            act: Act::Write("k".into(), 1.into()),
        }])
    }

    /// A log that writes its records down, and a state that follows it.
    struct Written {
        log: Log,
        state: State,
        records: Vec<Vec<u8>>,
    }

    impl Written {
        fn new() -> Self {
            let (log, state) = (Log::new(), State::new(["n1".into()]));
            let records = Vec::new();
            Self {
                log,
                state,
                records,
            }
        }

        fn apply(&mut self, batches: &[Batch]) {
            for command in batches.iter().flat_map(|batch| batch.iter()) {
                self.state.apply(command, None);
            }
        }

        fn keep(&mut self, out: Outbox) {
            if let Some(whole) = out.compacted {
                self.records = whole;
            }
            self.records.extend(out.records);
        }

        /// What another life makes of the records.
        fn recovered(&self) -> Self {
            let mut again = Self::new();
            for record in &self.records {
                match again.log.recover(record, false).unwrap() {
                    Recovered::Nothing => {}
                    Recovered::Batches(batches) => again.apply(&batches),
                    Recovered::State(state) => again.state = state,
                }
            }
            again
        }

        /// Another life is bound by the same promise and has the same votes; of what was chosen it
        /// may know less, but then it has it among its votes.
        fn check(&self) {
            let mut again = self.recovered();
            assert_eq!(again.log.promised, self.log.promised);
            assert_eq!(again.log.life, self.log.life);
            assert!(again.log.next <= self.log.next);
            while again.log.next < self.log.next {
                let batch = again.log.choose_accepted().expect("it was accepted");
                again.apply(&[batch]);
            }
            assert_eq!(again.log.votes(), self.log.votes());
            assert_eq!(again.state, self.state);
        }
    }

    #[test]
    fn another_life_keeps_promises_votes_and_state_after_every_record() {
        let mut written = Written::new();
        for step in 0..200_u64 {
            let mut out = Outbox::default();
            let next = written.log.next;
            match step % 10 {
                0 => written.log.start(&mut out),
                1 => written.log.promise(&ballot(step), &mut out),
                2 | 4 => written
                    .log
                    .accept(next, &ballot(step), &batch(step), &mut out),
                3 => written
                    .log
                    .accept(next + 1, &ballot(step), &batch(step), &mut out),
                // Another leader's value in a slot for which there is a vote already.
                5 => written
                    .log
                    .accept(next + 1, &ballot(step), &batch(step), &mut out),
                6 | 7 => {
                    let chosen = written.log.choose_accepted().unwrap();
                    written.apply(&[chosen]);
                }
                8 => {
                    written.log.choose_learned(&batch(step), &mut out);
                    written.apply(&[batch(step)]);
                }
                _ => {}
            }
            written.log.compact(&written.state, 13, &mut out);
            written.keep(out);
            written.check();
        }
        assert!(written.log.snapshot.slot > 40);
        assert!(written.records.len() < 60, "{}", written.records.len());
    }

    #[test]
    fn a_snapshot_in_many_parts_is_taken_up_whole() {
        let mut written = Written::new();
        let text = "x".repeat(1_000);
        for key in 0..100 {
            let act = Act::Write(key.into(), text.as_str().into());
            let command = Command {
                origin: "n1".into(),
                number: key.unsigned_abs(),
                settled: 0,
                act,
            };
            let mut out = Outbox::default();
            let slot = written.log.next;
            let batch = Arc::new(vec![command]);
            written.log.accept(slot, &ballot(1), &batch, &mut out);
            written.log.choose_accepted().unwrap();
            written.apply(&[batch]);
            written.log.compact(&written.state, 100, &mut out);
            written.keep(out);
        }
        assert!(written.log.snapshot.parts.len() > 5);
        assert_eq!(written.log.snapshot.state(), written.state);
        written.check();
        assert_eq!(written.recovered().log.next, 100);
        assert_eq!(written.log.chosen_from(0, 9), None, "too long ago");
        assert_eq!(written.log.chosen_from(98, 9).unwrap().len(), 2);
    }
}
