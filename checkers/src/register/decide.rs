//! Decides one register by the cheapest method that can.

use super::{Blocks, Entry, Register, Step, prune};
use crate::Budget;
use crate::engine::{Finding, Op, Searched, search};
use crate::normal::{Columns, Event, Family, OPEN, Row};

/// Operations that cost as much as one step of a search.
const OPERATIONS_PER_STEP: usize = 16;

/// Decides whether there is an order of the entries: without search if every value was written
/// at most once.
pub(crate) fn decide(entries: &[Entry<'_>], budget: Budget) -> Searched {
    let rows: Vec<Row> = entries.iter().map(Entry::row).collect();
    without_search(&Columns::from_rows(Family::Register, &rows), budget)
        .unwrap_or_else(|| by_search(entries, budget))
}

/// Decides the register by its [`Blocks`], if every value is written at most once; `None` if one
/// is not.
pub(crate) fn without_search(register: &Columns, budget: Budget) -> Option<Searched> {
    let agree = agree(register, OPEN)?;
    let cost = (register.len() / OPERATIONS_PER_STEP + 1) as u64;
    let bytes = (register.numbers() * Blocks::VALUE_BYTES) as u64;
    let searched = |finding, steps| Searched {
        finding,
        steps,
        peak: 0,
        order: None,
    };
    if cost > budget.steps || bytes > budget.bytes {
        return Some(searched(Finding::Exhausted(0), 0));
    }
    if agree {
        return Some(searched(Finding::Linearizable, cost));
    }
    let mut rets: Vec<(u32, usize)> = register.rets().iter().copied().zip(0..).collect();
    rets.retain(|(ret, _)| *ret != OPEN);
    rets.sort_unstable();
    let agrees = |&(ret, _): &(u32, usize)| self::agree(register, ret) == Some(true);
    let (_, at) = *rets.get(rets.partition_point(agrees))?;
    let rounds = u64::from(rets.len().ilog2()) + 2;
    Some(searched(Finding::Stuck(at), cost * rounds))
}

/// Whether there is an order of what was called before the end, given what had returned by then;
/// `None` if a value was written twice.
fn agree(register: &Columns, end: u32) -> Option<bool> {
    let mut blocks = Blocks::expecting(register.numbers());
    for event in register.events() {
        let (Event::Called(at) | Event::Returned(at)) = event;
        let row = register.row(at)?;
        let step = Step::of(&row)?;
        let certain = row.ret != OPEN && row.ret <= end;
        match event {
            Event::Called(_) if row.call > end => break,
            Event::Called(_) if certain || step.sets().is_some() => {
                blocks.called(step, u64::from(row.call) + 1, certain);
            }
            Event::Returned(_) if certain => blocks.returned(step, u64::from(row.ret) + 1),
            Event::Called(_) | Event::Returned(_) => {}
        }
        if !blocks.is_unique() {
            return None;
        }
    }
    Some(!blocks.is_contradicted())
}

/// The same by search, whatever the values.
pub(crate) fn by_search(entries: &[Entry<'_>], budget: Budget) -> Searched {
    let kept = prune(entries);
    let ops: Vec<Op<Step>> = kept.iter().map(|entry| entry.op).collect();
    let mut searched = search(&Register, &ops, budget);
    // Both are in the order of their calls.
    let mut rest = entries.iter().enumerate();
    let places: Vec<usize> = kept
        .iter()
        .filter_map(|kept| rest.find(|(_, entry)| entry.is(kept)))
        .map(|(at, _)| at)
        .collect();
    let place = |at: usize| places.get(at).copied().unwrap_or_default();
    if let Finding::Stuck(at) = searched.finding {
        searched.finding = Finding::Stuck(place(at));
    }
    searched.order = searched
        .order
        .map(|order| order.into_iter().map(place).collect());
    searched
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tribunal_results::{Call, Operation, Outcome, Reason, Stamp};

    use super::super::sample::{crowded, unique};
    use super::super::{ABSENT, Value};
    use super::*;

    fn any_call() -> Call {
        let at = Stamp { index: 0, time: 0 };
        Call {
            process: 0,
            node: None,
            operation: Operation::Read { key: "k".into() },
            invoked: at,
            completed: None,
            outcome: Outcome::Info(Reason::new("open", "")),
        }
    }

    fn entries<'a>(ops: &[Op<Step>], call: &'a Call) -> Vec<Entry<'a>> {
        ops.iter().map(|&op| Entry { call, op }).collect()
    }

    fn of_unique(entries: &[Entry<'_>]) -> Searched {
        let rows: Vec<Row> = entries.iter().map(Entry::row).collect();
        let columns = Columns::from_rows(Family::Register, &rows);
        without_search(&columns, Budget::default()).expect("unique values")
    }

    /// Tries every order.
    fn possible(left: &mut Vec<Op<Step>>, state: Value) -> bool {
        let due = left.iter().filter_map(|op| op.ret).min();
        let Some(due) = due else { return true };
        for at in 0..left.len() {
            let op = left[at];
            if op.call <= due && op.step.needs().is_none_or(|needed| needed == state) {
                left.remove(at);
                let fits = possible(left, op.step.leaves());
                left.insert(at, op);
                if fits {
                    return true;
                }
            }
        }
        false
    }

    #[test]
    fn blocks_agree_with_trying_every_order() {
        let (mut valid, mut invalid) = (0, 0);
        let call = any_call();
        for seed in 0..60_000 {
            let ops = unique(
                seed,
                2 + seed % 7,
                3 + seed % 23,
                [95, 60][seed as usize % 2],
            );
            let found = of_unique(&entries(&ops, &call)).finding == Finding::Linearizable;
            let expected = possible(&mut ops.clone(), ABSENT);
            assert_eq!(found, expected, "seed {seed}: {ops:#?}");
            *(if expected { &mut valid } else { &mut invalid }) += 1;
        }
        assert!(
            valid > 10_000 && invalid > 8_000,
            "{valid} valid, {invalid} invalid"
        );
    }

    #[test]
    fn search_agrees_with_trying_every_order_and_shows_one() {
        let (mut valid, mut invalid) = (0, 0);
        let call = any_call();
        for seed in 0..60_000 {
            let ops = unique(seed, 3 + seed % 6, 3 + seed % 30, 90);
            let ops = crowded(ops, 2 + seed as Value % 3);
            let found = by_search(&entries(&ops, &call), Budget::default());
            let expected = possible(&mut ops.clone(), ABSENT);
            let valid_found = found.finding == Finding::Linearizable;
            assert_eq!(valid_found, expected, "seed {seed}: {ops:#?}");
            let cheapest = decide(&entries(&ops, &call), Budget::default()).finding;
            assert_eq!(cheapest, found.finding, "seed {seed}: {ops:#?}");
            *(if expected { &mut valid } else { &mut invalid }) += 1;
            assert_eq!(found.order.is_some(), expected);
            if let Some(order) = found.order {
                assert!(explains(&ops, &order), "seed {seed}: {ops:#?} {order:?}");
            }
        }
        assert!(
            valid > 10_000 && invalid > 8_000,
            "{valid} valid, {invalid} invalid"
        );
    }

    /// Whether the order has every operation that took effect, and others at most once, none
    /// after one that had returned before it was called, and each in a state that it can find.
    fn explains(ops: &[Op<Step>], order: &[usize]) -> bool {
        let all: BTreeSet<usize> = order.iter().copied().collect();
        let complete = (0..ops.len()).all(|at| ops[at].ret.is_none() || all.contains(&at));
        let (mut state, mut latest, mut fits) = (ABSENT, 0, all.len() == order.len());
        for op in order.iter().map(|&at| ops[at]) {
            fits &= op.ret.is_none_or(|ret| ret >= latest);
            fits &= op.step.needs().is_none_or(|needed| needed == state);
            latest = latest.max(op.call);
            state = op.step.leaves();
        }
        fits && complete
    }

    #[test]
    fn blocks_and_search_stop_at_the_same_operation() {
        let (mut valid, mut stuck) = (0, BTreeSet::new());
        let call = any_call();
        for seed in 0..6_000 {
            let ops = unique(
                seed,
                20 + seed % 60,
                3 + seed % 23,
                [0, 1, 4][seed as usize % 3],
            );
            let entries = entries(&ops, &call);
            let blocks = of_unique(&entries);
            let search = by_search(&entries, Budget::default());
            assert_eq!(blocks.finding, search.finding, "seed {seed}: {ops:#?}");
            match blocks.finding {
                Finding::Linearizable => valid += 1,
                finding => drop(stuck.insert(format!("{seed} {finding:?}"))),
            }
        }
        assert!(
            valid > 1_500 && stuck.len() > 1_500,
            "{valid} valid, {} stuck",
            stuck.len()
        );
    }
}
