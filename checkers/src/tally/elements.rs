//! Elements of a set: who added them, and who read the whole set.

use tribunal_results::{Answer, Call, Kind, Operation, Outcome, Scalar};

use super::end;
use crate::intern::Numbers;

/// What clients did to bring one element in or out.
#[derive(Clone)]
pub(crate) struct Added<'a> {
    pub(crate) element: &'a Scalar,
    /// The add that was invoked first, of those that may have taken effect.
    pub(crate) attempt: Option<&'a Call>,
    /// Index of that invocation; the end of time if there is none.
    invoked: u64,
    /// The add that was acknowledged first.
    pub(crate) acknowledged: Option<&'a Call>,
    /// An add that was refused.
    pub(crate) refused: Option<&'a Call>,
    /// Whether a client may have taken it out again.
    pub(crate) removed: bool,
}

/// A set, its elements and the reads of it.
pub(crate) struct Set<'a> {
    pub(crate) key: &'a Scalar,
    /// In the order in which they were first named.
    pub(crate) elements: Vec<Added<'a>>,
    /// Reads that were answered, in the order of invocation.
    pub(crate) reads: Vec<(&'a Call, &'a [Scalar])>,
    numbers: Numbers,
}

impl<'a> Set<'a> {
    /// The kinds of operations that a set is made of.
    pub(crate) const KINDS: [Kind; 3] = [Kind::Add, Kind::Remove, Kind::Members];

    /// From the calls of one set, in the order of invocation.
    pub(crate) fn of(key: &'a Scalar, calls: &[&'a Call]) -> Self {
        let mut set = Self {
            key,
            elements: Vec::with_capacity(calls.len()),
            reads: Vec::new(),
            numbers: Numbers::expecting(calls.len()),
        };
        for call in calls {
            match (&call.operation, &call.outcome) {
                (Operation::Add { value, .. }, _) => set.named(value).add(call),
                (Operation::Remove { .. }, Outcome::Fail(_)) => {}
                (Operation::Remove { value, .. }, _) => set.named(value).removed = true,
                (Operation::Members { .. }, Outcome::Ok(Answer::Values(seen))) => {
                    set.reads.push((call, seen));
                }
                _ => {}
            }
        }
        set
    }

    /// The number of an element that a client named.
    pub(crate) fn number(&self, element: &Scalar) -> Option<usize> {
        self.numbers.get(element).map(|number| number as usize)
    }

    fn named(&mut self, element: &'a Scalar) -> &mut Added<'a> {
        let next = self.elements.len();
        let number = self.numbers.number(element) as usize;
        if number == next {
            self.elements.push(Added {
                element,
                attempt: None,
                invoked: u64::MAX,
                acknowledged: None,
                refused: None,
                removed: false,
            });
        }
        &mut self.elements[number]
    }
}

impl<'a> Added<'a> {
    fn add(&mut self, call: &'a Call) {
        if call.is_fail() {
            self.refused = Some(call);
            return;
        }
        if self.attempt.is_none() {
            self.attempt = Some(call);
            self.invoked = call.invoked.index;
        }
        if call.is_ok() && self.acknowledged.is_none_or(|known| end(call) < end(known)) {
            self.acknowledged = Some(call);
        }
    }

    /// Whether a read that returned at that event can have seen it.
    pub(crate) fn possible_until(&self, returned: u64) -> bool {
        self.invoked < returned
    }
}
