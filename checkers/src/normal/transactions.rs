//! The transactions of a history as columns of small numbers, for all checkers of transactions.
//!
//! The rules that they share:
//!
//! - A single read, write or append is a transaction of one step. A compare-and-set reads what it
//!   expected and then writes; of one that did not certainly succeed only the write counts.
//! - What a transaction read counts only if it succeeded; other reads are [`Did::Asked`].
//! - A transaction that *failed* is kept, because of what it would have written: who reads that has
//!   read from a transaction that was aborted ([`Origin::Failed`]). A refused compare-and-set is
//!   one of them; what it says of the value that was there is not used.
//! - A transaction of *unknown* end never returns ([`OPEN`]). It took effect if somebody read what
//!   it alone wrote ([`Transactions::happened`]); else it need not have, and is left out of orders.
//! - Keys and values are numbered over the whole history in the order of their first step.

use tribunal_results::{Answer, Call, History, Micro, Operation, Outcome, Scalar, Seen};

use super::OPEN;
use super::origins::{Origin, Origins};
use crate::intern::Numbers;

/// What a step of a transaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Did {
    /// It wrote a value to a register.
    Wrote,
    /// It appended an element to a list.
    Appended,
    /// It read a value in a register.
    Saw,
    /// It read that nothing was there.
    SawNothing,
    /// It read a list.
    SawList,
    /// It was to read something; nobody knows what it saw.
    Asked,
}

/// A step of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) did: Did,
    pub(crate) key: u32,
    /// The number of the value or of the list; 0 if there is none.
    pub(crate) value: u32,
}

impl Step {
    /// The value that it wrote or appended.
    pub(crate) fn brought(self) -> Option<u32> {
        matches!(self.did, Did::Wrote | Did::Appended).then_some(self.value)
    }

    /// What it read in a register; `None` if it did not read one.
    pub(crate) fn saw(self) -> Option<Option<u32>> {
        match self.did {
            Did::Saw => Some(Some(self.value)),
            Did::SawNothing => Some(None),
            _ => None,
        }
    }
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Ok,
    Failed,
    Unknown,
}

/// All transactions of a history, in the order of invocation, numbered from 0. Their steps are
/// numbered through.
#[derive(Debug)]
pub(crate) struct Transactions<'a> {
    history: &'a History,
    places: Vec<u32>,
    processes: Vec<u32>,
    calls: Vec<u32>,
    rets: Vec<u32>,
    ends: Vec<Ended>,
    happened: Vec<bool>,
    /// Where the steps of each begin; one more than there are transactions.
    starts: Vec<u32>,
    steps: Vec<Did>,
    step_keys: Vec<u32>,
    step_values: Vec<u32>,
    listed: Vec<u32>,
    list_starts: Vec<u32>,
    keys: Vec<&'a Scalar>,
    values: Vec<&'a Scalar>,
    origins: Origins,
}

impl<'a> Transactions<'a> {
    /// The transactions of a history.
    pub(crate) fn of(history: &'a History) -> Self {
        Self::of_those(history, |_| true)
    }

    /// Some of the operations of a history alone, as transactions.
    pub(crate) fn of_those(history: &'a History, wanted: impl Fn(&Operation) -> bool) -> Self {
        let steps = history.calls().iter().map(|call| match &call.operation {
            Operation::Txn { micros } => micros.len(),
            _ => 1,
        });
        let steps = steps.sum();
        let mut builder = Builder {
            all: Self::none(history, steps),
            keys: Numbers::expecting(steps),
            values: Numbers::expecting(steps),
        };
        let numbered = (0_u32..).zip(history.calls());
        for (place, call) in numbered.filter(|(_, call)| wanted(&call.operation)) {
            builder.add(place, call);
        }
        let mut all = builder.all;
        all.trace();
        all
    }

    fn none(history: &'a History, steps: usize) -> Self {
        let calls = history.calls().len();
        let column = || Vec::with_capacity(calls);
        Self {
            history,
            places: column(),
            processes: column(),
            calls: column(),
            rets: column(),
            ends: Vec::with_capacity(calls),
            happened: Vec::new(),
            starts: vec![0],
            steps: Vec::with_capacity(steps),
            step_keys: Vec::with_capacity(steps),
            step_values: Vec::with_capacity(steps),
            listed: Vec::new(),
            list_starts: vec![0],
            keys: Vec::new(),
            values: Vec::new(),
            origins: Origins::default(),
        }
    }

