//! `counter`: each read of a counter lies between what was certainly added before it and what may
//! have been added until it ended, and counters that only grow are never seen to shrink.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde_json::{Value as Json, json};
use tribunal_results::{Answer, Call, Kind, Operation, Outcome, Record, Scalar, Verdict};

use crate::tally::{self, Finding, Findings};
use crate::{Budget, Checker, explain};

/// The checker.
pub struct Counter;

const NAME: &str = "counter";
const ANOMALIES: [&str; 2] = ["out-of-bounds", "non-monotonic-count"];

impl Checker for Counter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "reads of a counter lie between what was and what may have been added (Jepsen's \
         `counter`), and never fall where nothing is subtracted"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "values within the bounds that no choice of increments gives; how far a counter must have \
         grown between two reads"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let mut account = Account::default();
        let mut findings = Findings::new(&ANOMALIES);
        let kinds = [Kind::Increment, Kind::Count];
        let Some(objects) = tally::by_key(&record.history, &kinds, budget) else {
            return tally::exhausted(NAME, &record.history);
        };
        for (key, calls) in objects {
            account.take(key, &calls, &mut findings);
        }
        account.verdict(findings)
    }
}

/// A read with the least and the most that it can return.
struct Read<'a> {
    call: &'a Call,
    lower: i128,
    value: Option<i64>,
    upper: i128,
    /// The largest value that had been returned when it was invoked.
    floor: i64,
}

impl Read<'_> {
    /// What it returned, if that is within its bounds.
    fn sound(&self) -> Option<i64> {
        let within = |value: &i64| (self.lower..=self.upper).contains(&i128::from(*value));
        self.value.filter(within)
    }
}

/// What a read returned; `None` if that is no number.
fn number(answer: &Answer) -> Option<i64> {
    match answer {
        // A counter that nobody incremented may not be there.
        Answer::Value(None) => Some(0),
        Answer::Value(Some(Scalar::Int(value))) => Some(*value),
        _ => None,
    }
}

/// Sums of increments that began, and of those that were acknowledged: the positive ones and the
/// negative ones.
#[derive(Clone, Copy, Default)]
struct Sums {
    asked: [i128; 2],
    acknowledged: [i128; 2],
}

/// A call that is not over yet, ordered by its end.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Open {
    end: u64,
    place: u32,
    /// What had been acknowledged when it was invoked, and the largest value returned.
    before: [i128; 2],
    floor: i64,
}

/// Follows the calls on a counter in time.
struct Sweep<'c, 'a> {
    calls: &'c [&'a Call],
    sums: Sums,
    largest: i64,
    open: BinaryHeap<Reverse<Open>>,
    reads: Vec<Read<'a>>,
    /// Increments that may have taken effect.
    increments: usize,
    /// Whether none of them subtracts.
    grows: bool,
}

/// The reads in the order in which they returned, with their bounds.
fn sweep<'c, 'a>(calls: &'c [&'a Call]) -> Sweep<'c, 'a> {
    let mut sweep = Sweep {
        calls,
        sums: Sums::default(),
        largest: i64::MIN,
        open: BinaryHeap::new(),
        reads: Vec::new(),
        increments: 0,
        grows: true,
    };
    for (place, call) in (0..).zip(calls) {
        sweep.end_until(call.invoked.index);
        sweep.begin(place, call);
    }
    sweep.end_until(u64::MAX);
    sweep
}

impl Sweep<'_, '_> {
    fn begin(&mut self, place: u32, call: &Call) {
        if call.is_fail() {
            return;
        }
        let before = self.sums.acknowledged;
        if let Operation::Increment { by, .. } = call.operation {
            self.sums.asked[usize::from(by < 0)] += i128::from(by);
            self.increments += 1;
            self.grows &= by >= 0;
        }
        if call.is_ok() {
            self.open.push(Reverse(Open {
                end: tally::end(call),
                place,
                before,
                floor: self.largest,
            }));
        }
    }

