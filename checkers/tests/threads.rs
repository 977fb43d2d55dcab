//! Objects judged on several threads: the verdict must be that of one.
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "random/simulation.rs"]
mod simulation;

use simulation::{Mix, simulate, spoil};
use tribunal_checkers::{Budget, linearizable::check};
use tribunal_results::{
    Answer, Assumptions, Body, Event, History, Operation, Outcome, Process, Scalar, Validity,
};

/// Histories, unless `TRIBUNAL_RANDOM_HISTORIES` says how many.
const ROUNDS: u64 = 1_500;

fn mix(seed: u64) -> Mix {
    Mix {
        operations: 40 + seed % 200,
        clients: 2 + seed % 9,
        keys: 1 + seed % 13,
        values: [0, 3, 5][seed as usize % 3],
        reads: 50,
        cas: [0, 40, 90][seed as usize / 3 % 3],
        unknown: [0, 5, 20][seed as usize / 9 % 3],
    }
}

/// Gives every seventh read or so the answer of another.
fn tamper(events: &mut [Event], seed: u64) {
    let mut last = None;
    for (at, event) in (seed..).zip(events) {
        if let Body::Complete(Operation::Read { .. }, Outcome::Ok(Answer::Value(seen))) =
            &mut event.body
        {
            if at % 7 == 0 {
                std::mem::swap(seen, &mut last);
            } else {
                last.clone_from(seen);
            }
        }
    }
}

/// Goes on with queues, of which the last may lose an element.
fn queues(events: &mut Vec<Event>, seed: u64) {
    for at in 0..seed % 5 {
        let key = Scalar::from(format!("q{at}").as_str());
        let (one, other) = (Scalar::Int(1), Scalar::Int(2));
        let lost = at == 3 && seed.is_multiple_of(2);
        let seen = if lost { other.clone() } else { one.clone() };
        let put = |value| Operation::Enqueue {
            key: key.clone(),
            value,
        };
        let take = Operation::Dequeue { key: key.clone() };
        for (operation, answer) in [
            (put(one), Answer::Done),
            (put(other), Answer::Done),
            (take, Answer::Value(Some(seen))),
        ] {
            push(events, Body::Invoke(operation.clone()));
            push(events, Body::Complete(operation, Outcome::Ok(answer)));
        }
    }
}

fn push(events: &mut Vec<Event>, body: Body) {
    let index = events.len() as u64;
    events.push(Event {
        index,
        time: index * 1_000,
        process: Process::Client(u64::MAX - 2),
        node: None,
        body,
    });
}

fn budget(seed: u64) -> Budget {
    let budget = Budget::default();
    let steps = [budget.steps, budget.steps, 10, 60, 200, 1_000, 5_000];
    let bytes = [budget.bytes, budget.bytes, budget.bytes, 10_000, 100_000];
    Budget {
        steps: steps[(seed / 2) as usize % steps.len()],
        bytes: bytes[(seed / 5) as usize % bytes.len()],
    }
}

#[test]
fn the_verdict_does_not_depend_on_the_number_of_threads() {
    let rounds = std::env::var("TRIBUNAL_RANDOM_HISTORIES");
    let rounds = rounds.ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let (mut valid, mut invalid, mut unknown, mut partly) = (0, 0, 0, 0);
    for seed in 0..rounds {
        let mut events = simulate(seed, mix(seed));
        match seed % 4 {
            0 => tamper(&mut events, seed),
            1 => spoil(&mut events),
            _ => {}
        }
        queues(&mut events, seed);
        let history = History::from_events(events).expect("a well-formed history");
        let judge = |threads| {
            let verdict = check(&history, &Assumptions::default(), budget(seed), threads);
            (format!("{verdict:#?}"), verdict)
        };
        let (text, verdict) = judge(1);
        for threads in [2, 5] {
            assert_eq!(judge(threads).0, text, "seed {seed}, {threads} threads");
        }
        let keys = |name: &str| verdict.figures[name].as_u64().expect("a number");
        match verdict.validity {
            Validity::Valid => valid += 1,
            Validity::Invalid => invalid += 1,
            Validity::Unknown => unknown += 1,
        }
        partly += u64::from(keys("keys-unknown") > 0 && keys("keys-verified") > 0);
    }
    assert!(
        valid > rounds / 5 && invalid > rounds / 5 && unknown > rounds / 10 && partly > rounds / 10,
        "{valid} valid, {invalid} invalid, {unknown} unknown, {partly} in part"
    );
}
