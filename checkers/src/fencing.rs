//! `fencing`: tokens grow from hold to hold, and a guarded resource refuses the smaller ones.
//!
//! When must hold *B* have a larger token than hold *A*? Two rules, each sound by itself:
//!
//! * **asked later**: *A*'s grant was answered before *B* was asked for (its request, or its
//!   try-acquire, was invoked). *A* was granted before its answer and *B* after it was asked for,
//!   so *A* was granted first. Where *B*'s ticket is of unknown origin, the rule is silent.
//! * **held later**: *A*'s certain hold was over before *B*'s began. Suppose that *B* was granted
//!   first. A hold is one stretch, so *B* held the lock from its grant until its certain hold at
//!   least; by mutual exclusion *A* was granted after that, so *A*'s certain hold cannot have been
//!   over before.

use std::collections::BTreeMap;

use tribunal_results::{Anomaly, Call, Operation, Record, Scalar, Verdict};

use crate::locks::{self, Hold};
use crate::{Budget, Checker, explain};

/// The checker.
pub struct Fencing;

const NAME: &str = "fencing";

impl Checker for Fencing {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "fencing tokens grow, and a resource refuses those older than it has seen (Lampson; \
         Kleppmann 2016)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["token-not-monotonic", "stale-token-accepted"]
    }

    fn blind_to(&self) -> &'static str {
        "the order of grants and of writes that overlap; grants that nobody claimed"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        let mut anomalies = Vec::new();
        let (mut granted, mut compared, mut guarded) = (0, 0, 0);
        for (lock, calls) in locks::by_lock(&record.history) {
            let holds = locks::holds(&calls);
            let writes = writes(&calls);
            granted += holds.len();
            compared += holds.len().saturating_sub(1);
            guarded += writes.len();
            anomalies.extend(reused(lock, &holds));
            anomalies.extend(regressed(lock, &holds));
            anomalies.extend(accepted(lock, &writes));
        }
        verdict(anomalies, granted, compared, guarded)
    }
}

/// `compared` is how many holds followed another of the same lock.
fn verdict(
    mut anomalies: Vec<Anomaly>,
    granted: usize,
    compared: usize,
    guarded: usize,
) -> Verdict {
    let verdict = if !anomalies.is_empty() {
        anomalies.sort_by_key(|anomaly| (anomaly.span.1, anomaly.calls.clone()));
        let total = anomalies.len() as u64;
        Verdict::invalid(NAME, anomalies, total)
    } else if compared == 0 {
        let text = format!(
            "{}: no two tokens of one lock to compare",
            explain::count(granted, "hold")
        );
        Verdict::unknown(NAME, "vacuous", text)
    } else {
        let holds = explain::count(granted, "hold");
        let writes = explain::count(guarded, "accepted guarded write");
        Verdict::valid(
            NAME,
            format!("the tokens of {holds} grow, and so do those of {writes}"),
        )
    };
    verdict
        .figure("holds", granted)
        .figure("guarded-writes", guarded)
}

