//! `linearizable`: each object behaves as if its operations happened one at a time.
//!
//! What an object is, its operations tell: a register, registers and lists that transactions
//! touch together, a list, set, counter, queue, stack or semaphore ([`Assumptions`] say of how
//! many permits, and whether owners matter). A register of which every value was written at most
//! once is decided by its blocks, other objects by the algorithms of [`crate::exact`], in time that
//! grows with the operations; what none of them can decide by search. Which it is depends on the
//! history alone, and the verdict does not depend on it. An order that a search finds is replayed
//! by [`verify`] before the object counts as verified.

mod ahead;
mod follow;
mod tally;

use std::cell::LazyCell;

use rustc_hash::FxHashSet;
use tribunal_results::verdict::ANOMALIES_LISTED_MAX;
use tribunal_results::{Assumptions, Call, History, Record, Scalar, Verdict};

use crate::engine::{Finding, Op, Searched};
use crate::exact::{self, Decision};
use crate::model::{self, Model};
use crate::models::{self, Group, Object};
use crate::normal::{self, Family, NONE, Placed};
use crate::register::{self, Contradiction, Entry, Key};
use crate::{Budget, Checker, Fold, verify};
use follow::Following;
use tally::Tally;

/// The checker.
pub struct Linearizable;

const NAME: &str = "linearizable";
/// The most steps that go into making one contradiction small.
const SHRINK_STEPS_MAX: u64 = 5_000_000;
/// With fewer calls more threads are not worth their start.
const THREADS_PAY: usize = 20_000;
/// Memory is divided among threads.
const THREADS_MAX: usize = 8;

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
        let Record {
            history, assume, ..
        } = record;
        check(history, assume, budget, threads(history))
    }

    fn fold(&self, assume: &Assumptions, budget: Budget) -> Option<Box<dyn Fold>> {
        Some(Box::new(Following::new(assume, budget)))
    }
}

/// Judges a history on so many threads at most. The verdict does not depend on their number.
pub fn check(history: &History, assume: &Assumptions, budget: Budget, threads: usize) -> Verdict {
    let mut tally = Tally::new(ANOMALIES_LISTED_MAX);
    let mut all = objects(history, threads, &mut tally);
    // Short ones first: if the budget runs out, more of them are known.
    all.sort_by_key(Judged::len);
    let court = Court {
        calls: history.calls(),
        assume,
        budget,
    };
    for (object, known) in all.iter().zip(ahead::judge(&court, &all, threads)) {
        match known {
            Some(done) if done.steps <= left(budget, tally.done.steps).steps => {
                tally.done.add(done)
            }
            _ => court.judge(object, &mut tally),
        }
    }
    tally.verdict()
}

/// As many threads as there are processors, up to a limit, if there is work for them.
fn threads(history: &History) -> usize {
    match history.calls().len() {
        0..THREADS_PAY => 1,
        _ => std::thread::available_parallelism().map_or(1, |it| it.get().min(THREADS_MAX)),
    }
}

/// What is judged by itself.
enum Judged<'a> {
    Register(Placed<'a>),
    Group(Group<'a>),
}

impl Judged<'_> {
    const fn len(&self) -> usize {
        match self {
            Self::Register(placed) => placed.places.len(),
            Self::Group(group) => group.calls.len(),
        }
    }
}

/// The registers with calls of their own alone, and all other objects; mixed ones are put aside.
fn objects<'a>(history: &'a History, threads: usize, tally: &mut Tally) -> Vec<Judged<'a>> {
    let of_registers = |family| family == Family::Register;
    let mut registers = normal::placed(history.calls(), threads, of_registers);
    let plain: usize = registers.iter().map(|placed| placed.places.len()).sum();
    let mut groups = Vec::new();
    if plain < history.calls().len() {
        groups = models::groups(history);
        let grouped: FxHashSet<&Scalar> = groups.iter().flat_map(|g| g.keys.clone()).collect();
        registers.retain(|placed| !grouped.contains(placed.key));
        let mixed = groups.iter().filter(|group| group.kind.is_none());
        tally.mixed = mixed.map(Group::name).collect();
        groups.retain(|group| group.kind.is_some());
    }
    let registers = registers.into_iter().map(Judged::Register);
    registers
        .chain(groups.into_iter().map(Judged::Group))
        .collect()
}

/// What objects are judged by.
struct Court<'a> {
    calls: &'a [Call],
    assume: &'a Assumptions,
    budget: Budget,
}

impl<'a> Court<'a> {
    fn judge(&self, object: &Judged<'a>, tally: &mut Tally) {
        let mut with = Bench {
            assume: Some(self.assume),
            budget: self.budget,
            tally,
        };
        match object {
            Judged::Register(placed) => judge(&Key::new(placed, self.calls), &mut with),
            Judged::Group(group) => judge_group(group, self.assume, &mut with),
        }
    }
}

