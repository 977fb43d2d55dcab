//! `counter`: each read of a counter lies between what was certainly added before it and what may
//! have been added until it ended, and counters that only grow are never seen to shrink.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;
use serde_json::{Value as Json, json};
use tribunal_results::{
    Answer, Assumptions, Call, History, Kind, Operation, Outcome, Record, Scalar, Verdict,
};

use crate::tally::{self, Finding, Findings, Watch, Watching};
use crate::{Budget, Checker, Fold, explain};

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
        judge(&record.history, &record.assume, budget)
    }

    fn fold(&self, assume: &Assumptions, budget: Budget) -> Option<Box<dyn Fold>> {
        Some(Box::new(Watching::<Watched>::new(judge, assume, budget)))
    }
}

fn judge(history: &History, _: &Assumptions, budget: Budget) -> Verdict {
    let mut account = Account::default();
    let mut findings = Findings::new(&ANOMALIES);
    let kinds = [Kind::Increment, Kind::Count];
    let Some(objects) = tally::by_key(history, &kinds, budget) else {
        return tally::exhausted(NAME, history);
    };
    for (key, calls) in objects {
        account.take(key, &calls, &mut findings);
    }
    account.verdict(findings)
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

/// Increments that began, and those that were acknowledged: the sums of the positive ones and of
/// the negative ones.
struct Sums {
    asked: [i128; 2],
    acknowledged: [i128; 2],
    /// The largest value returned.
    largest: i64,
    /// Increments that may have taken effect.
    increments: usize,
    /// Whether none of them subtracts.
    grows: bool,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            asked: [0; 2],
            acknowledged: [0; 2],
            largest: i64::MIN,
            increments: 0,
            grows: true,
        }
    }
}

/// What had been acknowledged when a call was invoked, and the largest value returned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Before {
    acknowledged: [i128; 2],
    floor: i64,
}

impl Sums {
    /// A call begins. `None` if it does not matter when it ends.
    fn begin(&mut self, call: &Call) -> Option<Before> {
        if call.is_fail() {
            return None;
        }
        let acknowledged = self.acknowledged;
        if let Operation::Increment { by, .. } = call.operation {
            self.asked[usize::from(by < 0)] += i128::from(by);
            self.increments += 1;
            self.grows &= by >= 0;
        }
        let floor = self.largest;
        call.is_ok().then_some(Before {
            acknowledged,
            floor,
        })
    }

    /// It ends. Its bounds, if it is a read.
    fn end<'a>(&mut self, call: &'a Call, before: &Before) -> Option<Read<'a>> {
        match (&call.operation, &call.outcome) {
            (Operation::Increment { by, .. }, _) => {
                self.acknowledged[usize::from(*by < 0)] += i128::from(*by);
                None
            }
            (_, Outcome::Ok(answer)) => {
                let [added, subtracted] = before.acknowledged;
                let value = number(answer);
                self.largest = self.largest.max(value.unwrap_or(i64::MIN));
                Some(Read {
                    call,
                    lower: added + self.asked[1],
                    value,
                    upper: self.asked[0] + subtracted,
                    floor: before.floor,
                })
            }
            _ => None,
        }
    }
}

/// A counter that is followed: only its bounds, since what falls may be explained by a
/// subtraction that is still to come.
#[derive(Default)]
struct Watched {
    sums: Sums,
    open: FxHashMap<usize, Before>,
}

impl Watch for Watched {
    const KINDS: &[Kind] = &[Kind::Increment, Kind::Count];

    fn called(&mut self, place: usize, call: &Call) {
        let before = self.sums.begin(call);
        self.open.extend(before.map(|before| (place, before)));
    }

    fn returned(&mut self, place: usize, history: &History, _: &Assumptions) -> bool {
        let ended = history.calls().get(place).zip(self.open.remove(&place));
        let read = ended.and_then(|(call, before)| self.sums.end(call, &before));
        read.is_some_and(|read| read.sound().is_none())
    }
}

/// The reads in the order in which they returned, with their bounds; and what was added.
fn sweep<'a>(calls: &[&'a Call]) -> (Vec<Read<'a>>, Sums) {
    let mut sums = Sums::default();
    let mut reads = Vec::new();
    // Calls that are not over yet, by their ends.
    let mut open: BinaryHeap<Reverse<(u64, usize, Before)>> = BinaryHeap::new();
    let mut end_until = |index: u64, open: &mut BinaryHeap<_>, sums: &mut Sums| {
        while let Some(&Reverse((end, place, before))) = open.peek()
            && end < index
        {
            open.pop();
            let call = calls.get(place).copied();
            reads.extend(call.and_then(|call| sums.end(call, &before)));
        }
    };
    for (place, call) in calls.iter().enumerate() {
        end_until(call.invoked.index, &mut open, &mut sums);
        let before = sums.begin(call);
        open.extend(before.map(|before| Reverse((tally::end(call), place, before))));
    }
    end_until(u64::MAX, &mut open, &mut sums);
    (reads, sums)
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
        let (reads, sums) = sweep(calls);
        let (increments, grows) = (sums.increments, sums.grows);
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