    /// Notes who wrote what, and which transactions of unknown end took effect.
    fn trace(&mut self) {
        let mut origins = Origins::new(self.steps.len(), self.values.len(), self.keys.len());
        for txn in 0..self.len() {
            let failed = self.ended(txn) == Ended::Failed;
            for (at, step) in self.numbered(txn) {
                if let Some(value) = step.brought() {
                    let step = (step.key, at);
                    origins.add(value, step, (txn, failed));
                }
            }
        }
        self.origins = origins;
        self.happened = self.ends.iter().map(|end| *end == Ended::Ok).collect();
        if !self.ends.contains(&Ended::Unknown) {
            return;
        }
        let mut seen = Vec::new();
        for txn in (0..self.len()).filter(|txn| self.ended(*txn) == Ended::Ok) {
            for step in self.steps(txn) {
                let one = step.saw().flatten();
                let all = one.into_iter().chain(self.elements(step).iter().copied());
                seen.extend(
                    all.filter_map(|value| self.origin(txn, step.key, Some(value)).writer()),
                );
            }
        }
        for txn in seen {
            if self.ended(txn) == Ended::Unknown
                && let Some(happened) = self.happened.get_mut(txn as usize)
            {
                *happened = true;
            }
        }
    }

    /// How many transactions there are.
    pub(crate) const fn len(&self) -> u32 {
        self.places.len() as u32
    }

    /// How many steps they have together.
    pub(crate) const fn size(&self) -> usize {
        self.steps.len()
    }

    /// How many elements were read, each as often as it was.
    pub(crate) const fn listed(&self) -> usize {
        self.listed.len()
    }

    /// The call.
    pub(crate) fn call(&self, txn: u32) -> Option<&'a Call> {
        let place = *self.places.get(txn as usize)?;
        self.history.calls().get(place as usize)
    }

    /// The client.
    pub(crate) fn process(&self, txn: u32) -> u32 {
        self.processes.get(txn as usize).copied().unwrap_or(0)
    }

    /// The indexes of the events of its invocation and of its return, or [`OPEN`].
    pub(crate) fn interval(&self, txn: u32) -> (u32, u32) {
        let at = |column: &[u32]| column.get(txn as usize).copied().unwrap_or(OPEN);
        (at(&self.calls), at(&self.rets))
    }

    /// How it ended.
    pub(crate) fn ended(&self, txn: u32) -> Ended {
        self.ends
            .get(txn as usize)
            .copied()
            .unwrap_or(Ended::Unknown)
    }

    /// Whether it took effect: for certain, or because another read what it wrote.
    pub(crate) fn happened(&self, txn: u32) -> bool {
        self.happened.get(txn as usize).copied().unwrap_or(false)
    }

    /// The numbers of its steps.
    fn range(&self, txn: u32) -> std::ops::Range<usize> {
        let at = |place: usize| self.starts.get(place).map_or(0, |start| *start as usize);
        at(txn as usize)..at(txn as usize + 1)
    }

    /// Its steps.
    pub(crate) fn steps(&self, txn: u32) -> impl DoubleEndedIterator<Item = Step> + Clone + '_ {
        self.range(txn).filter_map(|at| self.step(at as u32))
    }

    /// Its steps with their numbers.
    pub(crate) fn numbered(&self, txn: u32) -> impl Iterator<Item = (u32, Step)> + Clone + '_ {
        let numbers = self.range(txn).map(|at| at as u32);
        numbers.filter_map(|at| Some((at, self.step(at)?)))
    }

    /// The step of that number.
    #[inline]
    pub(crate) fn step(&self, at: u32) -> Option<Step> {
        Some(Step {
            did: *self.steps.get(at as usize)?,
            key: *self.step_keys.get(at as usize)?,
            value: *self.step_values.get(at as usize)?,
        })
    }

    /// The list that the step read; empty if it read none.
    pub(crate) fn elements(&self, step: Step) -> &[u32] {
        if step.did != Did::SawList {
            return &[];
        }
        let at = |place: u32| self.list_starts.get(place as usize).copied();
        match (at(step.value), at(step.value + 1)) {
            (Some(from), Some(to)) => self.listed.get(from as usize..to as usize),
            _ => None,
        }
        .unwrap_or_default()
    }

    /// The name of a key.
    pub(crate) fn key(&self, key: u32) -> Option<&'a Scalar> {
        self.keys.get(key as usize).copied()
    }

    /// How many keys there are.
    pub(crate) const fn keys(&self) -> u32 {
        self.keys.len() as u32
    }

    /// What number stands for which value.
    pub(crate) fn value(&self, value: u32) -> Option<&'a Scalar> {
        self.values.get(value as usize).copied()
    }

    /// The step as it was recorded.
    pub(crate) fn micro(&self, at: u32) -> Option<Micro> {
        let step = self.step(at)?;
        let key = self.key(step.key)?.clone();
        let value = || self.value(step.value).cloned();
        let named = |value: &u32| self.value(*value).cloned();
        Some(match step.did {
            Did::Wrote => Micro::Write {
                key,
                value: value()?,
            },
            Did::Appended => Micro::Append {
                key,
                value: value()?,
            },
            Did::Saw => Micro::Read {
                key,
                seen: Seen::Value(value()?),
            },
            Did::SawNothing | Did::Asked => Micro::Read {
                key,
                seen: Seen::Nothing,
            },
            Did::SawList => {
                let seen = Seen::List(self.elements(step).iter().filter_map(named).collect());
                Micro::Read { key, seen }
            }
        })
    }

    /// Who wrote what a transaction read.
    pub(crate) fn origin(&self, reader: u32, key: u32, seen: Option<u32>) -> Origin {
        self.origins.of(reader, key, seen)
    }

    /// The transaction and the number of its step that alone may have written the value to the key;
    /// or one that failed, if only such did.
    pub(crate) fn writer(&self, key: u32, value: u32) -> Option<(u32, u32)> {
        self.origins.writer(key, value)
    }

    /// A key and a value that it may have been given more than once.
    pub(crate) fn written_twice(&self) -> Option<(&'a Scalar, &'a Scalar)> {
        let (key, value) = self.origins.twice()?;
        Some((self.key(key)?, self.value(value)?))
    }
}

