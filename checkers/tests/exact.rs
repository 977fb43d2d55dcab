//! The algorithms for objects against their definitions, on small random histories.
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

mod exact_oracle;
mod random;

use std::collections::BTreeMap;

use exact_oracle::{linearizable, perform, searched};
use random::{Lcg, Timed, failed, history, only, unknown};
use tribunal_checkers::exact::{self, Decision};
use tribunal_checkers::normal::by_object;
use tribunal_checkers::stream::moments;
use tribunal_checkers::{Budget, find, verify};
use tribunal_results::{Answer, Assumptions, Call, Operation, Outcome, Record, Scalar, Validity};

const HISTORIES: u64 = 6_000;

/// How many histories to try: `TRIBUNAL_RANDOM_HISTORIES`, or what CI has time for.
fn histories() -> u64 {
    let wanted = std::env::var("TRIBUNAL_RANDOM_HISTORIES").ok();
    wanted
        .and_then(|count| count.parse().ok())
        .unwrap_or(HISTORIES)
}

/// How the operations of a kind of object are drawn: the operation of that number.
type Draw = fn(&mut Lcg, i64) -> Operation;

fn key() -> Scalar {
    "x".into()
}

fn one_of(
    rng: &mut Lcg,
    id: i64,
    share: u64,
    put: fn(i64) -> Operation,
    other: Operation,
) -> Operation {
    if rng.percent(share) { put(id) } else { other }
}

fn queue(rng: &mut Lcg, id: i64) -> Operation {
    let put = |id| Operation::Enqueue {
        key: key(),
        value: Scalar::Int(id),
    };
    one_of(rng, id, 50, put, Operation::Dequeue { key: key() })
}

fn drained(rng: &mut Lcg, id: i64) -> Operation {
    if rng.percent(20) {
        return Operation::Drain { key: key() };
    }
    queue(rng, id)
}

fn stack(rng: &mut Lcg, id: i64) -> Operation {
    let put = |id| Operation::Push {
        key: key(),
        value: Scalar::Int(id),
    };
    one_of(rng, id, 50, put, Operation::Pop { key: key() })
}

fn elements(rng: &mut Lcg, _: i64) -> Operation {
    let value = Scalar::Int(1 + rng.below(2) as i64);
    match rng.below(3) {
        0 => Operation::Add { key: key(), value },
        1 => Operation::Remove { key: key(), value },
        _ => Operation::Contains { key: key(), value },
    }
}

fn grow_set(rng: &mut Lcg, id: i64) -> Operation {
    let put = |id| Operation::Add {
        key: key(),
        value: Scalar::Int(id),
    };
    one_of(rng, id, 50, put, Operation::Members { key: key() })
}

fn list(rng: &mut Lcg, id: i64) -> Operation {
    let put = |id| Operation::Append {
        key: key(),
        value: Scalar::Int(id),
    };
    one_of(rng, id, 50, put, Operation::Elements { key: key() })
}

fn counter(rng: &mut Lcg, id: i64) -> Operation {
    let put = |_| Operation::Increment { key: key(), by: 1 };
    one_of(rng, id, 50, put, Operation::Count { key: key() })
}

fn semaphore(rng: &mut Lcg, id: i64) -> Operation {
    let put = |_| Operation::AcquirePermits {
        key: key(),
        permits: 1,
    };
    let (permits, token) = (1, None);
    one_of(
        rng,
        id,
        60,
        put,
        Operation::ReleasePermits {
            key: key(),
            permits,
            token,
        },
    )
}

/// A few operations of which many answers are spoilt.
fn generate(rng: &mut Lcg, draw: Draw, permits: i64) -> Vec<Timed> {
    let mix = Mix {
        clients: 2 + rng.below(3),
        count: 4 + rng.below(5),
        lost: rng.below(3) * 12,
        spoilt: rng.below(3) * 15,
    };
    simulate(rng, draw, permits, mix)
}

/// How many operations of how many clients, and the shares of those that are lost or spoilt.
#[derive(Clone, Copy)]
struct Mix {
    clients: u64,
    count: u64,
    lost: u64,
    spoilt: u64,
}

