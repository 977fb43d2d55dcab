//! Whatever the text, there is an answer; whatever the plan, it can be written and read again.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Map, Value as Json, json};
use tribunal::plan::{JudgePlan, Plan, TargetPlan, WorkloadPlan};
use tribunal::suite::{Overrides, plan_to_yaml};
use tribunal::topology::{LinkLatency, Topology};
use tribunal_nemesis::fabric::{Distribution, Kind as Fabric};
use tribunal_nemesis::schedule::{FaultPlan, NemesisPlan};
use tribunal_results::gates::Gate;
use tribunal_results::options::{Rate, Time, TimeRange};
use tribunal_results::verdict::EvidenceFloor;
use tribunal_targets::Shape;

use crate::load_bytes;

fn time() -> impl Strategy<Value = Time> {
    let micros = prop_oneof![1..2_000_000_u64, 1..86_400_000_000_u64];
    let whole = (1..86_400_u64).prop_map(|s| s * 1_000_000);
    prop_oneof![micros, whole].prop_map(|us| Time(std::time::Duration::from_micros(us)))
}

fn range() -> impl Strategy<Value = TimeRange> {
    (time(), time()).prop_map(|(a, b)| TimeRange {
        from: a.min(b),
        to: a.max(b),
    })
}

fn fault() -> impl Strategy<Value = FaultPlan> {
    let plain =
        prop_oneof![Just("kill"), Just("pause"), Just("delay")].prop_map(|name| (name, json!({})));
    let cut = (proptest::option::of(range()), any::<bool>()).prop_map(|(lag, one)| {
        let mut options =
            Map::from_iter([("shape".into(), json!(if one { "one" } else { "halves" }))]);
        options.extend(lag.map(|lag| ("lag".into(), json!(lag.to_string()))));
        ("partition", Json::Object(options))
    });
    prop_oneof![plain, cut].prop_map(|(fault, options)| FaultPlan {
        fault: fault.into(),
        options,
    })
}

fn system() -> impl Strategy<Value = (TargetPlan, WorkloadPlan, Vec<String>)> {
    let bug = proptest::option::of(prop_oneof![Just("double-grant"), Just("forget-on-restart")]);
    let lease = proptest::option::of(any::<u64>());
    let locks = proptest::option::of(0..=1_usize);
    let expect = proptest::sample::subsequence(vec!["double-hold", "overtaking", "crash"], 0..=3);
    (bug, lease, locks, expect).prop_map(|(bug, lease, locks, expect)| {
        let target = TargetPlan {
            target: "lock-manager".into(),
            bug: bug.map(str::to_owned),
            options: lease.map_or(Json::Null, |lease| json!({"lease_ms": lease})),
        };
        let workload = WorkloadPlan {
            workload: "lock".into(),
            options: locks.map_or(Json::Null, |locks| json!({"locks": locks})),
        };
        let expect = expect.into_iter().map(str::to_owned).collect();
        (target, workload, expect)
    })
}

fn name() -> impl Strategy<Value = String> {
    // Also what YAML would take for something else than text.
    prop_oneof![
        "[a-zA-Z0-9][a-zA-Z0-9+_.-]{0,20}",
        prop_oneof![
            Just("null"),
            Just("true"),
            Just("1e3"),
            Just("0x1F"),
            Just("7")
        ]
        .prop_map(str::to_owned),
    ]
}

