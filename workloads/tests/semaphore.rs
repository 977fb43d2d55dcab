//! The semaphore workload against semaphores that are right, but not always reached.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a wrong answer to a helper must end the test"
)]

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use serde_json::{Value as Json, json};
use tribunal_results::{Answer, Grant, Kind, Nanos, Operation, Outcome, Reason, Scalar};
use tribunal_workloads::generator::Seed;
use tribunal_workloads::generator::simulate::{self, Asked, End, Step, Trace};
use tribunal_workloads::{Setting, find};

const MS: Nanos = 1_000_000;
const PERMITS: u32 = 3;

fn setting() -> Setting {
    Setting {
        clients: 12,
        nodes: 3,
        available: Kind::ALL.to_vec(),
        time_limit: 8_000 * MS,
        rate: 400.0,
        seed: 11,
    }
}

/// Who holds how many permits under which token, and until when.
type Held = BTreeMap<u64, (u64, u32, Nanos)>;

/// Semaphores whose queue is always a wait in vain; of a hundred operations `unreached` are
/// refused before they get through, and `unknown` are never answered.
fn semaphores(seed: u64, unreached: f64, unknown: f64) -> impl FnMut(&Asked) -> (Nanos, Outcome) {
    let mut held: BTreeMap<Scalar, Held> = BTreeMap::new();
    let mut draws = Seed::new(seed).named("system").draws();
    let mut token = 0;
    move |asked| {
        let latency = draws.random_range(MS..4 * MS);
        let luck: f64 = draws.random();
        if luck < unreached {
            return (latency, Outcome::Fail(Reason::new("refused", "")));
        }
        let key = asked.operation.key().unwrap().clone();
        let held = held.entry(key).or_default();
        held.retain(|_, (_, permits, until)| *permits > 0 && *until > asked.time);
        let answer = match &asked.operation {
            Operation::AcquirePermits { permits, .. } => {
                let taken: u32 = held.values().map(|(_, permits, _)| permits).sum();
                if taken + permits > PERMITS {
                    let reason = Reason::new("temporarily-unavailable", "");
                    return (50 * MS, Outcome::Fail(reason));
                }
                token += 1;
                held.insert(token, (asked.process, *permits, asked.time + 1_500 * MS));
                let lease_ms = 1_500;
                Answer::Grant(Grant { token, lease_ms })
            }
            Operation::ReleasePermits { permits, token, .. } => {
                let mine = held.get_mut(&token.unwrap());
                match mine.filter(|(owner, left, _)| *owner == asked.process && left >= permits) {
                    Some((_, left, _)) => *left -= permits,
                    None => {
                        let reason = Reason::new("precondition-failed", "");
                        return (latency, Outcome::Fail(reason));
                    }
                }
                Answer::Done
            }
            other => panic!("{other}"),
        };
        match luck < unreached + unknown {
            true => (latency, Outcome::Info(Reason::new("timeout", ""))),
            false => (latency, Outcome::Ok(answer)),
        }
    }
}

fn run_with(options: &Json, setting: &Setting, luck: (f64, f64)) -> (Trace, Trace) {
    let workload = find("semaphore").unwrap();
    let mut program = workload.program(options, setting).unwrap();
    let mut system = semaphores(setting.seed, luck.0, luck.1);
    let main = simulate::run(&mut *program.main, setting.clients, &mut system);
    let finale = simulate::run_from(
        &mut *program.finale,
        setting.clients,
        11_000 * MS,
        &mut system,
    );
    assert_eq!((main.end, finale.end), (End::Exhausted, End::Exhausted));
    (main, finale)
}

fn run(options: &Json) -> (Trace, Trace) {
    run_with(options, &setting(), (0.03, 0.01))
}

fn is_ok(step: &Step) -> bool {
    matches!(step.ended, Some((_, Outcome::Ok(_))))
}

fn permits_of(operation: &Operation) -> u32 {
    match operation {
        Operation::AcquirePermits { permits, .. } | Operation::ReleasePermits { permits, .. } => {
            *permits
        }
        other => panic!("{other}"),
    }
}

#[test]
fn permits_are_taken_one_or_several_at_once_and_given_back_in_one_go_or_bit_by_bit() {
    let (main, _) = run(&json!({ "permits_at_once": 3 }));
    let mut counts: BTreeMap<(Kind, u32), usize> = BTreeMap::new();
    for step in main.steps.iter().filter(|step| is_ok(step)) {
        let operation = &step.asked.operation;
        let count = counts.entry((operation.kind(), permits_of(operation)));
        *count.or_default() += 1;
    }
    for kind in [Kind::AcquirePermits, Kind::ReleasePermits] {
        for permits in 1..=3 {
            let count = counts.get(&(kind, permits));
            assert!(count >= Some(&15), "{kind} of {permits}: {counts:?}");
        }
    }
    assert!(main.steps.iter().all(|step| step.asked.time < 8_000 * MS));
}

