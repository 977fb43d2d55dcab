//! Counters. Increments by the same amount are interchangeable: the search knows them as one class.

use tribunal_results::{Answer, Call, Operation, Outcome, Scalar};

use super::{Group, Object, entry};
use crate::model::Model;

/// What happens to a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// So much was added.
    Add(i64),
    /// It stood there.
    Count(i64),
}

/// A counter that is 0 at first.
pub(crate) struct Counter;

impl Model for Counter {
    // Sums of 64-bit numbers that a history can hold never leave 128 bits.
    type State = i128;
    type Step = Step;

    fn initial(&self) -> i128 {
        0
    }

    fn apply(&self, state: &i128, step: &Step) -> Option<i128> {
        match *step {
            Step::Add(by) => Some(state + i128::from(by)),
            Step::Count(seen) => (*state == i128::from(seen)).then_some(*state),
        }
    }

    fn observes(&self, step: &Step) -> bool {
        matches!(step, Step::Count(_) | Step::Add(0))
    }
}

/// What a call did, or may have done.
pub(super) const fn step(call: &Call) -> Option<Step> {
    match (&call.operation, &call.outcome) {
        (_, Outcome::Fail(_)) => None,
        (Operation::Increment { by, .. }, _) => Some(Step::Add(*by)),
        (Operation::Count { .. }, Outcome::Ok(Answer::Value(Some(Scalar::Int(seen))))) => {
            Some(Step::Count(*seen))
        }
        _ => None,
    }
}

/// The counter of these calls.
pub(crate) fn object<'a>(group: &Group<'a>) -> Object<'a, Counter> {
    let mut entries = Vec::new();
    for &call in &group.calls {
        entries.extend(step(call).map(|step| entry(call, step, 1)));
    }
    Object {
        name: group.name(),
        key: group.key(),
        model: Counter,
        entries,
        scale: 1,
        tells: |step| matches!(step, Step::Count(_)),
    }
}
