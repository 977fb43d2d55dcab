//! Objects by definition: every order that real time allows, tried out.
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;

use tribunal_checkers::Budget;
use tribunal_checkers::model::{Decision, Model, Op, linearize};
use tribunal_results::{Answer, Kind, Operation, Outcome, Scalar};

use crate::random::Timed;

/// A state: what lies in it in order, or a single amount.
pub(crate) type State = Vec<i64>;

/// A step of an operation. A drain has several.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Put(i64),
    /// Takes this, or finds nothing.
    Take(Option<i64>, End),
    /// Takes anything, or nothing.
    TakeAny(End),
    /// Adds or removes; whether it was there, if that was told.
    Turn(i64, bool, Option<bool>),
    Contains(i64, bool),
    Members(Vec<i64>),
    Elements(Vec<i64>),
    Increment(i64),
    Count(i64),
    Permit(i64),
}

/// At which end it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum End {
    First,
    Last,
}

struct Act {
    call: u64,
    /// None if it need never happen.
    ret: Option<u64>,
    steps: Vec<Step>,
}

/// Whether some order explains the operations.
pub(crate) fn linearizable(ops: &[Timed], permits: i64) -> bool {
    let acts: Vec<Act> = ops.iter().filter_map(act).collect();
    let state = if amounts(ops) { vec![0] } else { vec![] };
    explore(
        &acts,
        &vec![0; acts.len()],
        &state,
        permits,
        &mut BTreeSet::new(),
    )
}

/// The same definitions for a search.
struct Definition {
    initial: State,
    permits: i64,
}

impl Model for Definition {
    type State = State;
    type Step = Step;

    fn initial(&self) -> State {
        self.initial.clone()
    }

    fn apply(&self, state: &State, step: &Step) -> Option<State> {
        apply(step, state, self.permits)
    }
}

/// What a search says of operations none of which has several steps; `None` if it gives up.
pub(crate) fn searched(ops: &[Timed], permits: i64) -> Option<bool> {
    let acts: Vec<Act> = ops.iter().filter_map(act).collect();
    let single = |act: &Act| Op::new(act.call, act.ret, act.steps[0].clone());
    let steps: Vec<Op<Step>> = acts.iter().map(single).collect();
    let initial = if amounts(ops) { vec![0] } else { vec![] };
    let definition = Definition { initial, permits };
    let budget = Budget {
        steps: 100_000,
        ..Budget::default()
    };
    match linearize(&definition, &steps, budget) {
        Decision::Linearizable(_) => Some(true),
        Decision::Stuck(_) => Some(false),
        Decision::Unknown { .. } => None,
    }
}

/// Whether the object is an amount, not what lies in it.
fn amounts(ops: &[Timed]) -> bool {
    let kind = ops.first().map(|op| op.operation.kind());
    matches!(
        kind,
        Some(Kind::AcquirePermits | Kind::ReleasePermits | Kind::Increment | Kind::Count)
    )
}

fn explore(
    acts: &[Act],
    progress: &[usize],
    state: &State,
    permits: i64,
    visited: &mut BTreeSet<(Vec<usize>, State)>,
) -> bool {
    if !visited.insert((progress.to_vec(), state.clone())) {
        return false;
    }
    let done = |at: usize| progress[at] == acts[at].steps.len();
    let due = |at: &usize| !done(*at) && acts[*at].ret.is_some();
    let Some(due) = (0..acts.len())
        .filter(due)
        .filter_map(|at| acts[at].ret)
        .min()
    else {
        return true;
    };
    (0..acts.len()).any(|at| {
        !done(at) && acts[at].call < due && {
            let mut next = progress.to_vec();
            next[at] += 1;
            apply(&acts[at].steps[progress[at]], state, permits)
                .is_some_and(|state| explore(acts, &next, &state, permits, visited))
        }
    })
}

fn int(value: &Scalar) -> i64 {
    match value {
        Scalar::Int(int) => *int,
        Scalar::Text(_) => unreachable!("only integers are drawn"),
    }
}

fn ints(values: &[Scalar]) -> Vec<i64> {
    values.iter().map(int).collect()
}

