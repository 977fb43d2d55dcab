//! What benchmarks measure, and how they tell it.
//!
//! Time is that of the CPU, of this thread alone: checkers have no other. Memory is what the
//! process held at the peak of a check, with the history itself; Linux tells both.
#![allow(
    dead_code,
    reason = "not every benchmark needs a process for each case"
)]

use std::fs;
use std::process::Command;

/// A short check is repeated until so much time was measured, but not more often than this.
const ENOUGH_NANOS: u64 = 300_000_000;
const ROUNDS_MAX: u64 = 1_000;

/// What a check took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Nanoseconds of processor time for each time that it ran.
    pub(crate) nanos: u64,
    /// Most memory held while it ran for the first time, in KiB.
    peak: u64,
    /// Memory held before, in KiB.
    before: u64,
}

/// What a check gives and what it took; it runs once if it is long, often if it is short.
pub(crate) fn measure<T>(mut check: impl FnMut() -> T) -> (T, Cost) {
    let before = memory("VmRSS:");
    // Forget the peak so far.
    fs::write("/proc/self/clear_refs", "5").expect("Linux 4.0");
    let start = cpu_nanos();
    let given = check();
    let (mut spent, peak, mut rounds) = (cpu_nanos() - start, memory("VmHWM:"), 1);
    while spent < ENOUGH_NANOS && rounds < ROUNDS_MAX {
        drop(check());
        rounds += 1;
        spent = cpu_nanos() - start;
    }
    let cost = Cost {
        nanos: spent / rounds,
        peak,
        before,
    };
    (given, cost)
}

/// Prints a row: what ran, over how many operations, what that took, and what else there is to
/// tell of it.
pub(crate) fn row(name: &str, operations: u64, cost: Cost, rest: &str) {
    let rate = u128::from(operations) * 1_000_000_000 / u128::from(cost.nanos.max(1));
    let row = format!(
        "{name:<42} {operations:>9} ops {:>10} µs {rate:>10} ops/s {:>5} MiB, {:>4} more than before  {rest}",
        cost.nanos / 1_000,
        cost.peak / 1024,
        cost.peak.saturating_sub(cost.before) / 1024,
    );
    println!("{}", row.trim_end());
}

/// Runs this program again with these arguments: in a process of its own, since memory that
/// another case left behind would count.
pub(crate) fn apart(arguments: &[&str]) {
    let program = std::env::current_exe().expect("this program");
    let status = Command::new(program).args(arguments).status();
    assert!(status.expect("a process").success(), "{arguments:?}");
}

fn cpu_nanos() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let first = text.split_whitespace().next().expect("a figure");
    first.parse().expect("nanoseconds")
}

/// A figure of the process's memory, in KiB.
fn memory(figure: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(figure));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.expect("a figure").parse().expect("KiB")
}