    /// Ends the calls that returned before that event.
    fn end_until(&mut self, index: u64) {
        let is_over = |open: &Reverse<Open>| open.0.end < index;
        while self.open.peek().is_some_and(is_over) {
            if let Some(Reverse(open)) = self.open.pop() {
                self.end(&open);
            }
        }
    }

    fn end(&mut self, open: &Open) {
        let Some(&call) = self.calls.get(open.place as usize) else {
            return;
        };
        match (&call.operation, &call.outcome) {
            (Operation::Increment { by, .. }, _) => {
                self.sums.acknowledged[usize::from(*by < 0)] += i128::from(*by);
            }
            (_, Outcome::Ok(answer)) => {
                let [added, subtracted] = open.before;
                let value = number(answer);
                self.largest = self.largest.max(value.unwrap_or(i64::MIN));
                self.reads.push(Read {
                    call,
                    lower: added + self.sums.asked[1],
                    value,
                    upper: self.sums.asked[0] + subtracted,
                    floor: open.floor,
                });
            }
            _ => {}
        }
    }
}

#[derive(Default)]
struct Account {
    /// Counters that were both incremented and read.
    judged: usize,
    increments: usize,
    reads_total: usize,
    errors_total: usize,
    reads: Vec<Json>,
    errors: Vec<Json>,
}

/// How many reads are listed.
const LISTED_MAX: usize = 32;

impl Account {
    fn take<'a>(&mut self, key: &'a Scalar, calls: &[&'a Call], findings: &mut Findings) {
        let Sweep {
            reads,
            increments,
            grows,
            ..
        } = sweep(calls);
        self.increments += increments;
        self.judged += usize::from(increments > 0 && !reads.is_empty());
        self.reads_total += reads.len();
        for read in &reads {
            if self.reads.len() < LISTED_MAX {
                self.reads.push(entry(read));
            }
            if read.sound().is_some() {
                continue;
            }
            self.errors_total += 1;
            if self.errors.len() < LISTED_MAX {
                self.errors.push(entry(read));
            }
            findings.add("out-of-bounds", || out_of_bounds(key, read, calls));
        }
        let falls = |read: &Read<'_>| read.value.is_some_and(|value| value < read.floor);
        if grows && reads.iter().any(falls) {
            let sound = reads.iter().filter_map(|r| Some((r.sound()?, r.call)));
            fallen(key, sound.collect(), findings);
        }
    }

    fn verdict(self, findings: Findings) -> Verdict {
        let fell = findings.count("non-monotonic-count");
        let verdict = findings.verdict(NAME, || {
            if self.judged == 0 {
                let text = "no counter was both incremented and read, so there is nothing to judge";
                return Verdict::unknown(NAME, "vacuous", text);
            }
            let reads = explain::count(self.reads_total, "read");
            Verdict::valid(NAME, format!("{reads}, all within their bounds"))
        });
        verdict
            .figure("increment-count", self.increments)
            .figure("read-count", self.reads_total)
            .figure("reads", tally::bounded(self.reads, self.reads_total))
            .figure("error-count", self.errors_total)
            .figure("errors", tally::bounded(self.errors, self.errors_total))
            .figure("non-monotonic-count", fell)
    }
}

/// `[lower, value, upper]`; bounds beyond 64 bits as texts.
fn entry(read: &Read<'_>) -> Json {
    let bound =
        |sum: i128| i64::try_from(sum).map_or_else(|_| json!(sum.to_string()), |n| json!(n));
    json!([bound(read.lower), read.value, bound(read.upper)])
}

/// Reads from the smallest value to the largest: none may have returned before one of a smaller
/// value was invoked.
fn fallen<'a>(key: &'a Scalar, mut sound: Vec<(i64, &'a Call)>, findings: &mut Findings) {
    sound.sort_by_key(|(value, _)| *value);
    let mut latest: Option<(i64, &Call)> = None;
    for level in sound.chunk_by(|a, b| a.0 == b.0) {
        for &(value, call) in level {
            if let Some(lower) = latest.filter(|(_, lower)| tally::end(call) < lower.invoked.index)
            {
                findings.add("non-monotonic-count", || fell(key, (value, call), lower));
            }
        }
        let last = level.iter().max_by_key(|(_, call)| call.invoked.index);
        let later = |last: &&(i64, &Call)| {
            latest.is_none_or(|(_, before)| before.invoked.index < last.1.invoked.index)
        };
        latest = last.filter(later).copied().or(latest);
    }
}

