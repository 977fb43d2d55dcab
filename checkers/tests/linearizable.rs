//! The search against an independent oracle that tries every order of a few operations.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

mod random;
#[path = "random/simulation.rs"]
mod simulation;

use random::{Lcg, Timed, failed, history, only, unknown, verdict};
use tribunal_checkers::{Budget, Checker, linearizable::Linearizable, verify};
use tribunal_results::{Answer, Call, History, Operation, Outcome, Record, Scalar, Validity};

fn key() -> Scalar {
    "k".into()
}

fn int(value: u64) -> Scalar {
    Scalar::Int(value as i64)
}

/// Tries every order of the operations: real time, then the register's own rules.
fn linearizable(ops: &[Timed]) -> bool {
    fn go(left: &mut Vec<&Timed>, state: Option<&Scalar>) -> bool {
        if left.iter().all(|op| matches!(op.outcome, Outcome::Info(_))) {
            return true;
        }
        for at in 0..left.len() {
            let op = left[at];
            let overtaken = left
                .iter()
                .any(|other| !matches!(other.outcome, Outcome::Info(_)) && other.ret < op.call);
            if overtaken {
                continue;
            }
            let next = match (&op.operation, &op.outcome) {
                (Operation::Read { .. }, Outcome::Ok(Answer::Value(seen))) => {
                    (seen.as_ref() == state).then_some(state)
                }
                (Operation::Write { value, .. }, _) => Some(Some(value)),
                (Operation::Cas { from, .. }, Outcome::Fail(_)) => {
                    (state != Some(from)).then_some(state)
                }
                (Operation::Cas { from, to, .. }, _) => (state == Some(from)).then_some(Some(to)),
                _ => Some(state),
            };
            let Some(next) = next else { continue };
            left.remove(at);
            let fits = go(left, next);
            left.insert(at, op);
            if fits {
                return true;
            }
        }
        false
    }
    // A compare-and-set that was refused tells what was not there.
    let tells = |op: &&Timed| {
        !matches!(op.outcome, Outcome::Fail(_)) || matches!(op.operation, Operation::Cas { .. })
    };
    go(&mut ops.iter().filter(tells).collect(), None)
}

/// What a history is made of.
#[derive(Clone, Copy)]
struct Mix {
    ops: u64,
    clients: u64,
    values: u64,
    unknown: u64,
    cas: u64,
    spoilt: u64,
}

/// Each operation takes effect at a random instant of its interval; then some answers are spoilt.
fn generate(rng: &mut Lcg, mix: Mix) -> Vec<Timed> {
    let mut free: Vec<(u64, u64)> = (0..mix.clients).map(|client| (0, client)).collect();
    let mut drafts = Vec::new();
    for id in 0..mix.ops {
        let at = rng.below(free.len() as u64) as usize;
        let (since, process) = free[at];
        let call = since + 1 + rng.below(6);
        let instant = call + rng.below(12);
        let ret = instant + 1 + rng.below(12);
        let stamp = |time: u64| time * 1000 + id;
        let lost = rng.percent(mix.unknown);
        let operation = operation(rng, mix, id + 1);
        drafts.push((
            stamp(instant),
            lost,
            rng.percent(50),
            Timed {
                process,
                call: stamp(call),
                ret: stamp(ret),
                operation,
                outcome: unknown(),
            },
        ));
        free[at] = (ret, if lost { process + mix.clients } else { process });
    }
    drafts.sort_by_key(|(instant, ..)| *instant);
    let mut state: Option<Scalar> = None;
    let mut past = vec![None];
    let mut ops = Vec::new();
    for (_, lost, effective, mut op) in drafts {
        op.outcome = if lost && !effective {
            unknown()
        } else {
            apply(&mut state, &op.operation)
        };
        if let Outcome::Ok(Answer::Value(seen)) = &mut op.outcome {
            if rng.percent(mix.spoilt) {
                *seen = if rng.percent(85) {
                    past[rng.below(past.len() as u64) as usize].clone()
                } else {
                    Some(int(1 + rng.below(mix.values.min(mix.ops) + 1)))
                };
            }
        } else if !lost && rng.percent(mix.spoilt / 4) {
            op.outcome = failed();
        }
        if matches!(op.outcome, Outcome::Fail(_)) && rng.percent(mix.spoilt / 2) {
            op.outcome = Outcome::Ok(Answer::Done);
        }
        if lost {
            op.outcome = unknown();
        }
        past.push(state.clone());
        ops.push(op);
    }
    ops
}