#[test]
fn each_semaphore_is_crowded_by_a_group_and_some_hold_while_others_wait_in_vain() {
    let (main, _) = run(&Json::Null);
    let mut threads: BTreeMap<Scalar, BTreeSet<usize>> = BTreeMap::new();
    for Step { asked, .. } in &main.steps {
        let key = asked.operation.key().unwrap().clone();
        threads.entry(key).or_default().insert(asked.thread);
    }
    assert!(threads.len() >= 10, "{threads:?}");
    let crowded = threads.values().filter(|threads| threads.len() == 6);
    assert!(crowded.count() * 10 >= threads.len() * 8, "{threads:?}");
    let in_vain = main.steps.iter().filter(|step| {
        matches!(&step.ended, Some((_, Outcome::Fail(r))) if r.code == "temporarily-unavailable")
    });
    assert!(in_vain.count() > 100);
}

#[test]
fn strangers_give_back_what_is_anothers_and_are_refused() {
    let mut owners = BTreeMap::new();
    let (main, _) = run_with(&Json::Null, &setting(), (0.0, 0.0));
    for step in &main.steps {
        if let Some((_, Outcome::Ok(Answer::Grant(grant)))) = &step.ended {
            owners.insert(grant.token, step.asked.process);
        }
    }
    let strange = main
        .steps
        .iter()
        .filter(|step| match &step.asked.operation {
            Operation::ReleasePermits { token, .. } => {
                owners[&token.unwrap()] != step.asked.process
            }
            _ => false,
        });
    let strange: Vec<&Step> = strange.collect();
    assert!(strange.len() > 20, "{}", strange.len());
    assert!(strange.iter().all(|step| !is_ok(step)));
}

#[test]
fn in_the_end_all_permits_of_the_last_semaphores_are_taken_and_given_back() {
    let (main, finale) = run_with(&Json::Null, &setting(), (0.0, 0.0));
    let mut taken: BTreeMap<&Scalar, (u32, u32)> = BTreeMap::new();
    for step in finale.steps.iter().filter(|step| is_ok(step)) {
        let operation = &step.asked.operation;
        let counts = taken.entry(operation.key().unwrap()).or_default();
        match operation.kind() {
            Kind::AcquirePermits => counts.0 += 1,
            _ => counts.1 += 1,
        }
    }
    assert_eq!(taken.len(), 6);
    let all = |counts: &(u32, u32)| *counts == (PERMITS, PERMITS);
    assert!(taken.values().all(all), "{taken:?}");
    let last = main.steps.last().unwrap().asked.operation.key().unwrap();
    assert!(taken.contains_key(last));
}

#[test]
fn semaphores_that_can_never_be_reached_do_not_make_it_spin_or_hang() {
    let (main, finale) = run_with(&Json::Null, &setting(), (1.0, 0.0));
    assert!(main.steps.len() < 4_000 && finale.steps.len() < 200);
    let (_, finale) = run_with(&Json::Null, &setting(), (0.0, 1.0));
    assert!(finale.steps.len() < 200, "{}", finale.steps.len());
}

#[test]
fn the_same_seed_gives_the_same_operations_and_another_seed_others() {
    let trace = |seed| {
        let (main, finale) = run_with(&Json::Null, &Setting { seed, ..setting() }, (0.03, 0.01));
        format!("{main}{finale}")
    };
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}

#[test]
fn any_number_of_clients_will_do() {
    for clients in [1, 2, 7, 33] {
        let setting = Setting {
            clients,
            time_limit: 500 * MS,
            ..setting()
        };
        let (main, finale) = run_with(&Json::Null, &setting, (0.0, 0.0));
        assert!(main.steps.len() > 10, "{clients} clients");
        assert!(!finale.steps.is_empty());
    }
}

#[test]
fn wrong_options_are_refused_with_their_path() {
    for (options, path) in [
        (json!({ "permits": 1 }), "permits"),
        (json!({ "group": 0 }), "group"),
        (json!({ "group": 13 }), "group"),
        (json!({ "operations_per_key": 0 }), "operations_per_key"),
        (json!({ "permits_at_once": 0 }), "permits_at_once"),
        (json!({ "split_share": 2 }), "split_share"),
        (json!({ "stranger_share": -1 }), "stranger_share"),
        (json!({ "abandon_share": 1.5 }), "abandon_share"),
    ] {
        let workload = find("semaphore").unwrap();
        let error = workload.program(&options, &setting()).err().unwrap();
        assert_eq!(error.path, path, "{error}");
    }
}
