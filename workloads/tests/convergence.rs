//! The workloads of replicated objects against replicas that are right.
#![expect(
    clippy::unwrap_used,
    reason = "a wrong answer to a helper must end the test"
)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use tribunal_results::{Answer, Assumptions, Kind, Nanos, Operation, Outcome, Reason, Scalar};
use tribunal_workloads::generator::simulate::{self, Asked, End, Trace};
use tribunal_workloads::{Setting, find, node_of};

const MS: Nanos = 1_000_000;
const END: Nanos = 5_000 * MS;

fn setting() -> Setting {
    Setting {
        clients: 7,
        nodes: 3,
        available: Kind::ALL.to_vec(),
        time_limit: 4_000 * MS,
        rate: 500.0,
        seed: 11,
    }
}

/// Answers everything, but refuses each tenth request.
fn system() -> impl FnMut(&Asked) -> (Nanos, Outcome) {
    let mut asked = 0;
    move |request| {
        asked += 1;
        let outcome = match request.operation.kind() {
            _ if asked % 10 == 0 => Outcome::Fail(Reason::new("refused", "")),
            Kind::Members => Outcome::Ok(Answer::Values(Vec::new())),
            Kind::Read | Kind::Count | Kind::Generate => Outcome::Ok(Answer::Value(None)),
            _ => Outcome::Ok(Answer::Done),
        };
        (2 * MS, outcome)
    }
}

fn run(workload: &str, options: Json, setting: &Setting) -> (Trace, Trace) {
    let workload = find(workload).unwrap();
    let mut program = workload.program(&options, setting).unwrap();
    let mut system = system();
    let main = simulate::run(&mut *program.main, setting.clients, &mut system);
    let finale = simulate::run_from(&mut *program.finale, setting.clients, END, &mut system);
    assert_eq!((main.end, finale.end), (End::Exhausted, End::Exhausted));
    (main, finale)
}

#[test]
fn every_value_and_element_is_put_in_once_and_only_added_ones_are_removed() {
    let (main, _) = run("convergence", Json::Null, &setting());
    let (mut put, mut kinds) = (BTreeSet::new(), BTreeMap::new());
    let (mut removals, mut of_added) = (0, 0);
    for step in &main.steps {
        let operation = &step.asked.operation;
        *kinds.entry(operation.kind()).or_insert(0) += 1;
        match operation {
            Operation::Write { key, value } | Operation::Add { key, value } => {
                assert!(put.insert((value.clone(), key.clone())), "{operation}");
            }
            Operation::Remove { key, value } => {
                removals += 1;
                of_added += usize::from(put.contains(&(value.clone(), key.clone())));
            }
            _ => {}
        }
    }
    let values: BTreeSet<&Scalar> = put.iter().map(|(value, _)| value).collect();
    assert_eq!(values.len(), put.len());
    assert!(
        removals > 20 && of_added * 10 > removals * 9,
        "{of_added} of {removals}"
    );
    assert_eq!(kinds.len(), 7, "{kinds:?}");
    let reads: usize = [Kind::Read, Kind::Members, Kind::Count]
        .iter()
        .map(|kind| kinds[kind])
        .sum();
    let share = reads as f64 / main.steps.len() as f64;
    assert!((0.3..0.5).contains(&share), "{share}");
}

#[test]
fn every_other_set_and_counter_only_grows() {
    let (main, _) = run("convergence", Json::Null, &setting());
    let mut keys: BTreeMap<Scalar, bool> = BTreeMap::new();
    for step in &main.steps {
        let shrinks = match step.asked.operation {
            Operation::Remove { .. } => true,
            Operation::Increment { by, .. } => by < 0,
            Operation::Add { .. } => false,
            _ => continue,
        };
        *keys
            .entry(step.asked.operation.key().unwrap().clone())
            .or_default() |= shrinks;
    }
    let shrinking = keys.values().filter(|shrinks| **shrinks).count();
    assert!(shrinking >= 3 && keys.len() >= shrinking + 3, "{keys:?}");
}

