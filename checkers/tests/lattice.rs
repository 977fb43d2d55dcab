//! What is said of all models at once never contradicts what they imply, whatever the budget.
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

mod random;

use std::collections::BTreeMap;

use random::{Lcg, Timed, failed, history, unknown};
use tribunal_checkers::{Budget, ModelVerdict, Standing, find, strongest, strongest_isolation};
use tribunal_results::{
    Answer, History, Micro, Operation, Outcome, Record, Scalar, Seen, Validity,
};

/// Each model with one that it implies.
const MODELS: [(&str, &str); 10] = [
    ("linearizable", "sequential"),
    ("sequential", "causal-memory"),
    ("sequential", "causal-convergence"),
    ("causal-memory", "causal"),
    ("causal-memory", "pram"),
    ("causal-convergence", "causal"),
    ("causal-convergence", "read-your-writes"),
    ("causal-convergence", "monotonic-reads"),
    ("causal-convergence", "monotonic-writes"),
    ("causal-convergence", "writes-follow-reads"),
];
/// Each level of isolation with one that it implies.
const LEVELS: [(&str, &str); 12] = [
    ("strict-serializable", "strong-session-serializable"),
    ("strict-serializable", "strong-snapshot-isolation"),
    ("strong-session-serializable", "serializable"),
    (
        "strong-session-serializable",
        "strong-session-snapshot-isolation",
    ),
    (
        "strong-snapshot-isolation",
        "strong-session-snapshot-isolation",
    ),
    ("serializable", "snapshot-isolation"),
    ("strong-session-snapshot-isolation", "snapshot-isolation"),
    ("strong-session-snapshot-isolation", "transactional-causal"),
    ("snapshot-isolation", "prefix"),
    ("snapshot-isolation", "parallel-snapshot-isolation"),
    ("transactional-causal", "read-atomic"),
    ("read-atomic", "read-committed"),
];

/// How many random histories: by hand more than in CI.
fn rounds(usual: u64) -> u64 {
    let wanted = std::env::var("TRIBUNAL_RANDOM_HISTORIES").ok();
    wanted.map_or(usual, |n| n.parse().expect("a number"))
}

/// What a read returns: mostly what is there, else anything ever written, or nothing.
fn seen(rng: &mut Lcg, past: &[Scalar], spoilt: u64) -> Option<Scalar> {
    if rng.percent(spoilt) {
        let at = rng.below(past.len() as u64 + 1) as usize;
        return past.get(at).cloned();
    }
    past.last().cloned()
}

/// A few clients that read and write one or two registers, one operation or transaction each time.
fn generate(rng: &mut Lcg, transactions: bool) -> Vec<Timed> {
    let (clients, keys, spoilt) = (2 + rng.below(2), 1 + rng.below(3), rng.below(70));
    let mut past: BTreeMap<u64, Vec<Scalar>> = BTreeMap::new();
    let mut free: Vec<(u64, u64)> = (0..clients).map(|process| (process, 0)).collect();
    let mut ops = Vec::new();
    for at in 0..3 + rng.below(6) {
        let client = rng.below(clients) as usize;
        let (process, since) = free[client];
        let micros: Vec<Micro> = (0..1 + u64::from(transactions) * rng.below(3))
            .map(|step| {
                let number = rng.below(keys);
                let (key, past) = (Scalar::Int(number as i64), past.entry(number).or_default());
                if rng.percent(50) {
                    let seen = seen(rng, past, spoilt);
                    let seen = seen.map_or(Seen::Nothing, Seen::Value);
                    return Micro::Read { key, seen };
                }
                let value = Scalar::Int((at * 10 + step + 1) as i64);
                past.push(value.clone());
                Micro::Write { key, value }
            })
            .collect();
        let (operation, answer) = match (transactions, micros.first().cloned()) {
            (false, Some(Micro::Write { key, value })) => {
                (Operation::Write { key, value }, Answer::Done)
            }
            (false, Some(Micro::Read { key, seen })) => {
                let value = match seen {
                    Seen::Value(value) => Some(value),
                    _ => None,
                };
                (Operation::Read { key }, Answer::Value(value))
            }
            _ => (
                Operation::Txn {
                    micros: micros.clone(),
                },
                Answer::Txn(micros),
            ),
        };
        let call = since.max(at * 1_000) + 2 * at + 10 * rng.below(100);
        let ret = call + 1 + 10 * rng.below(300);
        let (outcome, process_after) = match rng.below(100) {
            0..88 => (Outcome::Ok(answer), process),
            88..96 => (unknown(), process + clients),
            _ => (failed(), process),
        };
        free[client] = (process_after, ret + 10);
        ops.push(Timed {
            process,
            call: call * 16 + at,
            ret: ret * 16 + at,
            operation,
            outcome,
        });
    }
    ops
}

