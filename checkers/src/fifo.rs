//! `fifo`: who asked first is granted first.
//!
//! If request *A* was acknowledged before request *B* was asked for, *A* stood before *B* in the
//! queue; so *A*, if it is granted at all, is granted first. *B* overtook *A* if *B*'s certain
//! hold was over before *A*'s began: suppose that *A* was granted first; it held the lock in one
//! stretch until its certain hold at least, so by mutual exclusion *B* was granted after that, and
//! *B*'s certain hold cannot have been over before. A try-acquire asks and is granted in one, and
//! may not pass a queue either.

use tribunal_results::{Anomaly, Call, Operation, Record, Scalar, Verdict};

use crate::locks::{self, Hold};
use crate::{Budget, Checker, explain};

/// The checker.
pub struct Fifo;

const NAME: &str = "fifo";

impl Checker for Fifo {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "a lock is granted in the order of acknowledged requests (first come, first served: \
         Lamport 1974)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["overtaking"]
    }

    fn blind_to(&self) -> &'static str {
        "the order of requests that overlap; who was passed over and never granted"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        let mut anomalies = Vec::new();
        let (mut grants, mut contended) = (0, 0);
        for (lock, calls) in locks::by_lock(&record.history) {
            let mut holds = locks::holds(&calls);
            holds.retain(|hold| hold.is_certain() && hold.asked().is_some());
            grants += holds.len();
            contended += waited(&holds);
            anomalies.extend(overtakings(lock, &holds));
        }
        verdict(anomalies, grants, contended)
    }
}

fn verdict(mut anomalies: Vec<Anomaly>, grants: usize, contended: usize) -> Verdict {
    let verdict = if !anomalies.is_empty() {
        anomalies.sort_by_key(|anomaly| (anomaly.span.1, anomaly.calls.clone()));
        let total = anomalies.len() as u64;
        Verdict::invalid(NAME, anomalies, total)
    } else if contended == 0 {
        let text = format!(
            "{}, but none was asked for while another waited",
            explain::count(grants, "grant")
        );
        Verdict::unknown(NAME, "vacuous", text)
    } else {
        let grants = explain::count(grants, "grant");
        Verdict::valid(
            NAME,
            format!(
                "{grants}, and nobody overtook any of the {contended} that others queued behind"
            ),
        )
    };
    verdict
        .figure("grants", grants)
        .figure("contended", contended)
}

/// The acknowledgement of a hold's request; `None` of a try-acquire.
fn acknowledged(hold: &Hold<'_>) -> Option<u64> {
    hold.request?.returned()
}

/// How many holds waited, acknowledged, while another that was granted in the end was asked for.
fn waited(holds: &[Hold<'_>]) -> usize {
    let mut asked: Vec<u64> = holds.iter().filter_map(Hold::asked).collect();
    asked.sort_unstable();
    let waited = |hold: &&Hold<'_>| {
        let (Some(from), Some(until)) = (acknowledged(hold), hold.grant.returned()) else {
            return false;
        };
        let next = asked.partition_point(|&at| at <= from);
        asked.get(next).is_some_and(|&at| at < until)
    };
    holds.iter().filter(waited).count()
}

/// Of the holds that were over before each one's begin, the last to be asked for: did it come
/// after that one's acknowledgement?
fn overtakings(lock: &Scalar, holds: &[Hold<'_>]) -> Vec<Anomaly> {
    let mut over: Vec<&Hold<'_>> = holds.iter().collect();
    over.sort_by_key(|hold| hold.until());
    let mut over = over.into_iter().peekable();
    let mut latest: Option<&Hold<'_>> = None;
    let mut found = Vec::new();
    for hold in holds {
        while let Some(done) = over.next_if(|done| done.until() <= hold.from) {
            if latest.is_none_or(|latest| latest.asked() < done.asked()) {
                latest = Some(done);
            }
        }
        let Some(acknowledged) = acknowledged(hold) else {
            continue;
        };
        if let Some(other) = latest.filter(|other| other.asked() > Some(acknowledged)) {
            found.extend(overtaking(lock, hold, other));
        }
    }
    found
}

fn overtaking(lock: &Scalar, passed: &Hold<'_>, by: &Hold<'_>) -> Option<Anomaly> {
    let request = passed.request?;
    let asked = by.request.unwrap_or(by.grant);
    let sentence = format!(
        "p{} overtook p{} at lock {lock}: it asked at {}, after p{}'s request was acknowledged \
         at {}, and held the lock at {}, before p{} did at {}",
        by.process,
        passed.process,
        explain::seconds(asked.invoked.time),
        passed.process,
        explain::seconds(explain::ended(request)),
        explain::seconds(by.from),
        passed.process,
        explain::seconds(passed.from),
    );
    let tried = matches!(asked.operation, Operation::TryAcquire { .. });
    let facts = vec![
        format!(
            "{}: p{} had its place in the queue.",
            explain::returned(request),
            passed.process
        ),
        format!(
            "{}, after that{}.",
            explain::invoked(asked),
            if tried {
                ": it may only succeed if nobody waits"
            } else {
                ": its place is further back"
            }
        ),
        format!("{}.", by.sentence()),
        format!("{}.", passed.sentence()),
    ];
    let calls: Vec<&Call> = passed.calls().chain(by.calls()).collect();
    Some(locks::anomaly("overtaking", lock, sentence, &calls, facts))
}
