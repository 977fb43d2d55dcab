//! Registers with read, write and compare-and-set: the model, and the calls on one key.

mod blocks;
mod decide;
mod follow;
mod prune;
#[cfg(test)]
pub(crate) mod sample;
mod shrink;
mod stale;
mod unwritten;
mod zones;

use rustc_hash::FxHashMap;
use tribunal_results::{Anomaly, Answer, Call, History, Operation, Outcome, Reason, Scalar};

use crate::engine::{Model, Op};

pub(crate) use blocks::Blocks;
pub(crate) use decide::decide;
pub(crate) use follow::Followed;
pub(crate) use prune::prune;
pub(crate) use shrink::shrink;
pub(crate) use stale::explain;
pub(crate) use unwritten::unwritten;

/// A value by its number within one key; [`ABSENT`] before the first write.
pub(crate) type Value = u32;

/// What a register holds before anything was written.
pub(crate) const ABSENT: Value = 0;

/// An operation on a register that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// It was read, and held this.
    Read(Value),
    /// This was written.
    Write(Value),
    /// It held the first, and then the second.
    Cas(Value, Value),
}

impl Step {
    /// The value that must be there, if one must.
    pub(crate) const fn needs(self) -> Option<Value> {
        match self {
            Self::Read(value) | Self::Cas(value, _) => Some(value),
            Self::Write(_) => None,
        }
    }

    /// The value that it leaves behind, if it sets one.
    pub(crate) const fn sets(self) -> Option<Value> {
        match self {
            Self::Write(value) | Self::Cas(_, value) => Some(value),
            Self::Read(_) => None,
        }
    }

    /// The value that it brings in, if it was not there before.
    pub(crate) fn brings(self) -> Option<Value> {
        self.sets().filter(|value| self.needs() != Some(*value))
    }

    /// The value that is there just after it.
    pub(crate) const fn leaves(self) -> Value {
        match self {
            Self::Read(value) | Self::Write(value) | Self::Cas(_, value) => value,
        }
    }
}

/// A register that is absent until it is written.
pub(crate) struct Register;

impl Model for Register {
    type State = Value;
    type Step = Step;

    fn initial(&self) -> Value {
        ABSENT
    }

    fn apply(&self, state: &Value, step: &Step) -> Option<Value> {
        match step.needs() {
            Some(needed) if needed != *state => None,
            _ => Some(step.leaves()),
        }
    }

    fn observes(&self, step: &Step) -> bool {
        step.sets().is_none()
    }

    fn overwrites(&self, step: &Step) -> bool {
        step.needs().is_none()
    }

    fn stronger(&self, step: &Step) -> Option<Step> {
        match *step {
            Step::Cas(_, to) => Some(Step::Write(to)),
            Step::Read(_) | Step::Write(_) => None,
        }
    }
}

/// A call with what it did to the register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// The call.
    pub(crate) call: &'a Call,
    /// The same for the search. Its interval may be wider than the call's.
    pub(crate) op: Op<Step>,
}

impl Entry<'_> {
    /// Whether both are the same call.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.op.call == other.op.call
    }
}

/// All that happened to one register.
#[derive(Debug)]
pub(crate) struct Key<'a> {
    /// Its key.
    pub(crate) key: Scalar,
    /// What took effect, or may have, in the order of invocation. An unknown read says nothing
    /// and is left out.
    pub(crate) entries: Vec<Entry<'a>>,
    /// Writes that definitely failed, with the value that nobody may read.
    pub(crate) failed: Vec<(Value, &'a Call)>,
    /// Compare-and-sets that were refused because something else than this value was there.
    pub(crate) refused: Vec<(Value, &'a Call)>,
    /// The values by number; that of [`ABSENT`] is `None`.
    pub(crate) values: Vec<Option<&'a Scalar>>,
}

impl Key<'_> {
    /// The value as people write it.
    pub(crate) fn show(&self, value: Value) -> String {
        match self.values.get(value as usize) {
            Some(Some(value)) => value.to_string(),
            _ => "nothing".into(),
        }
    }

    /// How many answers tell which written value was there: without one, nothing is checked.
    pub(crate) fn observations(&self) -> usize {
        let tells = |e: &&Entry<'_>| {
            e.op.ret.is_some() && e.op.step.needs().is_some_and(|value| value != ABSENT)
        };
        self.entries.iter().filter(tells).count()
    }
}