type Lattice = fn(&History, Budget) -> Vec<ModelVerdict>;

fn standings(
    lattice: Lattice,
    history: &History,
    budget: Budget,
) -> BTreeMap<&'static str, Standing> {
    let verdicts = lattice(history, budget);
    assert!(verdicts.iter().all(|verdict| !verdict.why.is_empty()));
    verdicts.iter().map(|v| (v.model, v.standing)).collect()
}

/// Tries a lattice on random histories, with budgets that suffice and that do not.
fn contradicts_nothing(lattice: Lattice, implications: &[(&str, &str)], transactions: bool) {
    let mut counts = [0_u64; 3];
    let tried = rounds(4_000);
    for seed in 0..tried {
        let rng = &mut Lcg::new(seed);
        let ops = generate(rng, transactions);
        let history = history(&ops);
        let whole = standings(lattice, &history, Budget::default());
        let steps = rng.below(400);
        let less = standings(
            lattice,
            &history,
            Budget {
                steps,
                bytes: 1 << rng.below(20),
            },
        );
        for standings in [&whole, &less] {
            for (stronger, weaker) in implications {
                let (strong, weak) = (standings[stronger], standings[weaker]);
                let context =
                    || format!("seed {seed}: {stronger} {strong:?} {weaker} {weak:?} {ops:#?}");
                let holds = strong != Standing::Holds || weak == Standing::Holds;
                let is_violated = weak != Standing::Violated || strong == Standing::Violated;
                assert!(holds && is_violated, "{}", context());
            }
        }
        for (model, standing) in &less {
            let known = *standing == Standing::Unknown
                || whole[model] == *standing
                || whole[model] == Standing::Unknown;
            assert!(
                known,
                "seed {seed}, {model}: {standing:?} {:?} {ops:#?}",
                whole[model]
            );
            counts[*standing as usize] += 1;
        }
        // By themselves the checkers agree too.
        let record = Record {
            history,
            ..Record::default()
        };
        let judge = |model: &str| {
            let checker = find(model)?;
            Some(checker.check(&record, Budget::default()).validity)
        };
        for (stronger, weaker) in implications {
            let both = (judge(stronger), judge(weaker));
            let bad = (Some(Validity::Valid), Some(Validity::Invalid));
            assert!(
                both != bad,
                "seed {seed}: {stronger}, but not {weaker}: {ops:#?}"
            );
        }
    }
    assert!(counts.iter().all(|count| *count > tried / 2), "{counts:?}");
}

#[test]
fn what_is_said_of_registers_never_contradicts_what_models_imply() {
    contradicts_nothing(strongest, &MODELS, false);
}

#[test]
fn what_is_said_of_transactions_never_contradicts_what_levels_imply() {
    contradicts_nothing(strongest_isolation, &LEVELS, true);
}

#[test]
fn levels_without_a_checker_are_decided_by_what_was_found() {
    let append = |value: i64| Micro::Append {
        key: "x".into(),
        value: value.into(),
    };
    let read = |values: &[i64]| Micro::Read {
        key: "x".into(),
        seen: Seen::List(values.iter().map(|value| Scalar::Int(*value)).collect()),
    };
    let txn = |process: u64, micros: Vec<Micro>| Timed {
        process,
        call: process * 10,
        ret: process * 10 + 5,
        operation: Operation::Txn {
            micros: micros.clone(),
        },
        outcome: Outcome::Ok(Answer::Txn(micros)),
    };
    // Two that appended had both read the empty list: an update was lost.
    let ops = [
        txn(1, vec![read(&[]), append(1)]),
        txn(2, vec![read(&[]), append(2)]),
        txn(3, vec![read(&[1, 2])]),
    ];
    let standings = standings(strongest_isolation, &history(&ops), Budget::default());
    assert_eq!(standings["parallel-snapshot-isolation"], Standing::Violated);
    assert_eq!(standings["snapshot-isolation"], Standing::Violated);
    assert_eq!(standings["strict-serializable"], Standing::Violated);
    assert_eq!(standings["read-committed"], Standing::Unknown);
}
