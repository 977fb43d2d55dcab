//! `linearizable`: each register behaves as if its operations happened one at a time.
//!
//! A register of which every value was written at most once is decided by its zones, in time
//! that grows with the operations; any other by search. Which of both depends on the history
//! alone. An order that a search finds is replayed by [`verify`] before the key counts as
//! verified.

use std::borrow::Cow;

use tribunal_results::{Anomaly, Assumptions, History, Record, Verdict};

use crate::engine::{Finding, Op, WIDTH_MAX};
use crate::register::Registers;
use crate::register::{self, Contradiction, Entry, Key};
use crate::{Budget, Checker, Fold, Moment, explain, verify};

/// The checker.
pub struct Linearizable;

const NAME: &str = "linearizable";
/// How many keys are named in a sentence.
const KEYS_NAMED_MAX: usize = 8;
/// The most steps that go into making one contradiction small.
const SHRINK_STEPS_MAX: u64 = 5_000_000;

impl Checker for Linearizable {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "each register behaves as one copy, in real time (Herlihy & Wing 1990; Gibbons & Korach 1997; Lowe 2017)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &[
            "stale-read",
            "phantom-read",
            "aborted-read",
            "not-linearizable",
        ]
    }

    fn blind_to(&self) -> &'static str {
        "relations between keys; what a refused compare-and-set found; a register that was never \
         read"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        check(&record.history, budget)
    }

    fn fold(&self, _: &Assumptions, budget: Budget) -> Option<Box<dyn Fold>> {
        let registers = Registers::default();
        Some(Box::new(Following { registers, budget }))
    }
}

/// Registers whose values are unique, followed; the others are judged at the end.
struct Following {
    registers: Registers,
    budget: Budget,
}

impl Fold for Following {
    fn step(&mut self, history: &History, moment: Moment) {
        self.registers.step(history, moment);
    }

    fn contradicted(&self) -> bool {
        self.registers.is_contradicted()
    }

    fn verdict(&self, history: &History) -> Verdict {
        check(history, self.budget)
    }
}

/// What became of the keys.
#[derive(Default)]
struct Tally {
    keys: usize,
    operations: usize,
    observations: usize,
    peak: u64,
    steps: u64,
    verified: Vec<String>,
    /// Keys of which the order that was found was replayed.
    replayed: usize,
    /// Keys of which it did not fit: the checker itself is wrong.
    doubted: Vec<String>,
    stopped: Vec<String>,
    too_wide: bool,
    anomalies: Vec<Anomaly>,
}

fn check(history: &History, budget: Budget) -> Verdict {
    let mut keys = register::by_key(history);
    // Short ones first: if the budget runs out, more of them are known.
    keys.sort_by_key(|key| key.entries.len());
    let mut tally = Tally::default();
    for key in &keys {
        tally.keys += 1;
        tally.operations += key.entries.len() + key.failed.len();
        tally.observations += key.observations();
        judge(key, budget, &mut tally);
    }
    tally.verdict()
}

fn judge(key: &Key<'_>, budget: Budget, tally: &mut Tally) {
    let unwritten = register::unwritten(key);
    let impossible: Vec<usize> = unwritten.iter().map(|(at, _)| *at).collect();
    for (_, contradiction) in unwritten {
        tally.anomalies.push(contradiction.anomaly(&key.key));
    }
    let Some(entries) = without(&key.entries, &impossible) else {
        return;
    };
    let searched = register::decide(&entries, left(budget, tally.steps));
    tally.steps += searched.steps;
    tally.peak = tally.peak.max(searched.peak);
    match searched.finding {
        Finding::Linearizable => {
            if let Err(why) = replay(&entries, searched.order.as_deref()) {
                tally.doubted.push(format!("{} ({why})", key.key));
            } else if impossible.is_empty() {
                tally.replayed += usize::from(searched.order.is_some());
                tally.verified.push(key.key.to_string());
            }
        }
        Finding::Stuck(at) => {
            if let Some(last) = entries.get(at) {
                let listed =
                    tally.anomalies.len() < tribunal_results::verdict::ANOMALIES_LISTED_MAX;
                let spend = Budget {
                    steps: if listed { SHRINK_STEPS_MAX } else { 0 },
                    ..budget
                };
                let found = contradiction(key, &entries, last, spend);
                tally.anomalies.push(found.anomaly(&key.key));
            }
        }
        Finding::Exhausted(event) => {
            tally
                .stopped
                .push(format!("{} (verified up to event {event})", key.key));
        }
        Finding::TooWide(event) => {
            tally.too_wide = true;
            tally
                .stopped
                .push(format!("{} (verified up to event {event})", key.key));
        }
    }
}

