//! The isolation levels of `database` as measured, beside the textbook's.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and this one prints what it measured"
)]

use tribunal::explore::isolation::Matrix;

/// Schedules of each workload at each level, unless `TRIBUNAL_SCHEDULES` says otherwise.
const SCHEDULES: u64 = 60;

/// What tells the levels apart: each of these must come about.
const SHOWN: [(&str, &str); 9] = [
    ("read-uncommitted", "G1a"),
    ("read-committed", "fractured-read"),
    ("read-committed", "lost-update"),
    ("read-committed", "G-single"),
    ("read-atomic", "lost-update"),
    ("read-atomic", "G2-item"),
    ("snapshot-isolation", "G2-item"),
    ("snapshot-isolation", "G-single-realtime"),
    ("serializable", "G-single-realtime"),
];

#[test]
fn each_level_shows_what_tells_it_from_the_next_and_nothing_that_it_forbids() {
    let wanted = std::env::var("TRIBUNAL_SCHEDULES").ok();
    let schedules = wanted.map_or(SCHEDULES, |n| n.parse().unwrap());
    let matrix = Matrix::measure(schedules).unwrap();
    println!("{matrix}");
    assert!(matrix.forbidden().is_empty(), "{:?}", matrix.forbidden());
    for (level, anomaly) in SHOWN {
        assert!(matrix.seen(level, anomaly) > 0, "{anomaly} at {level}");
    }
}
