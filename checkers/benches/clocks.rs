//! How fast clocks are judged over a message journal: messages per second of processor time, and
//! peak memory.
//!
//! `cargo bench -p tribunal-checkers --bench clocks`; each size runs in a process of its own, so
//! that its peak memory is its own.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints its figures and stops where it cannot go on"
)]

mod measure;

use std::collections::VecDeque;

use tribunal_checkers::{Budget, find};
use tribunal_results::message::{Act, Clocks, MessageEvent, Messages};
use tribunal_results::{Record, Validity};

const SIZES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
const NODES: u64 = 5;

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
    let mut record = Record {
        messages: journal(size),
        ..Record::default()
    };
    for (name, exact) in [
        ("lamport-clocks", true),
        ("vector-clocks", true),
        ("vector-clocks", false),
        ("causal-delivery", false),
    ] {
        record.assume.clocks_exact = exact;
        let checker = find(name).expect("a checker");
        let (verdict, cost) = measure::measure(|| checker.check(&record, Budget::default()));
        assert_eq!(verdict.validity, Validity::Valid, "{verdict:?}");
        let name = format!("{name}{}", if exact { " (exact)" } else { "" });
        measure::row(&name, size, cost, "");
    }
}

/// Nodes that send to each other in turn and keep their clocks right; links keep the order, and
/// what arrives is delivered once all its causes are.
fn journal(size: u64) -> Messages {
    let nodes = NODES as usize;
    let mut clocks = vec![(0_u64, vec![0_u64; nodes]); nodes];
    let mut steps = vec![0; nodes];
    let mut queues: Vec<VecDeque<(u64, u64, Vec<u64>)>> = vec![VecDeque::new(); nodes];
    let mut messages = Messages {
        nodes: (1..=nodes)
            .map(|n| format!("n{n}").as_str().into())
            .collect(),
        ..Messages::default()
    };
    let mut random = 1_u64;
    let mut sent = 0;
    while sent < size || queues.iter().any(|queue| !queue.is_empty()) {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let node = (random >> 33) as usize % nodes;
        let (lamport, vector) = &mut clocks[node];
        let arrival = if sent < size && (random >> 40).is_multiple_of(2) {
            None
        } else {
            match queues[node].pop_front() {
                None if sent == size => continue,
                arrival => arrival,
            }
        };
        let act = match &arrival {
            None => Act::Send {
                message: sent,
                to: None,
            },
            Some((message, time, clock)) => {
                *lamport = (*lamport).max(*time);
                vector
                    .iter_mut()
                    .zip(clock)
                    .for_each(|(is, was)| *is = (*is).max(*was));
                Act::Deliver { message: *message }
            }
        };
        *lamport += 1;
        vector[node] += 1;
        steps[node] += 1;
        if arrival.is_none() {
            // One global order of all queues keeps causes first.
            let to = (node + 1 + (random >> 50) as usize % (nodes - 1)) % nodes;
            queues[to].push_back((sent, *lamport, vector.clone()));
            sent += 1;
        }
        messages.events.push(MessageEvent {
            node: node as u32,
            step: steps[node],
            time: messages.events.len() as u64,
            act,
            clocks: Clocks {
                lamport: Some(*lamport),
                vector: Some(vector.clone().into()),
                ..Clocks::default()
            },
        });
    }
    messages
}