fn fell<'a>(key: &'a Scalar, higher: (i64, &'a Call), lower: (i64, &'a Call)) -> Finding<'a> {
    let ((more, first), (less, second)) = (higher, lower);
    Finding {
        key: Some(key),
        sentence: format!(
            "counter {key} fell from {more}, which p{} read at {}{}, to {less}, which p{} read at {}{}",
            first.process,
            explain::seconds(explain::ended(first)),
            explain::place(first),
            second.process,
            explain::seconds(explain::ended(second)),
            explain::place(second),
        ),
        facts: vec![
            tally::fact(explain::returned(first)),
            tally::fact(format!("{}, after that", explain::invoked(second))),
            tally::fact(explain::returned(second)),
            tally::fact(format!("Nobody asked to subtract from {key}")),
        ],
        calls: vec![first, second],
    }
}

/// A read beyond a bound, with the fewest certain increments that put it there. The other side is
/// given the benefit of every doubt.
fn out_of_bounds<'a>(key: &'a Scalar, read: &Read<'a>, calls: &[&'a Call]) -> Finding<'a> {
    let call = read.call;
    let returned = explain::returned(call);
    let (lower, upper) = (read.lower, read.upper);
    let mut facts = vec![tally::fact(returned.clone())];
    let mut named = Vec::new();
    match read.value.map(i128::from) {
        None => facts.push("A counter has a number.".to_owned()),
        Some(value) => {
            let low = value < lower;
            named = certain(calls, call, low, value);
            facts.push(tally::fact(bound(low, named.len(), value)));
        }
    }
    named.truncate(CALLS_MAX);
    Finding {
        key: Some(key),
        sentence: format!("{returned}, outside of its bounds {lower} and {upper}"),
        facts,
        calls: named.into_iter().chain([call]).collect(),
    }
}

/// Why a value is beyond a bound that so many certain increments make.
fn bound(low: bool, certain: usize, value: i128) -> String {
    let increments = explain::count(certain, "increment");
    match (low, certain) {
        (true, 0) => {
            format!("All that may have been subtracted until it returned leaves more than {value}")
        }
        (true, _) => format!(
            "{increments} acknowledged before it was invoked, and all that may have been \
             subtracted until it returned, make more than {value}"
        ),
        (false, 0) => {
            format!("All that may have been added until it returned makes less than {value}")
        }
        (false, _) => format!(
            "All that may have been added until it returned, and {increments} that subtracted for \
             certain before it was invoked, make less than {value}"
        ),
    }
}

/// How many increments are named that make up a bound.
const CALLS_MAX: usize = 1024;

/// The fewest increments, acknowledged before a read, that make its value too low (or too high).
fn certain<'a>(calls: &[&'a Call], read: &Call, low: bool, value: i128) -> Vec<&'a Call> {
    let mut sum = 0;
    let mut certain: Vec<(i64, &Call)> = Vec::new();
    for call in calls.iter().copied() {
        let Operation::Increment { by, .. } = call.operation else {
            continue;
        };
        let raises = by > 0;
        if raises != low && !call.is_fail() && call.invoked.index < tally::end(read) {
            sum += i128::from(by);
        } else if raises == low && call.is_ok() && tally::end(call) < read.invoked.index {
            certain.push((by, call));
        }
    }
    certain.sort_by_key(|(by, _)| Reverse(by.unsigned_abs()));
    let mut named = Vec::new();
    for (by, call) in certain {
        if if low { sum > value } else { sum < value } {
            break;
        }
        sum += i128::from(by);
        named.push(call);
    }
    named
}