/// Each operation takes effect at a random instant of its interval; then some answers are spoilt.
fn simulate(rng: &mut Lcg, draw: Draw, permits: i64, mix: Mix) -> Vec<Timed> {
    let Mix {
        clients,
        count,
        lost,
        spoilt,
    } = mix;
    let wide = 2 + rng.below(12);
    let mut free: Vec<(u64, u64)> = (0..clients).map(|client| (0, client)).collect();
    let mut drafts = Vec::new();
    for id in 0..count {
        let at = rng.below(clients) as usize;
        let (since, process) = free[at];
        let call = since + 1 + rng.below(6);
        let instant = call + rng.below(wide);
        let ret = instant + 1 + rng.below(wide);
        let stamp = |time: u64| time * 1000 + id;
        let is_lost = rng.percent(lost);
        let timed = Timed {
            process,
            call: stamp(call),
            ret: stamp(ret),
            operation: draw(rng, id as i64 + 1),
            outcome: unknown(),
        };
        drafts.push((stamp(instant), is_lost, timed));
        free[at] = (ret, if is_lost { process + clients } else { process });
    }
    drafts.sort_by_key(|(instant, ..)| *instant);
    answer(rng, drafts, spoilt, permits)
}

fn answer(rng: &mut Lcg, drafts: Vec<(u64, bool, Timed)>, spoilt: u64, permits: i64) -> Vec<Timed> {
    let mut state = Vec::new();
    let mut ops = Vec::new();
    // Adds to a set that is read as a whole are answered without a flag.
    let full = |(_, _, op): &(u64, bool, Timed)| matches!(op.operation, Operation::Members { .. });
    let grows = drafts.iter().any(full);
    for (_, lost, mut op) in drafts {
        let refused = rng.percent(3);
        if lost {
            if rng.percent(50) {
                perform(&op.operation, &mut state, permits);
            }
        } else if refused {
            op.outcome = failed();
        } else {
            let mut answer = perform(&op.operation, &mut state, permits);
            if grows && answer == Some(Answer::Flag(true)) {
                answer = Some(Answer::Done);
            }
            op.outcome = match answer {
                Some(answer) if rng.percent(spoilt) => Outcome::Ok(spoil(rng, answer)),
                Some(answer) => Outcome::Ok(answer),
                None if rng.percent(spoilt) => Outcome::Ok(Answer::Done),
                None => failed(),
            };
            if rng.percent(spoilt / 2) {
                corrupt(rng, &mut state);
            }
        }
        ops.push(op);
    }
    ops
}

/// Elements get lost, or change places.
fn corrupt(rng: &mut Lcg, state: &mut Vec<i64>) {
    match rng.below(3) {
        0 if state.len() > 1 => drop(state.remove(0)),
        1 if state.len() > 1 => drop(state.pop()),
        _ => state.reverse(),
    }
}

fn spoil(rng: &mut Lcg, answer: Answer) -> Answer {
    let any = |rng: &mut Lcg| Scalar::Int(1 + rng.below(8) as i64);
    match answer {
        Answer::Value(Some(_)) if rng.percent(20) => Answer::Value(Some(Scalar::Int(0))),
        Answer::Value(Some(Scalar::Int(value))) if rng.percent(50) => {
            Answer::Value(Some(Scalar::Int(value + 1 - 2 * rng.below(2) as i64)))
        }
        Answer::Value(Some(_)) if rng.percent(50) => Answer::Value(None),
        Answer::Value(Some(_)) => Answer::Value(Some(any(rng))),
        Answer::Value(None) => Answer::Value(rng.percent(50).then(|| any(rng))),
        Answer::Flag(flag) => Answer::Flag(!flag),
        Answer::Values(mut values) => {
            match rng.below(4) {
                0 => drop(values.pop()),
                1 => values.reverse(),
                2 if !values.is_empty() => drop(values.remove(0)),
                _ => values.push(any(rng)),
            }
            Answer::Values(values)
        }
        answer => answer,
    }
}

/// Compares on many histories; how often each decision came.
fn compare(draw: Draw, seed: u64, permits: u32) -> BTreeMap<&'static str, u64> {
    let mut rng = Lcg::new(seed);
    let mut tally: BTreeMap<&str, u64> = BTreeMap::new();
    let assume = Assumptions {
        permits,
        owned: false,
        ..Assumptions::default()
    };
    for _ in 0..histories() {
        let ops = generate(&mut rng, draw, permits.into());
        let history = history(&ops);
        let objects = by_object(&history);
        let Some(object) = objects.first() else {
            continue;
        };
        let defined = linearizable(&ops, permits.into());
        let name = match exact::decide(object, &assume) {
            None if defined => "undecided, linearizable",
            None => "undecided, not linearizable",
            Some(Decision::Linearizable) => {
                assert!(defined, "{ops:#?}");
                "linearizable"
            }
            Some(Decision::Contradiction(found)) => {
                assert!(!defined, "{found:?}\n{ops:#?}");
                let calls: Vec<&Call> = found
                    .calls
                    .iter()
                    .map(|place| &history.calls()[*place as usize])
                    .collect();
                let mut alone = only(&calls);
                alone.dedup_by_key(|op| op.call);
                let anomaly = found.anomaly(&history, object.key.as_ref());
                assert!(
                    !linearizable(&alone, permits.into()),
                    "{anomaly:#?}\n{ops:#?}"
                );
                assert!(!anomaly.facts.is_empty() && !anomaly.sentence.is_empty());
                found.name
            }
        };
        *tally.entry(name).or_default() += 1;
    }
    tally
}

