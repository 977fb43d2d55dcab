//! All registers of a history at once, moment by moment, as long as their values are unique.

use rustc_hash::FxHashMap;
use tribunal_results::{Answer, Call, History, Operation, Outcome, Scalar};

use super::{ABSENT, Blocks, Step, Value};
use crate::stream::Moment;

/// Stands for no register.
const NO_KEY: u32 = u32::MAX;

/// What became of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// What was seen so far has an order.
    InOrder,
    /// It has none.
    Contradicted,
    /// A value was written twice: this cannot tell.
    Ambiguous,
}

/// One register.
#[derive(Debug, Default)]
struct One {
    blocks: Blocks,
    integers: FxHashMap<i64, Value>,
    texts: FxHashMap<Scalar, Value>,
}

impl One {
    fn number(&mut self, value: &Scalar) -> Value {
        // ABSENT is no value.
        let next = (self.integers.len() + self.texts.len()) as Value + 1;
        match value {
            Scalar::Int(integer) => *self.integers.entry(*integer).or_insert(next),
            text @ Scalar::Text(_) => match self.texts.get(text) {
                Some(number) => *number,
                None => *self.texts.entry(text.clone()).or_insert(next),
            },
        }
    }

    fn state(&self) -> State {
        if !self.blocks.is_unique() {
            State::Ambiguous
        } else if self.blocks.is_contradicted() {
            State::Contradicted
        } else {
            State::InOrder
        }
    }
}

/// The registers of a history on its way.
#[derive(Debug, Default)]
pub(crate) struct Registers {
    keys: FxHashMap<Scalar, u32>,
    registers: Vec<One>,
    /// By place: the register, and what the operation did to it.
    places: Vec<(u32, Step)>,
    contradicted: bool,
}

impl Registers {
    /// Takes the next moment.
    pub(crate) fn step(&mut self, history: &History, moment: Moment) {
        let (at, called) = match moment {
            Moment::Called(at) => (at, true),
            Moment::Returned(at) => (at, false),
        };
        let Some(call) = history.calls().get(at) else {
            return;
        };
        if called {
            let known = self.take(call);
            self.places.push(known);
        }
        let Some(&(key, step)) = self.places.get(at) else {
            return;
        };
        let Some(one) = self.registers.get_mut(key as usize) else {
            return;
        };
        if one.state() != State::InOrder {
            return;
        }
        if called {
            let certain = call.is_ok();
            one.blocks.called(step, call.invoked.index + 1, certain);
        } else if let Some(index) = call.returned() {
            one.blocks.returned(step, index + 1);
        }
        self.contradicted |= one.state() == State::Contradicted;
    }

    /// Whether a register was contradicted.
    pub(crate) const fn is_contradicted(&self) -> bool {
        self.contradicted
    }

    /// The register of a call, and what it did; of no register if it says nothing.
    fn take(&mut self, call: &Call) -> (u32, Step) {
        let nothing = (NO_KEY, Step::Read(ABSENT));
        let (Operation::Read { key } | Operation::Write { key, .. } | Operation::Cas { key, .. }) =
            &call.operation
        else {
            return nothing;
        };
        let next = self.registers.len() as u32;
        let at = match self.keys.get(key) {
            Some(at) => *at,
            None => *self.keys.entry(key.clone()).or_insert(next),
        };
        if at == next {
            self.registers.push(One::default());
        }
        let Some(one) = self.registers.get_mut(at as usize) else {
            return nothing;
        };
        let step = match (&call.operation, &call.outcome) {
            (_, Outcome::Fail(_)) => return nothing,
            (Operation::Write { value, .. }, _) => Step::Write(one.number(value)),
            (Operation::Cas { from, to, .. }, _) => Step::Cas(one.number(from), one.number(to)),
            (_, Outcome::Ok(Answer::Value(Some(value)))) => Step::Read(one.number(value)),
            (_, Outcome::Ok(_)) => Step::Read(ABSENT),
            (_, Outcome::Info(_)) => return nothing,
        };
        (at, step)
    }
}
