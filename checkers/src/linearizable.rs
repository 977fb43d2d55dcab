//! `linearizable`: each object behaves as if its operations happened one at a time.
//!
//! What an object is, its operations tell: a register, registers and lists that transactions
//! touch together, a list, set, counter, queue, stack or semaphore ([`Assumptions`] say of how
//! many permits, and whether owners matter). A register of which every value was written at most
//! once is decided by its zones, other objects by the algorithms of [`crate::exact`], in time that
//! grows with the operations; what none of them can decide by search. Which it is depends on the
//! history alone, and the verdict does not depend on it. An order that a search finds is replayed
//! by [`verify`] before the object counts as verified.

mod follow;
mod tally;

use std::borrow::Cow;

use rustc_hash::FxHashSet;
use tribunal_results::{Assumptions, History, Record, Scalar, Verdict};

use crate::engine::{Finding, Op, Searched};
use crate::exact::{self, Decision};
use crate::model::{self, Model};
use crate::models::{self, Group, Object};
use crate::register::{self, Contradiction, Entry, Key};
use crate::{Budget, Checker, Fold, verify};
use follow::Following;
use tally::Tally;

/// The checker.
pub struct Linearizable;

const NAME: &str = "linearizable";
/// The most steps that go into making one contradiction small.
const SHRINK_STEPS_MAX: u64 = 5_000_000;

impl Checker for Linearizable {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "each object behaves as one copy, in real time (Herlihy & Wing 1990; Gibbons & Korach 1997; Lowe 2017)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &[
            "stale-read",
            "phantom-read",
            "aborted-read",
            "duplicate-element",
            "lost-element",
            "out-of-order",
            "wrongly-empty",
            "not-linearizable",
        ]
    }

    fn blind_to(&self) -> &'static str {
        "relations between keys that no transaction touches together; a register that was never \
         read; a failed operation's reason, but that of a compare-and-set; \
         which of its permits a client gives back, and which of them fall back when a lease is over"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        check(&record.history, &record.assume, budget)
    }

    fn fold(&self, assume: &Assumptions, budget: Budget) -> Option<Box<dyn Fold>> {
        Some(Box::new(Following::new(assume, budget)))
    }
}

fn check(history: &History, assume: &Assumptions, budget: Budget) -> Verdict {
    let mut tally = Tally::default();
    let (keys, groups) = objects(history, &mut tally);
    let mut all: Vec<Judged<'_>> = keys.into_iter().map(Judged::Register).collect();
    all.extend(groups.into_iter().map(Judged::Group));
    // Short ones first: if the budget runs out, more of them are known.
    all.sort_by_key(Judged::len);
    for object in &all {
        match object {
            Judged::Register(key) => {
                tally.keys += 1;
                tally.operations += key.entries.len() + key.failed.len();
                tally.observations += key.observations();
                judge(key, assume, budget, &mut tally);
            }
            Judged::Group(group) => judge_group(group, assume, budget, &mut tally),
        }
    }
    tally.verdict()
}

/// What is judged by itself.
enum Judged<'a> {
    Register(Key<'a>),
    Group(Group<'a>),
}

impl Judged<'_> {
    const fn len(&self) -> usize {
        match self {
            Self::Register(key) => key.entries.len(),
            Self::Group(group) => group.calls.len(),
        }
    }
}

/// The registers with calls of their own alone, and all other objects; mixed ones are put aside.
fn objects<'a>(history: &'a History, tally: &mut Tally) -> (Vec<Key<'a>>, Vec<Group<'a>>) {
    let mut keys = register::by_key(history);
    let mut groups = models::groups(history);
    if !groups.is_empty() {
        let grouped: FxHashSet<&Scalar> = groups.iter().flat_map(|g| g.keys.clone()).collect();
        keys.retain(|key| !grouped.contains(&key.key));
        let mixed = groups.iter().filter(|group| group.kind.is_none());
        tally.mixed = mixed.map(Group::name).collect();
        groups.retain(|group| group.kind.is_some());
    }
    (keys, groups)
}

/// Judges an object by its type: without search if that is possible.
fn judge_group(group: &Group<'_>, assume: &Assumptions, budget: Budget, tally: &mut Tally) {
    if exactly(group, assume, budget, tally) {
        return;
    }
    let mut with = Bench {
        assume: Some(assume),
        budget,
        tally,
    };
    match group.kind {
        Some(models::Kind::Keyed | models::Kind::List) => with.judge(&models::kv(group)),
        Some(models::Kind::Set) => {
            for object in &models::sets(group) {
                with.judge(object);
            }
        }
        Some(models::Kind::Counter) => with.judge(&models::counter(group)),
        Some(models::Kind::Queue) => with.judge(&models::queue(group)),
        Some(models::Kind::Stack) => with.judge(&models::stack(group)),
        Some(models::Kind::Permits) => with.judge(&models::semaphore(group, assume)),
        None => {}
    }
}

/// Operations that cost as much as one step of a search.
const OPERATIONS_PER_STEP: usize = 16;
/// Bytes that an operation takes without search, with what an algorithm keeps for it.
const OPERATION_BYTES: usize = 128;

