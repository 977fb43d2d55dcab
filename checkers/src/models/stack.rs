//! Stacks.

use rustc_hash::FxHashSet;
use tribunal_results::{Answer, Call, Operation, Outcome, Scalar};

use super::{Cells, Element, Group, Numbers, Object, UNSEEN, entry};
use crate::model::{Model, Op};

/// What happens to a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// This was put on top.
    Push(Element),
    /// This was taken from the top.
    Pop(Element),
    /// The top was taken, whatever it was, if there was any.
    PopAny,
    /// It was empty.
    Empty,
}

/// A stack that is empty at first. Its states are lists that share their ends, by number.
#[derive(Default)]
pub(crate) struct Stack(Cells);

impl Model for Stack {
    type State = u32;
    type Step = Step;

    fn initial(&self) -> u32 {
        Cells::EMPTY
    }

    fn apply(&self, state: &u32, step: &Step) -> Option<u32> {
        let top = self.0.last(*state);
        match (*step, top) {
            (Step::Push(element), _) => Some(self.0.and(*state, element)),
            (Step::Pop(wanted), Some((rest, element))) if element == wanted => Some(rest),
            (Step::PopAny, Some((rest, _))) => Some(rest),
            (Step::PopAny | Step::Empty, None) => Some(*state),
            _ => None,
        }
    }

    fn observes(&self, step: &Step) -> bool {
        *step == Step::Empty
    }

    /// An element of which nothing is certain, and what took it off, can be left out together.
    fn relevant(&self, ops: &[Op<Step>]) -> Vec<bool> {
        let element = |step: Step| match step {
            Step::Push(element) | Step::Pop(element) => Some(element),
            Step::PopAny | Step::Empty => None,
        };
        let certain: FxHashSet<Element> = ops
            .iter()
            .filter(|op| op.ret.is_some())
            .filter_map(|op| element(op.step))
            .filter(|element| *element != UNSEEN)
            .collect();
        let blind = |op: &Op<Step>| op.ret.is_some() && op.step == Step::PopAny;
        if ops.iter().any(blind) {
            return vec![true; ops.len()];
        }
        ops.iter()
            .map(|op| op.ret.is_some() || element(op.step).is_none_or(|e| certain.contains(&e)))
            .collect()
    }

    fn weight(&self, _: &u32) -> usize {
        Cells::WEIGHT
    }
}

/// What a call did, or may have done.
pub(super) fn step<'a>(
    call: &'a Call,
    mut number: impl FnMut(&'a Scalar) -> Element,
) -> Option<Step> {
    Some(match (&call.operation, &call.outcome) {
        (_, Outcome::Fail(_)) => return None,
        (Operation::Push { value, .. }, _) => Step::Push(number(value)),
        (Operation::Pop { .. }, Outcome::Ok(Answer::Value(Some(value)))) => {
            Step::Pop(number(value))
        }
        (Operation::Pop { .. }, Outcome::Ok(Answer::Value(None))) => Step::Empty,
        (Operation::Pop { .. }, _) => Step::PopAny,
        _ => return None,
    })
}

/// The stack of these calls.
pub(crate) fn object<'a>(group: &Group<'a>) -> Object<'a, Stack> {
    let mut numbers = Numbers::default();
    let mut entries = Vec::new();
    for call in &group.calls {
        if let Outcome::Ok(Answer::Value(Some(value))) = &call.outcome {
            numbers.of(value);
        }
    }
    for &call in &group.calls {
        let step = step(call, |value| numbers.put(value));
        entries.extend(step.map(|step| entry(call, step, 1)));
    }
    Object {
        name: group.name(),
        key: group.key(),
        model: Stack::default(),
        entries,
        scale: 1,
        tells: |step| matches!(step, Step::Pop(_)),
    }
}
