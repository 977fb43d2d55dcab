//! The cache, on simulated caches that forget what they may and must, or do not; compared with
//! every order in which what the clients did can have taken effect.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says how much it compared"
)]

mod cache_model;
mod cache_oracle;
mod random;

use std::collections::{BTreeMap, BTreeSet};

use cache_model::{FAULTS, Fault, Setting, keys, place, simulate};
use cache_oracle::{Keeping, possible};
use random::{Lcg, Timed, timeline};
use serde_json::{Value as Json, json};
use tribunal_checkers::{Budget, find, verify};
use tribunal_results::{Answer, Operation, Outcome, Record, Scalar, Validity, Verdict};

fn rounds(usual: u64) -> u64 {
    let wanted = std::env::var("TRIBUNAL_RANDOM_HISTORIES").ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(usual)
}

const MS: u64 = 1_000_000;

fn record(ops: &[Timed], setting: Setting) -> Record {
    let mut ops = ops.to_vec();
    for op in &mut ops {
        op.call *= MS;
        op.ret *= MS;
    }
    let mut record = Record {
        history: timeline(&ops),
        ..Record::default()
    };
    record.assume.staleness_ms = Some(setting.ttl_ms);
    record.assume.clock_drift_ppm = setting.drift_ppm;
    record
}

fn check(record: &Record) -> Verdict {
    let checker = find("cache").expect("a checker");
    checker.check(record, Budget::default())
}

/// Every anomaly is derived again, and not without one of its calls.
fn confirm(record: &Record, verdict: &Verdict) {
    for anomaly in &verdict.anomalies {
        let context = || format!("{anomaly:#?} {record:#?}");
        assert_eq!(verify::witness(record, anomaly), Ok(()), "{}", context());
        for at in 0..anomaly.calls.len() {
            let mut less = anomaly.clone();
            less.calls.remove(at);
            assert!(verify::witness(record, &less).is_err(), "{}", context());
        }
    }
}

/// Why the checker may be blind to what contradicts itself: the writes of a value are several, or
/// of unknown end; or it was read before its write was acknowledged.
fn blind_spot(ops: &[Timed]) -> Option<&'static str> {
    let write_of = |op: &Timed| match &op.operation {
        Operation::Write { value, .. } if !matches!(op.outcome, Outcome::Fail(_)) => {
            Some((place(&op.operation), value.clone()))
        }
        _ => None,
    };
    let writes: Vec<&Timed> = ops.iter().filter(|op| write_of(op).is_some()).collect();
    let values: BTreeSet<_> = writes.iter().filter_map(|op| write_of(op)).collect();
    if values.len() < writes.len() {
        return Some("a value written twice");
    }
    if writes
        .iter()
        .any(|op| matches!(op.outcome, Outcome::Info(_)))
    {
        return Some("a write of unknown end");
    }
    let is_early = |read: &Timed| match (&read.operation, &read.outcome) {
        (Operation::Read { .. }, Outcome::Ok(Answer::Value(Some(value)))) => {
            let seen = Some((place(&read.operation), value.clone()));
            let mut later = writes.iter().filter(|write| write.ret > read.ret);
            later.any(|write| write_of(write) == seen)
        }
        _ => false,
    };
    let early = ops.iter().any(is_early);
    early.then_some("a value read before its write was acknowledged")
}

#[derive(Debug, Default)]
struct Counts {
    runs: u64,
    /// No cache that keeps the last value alone can have answered so.
    refuted_strictly: u64,
    /// Nor one that keeps all values until they are deleted or expire.
    refuted: u64,
    caught: u64,
    missed: BTreeMap<&'static str, u64>,
}