prop_compose! {
    fn plan()(
        (suite, name) in (name(), name()),
        (target, workload, expect) in system(),
        (nodes, clients) in (1..=50_usize, 1..=1000_usize),
        rate in prop_oneof![0.001..1e6_f64, (1..1_000_000_u32).prop_map(f64::from)],
        (time, timeout, ready, recovery, judge) in (time(), time(), time(), time(), time()),
        (messages, latency, jitter, link) in (any::<bool>(), time(), time(), proptest::option::of(time())),
        faults in proptest::collection::vec(fault(), 0..4),
        (quiet, hold) in (range(), range()),
        seed in any::<u64>(),
        floors in any::<[u64; 5]>(),
        memory_mib in 16..1_048_576_u64,
    ) -> Plan {
        let [ok_operations, cross_observations, concurrency, faults_of_each, final_reads] = floors;
        Plan {
            suite, name, target, nodes, workload, clients, rate, time, timeout, ready, recovery,
            topology: Topology {
                distribution: Distribution::default(),
                // The test's target needs a star; a mesh and a star have that.
                shape: if messages { Shape::Mesh } else { Shape::Star },
                latency,
                jitter,
                bandwidth: link.map(|time| Rate(1 + time.0.as_micros() as u64)),
                links: link
                    .filter(|_| nodes > 1)
                    .map(|latency| LinkLatency { from: "n1".into(), to: "n2".into(), latency: Some(latency), bandwidth: None })
                    .into_iter()
                    .collect(),
            },
            fabric: if messages || rate < 500.0 { Fabric::Proxy } else { Fabric::Switch },
            messages,
            nemesis: NemesisPlan { faults, quiet, hold, ..NemesisPlan::default() },
            seed,
            expect,
            evidence: EvidenceFloor {
                ok_operations, cross_observations, concurrency, faults_of_each, final_reads,
            },
            judge: JudgePlan { time: judge, memory_mib },
            finding: None,
            gates: [("ok_operations".to_owned(), Gate { min: Some(memory_mib.into()), max: None }),
                ("recovery_p99".to_owned(), Gate { min: None, max: Some(serde_json::json!(judge)) })].into(),
            parts: Default::default(),
        }
    }
}

/// Texts that are nearly suites: known words put together at random.
fn nearly_yaml() -> impl Strategy<Value = String> {
    let words = [
        "runs",
        "suite",
        "target",
        "workload",
        "nemesis",
        "matrix",
        "seed",
        "type",
        "faults",
        "lock-manager",
        "lock",
        "kill",
        "partition",
        "expect",
        "valid",
        "defaults",
        "name",
        "time",
        ": ",
        ":\n",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&a ",
        "*a",
        "<<: ",
        "!t ",
        "'",
        "\"",
        "# ",
        "|",
        ">",
        "---\n",
        "...\n",
        "? ",
        "%",
        "1",
        "-1",
        "1e400",
        ".nan",
        "~",
        "6s",
        "200ms..1s",
        "é",
        "\u{feff}",
        "\t",
        "\r\n",
        "\0",
    ];
    proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..60)
        .prop_map(|words| words.concat())
}

/// A suite that loads, with some bytes exchanged.
fn damaged_suite() -> impl Strategy<Value = Vec<u8>> {
    let texts: Vec<&str> = tribunal::suite::built_in()
        .iter()
        .map(|suite| suite.text)
        .collect();
    let damage = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8);
    (proptest::sample::select(texts), damage).prop_map(|(text, damage)| {
        let mut bytes = text.as_bytes().to_vec();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes
    })
}

/// An answer, and if it is an error one that can be shown.
fn answers(bytes: &[u8]) {
    if let Err(error) = load_bytes(bytes, &Overrides::default()) {
        assert!(error.to_string().starts_with("error"), "{error}");
        assert!(!error.render(true).is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, rng_seed: RngSeed::Fixed(2026), ..ProptestConfig::default() })]

    #[test]
    fn a_plan_written_down_is_read_as_the_same_plan(plan in plan()) {
        let yaml = plan_to_yaml(&plan).unwrap();
        let plans = load_bytes(yaml.as_bytes(), &Overrides::default());
        prop_assert_eq!(plans.map_err(|error| error.to_string()), Ok(vec![plan]));
    }

    #[test]
    fn bytes_of_chance_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        answers(&bytes);
    }

    #[test]
    fn texts_of_chance_get_an_answer(text in any::<String>()) {
        answers(text.as_bytes());
    }

    #[test]
    fn near_suites_get_an_answer(text in nearly_yaml()) {
        answers(text.as_bytes());
    }

    #[test]
    fn damaged_suites_get_an_answer(bytes in damaged_suite()) {
        answers(&bytes);
    }
}

#[test]
fn deep_and_swelling_texts_get_an_answer_in_time() {
    answers("[".repeat(100_000).as_bytes());
    answers("{a: ".repeat(20_000).as_bytes());
    answers("- ".repeat(100_000).as_bytes());
    let mut laughs = String::from("a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n");
    for i in 1..12 {
        let inner = format!("*a{}, ", i - 1).repeat(10);
        laughs.push_str(&format!("a{i}: &a{i} [{inner}]\n"));
    }
    answers(laughs.as_bytes());
    answers(&vec![b'a'; 2 << 20]);
}
