//! The models without real time against their definitions, tried out on small histories: every
//! linear extension, every order of versions, every interleaving.
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

mod model_oracle;
mod random;

use std::collections::{BTreeMap, BTreeSet};

use model_oracle::{MODELS, World};
use random::{Lcg, Timed, failed, history, only, unknown, verdict};
use tribunal_checkers::{Budget, Standing, find, strongest, verify};
use tribunal_results::{Answer, Call, Kind, Operation, Outcome, Record, Scalar, Validity};

/// How many histories to try: `TRIBUNAL_RANDOM_HISTORIES`, or what CI has time for.
fn rounds(usual: u64) -> u64 {
    let wanted = std::env::var("TRIBUNAL_RANDOM_HISTORIES").ok();
    wanted.map_or(usual, |n| n.parse().expect("a number"))
}

/// Each operation takes effect at a random instant of its interval; then some answers are spoilt.
fn generate(rng: &mut Lcg) -> Vec<Timed> {
    // Half of them read anything at all; their clients begin with a write.
    let wild = rng.percent(50);
    let spoilt = if wild { 100 } else { rng.below(4) * 25 };
    let clients = 2 + rng.below(2);
    let ops = 5 + rng.below(3) + 2 * u64::from(wild);
    let (one_key, reads) = (50 + 25 * rng.below(3), 40 + 15 * rng.below(3));
    let mut free: Vec<(u64, u64)> = (0..clients).map(|client| (0, client)).collect();
    let mut drafts = Vec::new();
    for id in 0..ops {
        let at = rng.below(clients) as usize;
        let (since, process) = free[at];
        let call = since + 1 + rng.below(6);
        let instant = call + rng.below(12);
        let ret = instant + 1 + rng.below(12);
        let stamp = |time: u64| time * 1000 + id;
        let lost = rng.percent(10);
        let key: Scalar = if rng.percent(one_key) { "x" } else { "y" }.into();
        let first = wild && since == 0;
        let operation = if rng.percent(if first { 20 } else { reads }) {
            Operation::Read { key }
        } else {
            let value = Scalar::Int(id as i64 + 1);
            Operation::Write { key, value }
        };
        let timed = Timed {
            process,
            call: stamp(call),
            ret: stamp(ret),
            operation,
            outcome: unknown(),
        };
        drafts.push((stamp(instant), lost, timed));
        free[at] = (ret, if lost { process + clients } else { process });
    }
    drafts.sort_by_key(|(instant, ..)| *instant);
    answer(rng, spoilt, drafts)
}

fn answer(rng: &mut Lcg, spoilt: u64, drafts: Vec<(u64, bool, Timed)>) -> Vec<Timed> {
    let mut written: BTreeMap<Scalar, Vec<Scalar>> = BTreeMap::new();
    for (_, _, draft) in &drafts {
        if let Operation::Write { key, value } = &draft.operation {
            written.entry(key.clone()).or_default().push(value.clone());
        }
    }
    let mut past: BTreeMap<Scalar, Vec<Scalar>> = BTreeMap::new();
    let mut state: BTreeMap<Scalar, Scalar> = BTreeMap::new();
    let mut ops = Vec::new();
    for (_, lost, mut op) in drafts {
        let refused = rng.percent(2);
        op.outcome = match &op.operation {
            _ if lost => unknown(),
            Operation::Read { key } => {
                let mut seen = state.get(key).cloned();
                if rng.percent(spoilt) {
                    // Mostly of the past, rarely of the future, hardly ever of nobody.
                    let all = if rng.percent(180 - spoilt) {
                        &past
                    } else {
                        &written
                    };
                    let any = all.get(key).map_or(&[][..], Vec::as_slice);
                    let absent = u64::from(rng.percent(spoilt));
                    let at = rng.below((any.len() as u64 + absent).max(1)) as usize;
                    seen = any.get(at).cloned();
                    if rng.percent(1) {
                        seen = Some(Scalar::Int(99));
                    }
                }
                Outcome::Ok(Answer::Value(seen))
            }
            _ if refused => failed(),
            _ => Outcome::Ok(Answer::Done),
        };
        if let (Operation::Write { key, value }, false) = (&op.operation, refused)
            && (!lost || rng.percent(50))
        {
            state.insert(key.clone(), value.clone());
            past.entry(key.clone()).or_default().push(value.clone());
        }
        ops.push(op);
    }
    ops
}

