//! Linearizability of every data type against an oracle that tries every order.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

mod object_oracle;
mod random;

use object_oracle::{Mix, TYPES, Type, generate, linearizable};
use random::{Lcg, Timed, history, only};
use tribunal_checkers::{Budget, find, verify};
use tribunal_results::{Answer, Call, Kind, Operation, Outcome, Record, Scalar, Validity, Verdict};

fn judge(kind: Type, ops: &[Timed]) -> (Record, Verdict) {
    let record = Record {
        history: history(ops),
        assume: kind.assume(),
        ..Record::default()
    };
    let checker = find("linearizable").expect("the checker");
    let verdict = checker.check(&record, Budget::default());
    (record, verdict)
}

/// How many random histories of each type: fewer by default than by hand.
fn rounds(default: u64) -> u64 {
    let given = std::env::var("TRIBUNAL_RANDOM_HISTORIES");
    given.ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn small(rng: &mut Lcg) -> Mix {
    Mix {
        ops: 3 + rng.below(5),
        clients: 1 + rng.below(4),
        unknown: [0, 10, 35][rng.below(3) as usize],
        spoilt: [10, 40, 80][rng.below(3) as usize],
    }
}

/// What a verdict says of a history that may have told nothing.
fn contradicted(verdict: &Verdict) -> bool {
    let vacuous = verdict.unknown.as_ref().is_none_or(|u| u.code == "vacuous");
    assert!(vacuous, "{verdict:#?}");
    verdict.validity == Validity::Invalid
}

#[test]
fn every_type_agrees_with_trying_every_order() {
    for kind in TYPES {
        let (mut valid, mut invalid) = (0, 0);
        let rounds = rounds(6_000);
        for seed in 0..rounds {
            let mut rng = Lcg::new(seed);
            let mix = small(&mut rng);
            let ops = generate(&mut rng, kind, mix);
            let expected = linearizable(&ops, &kind.assume());
            let (record, verdict) = judge(kind, &ops);
            assert_eq!(
                !contradicted(&verdict),
                expected,
                "{kind:?} {seed}: {ops:#?} {verdict:#?}"
            );
            for anomaly in &verdict.anomalies {
                let calls = anomaly.calls.iter();
                let calls: Vec<&Call> = calls
                    .map(|&index| record.history.call_at(index).expect("a call"))
                    .collect();
                assert!(
                    !linearizable(&only(&calls), &kind.assume()),
                    "{kind:?} {seed}"
                );
                verify::witness(&record, anomaly)
                    .unwrap_or_else(|why| panic!("{kind:?} {seed}: {why}: {ops:#?} {anomaly:#?}"));
            }
            *(if expected { &mut valid } else { &mut invalid }) += 1;
        }
        assert!(
            valid > rounds / 4 && invalid > rounds / 8,
            "{kind:?}: {valid} valid, {invalid} invalid"
        );
    }
}

/// The verifier itself must not agree to everything.
#[test]
fn calls_that_some_order_explains_are_refused_as_a_contradiction() {
    for kind in TYPES {
        let mut refused = 0;
        for seed in 0..150 {
            let mut rng = Lcg::new(seed + 50_000);
            let mix = Mix {
                spoilt: 60,
                ..small(&mut rng)
            };
            let ops = generate(&mut rng, kind, mix);
            let (record, verdict) = judge(kind, &ops);
            for mut claim in verdict.anomalies {
                // Without one of its calls, the last to return, it may be no contradiction.
                claim.calls.pop();
                let calls = claim.calls.iter();
                let left: Vec<&Call> = calls
                    .map(|&index| record.history.call_at(index).expect("a call"))
                    .collect();
                let verified = verify::witness(&record, &claim).is_ok();
                let possible = linearizable(&only(&left), &kind.assume());
                assert!(!(verified && possible), "{kind:?} {seed}: {claim:#?}");
                refused += u32::from(!verified);
            }
        }
        assert!(refused > 20, "{kind:?}: {refused} refused");
    }
}

fn observes(operation: &Operation) -> bool {
    !operation.kind().mutates()
}

#[test]
fn wider_intervals_and_fewer_observers_keep_a_history_valid() {
    for kind in TYPES {
        for seed in 0..150 {
            let mut rng = Lcg::new(seed + 1_000);
            let mix = Mix {
                ops: 9,
                clients: 4,
                unknown: 5,
                spoilt: 0,
            };
            let mut ops = generate(&mut rng, kind, mix);
            let (_, verdict) = judge(kind, &ops);
            assert_ne!(verdict.validity, Validity::Invalid, "{kind:?} {seed}");
            // Owners must not change; nobody else minds a process of its own for each call.
            if kind != Type::Owned {
                for (process, op) in ops.iter_mut().enumerate() {
                    op.process = process as u64;
                    op.call = op.call.saturating_sub(rng.below(9_000) / 1000 * 1000);
                    op.ret += rng.below(9) * 1000;
                }
            }
            ops.retain(|op| !observes(&op.operation) || rng.percent(70));
            let (_, verdict) = judge(kind, &ops);
            assert_ne!(
                verdict.validity,
                Validity::Invalid,
                "{kind:?} {seed}: {ops:#?}"
            );
        }
    }
}

/// The value by another name, the order of names turned round.
fn renamed(value: &mut Scalar) {
    if let Scalar::Int(n) = value {
        *value = Scalar::from(format!("v{}", 100 - *n).as_str());
    }
}

fn rename(op: &mut Timed) {
    match &mut op.operation {
        Operation::Enqueue { value, .. }
        | Operation::Push { value, .. }
        | Operation::Add { value, .. }
        | Operation::Remove { value, .. }
        | Operation::Contains { value, .. }
        | Operation::Append { value, .. }
        | Operation::Write { value, .. } => renamed(value),
        Operation::Cas { from, to, .. } => {
            renamed(from);
            renamed(to);
        }
        _ => {}
    }
    match &mut op.outcome {
        Outcome::Ok(Answer::Values(values)) => values.iter_mut().for_each(renamed),
        Outcome::Ok(Answer::Value(Some(value))) if op.operation.kind() != Kind::Count => {
            renamed(value);
        }
        _ => {}
    }
}

#[test]
fn other_names_of_values_and_processes_get_the_same_verdict_on_the_same_calls() {
    for kind in TYPES.into_iter().filter(|kind| *kind != Type::Keys) {
        let mut invalid = 0;
        for seed in 0..150 {
            let mut rng = Lcg::new(seed + 2_000);
            let mix = Mix {
                ops: 9,
                ..small(&mut rng)
            };
            let mut ops = generate(&mut rng, kind, mix);
            let (_, before) = judge(kind, &ops);
            assert_eq!(before, judge(kind, &ops).1, "the same again");
            for op in &mut ops {
                rename(op);
                op.process = 1_000 - op.process;
            }
            let (_, after) = judge(kind, &ops);
            assert_eq!(before.validity, after.validity, "{kind:?} {seed}: {ops:#?}");
            invalid += u32::from(after.validity == Validity::Invalid);
        }
        assert!(invalid > 15, "{kind:?}: {invalid} invalid");
    }
}

#[test]
fn what_follows_does_not_mend_a_contradiction() {
    for kind in TYPES {
        let mut invalid = 0;
        for seed in 0..150 {
            let mut rng = Lcg::new(seed + 3_000);
            let mut mix = small(&mut rng);
            let mut ops = generate(&mut rng, kind, mix);
            let before = judge(kind, &ops).1.validity;
            mix.spoilt = 0;
            let end = ops.iter().map(|op| op.ret).max().unwrap_or(0);
            for mut op in generate(&mut rng, kind, mix) {
                op.call += end;
                op.ret += end;
                op.process += 1_000;
                ops.push(op);
            }
            let after = judge(kind, &ops).1.validity;
            if before == Validity::Invalid {
                assert_eq!(after, Validity::Invalid, "{kind:?} {seed}: {ops:#?}");
                invalid += 1;
            }
        }
        assert!(invalid > 15, "{kind:?}: {invalid} invalid");
    }
}

#[test]
fn longer_histories_are_decided_and_their_orders_replayed() {
    for kind in TYPES {
        let mix = Mix {
            ops: 150,
            clients: 4,
            unknown: 2,
            spoilt: 0,
        };
        let ops = generate(&mut Lcg::new(5), kind, mix);
        let (_, verdict) = judge(kind, &ops);
        assert_eq!(verdict.validity, Validity::Valid, "{kind:?}: {verdict:#?}");
        let replayed = verdict.figures["keys-replayed"].as_u64();
        assert!(replayed > Some(0), "{kind:?}");
        let checker = find("linearizable").expect("the checker");
        let record = Record {
            history: history(&ops),
            assume: kind.assume(),
            ..Record::default()
        };
        let budget = Budget {
            steps: 10,
            ..Budget::default()
        };
        let reason = checker.check(&record, budget).unknown.expect("a reason");
        assert_eq!(reason.code, "budget", "{kind:?}");
        assert!(
            reason.text.contains("verified up to event"),
            "{}",
            reason.text
        );
    }
}

/// A dequeue that is still open may have taken the element when it was put there again.
#[test]
fn an_element_put_twice_may_be_taken_twice_whichever_dequeue_returns_first() {
    for [early, late] in [[(2, 6), (1, 10)], [(1, 10), (2, 6)]] {
        let op = |process, (call, ret), operation, answer| Timed {
            process,
            call,
            ret,
            operation,
            outcome: Outcome::Ok(answer),
        };
        let (key, value) = (Scalar::from("q"), Scalar::Int(1));
        let enqueue = || Operation::Enqueue {
            key: key.clone(),
            value: value.clone(),
        };
        let dequeue = || Operation::Dequeue { key: key.clone() };
        let taken = || Answer::Value(Some(value.clone()));
        let ops = [
            op(0, early, dequeue(), taken()),
            op(1, late, dequeue(), taken()),
            op(2, (3, 4), enqueue(), Answer::Done),
            op(3, (9, 12), enqueue(), Answer::Done),
        ];
        let (_, verdict) = judge(Type::Queue, &ops);
        assert_eq!(verdict.validity, Validity::Valid, "{verdict:#?}");
        let (_, verdict) = judge(Type::Queue, &ops[..3]);
        assert_eq!(verdict.anomalies[0].name, "duplicate-element");
    }
}
