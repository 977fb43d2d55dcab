//! Histories in which everything collides: one to three values, all clients at once, many ends
//! unknown, answers that are guessed. Every verdict against an oracle that tries every order.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

mod collision;
#[allow(dead_code, reason = "only its oracle is used here")]
mod object_oracle;
mod random;

use collision::{Data, SUBJECTS, Subject, history_of, long_history_of};
use object_oracle::linearizable;
use random::{Lcg, Timed, history, only, prefix};
use tribunal_checkers::stream::moments;
use tribunal_checkers::{Budget, Moment, find, linearizable::check, verify};
use tribunal_results::{
    Answer, Call, History, Operation, Outcome, Record, Scalar, Validity, Verdict,
};

/// Of so few calls every contradiction has to be verified.
const SHORT_MAX: usize = 16;

/// How many random histories of each subject: fewer by default than by hand.
fn rounds(default: u64) -> u64 {
    let given = std::env::var("TRIBUNAL_RANDOM_HISTORIES");
    given.ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// The first seed: another one by hand.
fn first() -> u64 {
    let given = std::env::var("TRIBUNAL_RANDOM_SEED");
    given.ok().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// The verdict, on one thread and on two, if it agrees with the oracle.
fn judged(subject: Subject, ops: &[Timed], context: &str) -> (Record, Verdict, bool) {
    let record = Record {
        history: history(ops),
        assume: subject.assume(),
        ..Record::default()
    };
    let judge = |threads| check(&record.history, &record.assume, Budget::default(), threads);
    let verdict = judge(1);
    assert_eq!(verdict, judge(2), "{context}");
    let fits = linearizable(ops, &record.assume);
    let vacuous = verdict.unknown.as_ref().is_none_or(|u| u.code == "vacuous");
    let agrees = (verdict.validity != Validity::Invalid) == fits;
    assert!(
        vacuous && agrees,
        "{context}: fits: {fits}\n{}{verdict:#?}",
        told(&record.history)
    );
    (record, verdict, fits)
}

fn told(history: &History) -> String {
    let line = |call: &Call| {
        let end = call.completed.map_or(0, |stamp| stamp.index);
        format!(
            "p{} {}-{} {} {:?}\n",
            call.process, call.invoked.index, end, call.operation, call.outcome
        )
    };
    history.calls().iter().map(line).collect()
}

/// Each contradiction is verified, and its calls alone are one.
fn proven(record: &Record, verdict: &Verdict, context: &str) {
    for anomaly in &verdict.anomalies {
        let calls = anomaly.calls.iter();
        let calls: Vec<&Call> = calls
            .map(|&index| record.history.call_at(index).expect("a call"))
            .collect();
        let told = || format!("{context}:\n{}{anomaly:#?}", told(&record.history));
        assert!(!linearizable(&only(&calls), &record.assume), "{}", told());
        let verified = verify::witness(record, anomaly);
        // Of many calls nobody tries every order.
        let declined = |why: &String| why.contains("too many");
        let short = record.history.calls().len() <= SHORT_MAX;
        if short || !verified.as_ref().is_err_and(declined) {
            verified.unwrap_or_else(|why| panic!("{why}: {}", told()));
        }
    }
}

/// With little to spend nobody is wrong either.
fn modest(rng: &mut Lcg, record: &Record, fits: bool, context: &str) {
    let (steps, bytes) = (rng.below(3) as usize, rng.below(3) as usize);
    let budget = Budget {
        steps: rng.below([10, 100, 1_000][steps]),
        bytes: rng.below([1_000, 20_000, 1 << 30][bytes]),
    };
    let judge = |threads| check(&record.history, &record.assume, budget, threads);
    let verdict = judge(1);
    let context = format!("{context} {budget:?}");
    assert_eq!(verdict, judge(2), "{context}");
    let wrong = match verdict.validity {
        Validity::Valid => !fits,
        Validity::Invalid => fits,
        Validity::Unknown => false,
    };
    assert!(!wrong, "{context}:\n{}{verdict:#?}", told(&record.history));
    proven(record, &verdict, &context);
    let checker = find("linearizable").expect("the checker");
    let mut fold = checker.fold(&record.assume, budget).expect("a fold");
    for moment in moments(&record.history) {
        fold.step(&record.history, moment);
    }
    assert!(!fits || !fold.contradicted(), "{context}");
}

/// The history as it grows: contradicted at the first moment at which it is. `late` if the search
/// may become too much on the way, so that only the whole history tells.
fn followed(record: &Record, (fits, late): (bool, bool), context: &str) {
    let checker = find("linearizable").expect("the checker");
    let mut fold = checker
        .fold(&record.assume, Budget::default())
        .expect("a fold");
    let whole = &record.history;
    let explained = |now, ends| linearizable(&prefix(whole, now, ends), &record.assume);
    let mut before = false;
    for moment in moments(whole) {
        fold.step(whole, moment);
        let found = fold.contradicted();
        let now = match moment {
            Moment::Called(at) => Some(whole.calls()[at].invoked.index),
            Moment::Returned(at) => whole.calls()[at].returned(),
        };
        let now = now.expect("an event");
        if before {
            assert!(found, "{context}: forgotten at {now}");
        } else if found {
            assert!(
                !fits && !explained(now, true),
                "{context}: early at {now}:\n{}",
                told(whole)
            );
        } else {
            assert!(
                late || explained(now, false),
                "{context}: late at {now}:\n{}",
                told(whole)
            );
        }
        before = found;
    }
    assert!(before != fits || late, "{context}:\n{}", told(whole));
}

fn hunt(subjects: impl Iterator<Item = Subject>) {
    for subject in subjects {
        let (mut valid, mut invalid) = (0, 0);
        let rounds = rounds(120);
        for seed in first()..first() + rounds {
            let mut rng = Lcg::new(seed);
            let ops = history_of(&mut rng, subject);
            let context = format!("{subject:?} {seed}");
            let (record, verdict, fits) = judged(subject, &ops, &context);
            proven(&record, &verdict, &context);
            // Drains that overlap take many steps.
            followed(&record, (fits, subject.data == Data::Drained), &context);
            modest(&mut rng, &record, fits, &context);
            *(if fits { &mut valid } else { &mut invalid }) += 1;
        }
        let enough = valid > rounds / 5 && invalid > rounds / 10;
        assert!(enough, "{subject:?}: {valid} valid, {invalid} invalid");
    }
}

fn of(data: &'static [Data]) -> impl Iterator<Item = Subject> {
    let all = SUBJECTS.into_iter();
    all.filter(move |subject| data.contains(&subject.data))
}

#[test]
fn queues_and_stacks_of_few_values_agree_with_trying_every_order() {
    hunt(of(&[Data::Queue, Data::Drained, Data::Stack]));
}

#[test]
fn sets_and_lists_of_few_values_agree_with_trying_every_order() {
    hunt(of(&[Data::Set, Data::SetRead, Data::GrowSet, Data::List]));
}

#[test]
fn counters_and_permits_agree_with_trying_every_order() {
    hunt(of(&[Data::Ones, Data::Counter, Data::Permits]));
}

#[test]
fn registers_of_few_values_agree_with_trying_every_order() {
    hunt(of(&[
        Data::Register,
        Data::Cas,
        Data::Unique,
        Data::Refused,
        Data::Keys,
    ]));
}

#[test]
fn longer_histories_of_few_values_agree_with_trying_every_order() {
    for subject in SUBJECTS {
        let (mut valid, mut invalid) = (0, 0);
        let rounds = rounds(40);
        for seed in first()..first() + rounds {
            let mut rng = Lcg::new(seed);
            let ops = long_history_of(&mut rng, subject);
            let context = format!("{subject:?} {seed}, longer");
            let (record, verdict, fits) = judged(subject, &ops, &context);
            proven(&record, &verdict, &context);
            modest(&mut rng, &record, fits, &context);
            *(if fits { &mut valid } else { &mut invalid }) += 1;
        }
        let enough = valid > rounds / 10 && invalid > rounds / 10;
        assert!(enough, "{subject:?}: {valid} valid, {invalid} invalid");
    }
}

fn op(process: u64, (call, ret): (u64, u64), operation: Operation, answer: Answer) -> Timed {
    Timed {
        process,
        call,
        ret,
        operation,
        outcome: Outcome::Ok(answer),
    }
}

/// Judges operations of which no order explains all.
fn contradicted(data: Data, ops: &[Timed]) -> Verdict {
    let mut subjects = SUBJECTS.into_iter();
    let subject = subjects.find(|subject| subject.data == data);
    let context = format!("{data:?}");
    let (record, verdict, fits) = judged(subject.expect("a subject"), ops, &context);
    proven(&record, &verdict, &context);
    followed(&record, (fits, false), &context);
    assert_eq!(verdict.validity, Validity::Invalid, "{verdict:#?}");
    verdict
}

/// It would prolong the stretch, and what is taken in the rest of that explains it.
#[test]
fn a_release_too_many_is_not_told_with_one_that_is_still_open() {
    let key = || Scalar::from("k");
    let done = |process, span, takes| {
        let permits = 1;
        let operation = if takes {
            let key = key();
            Operation::AcquirePermits { key, permits }
        } else {
            Operation::ReleasePermits {
                key: key(),
                permits,
                token: None,
            }
        };
        op(process, span, operation, Answer::Done)
    };
    let ops = [
        done(0, (0, 3), true),
        done(1, (2, 5), false),
        done(2, (6, 9), false),
        done(3, (8, 14), false),
        done(4, (10, 15), true),
        done(5, (11, 16), true),
        done(6, (12, 17), true),
    ];
    let verdict = contradicted(Data::Permits, &ops);
    assert_eq!(verdict.anomalies[0].calls, [4], "{verdict:#?}");
}

/// Once without search and twice by one: an element put twice, and one that may be removed.
#[test]
fn a_full_read_lists_no_element_twice_whatever_decides_the_set() {
    let key = || Scalar::from("k");
    let value = || Scalar::Int(1);
    let add = |process, span| {
        let (key, value) = (key(), value());
        op(process, span, Operation::Add { key, value }, Answer::Done)
    };
    let (key, value) = (key(), value());
    let (read, remove) = (
        Operation::Members { key: key.clone() },
        Operation::Remove { key, value },
    );
    let twice = Answer::Values(vec![Scalar::Int(1), Scalar::Int(1)]);
    let read = op(9, (10, 11), read, twice);
    let others = [
        vec![add(0, (1, 2))],
        vec![add(0, (1, 2)), add(1, (3, 12))],
        vec![add(0, (1, 2)), op(1, (3, 12), remove, Answer::Done)],
    ];
    for mut ops in others {
        ops.push(read.clone());
        contradicted(Data::SetRead, &ops);
    }
}

/// Also where no step is left for the search beside.
#[test]
fn two_open_dequeues_of_one_element_are_wrong_once_both_returned_without_a_search() {
    let (key, value) = (Scalar::from("k"), Scalar::Int(1));
    let enqueue = |span| {
        let (key, value) = (key.clone(), value.clone());
        op(9, span, Operation::Enqueue { key, value }, Answer::Done)
    };
    let dequeue = |process, span| {
        let key = key.clone();
        let taken = Answer::Value(Some(value.clone()));
        op(process, span, Operation::Dequeue { key }, taken)
    };
    let mut ops = vec![
        enqueue((1, 2)),
        dequeue(0, (3, 9)),
        dequeue(1, (4, 5)),
        enqueue((6, 8)),
    ];
    for wrong in [false, true] {
        if wrong {
            ops.pop();
        }
        let whole = history(&ops);
        let little = Budget {
            steps: 1,
            ..Budget::default()
        };
        let checker = find("linearizable").expect("the checker");
        let assume = SUBJECTS[0].assume();
        let mut fold = checker.fold(&assume, little).expect("a fold");
        for moment in moments(&whole) {
            fold.step(&whole, moment);
        }
        assert_eq!(fold.contradicted(), wrong);
    }
}