/// Whether the model holds, as its checker says; nothing to judge is nothing against it.
fn holds(model: &str, ops: &[Timed]) -> bool {
    let verdict = verdict(model, history(ops));
    if verdict.validity == Validity::Unknown {
        let code = verdict.unknown.as_ref().expect("a reason").code.as_str();
        assert_eq!(code, "vacuous", "{model}: {ops:#?}");
    }
    verdict.validity != Validity::Invalid
}

#[test]
fn the_checkers_agree_with_the_definitions_on_small_histories() {
    let mut rng = Lcg::new(20_170_118);
    let mut violated: BTreeMap<&str, u64> = BTreeMap::new();
    for _ in 0..rounds(30_000) {
        let ops = generate(&mut rng);
        let worlds = World::all(&ops);
        for (model, definition) in MODELS {
            let defined = worlds.iter().any(definition);
            assert_eq!(holds(model, &ops), defined, "{model}: {ops:#?}");
            *violated.entry(model).or_default() += u64::from(!defined);
        }
    }
    let tried = rounds(30_000);
    for (model, count) in violated {
        let share = count * 100 / tried;
        assert!((1..90).contains(&share), "{model}: {count} violated");
    }
}

#[test]
fn a_stronger_model_never_holds_without_the_weaker() {
    let implications = [
        ("linearizable", "sequential"),
        ("sequential", "causal-memory"),
        ("sequential", "causal-convergence"),
        ("causal-memory", "pram"),
        ("causal-memory", "causal"),
        ("causal-convergence", "causal"),
        ("causal-convergence", "read-your-writes"),
        ("causal-convergence", "monotonic-reads"),
        ("causal-convergence", "monotonic-writes"),
        ("causal-convergence", "writes-follow-reads"),
    ];
    let mut rng = Lcg::new(20_160_630);
    let mut apart: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for _ in 0..rounds(30_000) {
        let ops = generate(&mut rng);
        for (stronger, weaker) in implications {
            let (strong, weak) = (holds(stronger, &ops), holds(weaker, &ops));
            assert!(weak || !strong, "{stronger}, but not {weaker}: {ops:#?}");
            *apart.entry((stronger, weaker)).or_default() += u64::from(weak && !strong);
        }
    }
    assert!(apart.values().all(|count| *count > 0), "{apart:?}");
}

#[test]
fn the_lattice_says_what_the_definitions_say() {
    let mut rng = Lcg::new(20_100_531);
    for _ in 0..rounds(10_000) {
        let ops = generate(&mut rng);
        let worlds = World::all(&ops);
        let verdicts = strongest(&history(&ops), Budget::default());
        assert_eq!(verdicts.len(), MODELS.len() + 1);
        for verdict in verdicts.iter().skip(1) {
            let named = |(model, _): &&(&str, fn(&World) -> bool)| *model == verdict.model;
            let (_, definition) = MODELS.iter().find(named).expect("a definition");
            let defined = worlds.iter().any(definition);
            match verdict.standing {
                Standing::Holds => assert!(defined, "{verdict:?}: {ops:#?}"),
                Standing::Violated => assert!(!defined, "{verdict:?}: {ops:#?}"),
                Standing::Unknown => assert!(verdict.why.contains("nothing to judge")),
            }
            assert!(!verdict.why.is_empty());
        }
    }
}

