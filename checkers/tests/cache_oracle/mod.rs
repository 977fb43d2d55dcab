//! Whether what clients of a cache saw can have happened, by trying all orders and instants.

use std::collections::HashSet;

use tribunal_results::{Answer, Operation, Outcome, Scalar};

use crate::cache_model::{Setting, place};
use crate::random::Timed;

/// What a cache may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// Of each key all that was written, until it is deleted or expires: nothing but what the
    /// checker speaks of is forbidden.
    All,
    /// Of each key only what was written last; and what was not found does not come back.
    Last,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    now: u64,
    done: Vec<bool>,
    kept: Vec<(Scalar, u64)>,
}

/// Whether the operations on one key can have taken effect, each between its ends or, if its end
/// is unknown, ever or never, by trying all instants and orders. Times are whole: what an order
/// demands are differences of times, so if any instants do, whole ones do.
struct Oracle<'a> {
    setting: Setting,
    keeping: Keeping,
    ops: Vec<&'a Timed>,
    end: u64,
    seen: HashSet<State>,
}

pub(crate) fn possible(ops: &[Timed], setting: Setting, keeping: Keeping) -> bool {
    (0..2).all(|key| {
        let of_key =
            |op: &&Timed| place(&op.operation) == key && !matches!(op.outcome, Outcome::Fail(_));
        let ops: Vec<&Timed> = ops.iter().filter(of_key).collect();
        let state = State {
            now: 0,
            done: vec![false; ops.len()],
            kept: Vec::new(),
        };
        let end = ops.iter().map(|op| op.ret).max().unwrap_or(0);
        let seen = HashSet::new();
        let mut oracle = Oracle {
            setting,
            keeping,
            ops,
            end,
            seen,
        };
        oracle.explore(state)
    })
}

impl Oracle<'_> {
    fn explore(&mut self, state: State) -> bool {
        let certain = |at: usize| matches!(self.ops[at].outcome, Outcome::Ok(_));
        let left = |at: &usize| certain(*at) && !state.done[*at];
        let left: Vec<usize> = (0..self.ops.len()).filter(left).collect();
        if left.is_empty() {
            return true;
        }
        if !self.seen.insert(state.clone()) {
            return false;
        }
        let mut nexts: Vec<State> = (0..self.ops.len())
            .filter_map(|at| self.effect(&state, at))
            .collect();
        if state.now < self.end && left.iter().all(|at| self.ops[*at].ret > state.now) {
            let mut later = state;
            later.now += 1;
            nexts.push(later);
        }
        nexts.into_iter().any(|next| self.explore(next))
    }

    fn effect(&self, state: &State, at: usize) -> Option<State> {
        let op = self.ops[at];
        let late = matches!(op.outcome, Outcome::Ok(_)) && state.now > op.ret;
        if state.done[at] || state.now < op.call || late {
            return None;
        }
        let mut next = state.clone();
        next.done[at] = true;
        let last = self.keeping == Keeping::Last;
        match (&op.operation, &op.outcome) {
            (Operation::Write { value, .. }, _) => {
                next.kept.retain(|(other, _)| other != value && !last);
                next.kept.push((value.clone(), state.now));
                next.kept.sort();
            }
            (Operation::Read { .. }, Outcome::Ok(Answer::Value(Some(value)))) => {
                let fresh = |(kept, since): &&(Scalar, u64)| {
                    kept == value && self.setting.is_fresh(state.now - since)
                };
                state.kept.iter().find(fresh)?;
            }
            (Operation::Read { .. }, _) if !last => {}
            _ => next.kept.clear(),
        }
        Some(next)
    }
}
