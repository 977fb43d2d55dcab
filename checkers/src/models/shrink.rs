//! Reduces a contradiction to the calls that it needs.
//!
//! Every step weakens the evidence, so what remains contradictory was so before: an observer is
//! left out, or a mutator's return is forgotten (and it is left out itself where the model knows
//! that it does not matter). Leaving out a mutator outright would not be sound. The order is that
//! of delta debugging: halves first, single calls last (Zeller & Hildebrandt 2002).

use tribunal_results::Call;

use super::{Entry, Object, decide};
use crate::engine::Finding;
use crate::model::{Model, Op};
use crate::register::Contradiction;
use crate::{Budget, explain};

/// The most searches for one contradiction.
const SEARCHES_MAX: usize = 400;
/// The most steps of one of them: what is weak has more orders, and a few calls too many do less
/// harm than a long wait.
const SEARCH_STEPS_MAX: u64 = 5_000;
/// The most calls that are listed as facts.
const FACTS_MAX: usize = 12;
/// The most calls that are listed though it does not matter when they took effect.
const WEAK_MAX: usize = 24;

/// Why the entry at that place, the first to return without an order, contradicts the others.
pub(crate) fn contradiction<'a, M: Model>(
    object: &Object<'a, M>,
    at: usize,
    budget: Budget,
) -> Option<Contradiction<'a>> {
    let last = object.entries.get(at)?;
    let end = last.op.ret?;
    let mut prefix = Vec::new();
    let mut last_at = 0;
    for (place, entry) in object.entries.iter().enumerate() {
        let ret = entry.op.ret.filter(|ret| *ret <= end);
        if entry.op.call > end || (ret.is_none() && object.model.observes(&entry.op.step)) {
            continue;
        }
        if place == at {
            last_at = prefix.len();
        }
        let mut entry = entry.clone();
        entry.op.ret = ret;
        prefix.push(entry);
    }
    let mut shrinking = Shrinking {
        model: &object.model,
        weak: vec![false; prefix.len()],
        entries: prefix,
        last: last_at,
        budget,
        searches: 0,
    };
    shrinking.run();
    Some(describe(object, &shrinking.kept(), last.call))
}

struct Shrinking<'s, 'a, M: Model> {
    model: &'s M,
    entries: Vec<Entry<'a, M::Step>>,
    /// Which entries were weakened.
    weak: Vec<bool>,
    last: usize,
    budget: Budget,
    searches: usize,
}

impl<'a, M: Model> Shrinking<'_, 'a, M> {
    fn run(&mut self) {
        let mut chunk = self.entries.len().next_power_of_two();
        while chunk > 0 {
            for from in (0..self.entries.len()).step_by(chunk) {
                self.weaken(from, chunk);
            }
            chunk /= 2;
        }
    }

    /// Weakens a stretch of entries if the contradiction survives that.
    fn weaken(&mut self, from: usize, len: usize) {
        let stretch = from..(from + len).min(self.entries.len());
        let certain = |at: &usize| self.entries.get(*at).is_some_and(|e| e.op.ret.is_some());
        let changes: Vec<usize> = stretch
            .filter(|&at| at != self.last && self.weak.get(at) == Some(&false))
            .filter(certain)
            .collect();
        if changes.is_empty() || self.searches >= SEARCHES_MAX || self.budget.steps == 0 {
            return;
        }
        self.set(&changes, true);
        if !self.contradictory() {
            self.set(&changes, false);
        }
    }

    fn set(&mut self, changes: &[usize], weak: bool) {
        for &at in changes {
            if let Some(place) = self.weak.get_mut(at) {
                *place = weak;
            }
        }
    }

    /// What is left, without what does not matter.
    fn kept(&self) -> Vec<Entry<'a, M::Step>> {
        let mut kept = Vec::new();
        for (entry, weak) in self.entries.iter().zip(&self.weak) {
            if !*weak {
                kept.push(entry.clone());
            } else if !self.model.observes(&entry.op.step) {
                let mut entry = entry.clone();
                entry.op.ret = None;
                kept.push(entry);
            }
        }
        let relevant = self.model.relevant(&ops(&kept));
        let mut relevant = relevant.into_iter();
        kept.retain(|_| relevant.next().unwrap_or(true));
        kept
    }

    fn contradictory(&mut self) -> bool {
        self.searches += 1;
        let spend = Budget {
            steps: self.budget.steps.min(SEARCH_STEPS_MAX),
            ..self.budget
        };
        let searched = decide(self.model, &ops(&self.kept()), spend);
        self.budget.steps = self.budget.steps.saturating_sub(searched.steps);
        matches!(searched.finding, Finding::Stuck(_))
    }
}

fn ops<S: Clone>(entries: &[Entry<'_, S>]) -> Vec<Op<S>> {
    entries.iter().map(|e| e.op.clone()).collect()
}

fn describe<'a, M: Model>(
    object: &Object<'a, M>,
    kept: &[Entry<'a, M::Step>],
    last: &'a Call,
) -> Contradiction<'a> {
    let mut calls: Vec<(&'a Call, bool)> = Vec::new();
    for entry in kept {
        let certain = entry.op.ret.is_some();
        match calls
            .iter_mut()
            .find(|(call, _)| std::ptr::eq(*call, entry.call))
        {
            Some((_, known)) => *known |= certain,
            None => calls.push((entry.call, certain)),
        }
    }
    let total = calls.len();
    let mut weak = 0;
    calls.retain(|(_, certain)| {
        weak += usize::from(!certain);
        *certain || weak <= WEAK_MAX
    });
    let others = || calls.iter().filter(|(call, _)| !std::ptr::eq(*call, last));
    let mut facts: Vec<String> = others().take(FACTS_MAX).map(fact).collect();
    let unsaid = total - 1 - facts.len();
    if unsaid > 0 {
        facts.push(format!("And {unsaid} more."));
    }
    facts.push(format!(
        "{} began at {}{} and returned at {}: no order of these has a place for it in between.",
        explain::whose(last),
        explain::seconds(last.invoked.time),
        explain::place(last),
        explain::seconds(explain::ended(last)),
    ));
    Contradiction {
        name: "not-linearizable",
        sentence: format!(
            "{} cannot be: no order of {} on {} explains it",
            explain::done(last),
            explain::count(total, "operation"),
            object.name
        ),
        calls: calls.into_iter().map(|(call, _)| call).collect(),
        facts,
    }
}

fn fact((call, certain): &(&Call, bool)) -> String {
    if !*certain {
        return format!(
            "{}; when it took effect does not matter.",
            explain::invoked(call)
        );
    }
    format!(
        "{} began at {}{} and returned at {}.",
        explain::whose(call),
        explain::seconds(call.invoked.time),
        explain::place(call),
        explain::seconds(explain::ended(call)),
    )
}