/// The calls on registers, key by key (linearizability is local: Herlihy & Wing 1990).
pub(crate) fn by_key(history: &History) -> Vec<Key<'_>> {
    let mut places: FxHashMap<&Scalar, usize> = FxHashMap::default();
    let mut keys: Vec<(&Scalar, KeyBuilder<'_>)> = Vec::new();
    for call in history.calls() {
        if let Operation::Read { key } | Operation::Write { key, .. } | Operation::Cas { key, .. } =
            &call.operation
        {
            let place = *places.entry(key).or_insert(keys.len());
            if place == keys.len() {
                keys.push((key, KeyBuilder::default()));
            }
            if let Some((_, calls)) = keys.get_mut(place) {
                calls.push(call);
            }
        }
    }
    keys.sort_unstable_by_key(|(key, _)| *key);
    keys.into_iter()
        .map(|(key, calls)| calls.finish(key))
        .collect()
}

/// Whether a compare-and-set that failed for this reason found something else than it expected.
/// (Of any other, such as one that nobody could serve, only its effect is known: none.)
pub(crate) fn says_other(reason: &Reason) -> bool {
    reason.code == "precondition-failed"
}

/// Numbers values by their first appearance. Integers are kept in place, not behind a reference:
/// there may be millions.
#[derive(Default)]
struct Numbers<'a> {
    integers: FxHashMap<i64, Value>,
    texts: FxHashMap<&'a str, Value>,
    values: Vec<Option<&'a Scalar>>,
}

impl<'a> Numbers<'a> {
    fn of(&mut self, value: &'a Scalar) -> Value {
        if self.values.is_empty() {
            self.values.push(None);
        }
        let next = self.values.len() as Value;
        let number = match value {
            Scalar::Int(integer) => *self.integers.entry(*integer).or_insert(next),
            Scalar::Text(text) => *self.texts.entry(text).or_insert(next),
        };
        if number == next {
            self.values.push(Some(value));
        }
        number
    }
}

#[derive(Default)]
struct KeyBuilder<'a> {
    entries: Vec<Entry<'a>>,
    failed: Vec<(Value, &'a Call)>,
    refused: Vec<(Value, &'a Call)>,
    numbers: Numbers<'a>,
}

impl<'a> KeyBuilder<'a> {
    fn push(&mut self, call: &'a Call) {
        let step = match (&call.operation, &call.outcome) {
            (Operation::Read { .. }, Outcome::Ok(Answer::Value(value))) => Step::Read(
                value
                    .as_ref()
                    .map_or(ABSENT, |value| self.numbers.of(value)),
            ),
            (Operation::Write { value, .. }, _) => Step::Write(self.numbers.of(value)),
            (Operation::Cas { from, to, .. }, _) => {
                Step::Cas(self.numbers.of(from), self.numbers.of(to))
            }
            _ => return,
        };
        if let Outcome::Fail(reason) = &call.outcome {
            if let Step::Cas(from, _) = step
                && says_other(reason)
            {
                self.refused.push((from, call));
            }
            self.failed.extend(step.brings().map(|value| (value, call)));
            return;
        }
        let op = Op {
            call: call.invoked.index,
            ret: call.returned(),
            step,
            idle: false,
        };
        self.entries.push(Entry { call, op });
    }

    fn finish(self, key: &Scalar) -> Key<'a> {
        Key {
            key: key.clone(),
            entries: self.entries,
            failed: self.failed,
            refused: self.refused,
            values: self.numbers.values,
        }
    }
}

/// A contradiction, before it is written out as an [`Anomaly`].
#[derive(Debug)]
pub(crate) struct Contradiction<'a> {
    /// The anomaly's name.
    pub(crate) name: &'static str,
    /// What happened, in one sentence.
    pub(crate) sentence: String,
    /// The calls that contradict each other.
    pub(crate) calls: Vec<&'a Call>,
    /// Why they do.
    pub(crate) facts: Vec<String>,
}

impl Contradiction<'_> {
    /// The anomaly of a key.
    pub(crate) fn anomaly(self, key: &Scalar) -> Anomaly {
        self.about(Some(key))
    }

    /// The anomaly of a key, or of none alone.
    pub(crate) fn about(self, key: Option<&Scalar>) -> Anomaly {
        let (calls, span) = crate::explain::extent(&self.calls);
        Anomaly {
            name: self.name.into(),
            sentence: self.sentence,
            key: key.cloned(),
            calls,
            facts: self.facts,
            span,
        }
    }
}
