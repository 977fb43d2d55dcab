//! Replicated objects: who updated them, and what each node showed of them.
//!
//! An object is a register, a set, a counter or a list, by the operations on its key; the same key
//! may name one of each. Operations in transactions belong to none.

pub(crate) mod agree;
pub(crate) mod explained;
pub(crate) mod monotone;
pub(crate) mod settle;
pub(crate) mod stale;
pub(crate) mod visible;

use rustc_hash::FxHashMap;
use tribunal_results::{Anomaly, Answer, Call, History, Operation, Outcome, Scalar};

use crate::explain;

/// What kind of object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    /// `write`, `cas`; `read`.
    Register,
    /// `add`, `remove`; `members`.
    Set,
    /// `increment`; `count`.
    Counter,
    /// `append`; `elements`.
    List,
}

impl Family {
    /// What people call it.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Set => "set",
            Self::Counter => "counter",
            Self::List => "list",
        }
    }

    /// The family of an operation, and whether that is an update; `None` of those that neither
    /// update an object nor read it whole.
    const fn of(operation: &Operation) -> Option<(Self, bool)> {
        Some(match operation {
            Operation::Read { .. } => (Self::Register, false),
            Operation::Write { .. } | Operation::Cas { .. } => (Self::Register, true),
            Operation::Members { .. } => (Self::Set, false),
            Operation::Add { .. } | Operation::Remove { .. } => (Self::Set, true),
            Operation::Count { .. } => (Self::Counter, false),
            Operation::Increment { .. } => (Self::Counter, true),
            Operation::Elements { .. } => (Self::List, false),
            Operation::Append { .. } => (Self::List, true),
            _ => return None,
        })
    }
}

/// All that was done to one object.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    /// What kind of object it is.
    pub(crate) family: Family,
    /// Its key.
    pub(crate) key: &'a Scalar,
    /// Its updates, those that failed too, in the order of invocation.
    pub(crate) updates: Vec<&'a Call>,
    /// Its reads that were answered, in the order of invocation.
    pub(crate) reads: Vec<(&'a Call, State<'a>)>,
}

/// What a read showed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State<'a> {
    /// The value of a register, if it has one.
    Value(Option<&'a Scalar>),
    /// The elements of a set, in order, each once.
    Set(Vec<&'a Scalar>),
    /// What a counter stands at.
    Count(i64),
    /// The elements of a list.
    List(Vec<&'a Scalar>),
}

impl<'a> State<'a> {
    /// The elements of a set or list; none of anything else.
    pub(crate) fn elements(&self) -> &[&'a Scalar] {
        match self {
            Self::Set(elements) | Self::List(elements) => elements,
            Self::Value(_) | Self::Count(_) => &[],
        }
    }

    fn of(call: &'a Call) -> Option<Self> {
        let Outcome::Ok(answer) = &call.outcome else {
            return None;
        };
        Some(match (&call.operation, answer) {
            (Operation::Read { .. }, Answer::Value(value)) => Self::Value(value.as_ref()),
            (Operation::Members { .. }, Answer::Values(values)) => {
                let mut elements: Vec<&Scalar> = values.iter().collect();
                elements.sort_unstable();
                elements.dedup();
                Self::Set(elements)
            }
            (Operation::Count { .. }, Answer::Value(Some(Scalar::Int(count)))) => {
                Self::Count(*count)
            }
            (Operation::Elements { .. }, Answer::Values(values)) => {
                Self::List(values.iter().collect())
            }
            _ => return None,
        })
    }
}

/// The value or element that an update puts in.
pub(crate) const fn put(call: &Call) -> Option<&Scalar> {
    match &call.operation {
        Operation::Write { value, .. }
        | Operation::Cas { to: value, .. }
        | Operation::Add { value, .. }
        | Operation::Append { value, .. } => Some(value),
        _ => None,
    }
}

/// The element that an update takes out.
pub(crate) const fn taken(call: &Call) -> Option<&Scalar> {
    match &call.operation {
        Operation::Remove { value, .. } => Some(value),
        _ => None,
    }
}

/// Every object of a history, in the order in which they first appear.
pub(crate) fn objects(history: &History) -> Vec<Object<'_>> {
    let mut places: FxHashMap<(Family, &Scalar), usize> = FxHashMap::default();
    let mut objects: Vec<Object<'_>> = Vec::new();
    for call in history.calls() {
        let (Some((family, is_update)), Some(key)) =
            (Family::of(&call.operation), call.operation.key())
        else {
            continue;
        };
        let place = *places.entry((family, key)).or_insert_with(|| {
            objects.push(Object {
                family,
                key,
                updates: Vec::new(),
                reads: Vec::new(),
            });
            objects.len() - 1
        });
        let Some(object) = objects.get_mut(place) else {
            continue;
        };
        if is_update {
            object.updates.push(call);
        } else if let Some(state) = State::of(call) {
            object.reads.push((call, state));
        }
    }
    objects
}

/// The name of the node that answered; empty if the client is bound to none.
pub(crate) fn node(call: &Call) -> &str {
    call.node.as_deref().unwrap_or_default()
}

/// A read in words, without its answer, which may be long: `n1's answer to p3 at 12.402 s`.
pub(crate) fn answer(call: &Call) -> String {
    let whose = match node(call) {
        "" => "the answer".to_owned(),
        node => format!("{node}'s answer"),
    };
    let at = explain::seconds(explain::ended(call));
    format!("{whose} to p{} at {at}", call.process)
}

/// An anomaly of an object.
pub(crate) fn anomaly(
    name: &str,
    object: &Object<'_>,
    sentence: String,
    calls: &[&Call],
    facts: Vec<String>,
) -> Anomaly {
    let (calls, span) = explain::extent(calls);
    Anomaly {
        name: name.into(),
        sentence,
        key: Some(object.key.clone()),
        calls,
        facts,
        span,
    }
}