fn operation(rng: &mut Lcg, mix: Mix, unique: u64) -> Operation {
    let mut value = |fresh: u64| {
        int(1 + if mix.values > mix.ops {
            fresh
        } else {
            rng.below(mix.values)
        })
    };
    let (one, two) = (value(unique / 2), value(unique));
    if rng.percent(45) {
        Operation::Read { key: key() }
    } else if rng.percent(mix.cas) {
        Operation::Cas {
            key: key(),
            from: one,
            to: two,
        }
    } else {
        Operation::Write {
            key: key(),
            value: two,
        }
    }
}

fn apply(state: &mut Option<Scalar>, operation: &Operation) -> Outcome {
    match operation {
        Operation::Read { .. } => return Outcome::Ok(Answer::Value(state.clone())),
        Operation::Write { value, .. } => *state = Some(value.clone()),
        Operation::Cas { from, to, .. } if state.as_ref() == Some(from) => {
            *state = Some(to.clone())
        }
        _ => return failed(),
    }
    Outcome::Ok(Answer::Done)
}

/// How many random histories: by hand more than in CI.
fn rounds(usual: u64) -> u64 {
    let wanted = std::env::var("TRIBUNAL_RANDOM_HISTORIES").ok();
    wanted.map_or(usual, |n| n.parse().expect("a number"))
}

const SMALL: Mix = Mix {
    ops: 7,
    clients: 4,
    values: 3,
    unknown: 15,
    cas: 40,
    spoilt: 20,
};

/// Mixes of small histories: few values and many, with and without doubt.
fn small(rng: &mut Lcg) -> Mix {
    Mix {
        ops: 2 + rng.below(6),
        clients: 1 + rng.below(5),
        values: [2, 3, 100][rng.below(3) as usize],
        unknown: [0, 15, 40][rng.below(3) as usize],
        cas: [0, 30, 70][rng.below(3) as usize],
        spoilt: 60,
    }
}

#[test]
fn the_search_agrees_with_trying_every_order() {
    let (mut valid, mut invalid) = (0, 0);
    for seed in 0..rounds(30_000) {
        let mut rng = Lcg::new(seed);
        let mix = small(&mut rng);
        let ops = generate(&mut rng, mix);
        let expected = linearizable(&ops);
        let found = verdict("linearizable", history(&ops)).validity;
        assert_eq!(
            found != Validity::Invalid,
            expected,
            "seed {seed}: {ops:#?}"
        );
        *(if expected { &mut valid } else { &mut invalid }) += 1;
    }
    assert!(
        valid > 5_000 && invalid > 5_000,
        "{valid} valid, {invalid} invalid"
    );
}

fn record(history: &History) -> Record {
    Record {
        history: history.clone(),
        ..Record::default()
    }
}

#[test]
fn the_calls_of_every_anomaly_contradict_each_other_without_the_rest() {
    let mut names = std::collections::BTreeMap::new();
    for seed in 0..rounds(20_000) {
        let mut rng = Lcg::new(seed + 1_000_000);
        let mix = small(&mut rng);
        let whole = history(&generate(&mut rng, mix));
        for anomaly in verdict("linearizable", whole.clone()).anomalies {
            let calls: Vec<&Call> = anomaly
                .calls
                .iter()
                .map(|&index| whole.call_at(index).expect("a call"))
                .collect();
            assert!(!linearizable(&only(&calls)), "seed {seed}: {anomaly:#?}");
            verify::witness(&record(&whole), &anomaly)
                .unwrap_or_else(|why| panic!("seed {seed}: {why}: {anomaly:#?}"));
            assert!(!anomaly.facts.is_empty() && !anomaly.sentence.is_empty());
            *names.entry(anomaly.name).or_insert(0) += 1;
        }
    }
    for name in [
        "stale-read",
        "phantom-read",
        "aborted-read",
        "not-linearizable",
    ] {
        assert!(
            names.get(name).is_some_and(|&n| n > 50),
            "{name}: {names:?}"
        );
    }
}

