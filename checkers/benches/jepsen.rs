//! How fast the accounting checkers judge generated histories of a correct system.
//!
//! `cargo bench -p tribunal-checkers --bench jepsen` runs them all, `… -- NAME` those whose name
//! contains NAME. Time is that of the CPU, of this thread alone.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says why")]

mod measure;

#[path = "../tests/random/mod.rs"]
mod random;
#[path = "../tests/jepsen_oracle/world.rs"]
#[allow(dead_code, reason = "the benchmark spoils nothing")]
mod world;

use random::{Timed, history};
use tribunal_checkers::{Budget, find};
use tribunal_results::{Record, Validity};
use world::{Mix, Theme, simulate};

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
    let (verdict, cost) = measure::measure(|| checker.check(&record, Budget::default()));
    let summary = &verdict.summary;
    assert_eq!(verdict.validity, Validity::Valid, "{name}: {summary}");
    measure::row(name, operations, cost, "");
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
