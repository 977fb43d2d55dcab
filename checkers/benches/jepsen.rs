//! How fast the accounting checkers judge generated histories of a correct system.
//!
//! `cargo bench -p tribunal-checkers --bench jepsen` runs them all, `… -- NAME` those whose name
//! contains NAME. Time is that of the CPU, of this thread alone.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says why")]

#[path = "../tests/random/mod.rs"]
mod random;
#[path = "../tests/jepsen_oracle/world.rs"]
#[allow(dead_code, reason = "the benchmark spoils nothing")]
mod world;

use std::fs;

use random::{Timed, history};
use tribunal_checkers::{Budget, find};
use tribunal_results::{Record, Validity};
use world::{Mix, Theme, simulate};

/// A short check is repeated until so much time was measured, but not more often than this.
const ENOUGH_NANOS: u64 = 200_000_000;
const ROUNDS_MAX: u64 = 1_000;
/// How often the whole set is read at the end for `set-full`.
const READS: usize = 4;

/// A checker, what its histories are about, and how many of a hundred operations are reads.
const CASES: [(&str, Theme, u64); 9] = [
    ("set", Theme::Set, 0),
    ("set-full", Theme::Set, 0),
    ("total-queue", Theme::Queue, 50),
    ("unique-ids", Theme::Ids, 0),
    ("counter", Theme::Growing, 50),
    ("bank", Theme::Bank, 50),
    ("long-fork", Theme::Group, 50),
    ("causal-reverse", Theme::Group, 50),
    ("monotonic", Theme::Table, 0),
];

/// Nanoseconds that this thread has spent on a CPU.
fn cpu_nanos() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let first = text.split_whitespace().next().expect("a figure");
    first.parse().expect("nanoseconds")
}

fn run(name: &str, theme: Theme, reads: u64, operations: u64) {
    let mix = Mix {
        theme,
        operations,
        clients: 10,
        reads,
        unknown: 1,
        failed: 0,
        faulty: 0,
        removes: false,
        last: true,
    };
    let mut ops = simulate(1, mix);
    if name == "set-full" {
        let last = ops.last().cloned().expect("a read");
        let again = |n: u64| Timed {
            call: last.call + 2 * n,
            ret: last.ret + 2 * n,
            ..last.clone()
        };
        ops.extend((1..READS as u64).map(again));
    }
    let record = Record {
        history: history(&ops),
        ..Record::default()
    };
    drop(ops);
    let checker = find(name).expect("a registered checker");
    let (start, mut rounds) = (cpu_nanos(), 0);
    while rounds == 0 || (cpu_nanos() - start < ENOUGH_NANOS && rounds < ROUNDS_MAX) {
        let verdict = checker.check(&record, Budget::default());
        assert_eq!(
            verdict.validity,
            Validity::Valid,
            "{name}: {}",
            verdict.summary
        );
        rounds += 1;
    }
    let nanos = (cpu_nanos() - start) / rounds;
    let rate = operations * 1_000_000_000 / nanos.max(1);
    println!(
        "{name:<16} {operations:>8} operations {:>9} µs {rate:>10} ops/s",
        nanos / 1_000
    );
}

fn main() {
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let wanted = wanted.unwrap_or_default();
    for (name, theme, reads) in CASES {
        if name.contains(&wanted) {
            for operations in [1_000, 10_000, 100_000, 1_000_000] {
                run(name, theme, reads, operations);
            }
        }
    }
}