#[test]
fn the_calls_of_long_histories_contradict_each_other_too() {
    let mut verified = 0;
    for seed in 0..1_500 {
        let mut rng = Lcg::new(seed + 3_000_000);
        let mix = Mix {
            ops: 40 + rng.below(60),
            clients: 3 + rng.below(6),
            values: [4, 8, 1_000][rng.below(3) as usize],
            unknown: [0, 5, 25][rng.below(3) as usize],
            cas: [0, 40][rng.below(2) as usize],
            spoilt: 4,
        };
        let whole = history(&generate(&mut rng, mix));
        for anomaly in verdict("linearizable", whole.clone()).anomalies {
            verify::witness(&record(&whole), &anomaly)
                .unwrap_or_else(|why| panic!("seed {seed}: {why}: {anomaly:#?}"));
            verified += 1;
        }
    }
    assert!(verified > 500, "{verified} verified");
}

/// The verifier itself must not agree to everything.
#[test]
fn calls_that_some_order_explains_are_refused_as_a_contradiction() {
    let (mut refused, mut orders) = (0, 0);
    for seed in 0..2_000 {
        let mut rng = Lcg::new(seed + 4_000_000);
        let whole = history(&generate(&mut rng, Mix { spoilt: 0, ..SMALL }));
        let calls: Vec<u64> = whole
            .calls()
            .iter()
            .map(|call| call.invoked.index)
            .collect();
        let claim = tribunal_results::Anomaly {
            name: "stale-read".into(),
            sentence: String::new(),
            key: Some(key()),
            calls,
            facts: Vec::new(),
            span: (0, 0),
        };
        refused += u32::from(verify::witness(&record(&whole), &claim).is_err());
        // Nothing took effect is an order only if nothing succeeded.
        let in_effect = whole.calls().iter().filter(|call| !call.is_fail());
        let none = verify::register_order(in_effect, &[]).is_ok();
        assert_eq!(none, !whole.calls().iter().any(Call::is_ok));
        orders += u32::from(!none);
    }
    assert_eq!(refused, 2_000);
    assert!(orders > 1_500);
}

#[test]
fn wider_intervals_and_fewer_reads_keep_a_history_valid() {
    let mut checked = 0;
    for seed in 0..4_000 {
        let mut rng = Lcg::new(seed + 2_000_000);
        let mix = Mix {
            ops: 20,
            clients: 5,
            spoilt: 0,
            ..SMALL
        };
        let mut ops = generate(&mut rng, mix);
        assert_ne!(
            verdict("linearizable", history(&ops)).validity,
            Validity::Invalid,
            "{seed}"
        );
        for (process, op) in ops.iter_mut().enumerate() {
            // A process of its own, so that it may overlap what was before and after.
            op.process = process as u64;
            op.call = op.call.saturating_sub(rng.below(9_000) / 1000 * 1000);
            op.ret += rng.below(9) * 1000;
        }
        ops.retain(|op| !matches!(op.operation, Operation::Read { .. }) || rng.percent(80));
        assert_ne!(
            verdict("linearizable", history(&ops)).validity,
            Validity::Invalid,
            "{seed}"
        );
        checked += 1;
    }
    assert_eq!(checked, 4_000);
}

#[test]
fn the_same_history_gets_the_same_verdict() {
    for seed in 0..300 {
        let ops = generate(&mut Lcg::new(seed), SMALL);
        let one = verdict("linearizable", history(&ops));
        assert_eq!(one, verdict("linearizable", history(&ops)));
    }
}

