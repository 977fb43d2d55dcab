//! How fast `list-append` judges: transactions per second of processor time, and peak memory.
//!
//! `cargo bench -p tribunal-checkers --bench transactions`; each size runs in a process of its
//! own, so that its peak memory is its own.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints its figures and stops where it cannot go on"
)]

mod measure;

use std::collections::HashMap;

use tribunal_checkers::{Budget, find};
use tribunal_results::{
    Answer, Body, Event, History, Micro, Operation, Outcome, Process, Record, Scalar, Seen,
};

const SIZES: [u64; 3] = [1_000, 10_000, 100_000];
/// Transactions that are open at once.
const CLIENTS: u64 = 10;
/// Appends to a list before the next takes its place.
const LENGTH_MAX: usize = 64;
const KEYS: u64 = 10;

fn main() {
    let sizes: Vec<u64> = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .collect();
    if let [size] = sizes.as_slice() {
        return run(*size);
    }
    for size in SIZES {
        measure::apart(&[&size.to_string()]);
    }
}

fn run(size: u64) {
    let record = Record {
        history: valid_history(size),
        ..Record::default()
    };
    let checker = find("list-append").expect("a checker");
    let budget = Budget {
        steps: u64::MAX,
        bytes: u64::MAX,
    };
    let (verdict, cost) = measure::measure(|| checker.check(&record, budget));
    assert!(verdict.anomalies.is_empty(), "{verdict:?}");
    measure::row("list-append", size, cost, "");
}

/// Transactions of one to four steps, one after another but open ten at a time.
fn valid_history(size: u64) -> History {
    let mut random = 1_u64;
    let mut below = move |bound: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % bound
    };
    let mut lists: HashMap<u64, Vec<Scalar>> = HashMap::new();
    let mut current: Vec<u64> = (0..KEYS).collect();
    let (mut next_key, mut next_value) = (KEYS, 0_i64);
    let mut events: Vec<(u64, Body)> = Vec::new();
    let mut open: Vec<Option<(Operation, Outcome)>> = vec![None; CLIENTS as usize];
    for at in 0..size + CLIENTS {
        let client = at % CLIENTS;
        let slot = &mut open[client as usize];
        if let Some((operation, outcome)) = slot.take() {
            events.push((client, Body::Complete(operation, outcome)));
        }
        if at >= size {
            continue;
        }
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        for _ in 0..=below(4) {
            let place = below(KEYS) as usize;
            let key = current[place];
            let list = lists.entry(key).or_default();
            let scalar = Scalar::Int(key as i64);
            let micro = if below(2) == 0 {
                next_value += 1;
                list.push(Scalar::Int(next_value));
                Micro::Append {
                    key: scalar,
                    value: Scalar::Int(next_value),
                }
            } else {
                Micro::Read {
                    key: scalar,
                    seen: Seen::List(list.clone()),
                }
            };
            if list.len() >= LENGTH_MAX {
                current[place] = next_key;
                next_key += 1;
            }
            asked.push(micro.asked());
            answered.push(micro);
        }
        let operation = Operation::Txn { micros: asked };
        events.push((client, Body::Invoke(operation.clone())));
        *slot = Some((operation, Outcome::Ok(Answer::Txn(answered))));
    }
    let event = |(index, (client, body)): (usize, (u64, Body))| Event {
        index: index as u64,
        time: index as u64 * 1_000,
        process: Process::Client(client),
        node: None,
        body,
    };
    History::from_events(events.into_iter().enumerate().map(event)).expect("a history")
}