#[test]
fn after_a_rest_each_object_is_read_at_each_node_until_it_is_answered() {
    for (workload, settle_ms) in [("convergence", 1_000), ("set", 300), ("counter", 700)] {
        let options = json!({ "settle_ms": settle_ms });
        let mut assume = Assumptions::default();
        find(workload).unwrap().assume(&options, &mut assume);
        assert_eq!(assume.settle_ms, settle_ms);
        let (main, finale) = run(workload, options, &setting());
        let updated = main
            .steps
            .iter()
            .filter(|step| step.asked.operation.kind().mutates());
        let updated: BTreeSet<&Scalar> = updated
            .map(|step| step.asked.operation.key().unwrap())
            .collect();
        let mut read: BTreeMap<&Scalar, BTreeSet<usize>> = BTreeMap::new();
        for step in &finale.steps {
            assert!(
                step.asked.time >= END + settle_ms * MS,
                "{workload}: {step}"
            );
            if matches!(step.ended, Some((_, Outcome::Ok(_)))) {
                let key = step.asked.operation.key().unwrap();
                assert!(
                    read.entry(key).or_default().insert(step.asked.thread % 3),
                    "{workload}: {step}"
                );
            }
        }
        assert!(updated.len() >= 4, "{workload}");
        for key in updated {
            assert_eq!(
                read.get(key),
                Some(&BTreeSet::from([0, 1, 2])),
                "{workload}: {key}"
            );
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_operations_and_another_one_others() {
    for workload in ["convergence", "set", "counter", "causal"] {
        let (once, again) = (
            run(workload, Json::Null, &setting()),
            run(workload, Json::Null, &setting()),
        );
        assert_eq!(once.0.to_string(), again.0.to_string());
        let other = run(
            workload,
            Json::Null,
            &Setting {
                seed: 12,
                ..setting()
            },
        );
        assert_ne!(once.0.to_string(), other.0.to_string());
    }
}

#[test]
fn only_what_the_target_has_is_asked_for() {
    let available = vec![Kind::Read, Kind::Write];
    let (main, finale) = run(
        "convergence",
        Json::Null,
        &Setting {
            available: available.clone(),
            ..setting()
        },
    );
    for step in main.steps.iter().chain(&finale.steps) {
        assert!(available.contains(&step.asked.operation.kind()), "{step}");
    }
}

#[test]
fn one_client_does_everything_that_many_do() {
    for workload in ["convergence", "set", "counter", "causal", "unique-ids"] {
        let (main, finale) = run(
            workload,
            Json::Null,
            &Setting {
                clients: 1,
                ..setting()
            },
        );
        assert!(
            main.steps.len() > 1_000 && !finale.steps.is_empty(),
            "{workload}"
        );
    }
}

#[test]
fn wrong_options_are_refused_by_name() {
    for (workload, options, path) in [
        (
            "convergence",
            json!({ "operations_per_key": 0 }),
            "operations_per_key",
        ),
        ("set", json!({ "settle_ms": 100_000 }), "settle_ms"),
        ("counter", json!({ "no_such": 1 }), "no_such"),
        ("causal", json!({ "read_share": 1.5 }), "read_share"),
        (
            "causal",
            json!({ "operations_per_key": 0 }),
            "operations_per_key",
        ),
        ("unique-ids", json!({ "keys": 3 }), "keys"),
    ] {
        let program = find(workload).unwrap().program(&options, &setting());
        let error = program.err().unwrap();
        assert!(
            format!("{} {error}", error.path).contains(path),
            "{workload}: {error}"
        );
    }
}

#[test]
fn clients_of_the_causal_workload_move_on_after_a_few_operations_and_no_others_do() {
    let causal = find("causal").unwrap();
    assert_eq!(causal.moves_after(&Json::Null), Some(4));
    assert_eq!(causal.moves_after(&json!({ "moves_after": 0 })), None);
    assert_eq!(find("register").unwrap().moves_after(&Json::Null), None);
    let nodes: Vec<usize> = (0..7).map(|nth| node_of(4, nth, Some(2), 3)).collect();
    assert_eq!(nodes, [1, 1, 2, 2, 0, 0, 1]);
    assert!((0..9).all(|nth| node_of(4, nth, None, 3) == 1));
}