/// Judges an object by its type: without search if that is possible.
fn judge_group(group: &Group<'_>, assume: &Assumptions, with: &mut Bench<'_>) {
    if exactly(group, assume, with) {
        return;
    }
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
fn exactly(group: &Group<'_>, assume: &Assumptions, with: &mut Bench<'_>) -> bool {
    let Bench { budget, tally, .. } = with;
    let Some(object) = group.columns() else {
        return false;
    };
    let steps = (object.len() / OPERATIONS_PER_STEP + 1) as u64;
    let bytes = (object.len() * OPERATION_BYTES) as u64;
    if steps > left(*budget, tally.done.steps).steps || bytes > budget.bytes {
        return false;
    }
    let Some(decision) = exact::decide(&object, assume) else {
        return false;
    };
    tally.done.keys += 1;
    tally.done.operations += object.len();
    if group.contended(assume) {
        tally.done.observations += object.observations();
    }
    tally.done.steps += steps;
    match decision {
        Decision::Linearizable => tally.done.verified.push(group.name()),
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
        self.tally.done.keys += 1;
        self.tally.done.operations += object.entries.len();
        self.tally.done.observations += object.observations();
        let searched = object.search(left(self.budget, self.tally.done.steps));
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
        self.tally.done.steps += searched.steps;
        self.tally.done.peak = self.tally.done.peak.max(searched.peak);
        match searched.finding {
            Finding::Linearizable => {
                let order = searched.order.as_deref();
                let replayed = order.map(|order| self.replay(object, order));
                self.tally.done.replayed += usize::from(replayed.is_some());
                match replayed {
                    Some(Err(why)) => self.tally.doubted.push(format!("{} ({why})", object.name)),
                    _ => self.tally.done.verified.push(object.name.clone()),
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

fn judge(key: &Key<'_>, with: &mut Bench<'_>) {
    let tally = &mut with.tally;
    let failed = key.columns.refused().iter().filter(|r| r.value != NONE);
    tally.done.keys += 1;
    tally.done.operations += key.columns.len() + failed.count();
    tally.done.observations += key.columns.observations();
    let unwritten = register::unwritten(key);
    let impossible: Vec<usize> = unwritten.iter().map(|(at, _)| *at).collect();
    for (_, contradiction) in unwritten {
        tally.anomalies.push(contradiction.anomaly(&key.key));
    }
    if impossible.is_empty() {
        judge_possible(key, true, with);
    } else if let Some(rest) = key.without(&impossible) {
        judge_possible(&rest, false, with);
    }
}

/// Judges a register of which all values that were seen had been written; `whole` if nothing was
/// left out of it.
fn judge_possible(key: &Key<'_>, whole: bool, with: &mut Bench<'_>) {
    let entries = LazyCell::new(|| key.entries());
    let budget = left(with.budget, with.tally.done.steps);
    let quick = register::without_search(&key.columns, budget);
    let is_unique = quick.is_some();
    let searched = quick.unwrap_or_else(|| register::by_search(&entries, budget));
    let refuses = key.columns.refused().iter().any(|it| it.other != NONE);
    let tally = &mut with.tally;
    tally.done.steps += searched.steps;
    tally.done.peak = tally.done.peak.max(searched.peak);
    match searched.finding {
        Finding::Linearizable => {
            let order = searched.order.as_deref();
            if let Some(Err(why)) = order.map(|order| replay(&entries, order)) {
                tally.doubted.push(format!("{} ({why})", key.key));
            } else if !whole {
                // What is left of it fits; it is contradicted already.
            } else if !refuses || !judge_refusals(key, &entries, is_unique, with) {
                with.tally.done.replayed += usize::from(order.is_some());
                with.tally.done.verified.push(key.key.to_string());
            }
        }
        Finding::Stuck(at) => {
            if let Some(last) = entries.get(at) {
                let found = contradiction(key, &entries, last, tally.spend(with.budget));
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

/// Judges a register of which all answers but refusals fit together, with those; false if they
/// do not say anything.
fn judge_refusals(
    key: &Key<'_>,
    entries: &[Entry<'_>],
    is_unique: bool,
    with: &mut Bench<'_>,
) -> bool {
    let refused = key.refused();
    let order = is_unique.then(|| register::order_with_refusals(entries, &refused));
    if let Some(order) = order.flatten() {
        let order: Vec<u64> = order.iter().map(|call| call.invoked.index).collect();
        let refused = refused.iter().map(|(_, call)| *call);
        let calls = entries.iter().map(|entry| entry.call).chain(refused);
        if verify::register_order(calls, &order).is_ok() {
            with.tally.done.replayed += 1;
            with.tally.done.verified.push(key.key.to_string());
            return true;
        }
    }
    let Some(object) = models::refusing(key, entries) else {
        return false;
    };
    let searched = object.search(left(with.budget, with.tally.done.steps));
    with.settle(&object, searched);
    true
}

/// Judges objects by a model of somebody's own.
pub(crate) fn by_model<M: Model>(mut objects: Vec<Object<'_, &M>>, budget: Budget) -> Verdict {
    objects.sort_by_key(|object| object.entries.len());
    let mut tally = Tally::new(ANOMALIES_LISTED_MAX);
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

/// Checks the order that a search found with code that knows nothing of it.
fn replay(entries: &[Entry<'_>], order: &[usize]) -> Result<(), String> {
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