/// The entries without those at these places, in order. Without a read that cannot be, the rest
/// can be judged; a compare-and-set that cannot be leaves its value behind: `None`.
fn without<'k, 'a>(entries: &'k [Entry<'a>], impossible: &[usize]) -> Option<Cow<'k, [Entry<'a>]>> {
    if impossible.is_empty() {
        return Some(Cow::Borrowed(entries));
    }
    let mut kept = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        match (impossible.binary_search(&at), entry.op.step.sets()) {
            (Err(_), _) => kept.push(*entry),
            (Ok(_), None) => {}
            (Ok(_), Some(_)) => return None,
        }
    }
    Some(Cow::Owned(kept))
}

/// Checks the order that a search found with code that knows nothing of it.
fn replay(entries: &[Entry<'_>], order: Option<&[usize]>) -> Result<(), String> {
    let Some(order) = order else { return Ok(()) };
    let index = |at: &usize| entries.get(*at).map(|entry| entry.call.invoked.index);
    let order: Vec<u64> = order.iter().filter_map(index).collect();
    verify::order(entries.iter().map(|entry| entry.call), &order)
}

const fn left(budget: Budget, spent: u64) -> Budget {
    Budget {
        steps: budget.steps.saturating_sub(spent),
        ..budget
    }
}

/// Why `last`, the first to return without an order, contradicts what was called before.
fn contradiction<'a>(
    key: &Key<'a>,
    entries: &[Entry<'a>],
    last: &Entry<'a>,
    budget: Budget,
) -> Contradiction<'a> {
    let prefix = up_to(entries, last.op.ret.unwrap_or(u64::MAX));
    register::explain(key, &prefix, last)
        .unwrap_or_else(|| register::shrink(key, &register::prune(&prefix), last, budget))
}

/// What was called up to the event, with the returns up to it.
fn up_to<'a>(entries: &[Entry<'a>], end: u64) -> Vec<Entry<'a>> {
    let mut prefix = Vec::new();
    for entry in entries.iter().filter(|e| e.op.call < end) {
        let ret = entry.op.ret.filter(|ret| *ret <= end);
        if ret.is_some() || entry.op.step.sets().is_some() {
            let op = Op { ret, ..entry.op };
            prefix.push(Entry { op, ..*entry });
        }
    }
    prefix
}

impl Tally {
    fn verdict(mut self) -> Verdict {
        let verdict = if !self.anomalies.is_empty() {
            // The clearest first: few calls, then early ones.
            self.anomalies
                .sort_by_key(|a| (a.calls.len(), a.span.1, a.calls.first().copied()));
            let total = self.anomalies.len() as u64;
            Verdict::invalid(NAME, std::mem::take(&mut self.anomalies), total)
        } else if !self.doubted.is_empty() {
            let text = format!(
                "the checker contradicts itself, please report it: {}",
                named(&self.doubted)
            );
            Verdict::unknown(NAME, "self-check", text)
        } else if !self.stopped.is_empty() {
            let code = if self.too_wide { "too-wide" } else { "budget" };
            Verdict::unknown(NAME, code, self.unfinished())
        } else if self.observations == 0 {
            let text = "no read returned a written value, so there is nothing to judge";
            Verdict::unknown(NAME, "vacuous", text)
        } else {
            let operations = explain::count(self.operations, "operation");
            let keys = explain::count(self.keys, "key");
            Verdict::valid(NAME, format!("{operations} on {keys} are linearizable"))
        };
        verdict
            .figure("keys", self.keys)
            .figure("keys-verified", self.verified.len())
            .figure("keys-unknown", self.stopped.len())
            .figure("keys-replayed", self.replayed)
            .figure("operations", self.operations)
            .figure("observations", self.observations)
            .figure("configurations-peak", self.peak)
            .figure("steps", self.steps)
    }

    fn unfinished(&self) -> String {
        let why = if self.too_wide {
            format!("more than {WIDTH_MAX} operations were open at once on one key")
        } else {
            "the budget ran out".to_owned()
        };
        format!(
            "{why}; undecided: {}; verified: {}",
            named(&self.stopped),
            named(&self.verified)
        )
    }
}

fn named(keys: &[String]) -> String {
    let mut text = keys
        .iter()
        .take(KEYS_NAMED_MAX)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if keys.is_empty() {
        text.push_str("no key");
    } else if keys.len() > KEYS_NAMED_MAX {
        text.push_str(&format!(" and {} more", keys.len() - KEYS_NAMED_MAX));
    }
    text
}