/// Tokens granted to two holds: of two clients, or of one that had given it back.
fn reused(lock: &Scalar, holds: &[Hold<'_>]) -> Vec<Anomaly> {
    let mut first: BTreeMap<u64, &Hold<'_>> = BTreeMap::new();
    let mut found = Vec::new();
    for hold in holds {
        let earlier = *first.entry(hold.token).or_insert(hold);
        let again = earlier.process != hold.process || earlier.released;
        if again && !std::ptr::eq(earlier.grant, hold.grant) {
            let sentence = format!(
                "token {} of lock {lock} was granted twice: to p{} at {} and to p{} at {}",
                hold.token,
                earlier.process,
                explain::seconds(earlier.from),
                hold.process,
                explain::seconds(hold.from),
            );
            let fact = "Every grant needs a token larger than all before.".to_owned();
            found.push(not_monotonic(lock, sentence, earlier, hold, vec![fact]));
        }
    }
    found
}

/// Holds that came later for certain, by either rule, with a smaller token. One anomaly a hold.
fn regressed(lock: &Scalar, holds: &[Hold<'_>]) -> Vec<Anomaly> {
    let answered = |h: &Hold<'_>| h.grant.completed.map(|stamp| stamp.index);
    let asked_later = largest_before(holds, answered, Hold::asked);
    let ended = |h: &Hold<'_>| h.is_certain().then(|| h.until());
    // An end and a begin at the same nanosecond do not overlap: the end comes first.
    let began = |h: &Hold<'_>| h.is_certain().then(|| h.from.saturating_add(1));
    let held_later = largest_before(holds, ended, began);
    let mut found = Vec::new();
    for ((hold, asked), held) in holds.iter().zip(asked_later).zip(held_later) {
        let smaller = |earlier: &&Hold<'_>| hold.token < earlier.token;
        if let Some(earlier) = asked.filter(smaller) {
            let asked = hold.request.unwrap_or(hold.grant);
            let fact = format!(
                "{}, after p{} had its answer: so this grant came later, and needs a larger token.",
                explain::invoked(asked),
                earlier.process,
            );
            found.push(regression(lock, earlier, hold, fact));
        } else if let Some(earlier) = held.filter(smaller) {
            let fact = format!(
                "p{}'s hold was over before p{}'s began: so this grant came later, and needs a \
                 larger token.",
                earlier.process, hold.process,
            );
            found.push(regression(lock, earlier, hold, fact));
        }
    }
    found
}

/// For each hold, of those that finish strictly before it starts, the one with the largest token.
fn largest_before<'h, 'a>(
    holds: &'h [Hold<'a>],
    finish: impl Fn(&Hold<'a>) -> Option<u64>,
    start: impl Fn(&Hold<'a>) -> Option<u64>,
) -> Vec<Option<&'h Hold<'a>>> {
    let mut finished: Vec<(u64, &Hold<'a>)> =
        holds.iter().filter_map(|h| Some((finish(h)?, h))).collect();
    finished.sort_by_key(|(at, _)| *at);
    let mut starts: Vec<(u64, usize)> = holds
        .iter()
        .enumerate()
        .filter_map(|(i, h)| Some((start(h)?, i)))
        .collect();
    starts.sort_unstable();
    let mut before = vec![None; holds.len()];
    let mut finished = finished.into_iter().peekable();
    let mut largest: Option<&'h Hold<'a>> = None;
    for (at, index) in starts {
        while let Some((_, hold)) = finished.next_if(|(end, _)| *end < at) {
            if largest.is_none_or(|largest| largest.token < hold.token) {
                largest = Some(hold);
            }
        }
        if let Some(place) = before.get_mut(index) {
            *place = largest;
        }
    }
    before
}

fn regression(lock: &Scalar, earlier: &Hold<'_>, later: &Hold<'_>, fact: String) -> Anomaly {
    let sentence = format!(
        "lock {lock} was granted to p{} with token {} at {}, after p{} had been granted token {} \
         at {}",
        later.process,
        later.token,
        explain::seconds(later.from),
        earlier.process,
        earlier.token,
        explain::seconds(earlier.from),
    );
    not_monotonic(lock, sentence, earlier, later, vec![fact])
}

fn not_monotonic(
    lock: &Scalar,
    sentence: String,
    earlier: &Hold<'_>,
    later: &Hold<'_>,
    more: Vec<String>,
) -> Anomaly {
    let calls: Vec<&Call> = earlier.calls().chain(later.calls()).collect();
    let mut facts = vec![format!("{}.", earlier.granted())];
    facts.push(format!("{}.", later.granted()));
    facts.extend(more);
    locks::anomaly("token-not-monotonic", lock, sentence, &calls, facts)
}

/// An accepted guarded write.
struct Write<'a> {
    call: &'a Call,
    token: u64,
    completed: u64,
}

fn writes<'a>(calls: &[&'a Call]) -> Vec<Write<'a>> {
    let accepted = |call: &&'a Call| match call.operation {
        Operation::GuardedWrite { token, .. } if call.is_ok() => Some(Write {
            call,
            token,
            completed: call.returned()?,
        }),
        _ => None,
    };
    calls.iter().filter_map(accepted).collect()
}

/// Writes accepted with a token although one with a larger token had been acknowledged before
/// they were asked for. `writes` are in the order of invocation.
fn accepted(lock: &Scalar, writes: &[Write<'_>]) -> Vec<Anomaly> {
    let mut finished: Vec<&Write<'_>> = writes.iter().collect();
    finished.sort_by_key(|write| write.completed);
    let mut finished = finished.into_iter().peekable();
    let mut largest: Option<&Write<'_>> = None;
    let mut found = Vec::new();
    for write in writes {
        while let Some(done) = finished.next_if(|w| w.completed < write.call.invoked.index) {
            if largest.is_none_or(|largest| largest.token < done.token) {
                largest = Some(done);
            }
        }
        if let Some(newer) = largest.filter(|newer| newer.token > write.token) {
            found.push(stale_token(lock, newer, write));
        }
    }
    found
}

fn stale_token(lock: &Scalar, newer: &Write<'_>, stale: &Write<'_>) -> Anomaly {
    let sentence = format!(
        "{lock} accepted p{}'s guarded write with token {} at {}{}, although p{}'s with token {} \
         was accepted at {}",
        stale.call.process,
        stale.token,
        explain::seconds(explain::ended(stale.call)),
        explain::place(stale.call),
        newer.call.process,
        newer.token,
        explain::seconds(explain::ended(newer.call)),
    );
    let facts = vec![
        format!("{}.", explain::acknowledged(newer.call)),
        format!(
            "{}, after that: from then on a token below {} must be refused.",
            explain::invoked(stale.call),
            newer.token,
        ),
        format!("Yet {}.", explain::acknowledged(stale.call)),
    ];
    let calls = [newer.call, stale.call];
    locks::anomaly("stale-token-accepted", lock, sentence, &calls, facts)
}