#[test]
fn the_calls_of_an_anomaly_alone_violate_the_model() {
    let mut rng = Lcg::new(19_940_928);
    let (mut shown, mut kept, mut removed) = (0, 0, 0);
    for _ in 0..rounds(10_000) {
        let ops = generate(&mut rng);
        let whole = history(&ops);
        let record = Record {
            history: whole.clone(),
            ..Record::default()
        };
        for (model, _) in MODELS {
            for anomaly in verdict(model, whole.clone()).anomalies {
                let at = |index: &u64| whole.call_at(*index).expect("a call");
                let calls: Vec<&Call> = anomaly.calls.iter().map(at).collect();
                assert!(!holds(model, &only(&calls)), "{model}: {anomaly:#?}");
                assert!(!anomaly.facts.is_empty());
                let derived = verify::witness(&record, &anomaly);
                assert_eq!(derived, Ok(()), "{model}: {anomaly:#?} {ops:#?}");
                // Causal memory is refuted by its name, and so PRAM is if one session alone read.
                let reads = calls
                    .iter()
                    .filter(|call| call.operation.kind() == Kind::Read);
                let readers: BTreeSet<u64> = reads.map(|call| call.process).collect();
                assert!(model != "pram" || readers.len() == 1, "{anomaly:#?}");
                for at in 0..anomaly.calls.len() {
                    let mut less = anomaly.clone();
                    less.calls.remove(at);
                    kept += u32::from(verify::witness(&record, &less).is_ok());
                    removed += 1;
                }
                shown += 1;
            }
        }
    }
    assert!(shown > 1000);
    // A few say more than is needed, to be clear; of an aborted read the record tells the writer.
    assert!(
        kept * 20 < removed,
        "{kept} of {removed} calls were not needed"
    );
}

/// A run of one register per key without faults: linearizable, with reads of stale values by the
/// percent.
fn long(ops: u64, clients: u64, keys: u64, stale: u64) -> Vec<Timed> {
    let mut rng = Lcg::new(ops);
    let mut past: Vec<Vec<Option<Scalar>>> = vec![vec![None]; keys as usize];
    let mut timed = Vec::new();
    for id in 0..ops {
        let at = rng.below(keys) as usize;
        let key = Scalar::Int(at as i64);
        let (operation, outcome) = if rng.percent(50) {
            let back = if rng.percent(stale) { 2 } else { 1 };
            let seen = past[at][past[at].len().saturating_sub(back)].clone();
            (Operation::Read { key }, Outcome::Ok(Answer::Value(seen)))
        } else {
            let value = Scalar::Int(id as i64);
            past[at].push(Some(value.clone()));
            let done = Outcome::Ok(Answer::Done);
            (Operation::Write { key, value }, done)
        };
        timed.push(Timed {
            process: rng.below(clients),
            call: id * 2,
            ret: id * 2 + 1,
            operation,
            outcome,
        });
    }
    timed
}

#[test]
fn long_histories_are_judged_within_the_budget() {
    let fine = history(&long(20_000, 10, 20, 0));
    let stale = history(&long(5_000, 10, 5, 10));
    for (model, _) in MODELS {
        let verdict = verdict(model, fine.clone());
        assert_eq!(verdict.validity, Validity::Valid, "{model}: {verdict:#?}");
        let verdict = random::verdict(model, stale.clone());
        assert_eq!(verdict.validity, Validity::Invalid, "{model}: {verdict:#?}");
        assert!(verdict.anomalies.iter().all(|a| a.calls.len() < 100));
    }
}

#[test]
fn without_a_budget_nobody_can_tell() {
    let record = Record {
        history: history(&long(200, 4, 2, 0)),
        ..Record::default()
    };
    for (model, _) in MODELS {
        for (steps, bytes) in [(10, 1 << 30), (1 << 30, 10)] {
            let checker = find(model).expect("a checker");
            let verdict = checker.check(&record, Budget { steps, bytes });
            let code = verdict.unknown.map(|reason| reason.code);
            // Those that hold no clocks and no frontiers need no memory of their own.
            let small = steps > 10 && verdict.validity == Validity::Valid;
            assert!(small || code.as_deref() == Some("budget"), "{model}");
        }
    }
}