/// Each of these decisions came in at least one of ten thousand histories, and no other.
fn assert_represented(tally: &BTreeMap<&str, u64>, names: &[&str]) {
    let total: u64 = tally.values().sum();
    for name in names {
        let count = tally.get(name).copied().unwrap_or_default();
        assert!(count * 10_000 >= total, "{name}: {count} of {total}");
    }
    for name in tally.keys() {
        assert!(names.contains(name), "unexpected: {name} in {tally:?}");
    }
}

#[test]
fn queues_are_decided_as_defined() {
    let tally = compare(queue, 1, 1);
    assert_represented(
        &tally,
        &[
            "linearizable",
            "phantom-read",
            "aborted-read",
            "duplicate-element",
            "out-of-order",
            "lost-element",
            "wrongly-empty",
            "undecided, linearizable",
            "undecided, not linearizable",
        ],
    );
}

#[test]
fn queues_that_are_drained_are_decided_as_defined() {
    let tally = compare(drained, 2, 1);
    assert_represented(
        &tally,
        &[
            "linearizable",
            "phantom-read",
            "aborted-read",
            "duplicate-element",
            "out-of-order",
            "lost-element",
            "wrongly-empty",
            "undecided, linearizable",
            "undecided, not linearizable",
        ],
    );
}

#[test]
fn stacks_are_decided_as_defined() {
    let tally = compare(stack, 3, 1);
    assert_represented(
        &tally,
        &[
            "linearizable",
            "phantom-read",
            "aborted-read",
            "duplicate-element",
            "out-of-order",
            "lost-element",
            "wrongly-empty",
            "undecided, linearizable",
            "undecided, not linearizable",
        ],
    );
}

#[test]
fn sets_are_decided_element_by_element_as_defined() {
    let tally = compare(elements, 4, 1);
    assert_represented(
        &tally,
        &[
            "linearizable",
            "phantom-read",
            "aborted-read",
            "not-linearizable",
        ],
    );
}

#[test]
fn sets_that_only_grow_are_decided_as_defined() {
    let tally = compare(grow_set, 5, 1);
    assert_represented(
        &tally,
        &[
            "linearizable",
            "phantom-read",
            "aborted-read",
            "duplicate-element",
            "lost-element",
            "not-linearizable",
            "undecided, linearizable",
        ],
    );
}

#[test]
fn lists_are_decided_as_defined() {
    let tally = compare(list, 6, 1);
    assert_represented(
        &tally,
        &[
            "linearizable",
            "phantom-read",
            "aborted-read",
            "duplicate-element",
            "lost-element",
            "out-of-order",
            "not-linearizable",
        ],
    );
}

#[test]
fn counters_are_decided_as_defined() {
    let tally = compare(counter, 7, 1);
    assert_represented(&tally, &["linearizable", "not-linearizable"]);
}

#[test]
fn semaphores_are_decided_as_defined() {
    for permits in 1..=3 {
        let tally = compare(semaphore, 8 + u64::from(permits), permits);
        assert_represented(&tally, &["linearizable", "not-linearizable"]);
    }
}

/// What the checker says of a longer history, by whatever method, and what a search says.
#[test]
fn the_verdict_is_that_of_a_search_whichever_method_decides() {
    let draws: [(&str, Draw); 7] = [
        ("queue", queue),
        ("stack", stack),
        ("elements", elements),
        ("grow-set", grow_set),
        ("list", list),
        ("counter", counter),
        ("semaphore", semaphore),
    ];
    for (nth, (name, draw)) in draws.into_iter().enumerate() {
        let mut rng = Lcg::new(100 + nth as u64);
        let (mut valid, mut invalid) = (0, 0);
        let rounds = histories() / 20;
        for _ in 0..rounds {
            let mix = Mix {
                clients: 2 + rng.below(4),
                count: 5 + rng.below(56),
                lost: [0, 2, 10][rng.below(3) as usize],
                spoilt: [0, 4, 8][rng.below(3) as usize],
            };
            let ops = simulate(&mut rng, draw, 2, mix);
            let Some(expected) = searched(&ops, 2) else {
                continue;
            };
            let record = record(&ops);
            let checker = find("linearizable").expect("the checker");
            let verdict = checker.check(&record, Budget::default());
            let contradicted = verdict.validity == Validity::Invalid;
            assert_eq!(contradicted, !expected, "{name}: {verdict:#?}\n{ops:#?}");
            for anomaly in &verdict.anomalies {
                assert!(checker.anomalies().contains(&anomaly.name.as_str()));
                // The verifier tries every order: too many of what long reads show.
                if !["grow-set", "list"].contains(&name) {
                    let derived = verify::witness(&record, anomaly);
                    assert_eq!(derived, Ok(()), "{name}: {anomaly:#?}\n{ops:#?}");
                }
            }
            *(if expected { &mut valid } else { &mut invalid }) += 1;
        }
        let enough = valid > rounds / 5 && invalid > rounds / 8;
        assert!(enough, "{name}: {valid} valid, {invalid} invalid");
    }
}

