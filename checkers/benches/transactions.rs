//! How fast `list-append` judges: transactions per second of processor time, and peak memory.
//!
//! `cargo bench -p tribunal-checkers --bench transactions`; each size runs in a process of its
//! own, so that its peak memory is its own.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints its figures and stops where it cannot go on"
)]

use std::collections::HashMap;
use std::fs;
use std::process::Command;

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
/// Clock ticks per second in `/proc`: `USER_HZ`, the same on every Linux.
const TICKS: f64 = 100.0;

fn main() {
    let sizes: Vec<u64> = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .collect();
    if let [size] = sizes.as_slice() {
        return measure(*size);
    }
    println!("transactions  CPU s  transactions/CPU s  peak MiB  peak MiB before");
    let program = std::env::current_exe().expect("a path");
    for size in SIZES {
        let status = Command::new(&program).arg(size.to_string()).status();
        assert!(status.expect("a process").success());
    }
}

fn measure(size: u64) {
    let record = Record {
        history: valid_history(size),
        ..Record::default()
    };
    let checker = find("list-append").expect("a checker");
    let budget = Budget {
        steps: u64::MAX,
        bytes: u64::MAX,
    };
    let (before, from) = (peak_mib(), cpu_seconds());
    let mut rounds = 0;
    while rounds == 0 || cpu_seconds() - from < 0.5 {
        let verdict = checker.check(&record, budget);
        assert!(verdict.anomalies.is_empty(), "{verdict:?}");
        rounds += 1;
    }
    let each = (cpu_seconds() - from) / f64::from(rounds);
    let rate = size as f64 / each;
    println!(
        "{size:12} {each:6.3} {rate:19.0} {:9} {before:16}",
        peak_mib()
    );
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

/// Processor time that this process has used.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, rest) = stat.rsplit_once(')').expect("a name in brackets");
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || {
        fields
            .next()
            .and_then(|f| f.parse().ok())
            .unwrap_or(0.0_f64)
    };
    (ticks() + ticks()) / TICKS
}

/// The most memory that this process has had resident.
fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