/// 500 operations of five values, a twentieth of them of unknown end, and at the end a read of
/// what cannot be there: a search without dominance has to try every subset of those.
#[test]
fn many_unknown_ends_before_a_late_contradiction_cost_little() {
    let mix = Mix {
        ops: 500,
        clients: 5,
        values: 5,
        unknown: 5,
        cas: 20,
        spoilt: 0,
    };
    let mut ops = generate(&mut Lcg::new(7), mix);
    let end = ops.iter().map(|op| op.ret).max().expect("operations");
    let last = |process: u64, at: u64, operation: Operation, answer: Answer| Timed {
        process,
        call: end + at,
        ret: end + at + 1,
        operation,
        outcome: Outcome::Ok(answer),
    };
    let write = Operation::Write {
        key: key(),
        value: int(9),
    };
    ops.push(last(900, 1, write, Answer::Done));
    ops.push(last(
        901,
        3,
        Operation::Read { key: key() },
        Answer::Value(None),
    ));
    let verdict = verdict("linearizable", history(&ops));
    assert_eq!(verdict.anomalies[0].name, "stale-read");
    let steps = verdict.figures["steps"].as_u64().expect("steps");
    assert!(steps < 500_000, "{steps} steps");
}

/// Five values, a fifth of the mutators compare-and-sets, some ends unknown: what stays possible
/// grows with every operation whose end is unknown.
#[test]
fn hard_histories_are_decided_well_within_the_budget() {
    let mix = |operations, clients, unknown| simulation::Mix {
        operations,
        clients,
        keys: 1,
        values: 5,
        reads: 50,
        cas: 20,
        unknown,
    };
    for (mix, steps_max) in [
        (mix(4_000, 10, 1), 5_000_000),
        (mix(4_000, 10, 0), 500_000),
        (mix(500, 5, 20), 500_000),
        (mix(300, 20, 0), 500_000),
    ] {
        for (spoilt, expected) in [(false, Validity::Valid), (true, Validity::Invalid)] {
            let mut events = simulation::simulate(1, mix);
            if spoilt {
                simulation::spoil(&mut events);
            }
            let history = History::from_events(events).expect("well-formed");
            let verdict = verdict("linearizable", history);
            assert_eq!(verdict.validity, expected, "{mix:?}: {verdict:#?}");
            let steps = verdict.figures["steps"].as_u64().expect("steps");
            assert!(steps < steps_max, "{mix:?}: {steps} steps");
            assert_eq!(verdict.figures["keys-replayed"], u64::from(!spoilt));
        }
    }
}

#[test]
fn many_clients_with_values_of_their_own_cost_little() {
    let mix = Mix {
        ops: 2000,
        clients: 20,
        values: 10_000,
        unknown: 2,
        cas: 0,
        spoilt: 0,
    };
    let ops = generate(&mut Lcg::new(11), mix);
    let verdict = verdict("linearizable", history(&ops));
    assert_eq!(verdict.validity, Validity::Valid, "{verdict:#?}");
    let steps = verdict.figures["steps"].as_u64().expect("steps");
    assert!(steps < 500_000, "{steps} steps");
}

#[test]
fn an_exhausted_budget_is_unknown_and_says_what_was_verified() {
    let mix = Mix {
        ops: 200,
        clients: 8,
        spoilt: 0,
        ..SMALL
    };
    let record = Record {
        history: history(&generate(&mut Lcg::new(3), mix)),
        ..Record::default()
    };
    let budget = Budget {
        steps: 100,
        ..Budget::default()
    };
    let verdict = Linearizable.check(&record, budget);
    assert_eq!(verdict.validity, Validity::Unknown);
    let reason = verdict.unknown.expect("a reason");
    assert_eq!(reason.code, "budget");
    assert!(
        reason.text.contains("k (verified up to event "),
        "{}",
        reason.text
    );
    let budget = Budget {
        bytes: 1000,
        ..Budget::default()
    };
    assert_eq!(
        Linearizable
            .check(&record, budget)
            .unknown
            .expect("a reason")
            .code,
        "budget"
    );
}

#[test]
fn too_many_open_operations_are_unknown() {
    let write = |n: u64| Timed {
        process: n,
        call: n,
        ret: 1000 + n,
        operation: Operation::Write {
            key: key(),
            value: int(n % 100),
        },
        outcome: Outcome::Ok(Answer::Done),
    };
    let ops: Vec<Timed> = (0..129).map(write).collect();
    let verdict = verdict("linearizable", history(&ops));
    assert_eq!(verdict.unknown.expect("a reason").code, "too-wide");
}