#[test]
fn no_order_explains_what_is_called_invalid_and_spoilt_caches_are_caught() {
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    let mut names: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..rounds(10_000) {
        let rng = &mut Lcg::new(seed ^ 0x66_0000);
        let fault = FAULTS[seed as usize % FAULTS.len()];
        let setting = Setting {
            ttl_ms: 2 + rng.below(20),
            drift_ppm: if rng.percent(50) { 200 } else { 200_000 },
            fault,
            other: match fault {
                Fault::None | Fault::KeysAsText => 40,
                _ => 10,
            },
        };
        let ops = simulate(rng, setting);
        let record = record(&ops, setting);
        let verdict = check(&record);
        confirm(&record, &verdict);
        let invalid = verdict.validity == Validity::Invalid;
        let explained = possible(&ops, setting, Keeping::All);
        let strictly = possible(&ops, setting, Keeping::Last);
        let context = || format!("seed {seed}: {setting:?} {verdict:#?} {ops:#?}");
        assert!(!(invalid && explained), "a false alarm: {}", context());
        assert!(explained || !strictly, "a wrong oracle: {}", context());
        let counts = counts.entry(format!("{:?}", setting.fault)).or_default();
        counts.runs += 1;
        counts.refuted_strictly += u64::from(!strictly);
        counts.refuted += u64::from(!explained);
        counts.caught += u64::from(invalid);
        if !invalid && !explained {
            let blind = blind_spot(&ops).unwrap_or_else(|| panic!("missed: {}", context()));
            *counts.missed.entry(blind).or_default() += 1;
        }
        for anomaly in verdict.anomalies {
            *names.entry(anomaly.name).or_default() += 1;
        }
    }
    println!("{counts:#?} {names:#?}");
    assert_eq!(counts["None"].refuted_strictly, 0, "{counts:#?}");
    for fault in &FAULTS[1..] {
        let Counts { runs, caught, .. } = counts[&format!("{fault:?}")];
        assert!(caught * 100 > runs, "{fault:?}: {counts:#?}");
    }
    assert_eq!(names.len(), 3, "{names:?}");
}

/// Each of these calls after the one before, a millisecond each.
fn in_turn(calls: &[(Operation, Answer)]) -> Vec<Timed> {
    let timed = |(at, (operation, answer)): (usize, &(Operation, Answer))| Timed {
        process: 1,
        call: 2 * at as u64,
        ret: 2 * at as u64 + 1,
        operation: operation.clone(),
        outcome: Outcome::Ok(answer.clone()),
    };
    calls.iter().enumerate().map(timed).collect()
}

/// The names of what is found in these calls, in turn, where entries live long.
fn names(calls: &[(Operation, Answer)]) -> Vec<String> {
    let setting = Setting {
        ttl_ms: 1_000,
        drift_ppm: 200,
        fault: Fault::None,
        other: 0,
    };
    let record = record(&in_turn(calls), setting);
    let verdict = check(&record);
    confirm(&record, &verdict);
    verdict.anomalies.into_iter().map(|a| a.name).collect()
}

#[test]
fn a_delete_of_a_number_is_none_of_the_same_digits_as_a_text() {
    let custom = |value: Json| {
        let name = "delete".into();
        let operation = Operation::Custom { name, value };
        (operation, Answer::Custom(Json::Null))
    };
    let around = |deleted: Json, key: &Scalar| {
        let (key, value) = (key.clone(), Scalar::Int(1));
        let found = Answer::Value(Some(value.clone()));
        let write = Operation::Write {
            key: key.clone(),
            value,
        };
        let read = Operation::Read { key };
        names(&[(write, Answer::Done), custom(deleted), (read, found)])
    };
    let [number, text] = &keys();
    assert_eq!(around(json!({ "key": 5 }), number), ["deleted-value"]);
    assert_eq!(around(json!({ "key": "5" }), text), ["deleted-value"]);
    // What is no key deletes nothing.
    let none = [json!(null), json!({}), json!(5), json!("5"), json!([5])];
    let wrong = [
        json!(5.0),
        json!([5]),
        json!({ "5": 5 }),
        json!(null),
        json!(true),
    ];
    let wrong = wrong.map(|key| json!({ "key": key }));
    for nothing in none.iter().chain(&wrong) {
        for key in &keys() {
            assert_eq!(
                around(nothing.clone(), key),
                [""; 0],
                "{nothing} of {key:?}"
            );
        }
    }
    assert_eq!(around(json!({ "key": 5 }), text), [""; 0]);
    assert_eq!(around(json!({ "key": "5" }), number), [""; 0]);
}

