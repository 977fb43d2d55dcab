//! A register moment by moment, as long as its values are unique.

use tribunal_results::{Answer, Call, Operation, Outcome};

use super::{ABSENT, Blocks, Step, says_other};
use crate::models::Numbering;
use crate::stream::State;

/// A register on its way.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    blocks: Blocks,
    values: Numbering,
    refusals: bool,
}

impl Followed {
    /// An operation on it is called.
    pub(crate) fn called(&mut self, call: &Call) {
        let refused = |reason| matches!(call.operation, Operation::Cas { .. }) && says_other(reason);
        if let Outcome::Fail(reason) = &call.outcome {
            self.refusals |= refused(reason);
        } else if let Some(step) = self.step(call) {
            let time = call.invoked.index + 1;
            self.blocks.called(step, time, call.is_ok());
        }
    }

    /// It returns.
    pub(crate) fn returned(&mut self, call: &Call) {
        if let (Some(step), Some(index)) = (self.step(call), call.returned()) {
            self.blocks.returned(step, index + 1);
        }
    }

    /// How things stand; unclear if a value was written twice.
    pub(crate) const fn state(&self) -> State {
        if !self.blocks.is_unique() {
            State::Unclear
        } else if self.blocks.is_contradicted() {
            State::Contradicted
        } else {
            State::InOrder
        }
    }

    /// Whether something was answered that this does not look at: that a compare-and-set was
    /// refused.
    pub(crate) const fn is_partial(&self) -> bool {
        self.refusals
    }

    /// What a call did; nothing if it says nothing.
    fn step(&mut self, call: &Call) -> Option<Step> {
        let mut number = |value| self.values.of(value);
        Some(match (&call.operation, &call.outcome) {
            (_, Outcome::Fail(_)) => return None,
            (Operation::Write { value, .. }, _) => Step::Write(number(value)),
            (Operation::Cas { from, to, .. }, _) => Step::Cas(number(from), number(to)),
            (Operation::Read { .. }, Outcome::Ok(Answer::Value(value))) => {
                Step::Read(value.as_ref().map_or(ABSENT, number))
            }
            _ => return None,
        })
    }
}
