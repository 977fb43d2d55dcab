//! `total-queue`: what goes into a queue comes out of it, in any order.
//!
//! An element is lost if its enqueue was acknowledged before somebody saw the queue empty (by a
//! dequeue of nothing, or a drain) and nobody got it. A dequeue of unknown end may have taken one
//! element: unknown dequeues are matched with missing elements, the earliest with the one that
//! must be gone first, and only what is left over is lost.

use smallvec::SmallVec;
use tribunal_results::{Answer, Call, Kind, Operation, Outcome, Record, Scalar, Verdict};

use crate::intern::Numbers;
use crate::tally::{self, Finding, Findings, Listing};
use crate::{Budget, Checker, explain};

/// The checker.
pub struct TotalQueue;

const NAME: &str = "total-queue";
const ANOMALIES: [&str; 2] = ["lost-element", "unexpected-element"];
const KINDS: [Kind; 3] = [Kind::Enqueue, Kind::Dequeue, Kind::Drain];

impl Checker for TotalQueue {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "what goes into a queue comes out of it, perhaps more than once (Jepsen's `total-queue`)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "order; elements taken twice (they are counted); elements that come back after the queue \
         was empty"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let mut account = Account::default();
        let mut findings = Findings::new(&ANOMALIES);
        let Some(objects) = tally::by_key(&record.history, &KINDS, budget) else {
            return tally::exhausted(NAME, &record.history);
        };
        for (key, calls) in objects {
            let queue = Queue::of(&calls);
            account.came_out(key, &queue, &mut findings);
            account.went_missing(key, &queue, &mut findings);
        }
        account.verdict(findings)
    }
}

/// What is known of one value.
struct Entry<'a> {
    value: &'a Scalar,
    /// Enqueues that may have taken effect, and the one that was invoked first.
    attempts: usize,
    first: Option<&'a Call>,
    acknowledged: SmallVec<[&'a Call; 1]>,
    refused: Option<&'a Call>,
    /// How often it was taken, and by the call that returned first.
    taken: usize,
    taker: Option<&'a Call>,
}

/// The calls of one queue.
#[derive(Default)]
struct Queue<'a> {
    entries: Vec<Entry<'a>>,
    numbers: Numbers,
    /// Calls that saw the queue empty, in the order of invocation.
    empty: Vec<&'a Call>,
    /// Invocations of dequeues of unknown end, in order.
    unknown: Vec<u64>,
    /// The first invocation of a drain of unknown end: it may have taken everything.
    unknown_drain: Option<u64>,
}

impl<'a> Queue<'a> {
    fn of(calls: &[&'a Call]) -> Self {
        let mut queue = Self {
            numbers: Numbers::expecting(calls.len()),
            ..Self::default()
        };
        queue.entries.reserve(calls.len() / 2);
        for call in calls {
            match (&call.operation, &call.outcome) {
                (Operation::Enqueue { value, .. }, _) => queue.entry(value).enqueue(call),
                (Operation::Dequeue { .. }, Outcome::Ok(Answer::Value(None))) => {
                    queue.empty.push(call);
                }
                (Operation::Dequeue { .. }, Outcome::Ok(Answer::Value(Some(value)))) => {
                    queue.entry(value).take(call);
                }
                (Operation::Dequeue { .. }, Outcome::Info(_)) => {
                    queue.unknown.push(call.invoked.index);
                }
                (Operation::Drain { .. }, Outcome::Ok(Answer::Values(values))) => {
                    for value in values {
                        queue.entry(value).take(call);
                    }
                    queue.empty.push(call);
                }
                (Operation::Drain { .. }, Outcome::Info(_)) => {
                    queue.unknown_drain.get_or_insert(call.invoked.index);
                }
                _ => {}
            }
        }
        queue
    }

    fn entry(&mut self, value: &'a Scalar) -> &mut Entry<'a> {
        let next = self.entries.len();
        let number = self.numbers.number(value) as usize;
        if number == next {
            self.entries.push(Entry {
                value,
                attempts: 0,
                first: None,
                acknowledged: SmallVec::new(),
                refused: None,
                taken: 0,
                taker: None,
            });
        }
        &mut self.entries[number]
    }

    /// For each call that saw the queue empty: of those invoked no earlier, which returned first.
    fn soonest(&self) -> Vec<&'a Call> {
        let mut soonest = self.empty.clone();
        for at in (1..soonest.len()).rev() {
            if tally::end(soonest[at]) < tally::end(soonest[at - 1]) {
                soonest[at - 1] = soonest[at];
            }
        }
        soonest
    }
}

impl<'a> Entry<'a> {
    fn enqueue(&mut self, call: &'a Call) {
        if call.is_fail() {
            self.refused = Some(call);
            return;
        }
        self.attempts += 1;
        self.first = self.first.or(Some(call));
        if call.is_ok() {
            self.acknowledged.push(call);
        }
    }