/// Judges an object without search; false if only a search can.
fn exactly(group: &Group<'_>, assume: &Assumptions, budget: Budget, tally: &mut Tally) -> bool {
    let Some(object) = group.columns() else {
        return false;
    };
    let steps = (object.len() / OPERATIONS_PER_STEP + 1) as u64;
    let bytes = (object.len() * OPERATION_BYTES) as u64;
    if steps > left(budget, tally.steps).steps || bytes > budget.bytes {
        return false;
    }
    let Some(decision) = exact::decide(&object, assume) else {
        return false;
    };
    tally.keys += 1;
    tally.operations += object.len();
    if group.contended(assume) {
        tally.observations += object.observations();
    }
    tally.steps += steps;
    match decision {
        Decision::Linearizable => tally.verified.push(group.name()),
        Decision::Contradiction(found) => {
            let of_place = |place: u32| group.calls.get(place as usize).copied();
            let anomaly = found.about(of_place, group.key().as_ref());
            tally.anomalies.push(anomaly);
        }
    }
    true
}

/// Where objects other than plain registers are judged.
struct Bench<'b> {
    /// What is taken for granted of the catalogue's types; `None` of a user's own.
    assume: Option<&'b Assumptions>,
    budget: Budget,
    tally: &'b mut Tally,
}

impl Bench<'_> {
    fn judge<M: Model>(&mut self, object: &Object<'_, M>) {
        self.tally.keys += 1;
        self.tally.operations += object.entries.len();
        self.tally.observations += object.observations();
        let searched = object.search(left(self.budget, self.tally.steps));
        self.settle(object, searched);
    }

    /// Checks an order that a search found: with code that knows nothing of it, or by the model
    /// where only that is known.
    fn replay<M: Model>(&self, object: &Object<'_, M>, order: &[usize]) -> Result<(), String> {
        let Some(assume) = self.assume else {
            let ops: Vec<_> = object.entries.iter().map(|e| e.op.clone()).collect();
            let fits = model::replays(&object.model, &ops, order);
            return fits
                .then_some(())
                .ok_or_else(|| "its order does not fit".to_owned());
        };
        let index = |at: &usize| Some(object.entries.get(*at)?.call.invoked.index);
        let order: Vec<u64> = order.iter().filter_map(index).collect();
        let calls = object.entries.iter().map(|entry| entry.call);
        verify::object_order(calls, &order, assume)
    }

    fn settle<M: Model>(&mut self, object: &Object<'_, M>, searched: Searched) {
        self.tally.steps += searched.steps;
        self.tally.peak = self.tally.peak.max(searched.peak);
        match searched.finding {
            Finding::Linearizable => {
                let order = searched.order.as_deref();
                let replayed = order.map(|order| self.replay(object, order));
                self.tally.replayed += usize::from(replayed.is_some());
                match replayed {
                    Some(Err(why)) => self.tally.doubted.push(format!("{} ({why})", object.name)),
                    _ => self.tally.verified.push(object.name.clone()),
                }
            }
            Finding::Stuck(at) => {
                let spend = self.tally.spend(self.budget);
                if let Some(found) = models::contradiction(object, at, spend) {
                    self.tally.anomalies.push(found.about(object.key.as_ref()));
                }
            }
            Finding::Exhausted(event) => self.tally.stop(&object.name, event),
            Finding::TooWide(event) => {
                self.tally.too_wide = true;
                self.tally.stop(&object.name, event);
            }
        }
    }
}

fn judge(key: &Key<'_>, assume: &Assumptions, budget: Budget, tally: &mut Tally) {
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
            } else if !impossible.is_empty() {
                // What is left of it fits; it is contradicted already.
            } else if let Some(object) = models::refusing(key, &entries) {
                // All answers but refusals fit together; now with those.
                let searched = object.search(left(budget, tally.steps));
                let mut with = Bench {
                    assume: Some(assume),
                    budget,
                    tally,
                };
                with.settle(&object, searched);
            } else {
                tally.replayed += usize::from(searched.order.is_some());
                tally.verified.push(key.key.to_string());
            }
        }
        Finding::Stuck(at) => {
            if let Some(last) = entries.get(at) {
                let found = contradiction(key, &entries, last, tally.spend(budget));
                tally.anomalies.push(found.anomaly(&key.key));
            }
        }
        Finding::Exhausted(event) => tally.stop(&key.key.to_string(), event),
        Finding::TooWide(event) => {
            tally.too_wide = true;
            tally.stop(&key.key.to_string(), event);
        }
    }
}

/// Judges objects by a model of somebody's own.
pub(crate) fn by_model<M: Model>(mut objects: Vec<Object<'_, &M>>, budget: Budget) -> Verdict {
    objects.sort_by_key(|object| object.entries.len());
    let mut tally = Tally::default();
    for object in &objects {
        let mut with = Bench {
            assume: None,
            budget,
            tally: &mut tally,
        };
        with.judge(object);
    }
    tally.verdict()
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
    verify::register_order(entries.iter().map(|entry| entry.call), &order)
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
