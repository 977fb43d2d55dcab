//! A register moment by moment, as long as its values are unique.

use tribunal_results::{Answer, Call, Operation, Outcome};

use super::{ABSENT, Blocks, Step, says_other};
use crate::intern::Numbers;
use crate::stream::State;

/// A register on its way.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    blocks: Blocks,
    values: Numbers,
    refusals: bool,
    /// The latest event so far.
    now: u64,
    /// By when all have returned that were called.
    last_ret: u64,
    /// If what was called contradicts itself: by when all of it has returned. Until then a value
    /// may be written again that one of them then sees.
    certain_at: Option<u64>,
}

impl Followed {
    /// An operation on it is called.
    pub(crate) fn called(&mut self, call: &Call) {
        let refused =
            |reason| matches!(call.operation, Operation::Cas { .. }) && says_other(reason);
        if let Outcome::Fail(reason) = &call.outcome {
            self.refusals |= refused(reason);
        } else if let Some(step) = self.step(call) {
            let time = call.invoked.index + 1;
            self.blocks.called(step, time, call.is_ok());
        }
        self.last_ret = self.last_ret.max(call.returned().unwrap_or(0));
        self.settle(call.invoked.index);
    }

    /// It returns.
    pub(crate) fn returned(&mut self, call: &Call) {
        if let (Some(step), Some(index)) = (self.step(call), call.returned()) {
            self.blocks.returned(step, index + 1);
        }
        self.settle(call.returned().unwrap_or(self.now));
    }

    fn settle(&mut self, now: u64) {
        self.now = now;
        if self.certain_at.is_none() && self.blocks.is_contradicted() {
            self.certain_at = Some(self.last_ret);
        }
    }

    /// How things stand; unclear if a value was written twice.
    pub(crate) fn state(&self) -> State {
        if !self.blocks.is_unique() {
            State::Unclear
        } else if self.certain_at.is_some_and(|at| at <= self.now) {
            State::Contradicted
        } else {
            State::InOrder
        }
    }

    /// Whether there is something that this cannot tell: what a refused compare-and-set found, or
    /// which return makes a contradiction certain.
    pub(crate) const fn is_partial(&self) -> bool {
        self.refusals || self.certain_at.is_some()
    }

    /// What a call did; nothing if it says nothing.
    fn step(&mut self, call: &Call) -> Option<Step> {
        let mut number = |value| self.values.number(value) + 1;
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