#[test]
fn an_entry_is_not_expired_before_it_is_by_the_slowest_clock() {
    let write = Operation::Write {
        key: 5.into(),
        value: 1.into(),
    };
    let read = Operation::Read { key: 5.into() };
    let found = Answer::Value(Some(1.into()));
    let asked_after = |age: u64, drift_ppm: u32| {
        let mut ops = in_turn(&[(write.clone(), Answer::Done), (read.clone(), found.clone())]);
        ops[1].call = ops[0].ret + age;
        ops[1].ret = ops[1].call + 1;
        let setting = Setting {
            ttl_ms: 80,
            drift_ppm,
            fault: Fault::None,
            other: 0,
        };
        let record = record(&ops, setting);
        let verdict = check(&record);
        confirm(&record, &verdict);
        verdict.validity
    };
    assert_eq!(asked_after(80, 0), Validity::Valid);
    assert_eq!(asked_after(81, 0), Validity::Invalid);
    assert_eq!(asked_after(100, 200_000), Validity::Valid);
    assert_eq!(asked_after(101, 200_000), Validity::Invalid);
    assert_eq!(asked_after(1 << 40, 1_000_000), Validity::Valid);
    assert_eq!(asked_after(1 << 40, u32::MAX), Validity::Valid);
}

/// Something that a node may say, rightly or not.
fn anything(lcg: &mut Lcg, depth: u64) -> Json {
    match lcg.below(12) {
        0 => Json::Null,
        1 => json!(lcg.percent(50)),
        2 => json!(-(lcg.below(4) as i64)),
        3 => json!(lcg.below(4) as f64 / 2.0),
        4 => json!(u64::MAX - lcg.below(2)),
        5 => json!(lcg.below(4).to_string()),
        6 if depth > 0 => json!({ "bytes": anything(lcg, depth - 1) }),
        7 | 8 if depth > 0 => {
            let some = 0..lcg.below(4);
            some.map(|_| anything(lcg, depth - 1)).collect()
        }
        _ => json!(lcg.below(4)),
    }
}

/// What a node says of itself, some of it missing or of another type.
fn inspection(lcg: &mut Lcg) -> Json {
    if lcg.percent(4) {
        return anything(lcg, 2);
    }
    let mut told = serde_json::Map::new();
    for field in [
        "bytes",
        "capacity",
        "evicted-used",
        "oldest-used",
        "replicas",
    ] {
        match lcg.below(100) {
            0..10 => {}
            10..25 => drop(told.insert(field.into(), anything(lcg, 2))),
            _ => drop(told.insert(field.into(), json!(lcg.below(4)))),
        }
    }
    let owners: Vec<Json> = (0..lcg.below(4))
        .map(|_| match lcg.percent(85) {
            true => json!(format!("n{}", lcg.below(3))),
            false => anything(lcg, 1),
        })
        .collect();
    match lcg.below(100) {
        0..10 => {}
        10..20 => drop(told.insert("owners".into(), anything(lcg, 2))),
        _ => drop(told.insert("owners".into(), json!(owners))),
    }
    Json::Object(told)
}

/// What is wrong with it: every pair of owners is compared, every number read by hand.
fn wrong(told: &Json) -> BTreeSet<&'static str> {
    let mut wrong = BTreeSet::new();
    let Json::Object(told) = told else {
        return wrong;
    };
    let number = |field: &str| match told.get(field) {
        Some(Json::Number(number)) => number.to_string().parse::<u64>().ok(),
        _ => None,
    };
    let more = |one: &str, other: &str| match (number(one), number(other)) {
        (Some(one), Some(other)) => one > other,
        _ => false,
    };
    if more("bytes", "capacity") {
        wrong.insert("over-capacity");
    }
    if more("evicted-used", "oldest-used") {
        wrong.insert("not-least-recently-used");
    }
    if let (Some(Json::Array(owners)), Some(replicas)) = (told.get("owners"), number("replicas")) {
        let is_first = |at: &usize| owners[..*at].iter().all(|other| *other != owners[*at]);
        if ((0..owners.len()).filter(is_first).count() as u64) < replicas {
            wrong.insert("too-few-replicas");
        }
    }
    wrong
}

#[test]
fn what_a_node_says_of_itself_is_judged_field_by_field_and_nonsense_not_at_all() {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let rounds = rounds(20_000);
    for seed in 0..rounds {
        let rng = &mut Lcg::new(seed ^ 0x88_0000);
        let told = inspection(rng);
        let (name, value) = ("inspect".into(), json!({ "key": "k" }));
        let inspect = Operation::Custom { name, value };
        let found = names(&[(inspect, Answer::Custom(told.clone()))]);
        let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(found, wrong(&told), "seed {seed}: {told}");
        for name in found {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    println!("{rounds} answers: {counts:?}");
    assert_eq!(counts.len(), 3, "{counts:?}");
    assert!(counts.values().all(|n| n * 20 > rounds), "{counts:?}");
}
