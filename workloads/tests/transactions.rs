//! The workloads of transactions against a store that is right, but not always reached.
#![expect(
    clippy::unwrap_used,
    reason = "a wrong answer to a helper must end the test"
)]
#![allow(clippy::panic, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use serde_json::{Value as Json, json};
use tribunal_results::{
    Answer, Assumptions, Kind, Micro, Nanos, Operation, Outcome, Reason, Scalar,
};
use tribunal_workloads::generator::Seed;
use tribunal_workloads::generator::simulate::{self, Asked, End, Step, Trace};
use tribunal_workloads::{Setting, find};

const MS: Nanos = 1_000_000;

fn setting() -> Setting {
    Setting {
        clients: 10,
        nodes: 5,
        available: Kind::ALL.to_vec(),
        time_limit: 4_000 * MS,
        rate: 400.0,
        seed: 11,
    }
}

/// Everything is acknowledged, but for one in twenty; nobody looks at what was read.
fn system(seed: u64) -> impl FnMut(&Asked) -> (Nanos, Outcome) {
    let mut draws = Seed::new(seed).named("system").draws();
    move |asked| {
        let latency = draws.random_range(MS..4 * MS);
        let outcome = match (draws.random_range(0..40), &asked.operation) {
            (0, _) => Outcome::Fail(Reason::new("refused", "")),
            (1, _) => Outcome::Info(Reason::new("timeout", "")),
            (_, Operation::Txn { micros }) => Outcome::Ok(Answer::Txn(micros.clone())),
            (_, Operation::Balances { .. }) => Outcome::Ok(Answer::Balances(Vec::new())),
            _ => Outcome::Ok(Answer::Done),
        };
        (latency, outcome)
    }
}

fn run(name: &str, options: Json, setting: &Setting) -> (Trace, Trace) {
    let workload = find(name).unwrap();
    let mut program = workload.program(&options, setting).unwrap();
    let mut system = system(setting.seed);
    let main = simulate::run(&mut *program.main, setting.clients, &mut system);
    let start = setting.time_limit + 1_000 * MS;
    let finale = simulate::run_from(&mut *program.finale, setting.clients, start, &mut system);
    assert_eq!((main.end, finale.end), (End::Exhausted, End::Exhausted));
    (main, finale)
}

fn micros(step: &Step) -> &[Micro] {
    match &step.asked.operation {
        Operation::Txn { micros } => micros,
        other => panic!("{other} is no transaction"),
    }
}

fn written(micro: &Micro) -> Option<(&Scalar, &Scalar)> {
    match micro {
        Micro::Append { key, value } | Micro::Write { key, value } => Some((key, value)),
        Micro::Read { .. } => None,
    }
}

const BOTH: [&str; 2] = ["list-append", "rw-register"];

#[test]
fn every_value_is_written_once_and_every_key_so_often_at_most() {
    for name in BOTH {
        let (main, _) = run(name, json!({ "writes_per_key": 10 }), &setting());
        let mut values = BTreeSet::new();
        let mut keys: BTreeMap<&Scalar, usize> = BTreeMap::new();
        for (key, value) in main.steps.iter().flat_map(micros).filter_map(written) {
            assert!(values.insert(value), "{value} was written twice");
            *keys.entry(key).or_default() += 1;
        }
        assert!(values.len() > 1_000 && keys.len() > 100);
        // The last steps of the transaction that retires a key may still write it.
        assert!(keys.values().all(|writes| *writes <= 13), "{keys:?}");
    }
}

#[test]
fn transactions_are_short_and_meet_on_few_keys() {
    for name in BOTH {
        let (main, _) = run(name, json!({ "keys": 3, "steps": 4 }), &setting());
        assert!(main.steps.iter().all(|step| micros(step).len() <= 5));
        let keys_of = |steps: &[Step]| -> BTreeSet<Scalar> {
            let all = steps.iter().flat_map(micros);
            all.map(|micro| micro.key().clone()).collect()
        };
        let meeting = main.steps.chunks(10).map(keys_of);
        assert!(meeting.into_iter().all(|keys| keys.len() <= 6));
    }
}

#[test]
fn some_threads_only_read_several_keys_and_registers_are_often_read_before_they_are_written() {
    let (main, _) = run("rw-register", Json::Null, &setting());
    let writes = |step: &&Step| micros(step).iter().any(|m| written(m).is_some());
    let writers: BTreeSet<usize> = main
        .steps
        .iter()
        .filter(writes)
        .map(|s| s.asked.thread)
        .collect();
    assert_eq!(writers, (2..10).collect());
    let pairs = main.steps.iter().flat_map(|step| micros(step).windows(2));
    let known = pairs.filter(|pair| {
        written(&pair[0]).is_none() && written(&pair[1]).is_some() && pair[0].key() == pair[1].key()
    });
    assert!(known.count() > 300);
}