/// A permit is taken twice, and twice again later, while somebody is giving back one all the time.
/// What happens between leaves room for either alone.
#[test]
fn one_operation_of_unknown_end_does_not_explain_two_stretches() {
    for (mine, other) in [(true, false), (false, true)] {
        let mut ops = vec![permit(other, 0, None)];
        if mine {
            ops.push(permit(mine, 1, Some(2)));
        }
        ops.push(permit(mine, 3, Some(4)));
        ops.push(permit(other, 5, Some(6)));
        ops.push(permit(mine, 7, None));
        ops.push(permit(other, 8, Some(9)));
        ops.push(permit(mine, 10, Some(11)));
        ops.push(permit(mine, 12, Some(13)));
        assert!(!linearizable(&ops, 1), "{ops:#?}");
        let mut record = record(&ops);
        record.assume.permits = 1;
        let checker = find("linearizable").expect("the checker");
        let verdict = checker.check(&record, Budget::default());
        let [anomaly] = verdict.anomalies.as_slice() else {
            panic!("{verdict:#?}");
        };
        assert_eq!(verify::witness(&record, anomaly), Ok(()), "{anomaly:#?}");
        assert_eq!(anomaly.calls.first(), Some(&0), "{anomaly:#?}");
        // What was given back counts whether it is named or not.
        for left_out in 1..anomaly.calls.len() {
            let mut fewer = anomaly.clone();
            fewer.calls.remove(left_out);
            assert!(verify::witness(&record, &fewer).is_err(), "{fewer:#?}");
        }
    }
}

fn permit(acquire: bool, call: u64, ret: Option<u64>) -> Timed {
    let operation = if acquire {
        Operation::AcquirePermits {
            key: key(),
            permits: 1,
        }
    } else {
        Operation::ReleasePermits {
            key: key(),
            permits: 1,
            token: None,
        }
    };
    Timed {
        process: call,
        call,
        ret: ret.unwrap_or(u64::MAX),
        operation,
        outcome: ret.map_or_else(unknown, |_| Outcome::Ok(Answer::Done)),
    }
}

#[test]
fn what_is_contradicted_on_the_way_is_so_at_the_end() {
    let draws: [(&str, Draw); 5] = [
        ("queue", queue),
        ("drained", drained),
        ("elements", elements),
        ("counter", counter),
        ("semaphore", semaphore),
    ];
    for (nth, (name, draw)) in draws.into_iter().enumerate() {
        let mut rng = Lcg::new(200 + nth as u64);
        let (mut found, mut silent) = (0, 0);
        for _ in 0..histories() / 3 {
            let mix = Mix {
                clients: 2 + rng.below(4),
                count: 5 + rng.below(56),
                lost: [0, 2, 10][rng.below(3) as usize],
                spoilt: [0, 4, 8][rng.below(3) as usize],
            };
            let record = record(&simulate(&mut rng, draw, 2, mix));
            let (history, assume) = (&record.history, &record.assume);
            let checker = find("linearizable").expect("the checker");
            // What is searched beside the algorithms is not at stake.
            let little = Budget {
                steps: 300,
                ..Budget::default()
            };
            let mut fold = checker.fold(assume, little).expect("a fold");
            for moment in moments(history) {
                fold.step(history, moment);
            }
            let verdict = checker.check(&record, Budget::default());
            let invalid = verdict.validity == Validity::Invalid;
            let contradicted = fold.contradicted();
            assert!(invalid || !contradicted, "{name}: {verdict:#?}");
            let object = by_object(history).into_iter().next();
            let exact = object.and_then(|object| exact::decide(&object, assume));
            if exact.is_some() {
                assert_eq!(contradicted, invalid, "{name}: {verdict:#?}");
            }
            *(if contradicted {
                &mut found
            } else {
                &mut silent
            }) += 1;
        }
        assert!(found > 40 && silent > 200, "{name}: {found}, {silent}");
    }
}

fn record(ops: &[Timed]) -> Record {
    Record {
        history: history(ops),
        assume: Assumptions {
            permits: 2,
            owned: false,
            ..Assumptions::default()
        },
        ..Record::default()
    }
}