/// Adds calls.
struct Builder<'a> {
    all: Transactions<'a>,
    keys: Numbers,
    values: Numbers,
}

impl<'a> Builder<'a> {
    fn add(&mut self, place: u32, call: &'a Call) {
        let ended = match &call.outcome {
            Outcome::Ok(_) => Ended::Ok,
            Outcome::Fail(_) => Ended::Failed,
            Outcome::Info(_) => Ended::Unknown,
        };
        match (&call.operation, &call.outcome) {
            (Operation::Txn { .. }, Outcome::Ok(Answer::Txn(micros))) => {
                micros.iter().for_each(|micro| self.micro(micro, true));
            }
            (Operation::Txn { micros }, _) => {
                micros.iter().for_each(|micro| self.micro(micro, false));
            }
            (Operation::Append { key, value }, _) => self.step(Did::Appended, key, Some(value)),
            (Operation::Write { key, value }, _) => self.step(Did::Wrote, key, Some(value)),
            (Operation::Read { key }, Outcome::Ok(Answer::Value(seen))) => {
                let did = seen.as_ref().map_or(Did::SawNothing, |_| Did::Saw);
                self.step(did, key, seen.as_ref());
            }
            (Operation::Cas { key, from, to }, _) => {
                if ended == Ended::Ok {
                    self.step(Did::Saw, key, Some(from));
                }
                self.step(Did::Wrote, key, Some(to));
            }
            _ => return,
        }
        let all = &mut self.all;
        all.places.push(place);
        all.processes.push(call.process as u32);
        all.calls.push(call.invoked.index as u32);
        all.rets
            .push(call.returned().map_or(OPEN, |ret| ret as u32));
        all.ends.push(ended);
        all.starts.push(all.steps.len() as u32);
    }

    fn micro(&mut self, micro: &'a Micro, is_known: bool) {
        match micro {
            Micro::Write { key, value } => self.step(Did::Wrote, key, Some(value)),
            Micro::Append { key, value } => self.step(Did::Appended, key, Some(value)),
            Micro::Read { key, .. } if !is_known => self.step(Did::Asked, key, None),
            Micro::Read { key, seen } => match seen {
                Seen::Nothing => self.step(Did::SawNothing, key, None),
                Seen::Value(value) => self.step(Did::Saw, key, Some(value)),
                Seen::List(elements) => {
                    for element in elements {
                        let number = self.value(element);
                        self.all.listed.push(number);
                    }
                    let list = self.all.list_starts.len() as u32 - 1;
                    self.all.list_starts.push(self.all.listed.len() as u32);
                    self.step(Did::SawList, key, None);
                    if let Some(value) = self.all.step_values.last_mut() {
                        *value = list;
                    }
                }
            },
        }
    }