    fn take(&mut self, call: &'a Call) {
        self.taken += 1;
        if self
            .taker
            .is_none_or(|taker| tally::end(call) < tally::end(taker))
        {
            self.taker = Some(call);
        }
    }
}

/// An element that went in and did not come out.
struct Missing<'a> {
    value: &'a Scalar,
    enqueue: &'a Call,
    /// Who saw the queue empty after that.
    empty: &'a Call,
}

#[derive(Default)]
struct Account<'a> {
    attempted: usize,
    acknowledged: usize,
    ok: usize,
    remaining: usize,
    possibly_taken: usize,
    lost: Listing<'a>,
    unexpected: Listing<'a>,
    duplicated: Listing<'a>,
    recovered: Listing<'a>,
}

impl<'a> Account<'a> {
    fn came_out(&mut self, key: &'a Scalar, queue: &Queue<'a>, findings: &mut Findings) {
        for entry in &queue.entries {
            self.attempted += entry.attempts;
            self.acknowledged += entry.acknowledged.len();
            let ok = entry.taken.min(entry.attempts);
            self.ok += ok;
            let Some(taker) = entry.taker else {
                continue;
            };
            let early = |first: &&Call| tally::end(taker) < first.invoked.index;
            if entry.first.is_none_or(|first| early(&first)) {
                self.unexpected.add(key, entry.value);
                findings.add("unexpected-element", || unexpected(key, entry, taker));
            }
            if entry.attempts > 0 {
                for _ in entry.attempts..entry.taken {
                    self.duplicated.add(key, entry.value);
                }
            }
            for _ in entry.acknowledged.len()..ok {
                self.recovered.add(key, entry.value);
            }
        }
    }

    fn went_missing(&mut self, key: &'a Scalar, queue: &Queue<'a>, findings: &mut Findings) {
        let soonest = queue.soonest();
        let seen_empty = |enqueue: &Call| {
            let after = |call: &&Call| call.invoked.index < tally::end(enqueue);
            let at = queue.empty.partition_point(after);
            soonest.get(at).copied()
        };
        let mut missing: Vec<Missing<'_>> = Vec::new();
        for entry in &queue.entries {
            if entry.acknowledged.len() <= entry.taken {
                continue;
            }
            let mut stay: SmallVec<[_; 1]> = entry
                .acknowledged
                .iter()
                .map(|enqueue| (seen_empty(enqueue), *enqueue))
                .collect();
            // Those that were taken are taken for the ones that had to be gone first.
            stay.sort_by_key(|(empty, _)| empty.map_or(u64::MAX, tally::end));
            for (empty, enqueue) in stay.into_iter().skip(entry.taken) {
                let value = entry.value;
                match empty {
                    None => self.remaining += 1,
                    Some(empty) if queue.unknown_drain.is_some_and(|d| d < tally::end(empty)) => {
                        self.possibly_taken += 1;
                    }
                    Some(empty) => missing.push(Missing {
                        value,
                        enqueue,
                        empty,
                    }),
                }
            }
        }
        missing.sort_by_key(|m| (tally::end(m.empty), m.enqueue.invoked.index));
        self.judge(key, &missing, &queue.unknown, findings);
    }

