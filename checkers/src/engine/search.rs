//! The search of a whole history.

use super::forward::{Breadth, Forward, Halt, Slot};
use super::log::Log;
use super::{Finding, Model, Op, Searched};
use crate::Budget;

/// Steps of the first attempt, and more of them for each operation. Most histories need far fewer.
const QUICK_STEPS: u64 = 500_000;
const QUICK_STEPS_PER_OPERATION: u64 = 40;
/// How many steps a search of so many operations takes at first.
pub(crate) const fn quick_steps(operations: usize) -> u64 {
    QUICK_STEPS + QUICK_STEPS_PER_OPERATION * operations as u64
}

/// Searches for a sequential order of the operations in which each takes effect between its call
/// and its return. Observers without a return are ignored.
///
/// Configurations that differ only in the operations of unknown end that they used can become
/// very many. So if a first attempt does not end soon, one that sees too few of them may still
/// find an order, and one that sees too much may still find that there is none.
pub(crate) fn search<M: Model>(model: &M, ops: &[Op<M::Step>], budget: Budget) -> Searched {
    let quick = quick_steps(ops.len());
    let (mut spent, mut peak, mut furthest) = (0, 0, 0);
    for (breadth, steps) in [
        (Breadth::All, quick),
        (Breadth::Best, u64::MAX),
        (Breadth::Merged, u64::MAX),
        (Breadth::All, u64::MAX),
    ] {
        let left = Budget {
            steps: steps.min(budget.steps.saturating_sub(spent)),
            ..budget
        };
        let mut searched = attempt(model, ops, left, breadth);
        spent += searched.steps;
        peak = searched.peak.max(peak);
        let decided = match searched.finding {
            Finding::Linearizable => breadth != Breadth::Merged,
            Finding::Stuck(_) => breadth != Breadth::Best,
            Finding::TooWide(_) => true,
            Finding::Exhausted(event) => {
                if breadth != Breadth::Merged {
                    furthest = event.max(furthest);
                }
                false
            }
        };
        if decided {
            (searched.steps, searched.peak) = (spent, peak);
            return searched;
        }
        if spent >= budget.steps {
            break;
        }
    }
    Searched {
        finding: Finding::Exhausted(furthest),
        steps: spent,
        peak,
        order: None,
    }
}

fn attempt<M: Model>(model: &M, ops: &[Op<M::Step>], budget: Budget, breadth: Breadth) -> Searched {
    let mut forward = Forward::new(model, budget, breadth, Log::new());
    let finding = run(&mut forward, ops);
    let found = finding == Finding::Linearizable && breadth != Breadth::Merged;
    Searched {
        finding,
        steps: forward.steps(),
        peak: forward.peak(),
        order: found.then(|| forward.order()).flatten(),
    }
}

fn run<M: Model>(forward: &mut Forward<M>, ops: &[Op<M::Step>]) -> Finding {
    let mut slots = vec![Slot::default(); ops.len()];
    for (event, returns, at) in timeline(ops) {
        let (Some(op), Some(slot)) = (ops.get(at), slots.get_mut(at)) else {
            continue;
        };
        let next = if returns {
            forward.returned(*slot)
        } else {
            forward.called(at as u32, op).map(|taken| *slot = taken)
        };
        match next {
            Ok(()) => {}
            Err(Halt::Stuck) => return Finding::Stuck(at),
            Err(Halt::Exhausted) => return Finding::Exhausted(event),
            Err(Halt::TooWide) => return Finding::TooWide(event),
        }
    }
    Finding::Linearizable
}

/// Calls and returns in order: event, whether it is a return, and which operation. At one index
/// calls come first: intervals are closed.
fn timeline<S>(ops: &[Op<S>]) -> Vec<(u64, bool, usize)> {
    let calls = ops.iter().enumerate().map(|(at, op)| (op.call, false, at));
    let returns = ops
        .iter()
        .enumerate()
        .filter_map(|(at, op)| op.ret.map(|ret| (ret, true, at)));
    let mut events: Vec<_> = calls.chain(returns).collect();
    events.sort_unstable();
    events
}

#[cfg(test)]
mod tests {
    use super::super::forward::BEST_MAX;
    use super::*;
    use crate::register::Register;
    use crate::register::sample::{crowded, unique};

    #[test]
    fn a_narrowed_search_is_right_in_what_it_decides() {
        let (mut found, mut refuted, mut narrowed) = (0, 0, 0);
        for seed in 0..300 {
            let wrong = [0, 8, 25][seed as usize % 3];
            let ops = crowded(unique(seed, 80, 50, wrong), 4 + (seed % 4) as u32);
            let run = |breadth| attempt(&Register, &ops, Budget::default(), breadth);
            let exact = run(Breadth::All);
            narrowed += u32::from(exact.peak > 10 * BEST_MAX as u64);
            if run(Breadth::Best).finding == Finding::Linearizable {
                assert_eq!(exact.finding, Finding::Linearizable, "seed {seed}");
                found += 1;
            }
            if let Finding::Stuck(at) = run(Breadth::Merged).finding {
                let Finding::Stuck(first) = exact.finding else {
                    panic!("seed {seed}: {exact:?}");
                };
                assert!(ops[first].ret <= ops[at].ret, "seed {seed}");
                refuted += 1;
            }
        }
        assert!(
            found > 80 && refuted > 80 && narrowed > 50,
            "{found} found, {refuted} refuted, {narrowed} narrowed"
        );
    }
}
