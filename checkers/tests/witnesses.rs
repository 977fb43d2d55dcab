//! Every contradiction that a checker names is derived again by code that shares nothing with it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

mod files;

use std::collections::{BTreeMap, BTreeSet};

use files::{cases, record};
use tribunal_checkers::{ALL, Budget, find, verify};
use tribunal_results::{Anomaly, Record};

/// Checkers whose anomalies name no calls: they count, or read logs and fault spans.
const NO_CALLS: [&str; 5] = ["stats", "evidence", "crash-log", "recovery", "protocol"];

/// Anomalies some of whose calls are there to explain, and may be left out; each with the reason.
const EXPLAINED: [(&str, &str); 17] = [
    ("aborted-read", WRITER),
    ("phantom-read", WRITER),
    ("unexpected-element", WRITER),
    ("unexplained-value", WRITER),
    ("not-linearizable", STAND_IN),
    ("not-sequential", WRITER),
    ("duplicate-element", STAND_IN),
    ("lost-element", STAND_IN),
    ("out-of-order", STAND_IN),
    ("stale-read", STAND_IN),
    ("wrong-total", "the transfers only explain the difference"),
    ("missing-account", "the read with the account only explains"),
    (
        "long-fork",
        "the writes only explain what the reads disagree on",
    ),
    (
        "off-order",
        "the inserts only say when the values were made",
    ),
    (
        "token-not-monotonic",
        "the calls between only say who held it",
    ),
    (
        "excess-release",
        "the releases before only count the entries",
    ),
    ("over-grant", "fewer grants may be too many already"),
];
const WRITER: &str = "the record tells who else wrote it, named or not";
const STAND_IN: &str = "what others may have done to the object is looked up in the record";

/// The anomaly without each of its calls in turn.
fn with_one_removed(anomaly: &Anomaly) -> impl Iterator<Item = Anomaly> + '_ {
    (0..anomaly.calls.len()).map(|at| {
        let mut less = anomaly.clone();
        less.calls.remove(at);
        less
    })
}

/// The anomalies of every invalid history on disk, with the checker's name and the file's.
fn on_disk() -> Vec<(Record, Anomaly, String)> {
    let mut all = Vec::new();
    for case in cases().iter().filter(|case| case.expected == "invalid") {
        let checker = find(&case.checker).expect("a checker");
        let record = record(case);
        for anomaly in checker.check(&record, Budget::default()).anomalies {
            let path = format!("{}/{}", case.checker, case.name);
            all.push((record.clone(), anomaly, path));
        }
    }
    all
}

fn names_no_calls(path: &str) -> bool {
    NO_CALLS
        .iter()
        .any(|name| path.split('/').next() == Some(*name))
}

#[test]
fn every_witness_on_disk_is_derived_again_and_none_with_a_call_removed() {
    let explained: BTreeMap<&str, &str> = EXPLAINED.into_iter().collect();
    let (mut accepted, mut refused, mut wrong) = (0, 0, Vec::new());
    // Exceptions that were needed: all must be.
    let mut spared: BTreeSet<String> = BTreeSet::new();
    for (record, anomaly, path) in on_disk() {
        if names_no_calls(&path) {
            continue;
        }
        match verify::witness(&record, &anomaly) {
            Ok(()) => accepted += 1,
            Err(why) => wrong.push(format!("{path}: {}: {why}", anomaly.name)),
        }
        for less in with_one_removed(&anomaly) {
            match verify::witness(&record, &less) {
                Err(_) => refused += 1,
                Ok(()) if explained.contains_key(anomaly.name.as_str()) => {
                    spared.insert(anomaly.name.clone());
                }
                Ok(()) => wrong.push(format!("{path}: {} of {:?}", less.name, less.calls)),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(spared.iter().eq(explained.keys()), "{spared:?}");
    assert!(accepted > 200 && refused > 400, "{accepted} {refused}");
}

#[test]
fn every_registered_anomaly_is_known_to_the_verifier() {
    let mut known: BTreeSet<(String, String)> = BTreeSet::new();
    for (record, anomaly, path) in on_disk() {
        let checker = path.split('/').next().expect("a checker").to_owned();
        if verify::witness(&record, &anomaly).is_ok() {
            known.insert((checker, anomaly.name));
        }
    }
    for checker in ALL.iter().filter(|c| !NO_CALLS.contains(&c.name())) {
        for anomaly in checker.anomalies() {
            let pair = (checker.name().to_owned(), (*anomaly).to_owned());
            assert!(known.contains(&pair), "no witness of {pair:?} is derived");
        }
    }
}
