//! What suites come to.

use std::collections::BTreeSet;

use serde_json::json;
use tribunal::plan::Plan;
use tribunal::suite::{Catalogue, Overrides, Source, built_in, load, plan_to_yaml};
use tribunal_nemesis::fabric::Kind;
use tribunal_results::options::{Time, TimeRange};

use crate::catalogue::catalogue;
use crate::load_bytes;

fn plans(yaml: &str) -> Vec<Plan> {
    load_bytes(yaml.as_bytes(), &Overrides::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn names(plans: &[Plan]) -> Vec<&str> {
    plans.iter().map(|plan| plan.name.as_str()).collect()
}

#[test]
fn a_run_says_what_it_differs_in_and_defaults_say_the_rest() {
    let plans = plans(
        "suite: demo\n\
         defaults: {nodes: 3, rate: 50, nemesis: [kill]}\n\
         runs:\n\
         - {target: lock-manager, workload: lock}\n\
         - {target: quorum-register, workload: register, nodes: 7, nemesis: none}\n",
    );
    assert_eq!(
        names(&plans),
        ["lock-manager-lock-kill", "quorum-register-register-none"]
    );
    let [first, second] = &plans[..] else {
        panic!("two runs");
    };
    assert_eq!((first.nodes, first.rate, first.clients), (3, 50.0, 10));
    assert_eq!(first.time, Time::millis(6000));
    assert_eq!(first.nemesis.faults.len(), 1);
    assert_eq!((second.nodes, second.rate), (7, 50.0));
    assert!(second.nemesis.faults.is_empty());
    assert_ne!(first.seed, second.seed);
}

#[test]
fn each_field_is_read_in_its_full_form() {
    let plans = plans(
        "runs:\n\
         - name: full\n\
         \x20 target: {type: lock-manager, bug: double-grant, options: {lease_ms: 1000}}\n\
         \x20 workload: {type: lock, locks: 3}\n\
         \x20 nemesis: {faults: [kill, {type: partition, shape: one}], hold: 1s}\n\
         \x20 seed: 18446744073709551615\n\
         \x20 expect: [double-hold, overtaking]\n\
         \x20 evidence: {ok_operations: 7}\n\
         \x20 timeout: 1.5s\n\
         \x20 judge: {time: 2m}\n",
    );
    let plan = &plans[0];
    assert_eq!(plan.target.bug.as_deref(), Some("double-grant"));
    assert_eq!(plan.target.options, json!({"lease_ms": 1000}));
    assert_eq!(plan.workload.options, json!({"locks": 3}));
    assert_eq!(plan.nemesis.faults[1].options, json!({"shape": "one"}));
    assert_eq!(plan.nemesis.quiet, TimeRange::millis(200, 600));
    assert_eq!(plan.nemesis.hold, TimeRange::millis(1000, 1000));
    assert_eq!(plan.seed, u64::MAX);
    assert_eq!(plan.expect, ["double-hold", "overtaking"]);
    assert_eq!(plan.evidence.ok_operations, 7);
    assert_eq!(plan.evidence.concurrency, 2);
    assert_eq!(plan.timeout, Time::millis(1500));
    assert_eq!(plan.judge.time, Time::millis(120_000));
    assert_eq!(plan.judge.memory_mib, 2048);
}

#[test]
fn a_matrix_stands_for_all_combinations_the_seed_varying_fastest() {
    let plans = plans(
        "runs:\n\
         - workload: lock\n\
         \x20 target: lock-manager\n\
         \x20 matrix: {seed: [1, 2], nemesis: [[kill], [kill, pause], none]}\n\
         - name: named\n\
         \x20 workload: lock\n\
         \x20 target: lock-manager\n\
         \x20 matrix: {nodes: [3, 5]}\n",
    );
    assert_eq!(
        names(&plans),
        [
            "lock-manager-lock-kill-seed1",
            "lock-manager-lock-kill-seed2",
            "lock-manager-lock-kill+pause-seed1",
            "lock-manager-lock-kill+pause-seed2",
            "lock-manager-lock-none-seed1",
            "lock-manager-lock-none-seed2",
            "named-nodes3",
            "named-nodes5",
        ]
    );
    assert_eq!(plans[3].seed, 2);
    assert_eq!(plans[7].nodes, 5);
}

#[test]
fn equal_names_are_numbered() {
    let run = "{target: lock-manager, workload: lock}";
    let plans = plans(&format!("runs: [{run}, {run}, {run}]"));
    assert_eq!(
        names(&plans),
        [
            "lock-manager-lock-none",
            "lock-manager-lock-none-2",
            "lock-manager-lock-none-3"
        ]
    );
}

#[test]
fn long_names_are_cut_so_that_they_can_be_given_again() {
    let faults = ["partition"; 20].join(", ");
    let long = "x".repeat(100);
    let yaml = format!(
        "defaults: {{target: lock-manager, workload: lock}}\n\
         runs:\n\
         - {{nemesis: [{faults}], matrix: {{seed: [1, 2]}}}}\n\
         - {{name: {long}}}\n\
         - {{name: {long}}}\n",
    );
    let plans = plans(&yaml);
    let names: BTreeSet<&str> = names(&plans).into_iter().collect();
    assert_eq!(names.len(), 4);
    assert!(names.contains(long.as_str()));
    for plan in plans {
        let again = plan_to_yaml(&plan).unwrap();
        let again = load_bytes(again.as_bytes(), &Overrides::default());
        assert_eq!(again.map_err(|error| error.to_string()), Ok(vec![plan]));
    }
}

#[test]
fn a_planted_bug_is_expected_to_be_found_unless_the_suite_says_otherwise() {
    let plans = plans(
        "defaults: {workload: lock, target: {type: lock-manager, bug: forget-on-restart}}\n\
         runs: [{nemesis: kill}, {expect: valid}, {expect: crash}]\n",
    );
    let expected: Vec<_> = plans.iter().map(|plan| plan.expect.join(" ")).collect();
    assert_eq!(expected, ["double-hold", "", "crash"]);
}

#[test]
fn merge_keys_and_aliases_are_understood() {
    let plans = plans(
        "runs:\n\
         - &base {target: lock-manager, workload: lock, seed: 1}\n\
         - {<<: *base, seed: 2}\n\
         - *base\n",
    );
    let seeds: Vec<u64> = plans.iter().map(|plan| plan.seed).collect();
    assert_eq!(seeds, [1, 2, 1]);
}

#[test]
fn the_command_line_has_the_last_word() {
    let overrides = Overrides {
        seed: Some(9),
        time: Some(Time::millis(1500)),
        nodes: Some(3),
        clients: Some(4),
        rate: Some(10.0),
        only: Some("*pause".into()),
    };
    let yaml = "defaults: {target: lock-manager, workload: lock, seed: 1, nodes: 7}\n\
                runs: [{nemesis: kill}, {nemesis: pause}]";
    let plans = load_bytes(yaml.as_bytes(), &overrides).unwrap();
    assert_eq!(names(&plans), ["lock-manager-lock-pause"]);
    let plan = &plans[0];
    assert_eq!((plan.seed, plan.nodes, plan.clients), (9, 3, 4));
    assert_eq!((plan.time, plan.rate), (Time::millis(1500), 10.0));
}

#[test]
fn the_command_line_has_the_same_limits() {
    let overrides = Overrides {
        nodes: Some(99),
        ..Overrides::default()
    };
    let error = load_bytes(b"runs: []", &overrides).unwrap_err().to_string();
    assert!(
        error.contains("`--nodes` must be a whole number from 1 to 50"),
        "{error}"
    );
}

#[test]
fn selecting_nothing_is_told_apart_from_a_wrong_suite() {
    let overrides = Overrides {
        only: Some("semaphore".into()),
        ..Overrides::default()
    };
    let yaml = b"runs: [{target: lock-manager, workload: lock}]";
    let error = load_bytes(yaml, &overrides).unwrap_err();
    assert!(error.nothing_selected());
    assert!(
        error.to_string().contains("lock-manager-lock-none"),
        "{error}"
    );
    let error = load_bytes(b"runs: []", &overrides).unwrap_err();
    assert!(!error.nothing_selected());
}

#[test]
fn seeds_stay_the_same_from_one_load_to_the_next() {
    let load = || plans("suite: s\nruns: [{target: lock-manager, workload: lock}]");
    assert_eq!(load(), load());
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let refused = |source| {
        let plans = load(&source, &catalogue(), &Overrides::default());
        plans.unwrap_err().to_string()
    };
    let error = refused(Source::BuiltIn("dmeo"));
    assert!(
        error.contains("there are: ") && error.contains(", demo, disk, "),
        "{error}"
    );
    let error = refused(Source::File("no/such.yaml".into()));
    assert!(
        error.contains("cannot read the suite") && error.contains("no/such.yaml"),
        "{error}"
    );
}

#[test]
fn a_suite_may_come_to_ten_thousand_runs() {
    let hundred: Vec<u64> = (1..=100).collect();
    let yaml = format!(
        "runs: [{{target: lock-manager, workload: lock, \
         matrix: {{seed: {hundred:?}, clients: {hundred:?}}}}}]"
    );
    let plans = plans(&yaml);
    let names: BTreeSet<&str> = names(&plans).into_iter().collect();
    assert_eq!(names.len(), 10_000);
}

#[test]
fn each_built_in_suite_loads_under_its_own_name() {
    let catalogue = Catalogue::built_in();
    for suite in built_in() {
        let plans = load(
            &Source::BuiltIn(suite.name),
            &catalogue,
            &Overrides::default(),
        )
        .unwrap_or_else(|error| panic!("{error}"));
        assert!(
            !suite.about().is_empty(),
            "{} says nothing of itself",
            suite.name
        );
        // Those of a folder are called by it, which a file's name cannot hold.
        let own = suite.name.rsplit('/').next().unwrap();
        assert!(plans.iter().all(|plan| plan.suite == own));
    }
}

#[test]
fn the_planted_suite_covers_every_planted_bug() {
    let catalogue = Catalogue::built_in();
    let known: BTreeSet<(&str, &str)> = catalogue
        .targets
        .iter()
        .flat_map(|target| target.bugs.iter().map(|bug| (target.name, bug.name)))
        .collect();
    let plans = load(
        &Source::BuiltIn("planted"),
        &catalogue,
        &Overrides::default(),
    )
    .unwrap();
    let covered: BTreeSet<(&str, &str)> = plans
        .iter()
        .map(|plan| {
            (
                &*plan.target.target,
                plan.target.bug.as_deref().unwrap_or("none"),
            )
        })
        .collect();
    assert_eq!(covered, known);
    assert!(plans.iter().all(|plan| !plan.expect.is_empty()));
}

/// The faults of each run of a built-in suite.
fn faults_of(name: &'static str) -> Vec<Vec<String>> {
    let catalogue = Catalogue::built_in();
    let plans = load(&Source::BuiltIn(name), &catalogue, &Overrides::default()).unwrap();
    let faults = |plan: &Plan| plan.nemesis.kinds().map(str::to_owned).collect();
    plans.iter().map(faults).collect()
}

#[test]
fn the_lock_and_register_suites_meet_their_faults_alone_and_together() {
    for name in ["lock", "register"] {
        let runs = faults_of(name);
        let together = runs.iter().max_by_key(|faults| faults.len()).unwrap();
        assert!(together.len() >= 7, "{name}: {together:?}");
        for fault in together {
            let counts = runs.iter().filter(|faults| faults.contains(fault));
            let counts: Vec<usize> = counts.map(Vec::len).collect();
            assert_eq!(counts, [1, together.len()], "{name}: {fault}");
        }
    }
}

#[test]
fn every_fault_is_met_by_a_built_in_suite() {
    let met: BTreeSet<String> = built_in()
        .iter()
        .flat_map(|suite| faults_of(suite.name))
        .flatten()
        .collect();
    for fault in &Catalogue::built_in().faults {
        assert!(met.contains(fault.name), "{}", fault.name);
    }
}

#[test]
fn the_switch_suite_meets_every_fault_that_only_a_switch_can_do() {
    let catalogue = Catalogue::built_in();
    let source = Source::BuiltIn("switch");
    let plans = load(&source, &catalogue, &Overrides::default()).unwrap();
    let asked: BTreeSet<&str> = plans.iter().flat_map(|plan| plan.nemesis.kinds()).collect();
    for fault in &catalogue.faults {
        let needed = fault.only_on == Some(Kind::Switch);
        assert!(!needed || asked.contains(fault.name), "{}", fault.name);
    }
    assert!(plans.iter().all(|plan| plan.fabric == Kind::Switch));
}

#[test]
fn the_demo_takes_about_twenty_seconds() {
    let plans = load(
        &Source::BuiltIn("demo"),
        &catalogue(),
        &Overrides::default(),
    )
    .unwrap();
    let busy: std::time::Duration = plans.iter().map(|plan| plan.time.0).sum();
    assert!(
        busy <= std::time::Duration::from_secs(14),
        "{busy:?} without starting and judging"
    );
    let expected: Vec<bool> = plans.iter().map(|plan| plan.expect.is_empty()).collect();
    assert_eq!(
        expected,
        [true, false],
        "one run that holds, one that is found out"
    );
}