    fn step(&mut self, did: Did, key: &'a Scalar, value: Option<&'a Scalar>) {
        let number = self.keys.number(key);
        if number == self.all.keys.len() as u32 {
            self.all.keys.push(key);
        }
        let value = value.map_or(0, |value| self.value(value));
        self.all.steps.push(did);
        self.all.step_keys.push(number);
        self.all.step_values.push(value);
    }

    fn value(&mut self, value: &'a Scalar) -> u32 {
        let number = self.values.number(value);
        if number == self.all.values.len() as u32 {
            self.all.values.push(value);
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use tribunal_results::{
        Answer, Body, Event, History, Micro, Operation, Outcome, Process, Reason, Scalar, Seen,
    };

    use super::{Did, Ended, OPEN, Transactions};
    use crate::normal::Origin;

    /// One call after another, each of a client of its own.
    fn history(calls: Vec<(Operation, Outcome)>) -> History {
        let events = (0_u64..)
            .zip(calls)
            .flat_map(|(client, (operation, outcome))| {
                let bodies = [
                    Body::Invoke(operation.clone()),
                    Body::Complete(operation, outcome),
                ];
                (2 * client..).zip(bodies).map(move |(index, body)| Event {
                    index,
                    time: index,
                    process: Process::Client(client),
                    node: None,
                    body,
                })
            });
        History::from_events(events).unwrap_or_default()
    }

    fn scalar(n: i64) -> Scalar {
        Scalar::Int(n)
    }

    fn read(seen: Seen) -> Micro {
        let key = scalar(0);
        Micro::Read { key, seen }
    }

    fn append(value: i64) -> Micro {
        let (key, value) = (scalar(0), scalar(value));
        Micro::Append { key, value }
    }

    fn txn(micros: &[Micro], is_known: bool) -> (Operation, Outcome) {
        let outcome = if is_known {
            Outcome::Ok(Answer::Txn(micros.to_vec()))
        } else {
            Outcome::Info(Reason::new("timeout", ""))
        };
        let micros = micros.iter().map(Micro::asked).collect();
        (Operation::Txn { micros }, outcome)
    }

    #[test]
    fn of_an_unknown_end_counts_what_others_saw() {
        let seen = Seen::List(vec![scalar(7)]);
        let calls = vec![
            txn(&[append(7), read(Seen::Nothing)], false),
            txn(&[append(8)], false),
            txn(&[read(seen.clone())], true),
        ];
        let history = history(calls);
        let txns = Transactions::of(&history);
        let first: Vec<Did> = txns.steps(0).map(|step| step.did).collect();
        assert_eq!(first, [Did::Appended, Did::Asked]);
        assert_eq!(
            (txns.ended(0), txns.interval(0)),
            (Ended::Unknown, (0, OPEN))
        );
        let happened: Vec<bool> = (0..3).map(|at| txns.happened(at)).collect();
        assert_eq!(happened, [true, false, true]);
        assert_eq!(txns.micro(3), Some(read(seen)));
    }

    #[test]
    fn a_single_operation_is_a_transaction_of_one_step() {
        let key = scalar(0);
        let refused = Outcome::Fail(Reason::new("precondition-failed", ""));
        let cas = |from, to| Operation::Cas {
            key: scalar(0),
            from: scalar(from),
            to: scalar(to),
        };
        let value = scalar(1);
        let write = Operation::Write { key, value };
        let history = history(vec![
            (write, Outcome::Ok(Answer::Done)),
            (cas(1, 2), Outcome::Ok(Answer::Done)),
            (cas(1, 3), refused),
        ]);
        let txns = Transactions::of(&history);
        let steps = |txn| txns.steps(txn).map(|step| step.did).collect::<Vec<Did>>();
        assert_eq!(steps(0), [Did::Wrote]);
        assert_eq!(steps(1), [Did::Saw, Did::Wrote]);
        assert_eq!(steps(2), [Did::Wrote]);
        let of = |step| {
            txns.step(step)
                .map(|step| txns.origin(9, step.key, Some(step.value)))
        };
        assert_eq!(of(1), Some(Origin::Final(0)));
        assert_eq!(of(3), Some(Origin::Failed(2)));
    }
}
