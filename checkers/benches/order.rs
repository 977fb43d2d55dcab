//! How fast the models without real time are judged: operations per second of processor time.
//!
//! `cargo bench -p tribunal-checkers --bench order`; a checker's name alone measures that one. The
//! histories are of stores that keep what they promise: one in which reads are of the latest
//! write, and one whose replicas apply all writes in one order but lag behind, so that reads are
//! stale (sequentially consistent, but not linearizable).
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints its figures and stops where it cannot go on"
)]

mod measure;

use tribunal_checkers::{Budget, find};
use tribunal_results::{Answer, Body, Event, History, Operation, Outcome, Process, Record, Scalar};

const CHECKERS: [&str; 9] = [
    "sequential",
    "causal-convergence",
    "causal",
    "causal-memory",
    "pram",
    "read-your-writes",
    "monotonic-reads",
    "monotonic-writes",
    "writes-follow-reads",
];
/// Operations and clients of each history.
const SIZES: [(u64, u64); 5] = [
    (1_000, 10),
    (10_000, 10),
    (100_000, 10),
    (1_000_000, 10),
    (100_000, 300),
];
const KEYS: u64 = 20;
/// How many writes a replica may lag behind.
const LAG_MAX: u64 = 50;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for (size, clients) in SIZES {
        for lag in [0, LAG_MAX] {
            let record = Record {
                history: replicated(size, clients, lag),
                ..Record::default()
            };
            for checker in CHECKERS {
                let named = |name: &String| name.as_str() == checker;
                let is_any = wanted.iter().any(|name| CHECKERS.contains(&name.as_str()));
                if !is_any || wanted.iter().any(named) {
                    run(checker, &record, (size, clients, lag));
                }
            }
        }
    }
}

fn run(name: &str, record: &Record, (size, clients, lag): (u64, u64, u64)) {
    let checker = find(name).expect("a checker");
    let (verdict, cost) = measure::measure(|| checker.check(record, Budget::default()));
    assert!(verdict.anomalies.is_empty(), "{verdict:?}");
    let name = format!("{name} ({clients} clients, lag {lag})");
    measure::row(&name, size, cost, &format!("{:?}", verdict.validity));
}

/// Clients of replicas that apply all writes in one order. A client has a replica of its own, which
/// is never behind the client's own writes.
fn replicated(size: u64, clients: u64, lag: u64) -> History {
    let mut random = 1_u64;
    let mut below = move |bound: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % bound
    };
    // The order of all writes, and of each key the places in it.
    let mut writes = 0_u64;
    let mut places: Vec<Vec<u64>> = vec![Vec::new(); KEYS as usize];
    let mut applied = vec![0_u64; clients as usize];
    let mut events: Vec<(u64, Body)> = Vec::new();
    for _ in 0..size {
        let client = below(clients);
        let key = below(KEYS);
        let scalar = Scalar::Int(key as i64);
        let (operation, answer) = if below(2) == 0 {
            writes += 1;
            places[key as usize].push(writes);
            applied[client as usize] = writes;
            let value = Scalar::Int(writes as i64);
            (Operation::Write { key: scalar, value }, Answer::Done)
        } else {
            let least = writes.saturating_sub(below(lag + 1));
            let now = &mut applied[client as usize];
            *now = least.max(*now);
            let of_key = &places[key as usize];
            let behind = of_key.partition_point(|place| *place <= *now);
            let seen = behind.checked_sub(1).and_then(|last| of_key.get(last));
            let seen = seen.map(|value| Scalar::Int(*value as i64));
            (Operation::Read { key: scalar }, Answer::Value(seen))
        };
        events.push((client, Body::Invoke(operation.clone())));
        events.push((client, Body::Complete(operation, Outcome::Ok(answer))));
    }
    let event = |(index, (client, body)): (u64, (u64, Body))| Event {
        index,
        time: index * 1_000,
        process: Process::Client(client),
        node: None,
        body,
    };
    History::from_events((0..).zip(events).map(event)).expect("a history")
}