    /// Matches missing elements, by when they must be gone, with who may have taken them.
    fn judge(
        &mut self,
        key: &'a Scalar,
        missing: &[Missing<'a>],
        unknown: &[u64],
        findings: &mut Findings,
    ) {
        let mut matched: Vec<&Missing<'a>> = Vec::new();
        for element in missing {
            let taker = unknown.get(matched.len());
            if taker.is_some_and(|&taker| taker < tally::end(element.empty)) {
                matched.push(element);
            } else {
                self.lost.add(key, element.value);
                findings.add("lost-element", || lost(key, element, &matched));
            }
        }
        self.possibly_taken += matched.len();
    }

    fn verdict(self, findings: Findings) -> Verdict {
        let verdict = findings.verdict(NAME, || {
            if self.ok == 0 {
                let text = "nothing was taken out that was put in, so there is nothing to judge";
                Verdict::unknown(NAME, "vacuous", text)
            } else if self.remaining > 0 {
                let left = explain::count(self.remaining, "element");
                let text = format!(
                    "{left} never came out, and no queue was seen empty after they went in"
                );
                Verdict::unknown(NAME, "undrained", text)
            } else {
                let out = explain::count(self.ok, "element");
                Verdict::valid(NAME, format!("{out} came out, none was lost"))
            }
        });
        verdict
            .figure("attempt-count", self.attempted)
            .figure("acknowledged-count", self.acknowledged)
            .figure("ok-count", self.ok)
            .figure("unexpected-count", self.unexpected.len())
            .figure("duplicated-count", self.duplicated.len())
            .figure("lost-count", self.lost.len())
            .figure("recovered-count", self.recovered.len())
            .figure("remaining-count", self.remaining)
            .figure("possibly-taken-count", self.possibly_taken)
            .figure("lost", self.lost.json())
            .figure("unexpected", self.unexpected.json())
            .figure("duplicated", self.duplicated.json())
            .figure("recovered", self.recovered.json())
    }
}

/// That a call got nothing, or all there was.
fn saw_empty(call: &Call) -> String {
    let what = match call.operation.kind() {
        Kind::Drain => "had drained",
        _ => "found nothing in",
    };
    let queue = call.operation.key().map(ToString::to_string);
    format!(
        "p{} {what} {} at {}{}",
        call.process,
        queue.unwrap_or_default(),
        explain::seconds(explain::ended(call)),
        explain::place(call)
    )
}

fn lost<'a>(key: &'a Scalar, element: &Missing<'a>, others: &[&Missing<'a>]) -> Finding<'a> {
    let value = element.value;
    let all = || others.iter().copied().chain([element]);
    // Whoever asked last saw the queue empty after all of them went in.
    let asked = |missing: &&Missing<'a>| missing.empty.invoked.index;
    let empty = all()
        .max_by_key(asked)
        .map_or(element.empty, |missing| missing.empty);
    let mut facts: Vec<String> = all()
        .map(|missing| tally::fact(explain::acknowledged(missing.enqueue)))
        .collect();
    facts.push(tally::fact(format!(
        "{}, after that",
        explain::invoked(empty)
    )));
    facts.push(tally::fact(saw_empty(empty)));
    facts.push("Nobody got these elements as often as they were put in.".to_owned());
    let mut sentence = format!(
        "element {value} of {key} is lost: {}, {}, and nobody got it",
        explain::acknowledged(element.enqueue),
        saw_empty(empty),
    );
    let calls = all()
        .map(|missing| missing.enqueue)
        .chain([empty])
        .collect();
    if !others.is_empty() {
        let takers = explain::count(others.len(), "dequeue");
        let more = format!("the {takers} of unknown end until then can have taken the others only");
        sentence = format!("{sentence} ({more})");
        facts.push(tally::fact(format!(
            "Only {takers} of unknown end began before that, and each takes one element"
        )));
    }
    Finding {
        key: Some(key),
        sentence,
        calls,
        facts,
    }
}

fn unexpected<'a>(key: &'a Scalar, entry: &Entry<'a>, taker: &'a Call) -> Finding<'a> {
    let value = entry.value;
    let (why, cause) = match (entry.first, entry.refused) {
        (Some(first), _) => (
            format!("{}, after that", explain::invoked(first)),
            Some(first),
        ),
        (None, Some(add)) => (tally::refused(add), Some(add)),
        (None, None) => (format!("nobody put {value} into {key}"), None),
    };
    let got = format!(
        "p{} got {value} out of {key} at {}{}",
        taker.process,
        explain::seconds(explain::ended(taker)),
        explain::place(taker)
    );
    Finding {
        key: Some(key),
        sentence: format!("{got}, though {why}"),
        facts: vec![tally::fact(got), tally::fact(why)],
        calls: cause.into_iter().chain([taker]).collect(),
    }
}
