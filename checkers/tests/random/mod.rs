//! Small random histories from fixed seeds.
#![allow(
    dead_code,
    clippy::expect_used,
    reason = "each test binary uses its own part; a test that cannot go on panics"
)]

use tribunal_checkers::{Budget, find};
use tribunal_results::{
    Body, Call, Event, History, Operation, Outcome, Process, Reason, Record, Verdict,
};

/// A linear congruential generator (Knuth's MMIX constants), good enough to vary tests.
pub(crate) struct Lcg(u64);

impl Lcg {
    pub(crate) fn new(seed: u64) -> Self {
        let mut lcg = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03);
        lcg.next();
        lcg
    }

    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }
}

/// An operation in free time: any distinct numbers that order the events.
#[derive(Clone, Debug)]
pub(crate) struct Timed {
    pub(crate) process: u64,
    pub(crate) call: u64,
    pub(crate) ret: u64,
    pub(crate) operation: Operation,
    pub(crate) outcome: Outcome,
}

/// The history of these operations, a millisecond between one event and the next.
pub(crate) fn history(ops: &[Timed]) -> History {
    build(ops, |index, _| index * 1_000_000)
}

/// The history of these operations, whose positions are times in nanoseconds.
pub(crate) fn timeline(ops: &[Timed]) -> History {
    build(ops, |_, at| at)
}

fn build(ops: &[Timed], time: fn(u64, u64) -> u64) -> History {
    let mut moments: Vec<(u64, bool, &Timed)> = Vec::new();
    for op in ops {
        moments.push((op.call, false, op));
        moments.push((op.ret, true, op));
    }
    moments.sort_by_key(|(at, completes, _)| (*at, *completes));
    let events = moments
        .into_iter()
        .enumerate()
        .map(|(index, (at, completes, op))| Event {
            index: index as u64,
            time: time(index as u64, at),
            process: Process::Client(op.process),
            node: Some(format!("n{}", op.process % 3 + 1).as_str().into()),
            body: if completes {
                Body::Complete(op.operation.clone(), op.outcome.clone())
            } else {
                Body::Invoke(op.operation.clone())
            },
        });
    History::from_events(events).expect("a well-formed history")
}

pub(crate) fn unknown() -> Outcome {
    Outcome::Info(Reason::new("timeout", ""))
}

pub(crate) fn failed() -> Outcome {
    Outcome::Fail(Reason::new("precondition-failed", ""))
}

/// The operations of some calls alone.
pub(crate) fn only(calls: &[&Call]) -> Vec<Timed> {
    let timed = |call: &&Call| Timed {
        process: call.process,
        call: call.invoked.index,
        ret: call.completed.map_or(u64::MAX, |stamp| stamp.index),
        operation: call.operation.clone(),
        outcome: call.outcome.clone(),
    };
    calls.iter().map(timed).collect()
}

/// What was called until the event: with their ends, or only with the ends until then.
pub(crate) fn prefix(whole: &History, now: u64, ends: bool) -> Vec<Timed> {
    let calls = whole.calls().iter();
    let called: Vec<&Call> = calls.filter(|call| call.invoked.index <= now).collect();
    let mut ops = only(&called);
    for op in &mut ops {
        if op.ret > now && !ends {
            (op.ret, op.outcome) = (u64::MAX, unknown());
        }
    }
    ops
}

/// What a checker says.
pub(crate) fn verdict(checker: &str, history: History) -> Verdict {
    let record = Record {
        history,
        ..Record::default()
    };
    find(checker)
        .expect("a registered checker")
        .check(&record, Budget::default())
}
