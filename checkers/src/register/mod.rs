//! Registers with read, write and compare-and-set: the model, and the calls on one key.

mod blocks;
mod decide;
mod follow;
mod prune;
mod refusals;
#[cfg(test)]
pub(crate) mod sample;
mod shrink;
mod stale;
mod unwritten;

use tribunal_results::{Anomaly, Call, Kind, Scalar};

use crate::engine::{Model, Op};
pub(crate) use crate::normal::says_other;
use crate::normal::{Columns, DONE, NONE, OPEN, Placed, Row};

pub(crate) use blocks::Blocks;
pub(crate) use decide::{by_search, decide, without_search};
pub(crate) use follow::Followed;
pub(crate) use prune::prune;
pub(crate) use refusals::order as order_with_refusals;
pub(crate) use shrink::shrink;
pub(crate) use stale::explain;
pub(crate) use unwritten::unwritten;

/// A value by its number within one key; [`ABSENT`] before the first write.
pub(crate) type Value = u32;

/// What a register holds before anything was written.
pub(crate) const ABSENT: Value = NONE;

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
    /// What an operation on a register did; `None` if it is of another kind.
    pub(crate) const fn of(row: &Row) -> Option<Self> {
        Some(match row.kind {
            Kind::Read => Self::Read(row.answer),
            Kind::Write => Self::Write(row.argument),
            Kind::Cas => Self::Cas(row.answer, row.argument),
            _ => return None,
        })
    }

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
    /// The same for columns.
    fn row(&self) -> Row {
        let (kind, argument) = match self.op.step {
            Step::Read(_) => (Kind::Read, NONE),
            Step::Write(value) => (Kind::Write, value),
            Step::Cas(_, to) => (Kind::Cas, to),
        };
        Row {
            kind,
            process: self.call.process as u32,
            argument,
            answer: self.op.step.needs().unwrap_or(DONE),
            call: self.op.call as u32,
            ret: self.op.ret.map_or(OPEN, |ret| ret as u32),
            place: NONE,
        }
    }

    /// Whether both are the same call.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.op.call == other.op.call
    }
}

/// One register: what happened to it in columns, and the calls themselves to explain it by.
#[derive(Debug)]
pub(crate) struct Key<'a> {
    /// Its key.
    pub(crate) key: Scalar,
    /// What took effect, or may have, and what was refused.
    pub(crate) columns: Columns,
    /// The calls of the history.
    pub(crate) calls: &'a [Call],
}

impl<'a> Key<'a> {
    /// The register of these calls.
    pub(crate) fn new(placed: &Placed<'a>, calls: &'a [Call]) -> Self {
        let (key, columns) = (placed.key.clone(), placed.columns(calls));
        Self {
            key,
            columns,
            calls,
        }
    }

    /// The call of that place in the history.
    pub(crate) fn call(&self, place: u32) -> Option<&'a Call> {
        self.calls.get(place as usize)
    }

    /// The call, of those that are in the columns, that was invoked by the event of that index.
    pub(crate) fn called(&self, index: u32) -> Option<&'a Call> {
        let at = self.columns.calls().binary_search(&index).ok()?;
        self.call(self.columns.row(at)?.place)
    }

    /// What took effect, or may have, in the order of invocation.
    pub(crate) fn entries(&self) -> Vec<Entry<'a>> {
        let entry = |row: Row| {
            let call = self.call(row.place)?;
            let ret = (row.ret != OPEN).then_some(u64::from(row.ret));
            let op = Op::new(u64::from(row.call), ret, Step::of(&row)?);
            Some(Entry { call, op })
        };
        self.columns.rows().filter_map(entry).collect()
    }

    /// Compare-and-sets that were refused because something else than this value was there.
    pub(crate) fn refused(&self) -> Vec<(Value, &'a Call)> {
        let said = self.columns.refused().iter().filter(|r| r.other != NONE);
        said.filter_map(|r| Some((r.other, self.call(r.place)?)))
            .collect()
    }

    /// The same without the operations at these places in the columns, which cannot be. Without
    /// such a read the rest can be judged; such a compare-and-set leaves its value behind: `None`.
    pub(crate) fn without(&self, places: &[usize]) -> Option<Self> {
        let sets = |at: &usize| {
            self.columns
                .row(*at)
                .is_some_and(|row| row.kind != Kind::Read)
        };
        if places.iter().any(sets) {
            return None;
        }
        let mut columns = self.columns.clone();
        columns.remove(places);
        Some(Self {
            key: self.key.clone(),
            columns,
            calls: self.calls,
        })
    }

    /// The value as people write it.
    pub(crate) fn show(&self, value: Value) -> String {
        self.columns.show(value)
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