/// Two histories of values of their own, one after the other: nothing of the first but its last
/// value is left for the second, in which nobody finds the register absent.
#[test]
fn one_history_after_another_is_valid_exactly_if_both_are() {
    let (mut valid, mut invalid) = (0, 0);
    for seed in 0..2_000 {
        let mut rng = Lcg::new(seed + 70_000);
        let mix = Mix {
            ops: 4 + rng.below(20),
            values: 1_000,
            spoilt: [0, 0, 5][rng.below(3) as usize],
            ..small(&mut rng)
        };
        let mut half = |shift: u64| {
            let mut ops = generate(&mut rng, mix);
            let absent = |op: &Timed| matches!(op.outcome, Outcome::Ok(Answer::Value(None)));
            ops.retain(|op| !absent(op));
            ops.iter_mut().for_each(|op| shift_values(op, shift));
            ops
        };
        let (first, second) = (half(0), half(10_000));
        let invalid_alone =
            |ops: &[Timed]| verdict("linearizable", history(ops)).validity == Validity::Invalid;
        let expected = invalid_alone(&first) || invalid_alone(&second);
        let end = first.iter().map(|op| op.ret).max().unwrap_or(0);
        let mut both = first;
        both.extend(second.into_iter().map(|op| Timed {
            process: op.process + 1_000,
            call: op.call + end,
            ret: op.ret + end,
            ..op
        }));
        assert_eq!(invalid_alone(&both), expected, "seed {seed}: {both:#?}");
        *(if expected { &mut invalid } else { &mut valid }) += 1;
    }
    assert!(
        valid > 400 && invalid > 80,
        "{valid} valid, {invalid} invalid"
    );
}

/// Other values, none of which another history has.
fn shift_values(op: &mut Timed, shift: u64) {
    let moved = |value: &mut Scalar| {
        if let Scalar::Int(value) = value {
            *value += shift as i64;
        }
    };
    match &mut op.operation {
        Operation::Write { value, .. } => moved(value),
        Operation::Cas { from, to, .. } => {
            moved(from);
            moved(to);
        }
        _ => {}
    }
    if let Outcome::Ok(Answer::Value(Some(value))) = &mut op.outcome {
        moved(value);
    }
}

/// Nothing that returned took the value away before the refusal did: a mutator of unknown end must
/// have, and that is told without a search.
#[test]
fn a_refusal_may_owe_itself_to_a_mutator_that_nobody_saw() {
    let op = |process, (call, ret), operation, outcome| Timed {
        process,
        call,
        ret,
        operation,
        outcome,
    };
    let write = |value| Operation::Write {
        key: key(),
        value: Scalar::Int(value),
    };
    let cas = |to| Operation::Cas {
        key: key(),
        from: Scalar::Int(1),
        to: Scalar::Int(to),
    };
    let done = || Outcome::Ok(Answer::Done);
    let read = |value| {
        let answer = Answer::Value(Some(Scalar::Int(value)));
        (Operation::Read { key: key() }, Outcome::Ok(answer))
    };
    for unseen in [write(2), cas(2)] {
        let [(one, saw_one), (three, saw_three)] = [1, 3].map(read);
        let mut ops = vec![
            op(0, (0, 1), write(1), done()),
            op(0, (2, 3), one, saw_one),
            op(1, (4, 20), unseen, unknown()),
            op(2, (6, 7), cas(9), failed()),
            op(0, (8, 9), write(3), done()),
            op(0, (10, 11), three, saw_three),
        ];
        let found = verdict("linearizable", history(&ops));
        assert_eq!(found.validity, Validity::Valid, "{found:#?}");
        assert_eq!(found.figures["configurations-peak"], 0, "{found:#?}");
        assert_eq!(found.figures["keys-replayed"], 1);
        ops.remove(2);
        let found = verdict("linearizable", history(&ops));
        assert_eq!(found.validity, Validity::Invalid, "{found:#?}");
    }
}
