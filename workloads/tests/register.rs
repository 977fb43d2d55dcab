//! The register workload against a register that is right, but not always reached.
#![expect(
    clippy::unwrap_used,
    reason = "a wrong answer to a helper must end the test"
)]

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use serde_json::{Value as Json, json};
use tribunal_results::{Answer, Kind, Nanos, Operation, Outcome, Reason, Scalar};
use tribunal_workloads::generator::Seed;
use tribunal_workloads::generator::simulate::{self, Asked, End, Step, Trace};
use tribunal_workloads::{Setting, find};

const MS: Nanos = 1_000_000;

fn setting() -> Setting {
    Setting {
        clients: 10,
        nodes: 5,
        available: Kind::ALL.to_vec(),
        time_limit: 8_000 * MS,
        rate: 400.0,
        seed: 11,
    }
}

/// Registers; one operation in twenty is refused, and one in fifty has an unknown outcome.
fn registers(seed: u64) -> impl FnMut(&Asked) -> (Nanos, Outcome) {
    let mut held: BTreeMap<Scalar, Scalar> = BTreeMap::new();
    let mut draws = Seed::new(seed).named("system").draws();
    move |asked| {
        let latency = draws.random_range(MS..4 * MS);
        let luck: f64 = draws.random();
        if luck < 0.05 {
            return (latency, Outcome::Fail(Reason::new("refused", "")));
        }
        let answer = match asked.operation.clone() {
            Operation::Read { key } => Ok(Answer::Value(held.get(&key).cloned())),
            Operation::Write { key, value } => {
                held.insert(key, value);
                Ok(Answer::Done)
            }
            Operation::Cas { key, from, to } if held.get(&key) == Some(&from) => {
                held.insert(key, to);
                Ok(Answer::Done)
            }
            _ => Err(Reason::new("precondition-failed", "")),
        };
        let outcome = match answer {
            _ if luck < 0.07 => Outcome::Info(Reason::new("timeout", "")),
            Ok(answer) => Outcome::Ok(answer),
            Err(reason) => Outcome::Fail(reason),
        };
        (latency, outcome)
    }
}

fn run(options: Json, setting: &Setting) -> (Trace, Trace) {
    let register = find("register").unwrap();
    let mut program = register.program(&options, setting).unwrap();
    let mut system = registers(setting.seed);
    let main = simulate::run(&mut *program.main, setting.clients, &mut system);
    let finale = simulate::run_from(
        &mut *program.finale,
        setting.clients,
        9_000 * MS,
        &mut system,
    );
    assert_eq!((main.end, finale.end), (End::Exhausted, End::Exhausted));
    (main, finale)
}

fn is_ok(step: &Step) -> bool {
    matches!(step.ended, Some((_, Outcome::Ok(_))))
}

fn share(trace: &Trace, of: impl Fn(&Step) -> bool) -> f64 {
    let count = trace.steps.iter().filter(|step| of(step)).count();
    count as f64 / trace.steps.len() as f64
}

#[test]
fn it_keeps_to_the_rate_the_time_and_the_shares() {
    let (main, _) = run(Json::Null, &setting());
    assert!(
        (2_900..3_500).contains(&main.steps.len()),
        "{}",
        main.steps.len()
    );
    assert!(main.steps.iter().all(|step| step.asked.time < 8_000 * MS));
    let reads = share(&main, |step| step.asked.operation.kind() == Kind::Read);
    assert!((0.45..0.55).contains(&reads), "{reads}");
    let cas = |step: &Step| step.asked.operation.kind() == Kind::Cas;
    let tried = share(&main, cas);
    assert!((0.10..0.20).contains(&tried), "{tried}");
    let done = share(&main, |step| cas(step) && is_ok(step));
    assert!(
        done > 0.7 * tried,
        "{done} of {tried} compare-and-sets took effect"
    );
}

