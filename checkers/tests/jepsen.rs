//! The accounting checkers against their definitions, against the truth and against all orders.
#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "a test that cannot go on panics"
)]

mod jepsen_oracle;
mod random;

use std::env;

use jepsen_oracle::world::{Mix, Theme, simulate, spoil};
use jepsen_oracle::{Said, Step};
use random::{Lcg, Timed, history};
use tribunal_checkers::stream::moments;
use tribunal_checkers::{Budget, Moment, find, verify};
use tribunal_results::{Anomaly, Assumptions, History, Kind, Record, Validity, Verdict};

/// A checker, what its histories are about, and its definition.
type Case = (&'static str, Theme, fn(&[Timed]) -> Said);

const CASES: [Case; 11] = [
    ("set", Theme::Set, jepsen_oracle::set),
    ("set-full", Theme::Set, jepsen_oracle::set_full),
    ("total-queue", Theme::Queue, jepsen_oracle::total_queue),
    ("unique-ids", Theme::Ids, jepsen_oracle::unique_ids),
    ("counter", Theme::Growing, jepsen_oracle::counter),
    ("counter", Theme::Counter, jepsen_oracle::counter),
    ("bank", Theme::Bank, jepsen_oracle::bank),
    ("long-fork", Theme::Group, jepsen_oracle::long_fork),
    (
        "causal-reverse",
        Theme::Group,
        jepsen_oracle::causal_reverse,
    ),
    ("causal-reverse", Theme::Set, jepsen_oracle::causal_reverse),
    ("monotonic", Theme::Table, jepsen_oracle::monotonic),
];

/// How many random histories each test tries of each case.
fn histories(usual: u64) -> u64 {
    let wanted = env::var("TRIBUNAL_RANDOM_HISTORIES").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn check(checker: &str, history: History) -> (Record, Verdict) {
    let record = Record {
        history,
        assume: Assumptions {
            staleness_ms: Some(0),
            ..Assumptions::default()
        },
        ..Record::default()
    };
    let checker = find(checker).expect("a registered checker");
    let verdict = checker.check(&record, Budget::default());
    (record, verdict)
}

/// A small history: faulty and spoilt in places, with unknown ends and refusals.
fn small(seed: u64, theme: Theme) -> Vec<Timed> {
    let mut chance = Lcg::new(seed);
    let mix = Mix {
        theme,
        operations: 3 + chance.below(10),
        clients: 2 + chance.below(3),
        reads: 30 + chance.below(30),
        unknown: chance.below(25),
        failed: chance.below(15),
        faulty: chance.below(3) * 15,
        removes: chance.percent(30),
        last: chance.percent(60),
    };
    let mut ops = simulate(seed, mix);
    if chance.percent(40) {
        spoil(&mut ops, &mut chance);
    }
    ops
}

#[test]
fn every_verdict_and_figure_is_that_of_the_definition() {
    for (name, theme, define) in CASES {
        let mut seen = [0_u64; 3];
        for seed in 0..histories(2_500) {
            let ops = small(seed, theme);
            let said = define(&ops);
            let (_, verdict) = check(name, history(&ops));
            let invalid = verdict.validity == Validity::Invalid;
            assert_eq!(
                invalid, said.invalid,
                "{name} {seed}: {said:?} {verdict:#?} {ops:#?}"
            );
            for (figure, value) in &said.figures {
                let counted = verdict.figures.get(*figure).and_then(|n| n.as_u64());
                let vacuous = *value == 0 && counted.is_none();
                assert!(
                    vacuous || counted == Some(*value),
                    "{name} {seed} {figure}: {said:?} {verdict:#?} {ops:#?}"
                );
            }
            seen[verdict.validity as usize] += 1;
        }
        let [valid, _, invalid] = seen;
        assert!(valid > 50 && invalid > 50, "{name} {theme:?}: {seen:?}");
    }
}

#[test]
fn a_correct_system_is_never_called_invalid() {
    for (name, theme, _) in CASES {
        let mut valid = 0;
        for seed in 0..histories(400) {
            let mut chance = Lcg::new(seed);
            let mix = Mix {
                theme,
                operations: 5 + chance.below(60),
                clients: 2 + chance.below(6),
                reads: 30 + chance.below(30),
                unknown: chance.below(30),
                failed: chance.below(20),
                faulty: 0,
                removes: chance.percent(30),
                last: true,
            };
            let (_, verdict) = check(name, history(&simulate(seed, mix)));
            assert_ne!(
                verdict.validity,
                Validity::Invalid,
                "{name} {seed}: {verdict:#?}"
            );
            valid += u64::from(verdict.validity == Validity::Valid);
        }
        assert!(valid > 100, "{name}: {valid} valid");
    }
}

#[test]
fn what_is_invalid_has_no_order_that_explains_it() {
    let cases: [(&str, Theme, Step); 6] = [
        ("set", Theme::Set, jepsen_oracle::set_step),
        ("set-full", Theme::Set, jepsen_oracle::set_step),
        ("causal-reverse", Theme::Set, jepsen_oracle::set_step),
        ("counter", Theme::Growing, jepsen_oracle::counter_step),
        ("counter", Theme::Counter, jepsen_oracle::counter_step),
        ("total-queue", Theme::Queue, jepsen_oracle::bag_step),
    ];
    for (name, theme, step) in cases {
        let (mut refuted, mut explained) = (0, 0);
        for seed in 0..histories(500) {
            let ops = small(seed, theme);
            let Some(parts) = jepsen_oracle::bag(&ops) else {
                continue;
            };
            let (_, verdict) = check(name, history(&ops));
            if jepsen_oracle::explained(&parts, step) {
                explained += 1;
                assert_ne!(
                    verdict.validity,
                    Validity::Invalid,
                    "{name} {seed}: {verdict:#?}"
                );
            } else if verdict.validity == Validity::Invalid {
                refuted += 1;
            }
        }
        assert!(
            refuted > 20 && explained > 20,
            "{name}: {refuted} {explained}"
        );
    }
}

/// Whether every call of this witness is needed; of the others some only tell the story.
fn is_tight(anomaly: &Anomaly) -> bool {
    matches!(
        anomaly.name.as_str(),
        "duplicate-id"
            | "out-of-bounds"
            | "non-monotonic-count"
            | "causal-reverse"
            | "lost-row"
            | "stale-element"
            | "off-order-in-process"
            | "off-order-on-node"
            | "negative-balance"
    )
}

#[test]
fn every_witness_is_derived_again_and_none_with_a_call_removed() {
    let (mut accepted, mut refused) = (0, 0);
    for (name, theme, _) in CASES {
        for seed in 0..histories(1_000) {
            let (record, verdict) = check(name, history(&small(seed, theme)));
            for anomaly in &verdict.anomalies {
                let derived = verify::witness(&record, anomaly);
                assert_eq!(derived, Ok(()), "{name} {seed}: {anomaly:#?} {record:#?}");
                accepted += 1;
                let nothing = Anomaly {
                    calls: Vec::new(),
                    ..anomaly.clone()
                };
                assert!(verify::witness(&record, &nothing).is_err());
                for at in 0..anomaly.calls.len() {
                    let mut less = anomaly.clone();
                    less.calls.remove(at);
                    if is_tight(anomaly) {
                        let derived = verify::witness(&record, &less);
                        assert!(derived.is_err(), "{name} {seed}: {less:#?} of {anomaly:#?}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(accepted > 1_000 && refused > 1_000, "{accepted} {refused}");
}

#[test]
fn a_wrong_total_is_explained_by_the_fewest_transfers() {
    let (mut explained, mut not) = (0, 0);
    for seed in 0..histories(4_000) {
        let (record, verdict) = check("bank", history(&small(seed, Theme::Bank)));
        for anomaly in verdict.anomalies.iter().filter(|a| a.name == "wrong-total") {
            let named = anomaly
                .calls
                .iter()
                .filter_map(|index| record.history.call_at(*index));
            let transfers = named.filter(|call| call.operation.kind() == Kind::Transfer);
            let fewest = jepsen_oracle::fewest_halves(&record.history, anomaly);
            assert_eq!(
                transfers.count(),
                fewest.unwrap_or(0),
                "{seed}: {anomaly:#?}"
            );
            explained += u64::from(fewest.is_some());
            not += u64::from(fewest.is_none());
        }
    }
    assert!(explained > 20 && not > 20, "{explained} {not}");
}

#[test]
fn the_same_history_gets_the_same_verdict() {
    for (name, theme, _) in CASES {
        for seed in 0..100 {
            let ops = small(seed, theme);
            assert_eq!(check(name, history(&ops)).1, check(name, history(&ops)).1);
        }
    }
}

/// What was called until the event of that index: with its ends, or only with the ends until then.
fn until(ops: &[Timed], now: u64, ends: bool) -> Vec<Timed> {
    let history = history(ops);
    let calls = history.calls().iter();
    let called: Vec<_> = calls.filter(|call| call.invoked.index <= now).collect();
    let mut ops = random::only(&called);
    for op in ops.iter_mut().filter(|op| op.ret > now && !ends) {
        (op.ret, op.outcome) = (u64::MAX, random::unknown());
    }
    ops
}

#[test]
fn a_fold_finds_a_contradiction_when_it_returns_and_says_at_the_end_what_the_checker_says() {
    let cases = [
        ("unique-ids", Theme::Ids, None),
        ("bank", Theme::Bank, None),
        ("counter", Theme::Growing, Some("error-count")),
        ("counter", Theme::Counter, Some("error-count")),
    ];
    for (name, theme, figure) in cases {
        let (mut found, mut silent) = (0, 0);
        for seed in 0..histories(600) {
            let ops = small(seed, theme);
            let whole = history(&ops);
            let checker = find(name).expect("a registered checker");
            let assume = Assumptions {
                staleness_ms: Some(0),
                ..Assumptions::default()
            };
            let mut fold = checker.fold(&assume, Budget::default()).expect("a fold");
            for moment in moments(&whole) {
                fold.step(&whole, moment);
                let now = match moment {
                    Moment::Called(at) => Some(whole.calls()[at].invoked.index),
                    Moment::Returned(at) => whole.calls()[at].returned(),
                };
                let now = now.expect("an event");
                let wrong = |ends| {
                    let (_, verdict) = check(name, history(&until(&ops, now, ends)));
                    match figure {
                        Some(figure) => verdict.figures[figure] != 0,
                        None => verdict.validity == Validity::Invalid,
                    }
                };
                let told = fold.contradicted();
                assert!(
                    told || !wrong(false),
                    "{name} {seed}: late at {now}: {ops:#?}"
                );
                assert!(
                    !told || wrong(true),
                    "{name} {seed}: early at {now}: {ops:#?}"
                );
            }
            assert_eq!(
                fold.verdict(&whole),
                check(name, whole.clone()).1,
                "{name} {seed}"
            );
            *(if fold.contradicted() {
                &mut found
            } else {
                &mut silent
            }) += 1;
        }
        println!("{name}: {found} contradicted, {silent} not");
        assert!(found > 40 && silent > 40, "{name}: {found}, {silent}");
    }
}
