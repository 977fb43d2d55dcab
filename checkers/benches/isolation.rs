//! How fast weak levels of isolation are judged: operations per second of processor time, and peak
//! memory.
//!
//! `cargo bench -p tribunal-checkers --bench isolation`; each size and level runs in a process of
//! its own, so that its peak memory is its own.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints its figures and stops where it cannot go on"
)]

mod measure;

use tribunal_checkers::{Budget, find};
use tribunal_results::{
    Answer, Body, Event, History, Micro, Operation, Outcome, Process, Record, Scalar, Seen,
    Validity,
};

const LEVELS: [&str; 4] = [
    "read-committed",
    "read-atomic",
    "transactional-causal",
    "rw-register",
];
/// Transactions.
const SIZES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Steps of each.
const STEPS: u64 = 8;
const SESSIONS: u64 = 50;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let level = LEVELS.into_iter().find(|l| args.iter().any(|a| a == l));
    let sizes: Vec<u64> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    if let (Some(level), [size]) = (level, sizes.as_slice()) {
        return run(level, *size);
    }
    for level in LEVELS {
        for size in SIZES {
            measure::apart(&[level, &size.to_string()]);
        }
    }
}

fn run(level: &str, size: u64) {
    let record = Record {
        history: valid_history(size),
        ..Record::default()
    };
    let checker = find(level).expect("a checker");
    let budget = Budget {
        steps: u64::MAX,
        bytes: u64::MAX,
    };
    let (verdict, cost) = measure::measure(|| checker.check(&record, budget));
    assert_eq!(verdict.validity, Validity::Valid, "{verdict:?}");
    measure::row(level, size * STEPS, cost, "");
}

/// Transactions of half reads and half writes, one after another, of sessions by chance; each is
/// open until its session has the next one.
fn valid_history(size: u64) -> History {
    let mut random = 1_u64;
    let mut below = move |bound: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % bound
    };
    let keys = (size / 10).max(10);
    let mut state: Vec<Option<i64>> = vec![None; keys as usize];
    let mut fresh = 0_i64;
    let mut open: Vec<Option<(Operation, Outcome)>> = vec![None; SESSIONS as usize];
    let mut builder = tribunal_results::history::HistoryBuilder::default();
    let mut index = 0;
    let mut push = |process, body| {
        let event = Event {
            index,
            time: index * 1_000,
            process: Process::Client(process),
            node: None,
            body,
        };
        index += 1;
        builder.push(event).expect("an event");
    };
    for _ in 0..size {
        let session = below(SESSIONS);
        if let Some((operation, outcome)) = open[session as usize].take() {
            push(session, Body::Complete(operation, outcome));
        }
        let mut steps = Vec::with_capacity(STEPS as usize);
        for _ in 0..STEPS {
            let key = below(keys);
            let value = &mut state[key as usize];
            let key = Scalar::Int(key as i64);
            steps.push(if below(2) == 0 {
                fresh += 1;
                *value = Some(fresh);
                let value = Scalar::Int(fresh);
                Micro::Write { key, value }
            } else {
                let seen = value.map_or(Seen::Nothing, |v| Seen::Value(Scalar::Int(v)));
                Micro::Read { key, seen }
            });
        }
        let micros = steps.iter().map(Micro::asked).collect();
        let operation = Operation::Txn { micros };
        push(session, Body::Invoke(operation.clone()));
        open[session as usize] = Some((operation, Outcome::Ok(Answer::Txn(steps))));
    }
    for (session, last) in (0..).zip(open) {
        if let Some((operation, outcome)) = last {
            push(session, Body::Complete(operation, outcome));
        }
    }
    builder.finish()
}