#[test]
fn every_value_is_written_at_most_once() {
    let (main, _) = run(Json::Null, &setting());
    let mut seen = BTreeSet::new();
    for step in &main.steps {
        if let Operation::Write { value, .. } | Operation::Cas { to: value, .. } =
            &step.asked.operation
        {
            assert!(seen.insert(value.clone()), "{value} was written twice");
        }
    }
    assert!(seen.len() > 1_000);
}

#[test]
fn each_key_has_a_group_that_spans_nodes_and_threads_that_only_read() {
    let (main, _) = run(json!({"keys": 2}), &setting());
    let mut threads: BTreeMap<Scalar, BTreeSet<usize>> = BTreeMap::new();
    let mut writers = BTreeSet::new();
    for Step { asked, .. } in &main.steps {
        let key = asked.operation.key().unwrap().clone();
        threads.entry(key).or_default().insert(asked.thread);
        if asked.operation.kind().mutates() {
            writers.insert(asked.thread);
        }
    }
    assert!(threads.len() >= 14, "{threads:?}");
    let one_group = |threads: &BTreeSet<usize>| {
        threads.iter().all(|t| *t < 5) || threads.iter().all(|t| *t >= 5)
    };
    assert!(threads.values().all(one_group), "{threads:?}");
    assert_eq!(writers, BTreeSet::from([0, 1, 2, 5, 6, 7]));
}

#[test]
fn the_last_keys_are_read_at_the_end_through_several_nodes_until_answered() {
    let (main, finale) = run(Json::Null, &setting());
    let mut nodes: BTreeMap<Scalar, BTreeSet<usize>> = BTreeMap::new();
    for step in finale.steps.iter().filter(|step| is_ok(step)) {
        let Operation::Read { key } = &step.asked.operation else {
            panic!("{step} is no read");
        };
        nodes
            .entry(key.clone())
            .or_default()
            .insert(step.asked.thread % 5);
    }
    assert_eq!(nodes.len(), 6);
    assert!(nodes.values().all(|nodes| nodes.len() == 3), "{nodes:?}");
    let last = main.steps.last().unwrap().asked.operation.key().unwrap();
    assert!(nodes.contains_key(last));
}

#[test]
fn the_same_seed_gives_the_same_operations_and_another_seed_others() {
    let trace = |seed| {
        let (main, finale) = run(Json::Null, &Setting { seed, ..setting() });
        format!("{main}{finale}")
    };
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}

#[test]
fn without_compare_and_set_it_reads_and_writes() {
    let available = vec![Kind::Read, Kind::Write];
    let (main, _) = run(
        Json::Null,
        &Setting {
            available,
            ..setting()
        },
    );
    assert!(
        main.steps
            .iter()
            .all(|step| step.asked.operation.kind() != Kind::Cas)
    );
}

#[test]
fn any_number_of_clients_will_do() {
    for clients in [1, 2, 3, 7, 33] {
        for nodes in [1, 3] {
            let setting = Setting {
                clients,
                nodes,
                time_limit: 500 * MS,
                ..setting()
            };
            let (main, finale) = run(Json::Null, &setting);
            assert!(main.steps.len() > 50, "{clients} clients");
            assert!(!finale.steps.is_empty());
        }
    }
}

#[test]
fn wrong_options_are_refused_with_their_path() {
    let register = find("register").unwrap();
    for (options, path) in [
        (json!({"kesy": 1}), "kesy"),
        (json!({"keys": 0}), "keys"),
        (json!({"keys": 11}), "keys"),
        (json!({"group": 11}), "group"),
        (json!({"keys": 2, "group": 5}), "group"),
        (json!({"operations_per_key": 0}), "operations_per_key"),
        (json!({"read_share": 1.5}), "read_share"),
        (json!({"cas_share": "half"}), "cas_share"),
    ] {
        let error = register.program(&options, &setting()).err().unwrap();
        assert_eq!(error.path, path, "{error}");
    }
}