fn act(op: &Timed) -> Option<Act> {
    let answer = match &op.outcome {
        Outcome::Ok(answer) => Some(answer),
        Outcome::Info(_) => None,
        Outcome::Fail(_) => return None,
    };
    let flag = match answer {
        Some(Answer::Flag(flag)) => Some(*flag),
        _ => None,
    };
    let taken = |end| match answer {
        Some(Answer::Value(value)) => Step::Take(value.as_ref().map(int), end),
        _ => Step::TakeAny(end),
    };
    let steps = match (&op.operation, answer) {
        (Operation::Enqueue { value, .. } | Operation::Push { value, .. }, _)
        | (Operation::Append { value, .. }, _) => vec![Step::Put(int(value))],
        (Operation::Dequeue { .. }, _) => vec![taken(End::First)],
        (Operation::Pop { .. }, _) => vec![taken(End::Last)],
        (Operation::Drain { .. }, Some(Answer::Values(values))) => values
            .iter()
            .map(|value| Step::Take(Some(int(value)), End::First))
            .chain([Step::Take(None, End::First)])
            .collect(),
        (Operation::Drain { .. }, _) => vec![Step::TakeAny(End::First); 9],
        (Operation::Add { value, .. }, _) => {
            vec![Step::Turn(int(value), true, flag.map(|new| !new))]
        }
        (Operation::Remove { value, .. }, _) => vec![Step::Turn(int(value), false, flag)],
        (Operation::Contains { value, .. }, Some(_)) => {
            vec![Step::Contains(int(value), flag?)]
        }
        (Operation::Members { .. }, Some(Answer::Values(values))) => {
            let mut values = ints(values);
            values.sort_unstable();
            vec![Step::Members(values)]
        }
        (Operation::Elements { .. }, Some(Answer::Values(values))) => {
            vec![Step::Elements(ints(values))]
        }
        (Operation::Increment { by, .. }, _) => vec![Step::Increment(*by)],
        (Operation::Count { .. }, Some(Answer::Value(Some(value)))) => {
            vec![Step::Count(int(value))]
        }
        (Operation::AcquirePermits { .. }, _) => vec![Step::Permit(1)],
        (Operation::ReleasePermits { .. }, _) => vec![Step::Permit(-1)],
        _ => return None,
    };
    let ret = answer.is_some().then_some(op.ret);
    let call = op.call;
    Some(Act { call, ret, steps })
}

/// The state after the step, if it is possible.
fn apply(step: &Step, state: &State, permits: i64) -> Option<State> {
    let mut after = state.clone();
    let taken = |after: &mut State, end| match end {
        _ if after.is_empty() => None,
        End::First => Some(after.remove(0)),
        End::Last => after.pop(),
    };
    let fits = match step {
        Step::Put(value) => {
            after.push(*value);
            true
        }
        Step::Take(value, end) => taken(&mut after, *end) == *value,
        Step::TakeAny(end) => {
            taken(&mut after, *end);
            true
        }
        Step::Turn(value, there, found) => {
            let was = state.contains(value);
            after.retain(|other| other != value);
            if *there {
                after.push(*value);
                after.sort_unstable();
            }
            found.is_none_or(|found| found == was)
        }
        Step::Contains(value, there) => state.contains(value) == *there,
        Step::Members(values) => values == state,
        Step::Elements(values) => values == state,
        Step::Increment(by) => {
            after[0] += by;
            true
        }
        Step::Count(count) => state[0] == *count,
        Step::Permit(by) => {
            after[0] += by;
            (0..=permits).contains(&after[0])
        }
    };
    fits.then_some(after)
}

/// What an operation that took effect in that state is answered with, and the state after.
pub(crate) fn perform(operation: &Operation, state: &mut State, permits: i64) -> Option<Answer> {
    let scalars = |values: &[i64]| values.iter().map(|value| Scalar::Int(*value)).collect();
    let value = |value: Option<i64>| Answer::Value(value.map(Scalar::Int));
    Some(match operation {
        Operation::Enqueue { value, .. }
        | Operation::Push { value, .. }
        | Operation::Append { value, .. } => {
            state.push(int(value));
            Answer::Done
        }
        Operation::Dequeue { .. } if state.is_empty() => value(None),
        Operation::Dequeue { .. } => value(Some(state.remove(0))),
        Operation::Pop { .. } => value(state.pop()),
        Operation::Drain { .. } => Answer::Values(scalars(&std::mem::take(state))),
        Operation::Add { value, .. } => {
            let new = !state.contains(&int(value));
            if new {
                state.push(int(value));
            }
            Answer::Flag(new)
        }
        Operation::Remove { value, .. } => {
            let was = state.contains(&int(value));
            state.retain(|other| *other != int(value));
            Answer::Flag(was)
        }
        Operation::Contains { value, .. } => Answer::Flag(state.contains(&int(value))),
        Operation::Members { .. } | Operation::Elements { .. } => Answer::Values(scalars(state)),
        Operation::Increment { by, .. } => {
            *state = vec![state.first().unwrap_or(&0) + by];
            Answer::Done
        }
        Operation::Count { .. } => value(Some(*state.first().unwrap_or(&0))),
        Operation::AcquirePermits { .. } => {
            let held = *state.first().unwrap_or(&0);
            *state = vec![held + i64::from(held < permits)];
            (held < permits).then_some(Answer::Done)?
        }
        Operation::ReleasePermits { .. } => {
            let held = *state.first().unwrap_or(&0);
            *state = vec![held - i64::from(held > 0)];
            (held > 0).then_some(Answer::Done)?
        }
        _ => return None,
    })
}
