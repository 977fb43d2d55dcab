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
use tribunal_results::{Call, Record, Validity, Verdict};

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
        let rounds = rounds(3_000);
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
                assert!(!linearizable(&only(&calls), &kind.assume()), "{kind:?} {seed}");
                verify::witness_under(&record.history, anomaly, &record.assume)
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