#[test]
fn the_last_keys_are_read_at_the_end_through_several_nodes() {
    for name in BOTH {
        let (main, finale) = run(name, Json::Null, &setting());
        let last = main.steps.iter().rev().flat_map(micros).filter_map(written);
        let last: BTreeSet<&Scalar> = last.map(|(key, _)| key).take(3).collect();
        let mut nodes: BTreeMap<&Scalar, BTreeSet<usize>> = BTreeMap::new();
        for step in &finale.steps {
            assert!(micros(step).iter().all(|micro| written(micro).is_none()));
            for micro in micros(step) {
                nodes
                    .entry(micro.key())
                    .or_default()
                    .insert(step.asked.thread % 5);
            }
        }
        for key in last {
            assert_eq!(nodes.get(key).map(BTreeSet::len), Some(3), "{key}");
        }
    }
}

#[test]
fn a_level_says_who_judges_and_by_what() {
    let rw = find("rw-register").unwrap();
    let judged = |options: Json| {
        let mut assume = Assumptions::default();
        rw.assume(&options, &mut assume);
        (assume.isolation, rw.judges(&options).to_vec())
    };
    assert_eq!(judged(Json::Null), (None, vec!["rw-register"]));
    assert_eq!(
        judged(json!({ "level": "read-atomic" })),
        (
            Some("read-atomic".to_owned()),
            vec!["rw-register", "read-atomic"]
        )
    );
}

#[test]
fn transfers_are_between_two_accounts_and_some_threads_only_read() {
    let (main, finale) = run("bank", json!({ "accounts": 3, "amount": 2 }), &setting());
    let mut writers = BTreeSet::new();
    for step in &main.steps {
        if let Operation::Transfer {
            from, to, amount, ..
        } = &step.asked.operation
        {
            let range = Scalar::Int(0)..Scalar::Int(3);
            assert!(from != to && range.contains(from) && range.contains(to));
            assert!((1..=2).contains(amount));
            writers.insert(step.asked.thread);
        }
    }
    assert_eq!(writers, (4..10).collect());
    let read = |step: &Step| step.asked.operation.kind() == Kind::Balances;
    assert!(finale.steps.len() >= 3 && finale.steps.iter().all(read));
}

#[test]
fn the_same_seed_gives_the_same_operations_and_another_seed_others() {
    for name in ["list-append", "rw-register", "bank"] {
        let trace = |seed| {
            let (main, finale) = run(name, Json::Null, &Setting { seed, ..setting() });
            format!("{main}{finale}")
        };
        assert_eq!(trace(1), trace(1));
        assert_ne!(trace(1), trace(2));
    }
}

#[test]
fn any_number_of_clients_will_do() {
    for (clients, nodes) in [(1, 1), (1, 3), (2, 3), (7, 3), (33, 5)] {
        let setting = Setting {
            clients,
            nodes,
            time_limit: 500 * MS,
            ..setting()
        };
        for name in ["list-append", "rw-register", "bank"] {
            let (main, finale) = run(name, Json::Null, &setting);
            assert!(main.steps.len() > 50, "{clients} clients");
            assert!(!finale.steps.is_empty());
        }
    }
}

#[test]
fn wrong_options_are_refused_with_their_path() {
    for (name, options, path) in [
        ("list-append", json!({ "kesy": 1 }), "kesy"),
        ("list-append", json!({ "keys": 0 }), "keys"),
        ("list-append", json!({ "steps": 65 }), "steps"),
        (
            "rw-register",
            json!({ "writes_per_key": 0 }),
            "writes_per_key",
        ),
        ("rw-register", json!({ "read_share": 2 }), "read_share"),
        (
            "rw-register",
            json!({ "readers_share": -1 }),
            "readers_share",
        ),
        ("rw-register", json!({ "level": "best" }), "level"),
        ("bank", json!({ "accounts": 1 }), "accounts"),
        ("bank", json!({ "amount": 0 }), "amount"),
        ("bank", json!({ "read_share": 1.5 }), "read_share"),
    ] {
        let workload = find(name).unwrap();
        let error = workload.program(&options, &setting()).err().unwrap();
        assert_eq!(error.path, path, "{error}");
    }
}
