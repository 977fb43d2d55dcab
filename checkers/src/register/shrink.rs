//! Reduces a contradiction to the calls that it needs.
//!
//! Every step weakens the evidence, so what remains contradictory was so before: an observer is
//! left out, or a mutator's return is forgotten (and it is left out itself once nobody needs its
//! value). Leaving out a mutator outright would not be sound. The order is that of delta
//! debugging: halves first, single calls last (Zeller & Hildebrandt 2002).

use super::{Contradiction, Entry, Key, decide, prune};
use crate::engine::{Finding, Op};
use crate::{Budget, explain};

/// The most searches for one contradiction.
const SEARCHES_MAX: usize = 400;
/// The most calls that are listed as facts.
const FACTS_MAX: usize = 12;

/// The contradiction that remains of a prefix that ends with the return of `last`.
pub(crate) fn shrink<'a>(
    key: &Key<'a>,
    prefix: &[Entry<'a>],
    last: &Entry<'a>,
    budget: Budget,
) -> Contradiction<'a> {
    let mut shrinking = Shrinking {
        entries: prefix,
        weak: vec![false; prefix.len()],
        last,
        budget,
        searches: 0,
    };
    shrinking.run();
    let kept = shrinking.kept();
    describe(key, &kept, last)
}

struct Shrinking<'s, 'a> {
    entries: &'s [Entry<'a>],
    /// Which entries were weakened.
    weak: Vec<bool>,
    last: &'s Entry<'a>,
    budget: Budget,
    searches: usize,
}

impl<'a> Shrinking<'_, 'a> {
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
        let changes: Vec<usize> = stretch
            .filter(|&at| {
                let entry = self.entries.get(at);
                entry.is_some_and(|e| e.op.ret.is_some() && !e.is(self.last))
                    && self.weak.get(at) == Some(&false)
            })
            .collect();
        if changes.is_empty() || self.searches >= SEARCHES_MAX {
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

    fn kept(&self) -> Vec<Entry<'a>> {
        let mut kept = Vec::new();
        for (entry, weak) in self.entries.iter().zip(&self.weak) {
            match (*weak, entry.op.step.sets()) {
                (false, _) => kept.push(*entry),
                (true, None) => {}
                (true, Some(_)) => kept.push(Entry {
                    op: Op {
                        ret: None,
                        ..entry.op
                    },
                    ..*entry
                }),
            }
        }
        prune(&kept)
    }

    fn contradictory(&mut self) -> bool {
        self.searches += 1;
        let searched = decide(&self.kept(), self.budget);
        self.budget.steps = self.budget.steps.saturating_sub(searched.steps);
        matches!(searched.finding, Finding::Stuck(_))
    }
}

fn describe<'a>(key: &Key<'a>, kept: &[Entry<'a>], last: &Entry<'a>) -> Contradiction<'a> {
    let mut facts: Vec<String> = kept
        .iter()
        .filter(|e| !e.is(last))
        .take(FACTS_MAX)
        .map(|e| match e.op.ret {
            Some(_) => format!(
                "{} began at {}{} and returned at {}.",
                explain::whose(e.call),
                explain::seconds(e.call.invoked.time),
                explain::place(e.call),
                explain::seconds(explain::ended(e.call)),
            ),
            None => format!(
                "{}; when it took effect does not matter.",
                explain::invoked(e.call)
            ),
        })
        .collect();
    if kept.len() > FACTS_MAX + 1 {
        facts.push(format!("And {} more.", kept.len() - FACTS_MAX - 1));
    }
    let value = key.show(last.op.step.needs().unwrap_or_default());
    facts.push(format!(
        "{} began at {}{} and returned at {}: in every order of these, something else than \
         {value} was there all that time.",
        explain::whose(last.call),
        explain::seconds(last.call.invoked.time),
        explain::place(last.call),
        explain::seconds(explain::ended(last.call)),
    ));
    Contradiction {
        name: "not-linearizable",
        sentence: format!(
            "{} cannot be: no order of {} on {} explains it",
            explain::done(last.call),
            explain::count(kept.len(), "operation"),
            key.key
        ),
        calls: kept.iter().map(|e| e.call).collect(),
        facts,
    }
}
