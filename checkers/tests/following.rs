//! Linearizability judged while the history grows, against batch checking of every prefix.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

#[allow(dead_code, reason = "only its histories are used here")]
mod object_oracle;
mod random;
#[allow(dead_code, reason = "only its histories are used here")]
#[path = "random/simulation.rs"]
mod simulation;

use object_oracle::{Mix, TYPES, generate};
use random::{Lcg, Timed, history, prefix};
use tribunal_checkers::stream::moments;
use tribunal_checkers::{Budget, Moment, find};
use tribunal_results::{
    Answer, Assumptions, Body, Call, Event, Grant, History, Operation, Outcome, Process, Record,
    Validity, Verdict,
};

fn rounds(default: u64) -> u64 {
    let given = std::env::var("TRIBUNAL_RANDOM_HISTORIES");
    given.ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn judge(history: History, assume: &Assumptions) -> Verdict {
    let record = Record {
        history,
        assume: assume.clone(),
        ..Record::default()
    };
    let checker = find("linearizable").expect("the checker");
    checker.check(&record, Budget::default())
}

/// How many prefixes were contradicted, of how many; and whether the whole is.
fn follow(whole: &History, assume: &Assumptions, context: &str) -> (u64, u64, bool) {
    let checker = find("linearizable").expect("the checker");
    let mut fold = checker.fold(assume, Budget::default()).expect("a fold");
    let invalid = |ops: &[Timed]| judge(history(ops), assume).validity == Validity::Invalid;
    let (mut contradicted, mut prefixes) = (0, 0);
    for moment in moments(whole) {
        fold.step(whole, moment);
        let now = match moment {
            Moment::Called(at) => Some(whole.calls()[at].invoked.index),
            Moment::Returned(at) => whole.calls()[at].returned(),
        };
        let now = now.expect("an event");
        let at_least = invalid(&prefix(whole, now, false));
        let at_most = invalid(&prefix(whole, now, true));
        let found = fold.contradicted();
        // The lease of a grant that is not known yet may be over already.
        let leased = |call: &Call| {
            matches!(call.outcome, Outcome::Ok(Answer::Grant(_)))
                && call.invoked.index <= now
                && call.returned() > Some(now)
        };
        let at_least = at_least && !whole.calls().iter().any(leased);
        assert!(
            !at_least || found,
            "{context}: late at {now}:\n{}",
            told(whole)
        );
        assert!(
            !found || at_most,
            "{context}: early at {now}:\n{}",
            told(whole)
        );
        prefixes += 1;
        contradicted += u64::from(found);
    }
    let batch = judge(whole.clone(), assume);
    assert_eq!(fold.verdict(whole), batch, "{context}");
    let invalid = batch.validity == Validity::Invalid;
    assert_eq!(fold.contradicted(), invalid, "{context}:\n{}", told(whole));
    (contradicted, prefixes, invalid)
}

#[test]
fn objects_of_every_type_are_contradicted_at_the_first_moment_at_which_they_are() {
    for kind in TYPES {
        let rounds = rounds(200);
        let (mut valid, mut invalid, mut early) = (0, 0, 0);
        for seed in 0..rounds {
            let mut rng = Lcg::new(seed + 7_000_000);
            let mix = Mix {
                ops: 3 + rng.below(6),
                clients: 1 + rng.below(4),
                unknown: [0, 10, 35][rng.below(3) as usize],
                spoilt: [5, 20, 60][rng.below(3) as usize],
            };
            let mut ops = generate(&mut rng, kind, mix);
            lease(&mut ops, &mut rng);
            let whole = history(&ops);
            let context = format!("{kind:?} {seed}");
            let (contradicted, _, wrong) = follow(&whole, &kind.assume(), &context);
            early += u64::from(contradicted > 1);
            *(if wrong { &mut invalid } else { &mut valid }) += 1;
        }
        println!("{kind:?}: {valid} valid, {invalid} invalid, {early} before the end");
        let enough = valid > rounds / 5 && invalid > rounds / 8 && early > rounds / 20;
        assert!(enough, "{kind:?}: {valid}, {invalid}, {early}");
    }
}

/// Gives some of the permits that were granted a lease of a few events.
fn lease(ops: &mut [Timed], rng: &mut Lcg) {
    let some = rng.percent(50);
    let permits = |op: &&mut Timed| matches!(op.operation, Operation::AcquirePermits { .. });
    for (token, op) in (1..).zip(ops.iter_mut().filter(permits)) {
        if op.outcome == Outcome::Ok(Answer::Done) && some && rng.percent(70) {
            let lease_ms = 2 + rng.below(8);
            op.outcome = Outcome::Ok(Answer::Grant(Grant { token, lease_ms }));
        }
    }
}

/// Registers: some with a value of its own for each write, some whose values repeat.
fn registers(seed: u64) -> History {
    let mut rng = Lcg::new(seed + 9_000_000);
    let values = [0, 2, 3][rng.below(3) as usize];
    let mix = simulation::Mix {
        operations: 4 + rng.below(14),
        clients: 1 + rng.below(4),
        keys: 1 + rng.below(2),
        values,
        reads: 50,
        cas: [0, 40][rng.below(2) as usize],
        unknown: [0, 10, 30][rng.below(3) as usize],
    };
    let mut events = simulation::simulate(seed, mix);
    for event in &mut events {
        if let Body::Complete(Operation::Read { .. }, Outcome::Ok(Answer::Value(seen))) =
            &mut event.body
            && rng.percent(10)
        {
            *seen = Some((rng.below(values.max(8)) as i64).into());
        }
    }
    History::from_events(events).expect("a well-formed history")
}

#[test]
fn registers_are_contradicted_at_the_first_moment_at_which_they_are() {
    let rounds = rounds(1_500);
    let (mut valid, mut invalid, mut early) = (0, 0, 0);
    for seed in 0..rounds {
        let whole = registers(seed);
        let (contradicted, _, wrong) = follow(&whole, &Assumptions::default(), &format!("{seed}"));
        early += u64::from(contradicted > 1);
        *(if wrong { &mut invalid } else { &mut valid }) += 1;
    }
    println!("{valid} valid, {invalid} invalid, {early} before the end");
    let enough = valid > rounds / 5 && invalid > rounds / 5 && early > rounds / 8;
    assert!(enough, "{valid}, {invalid}, {early}");
}

/// Clients that take turns at a semaphore with leases.
fn turns(operations: u64, permits: u64, lease_ms: u64) -> History {
    let mut events: Vec<Event> = Vec::new();
    let mut push = |process: u64, body: Body| {
        let index = events.len() as u64;
        events.push(Event {
            index,
            time: index * 1_000_000,
            process: Process::Client(process),
            node: None,
            body,
        });
    };
    for turn in 0..operations / (2 * permits) {
        for holder in 0..2 * permits {
            let process = (turn + holder % permits) % (2 * permits);
            let (operation, answer) = if holder < permits {
                let token = turn * permits + holder + 1;
                let grant = Answer::Grant(Grant { token, lease_ms });
                (acquire(), if lease_ms > 0 { grant } else { Answer::Done })
            } else {
                (release(), Answer::Done)
            };
            push(process, Body::Invoke(operation.clone()));
            push(process, Body::Complete(operation, Outcome::Ok(answer)));
        }
    }
    History::from_events(events).expect("a well-formed history")
}

fn acquire() -> Operation {
    Operation::AcquirePermits {
        key: "s".into(),
        permits: 1,
    }
}

fn release() -> Operation {
    Operation::ReleasePermits {
        key: "s".into(),
        permits: 1,
        token: None,
    }
}

#[test]
fn semaphores_with_owners_and_leases_take_steps_in_proportion_to_their_operations() {
    for lease_ms in [0, 5, 50, 1_000_000_000] {
        let figures = [1_000, 2_000, 4_000, 8_000].map(|operations| {
            let assume = Assumptions {
                permits: 3,
                ..Assumptions::default()
            };
            let verdict = judge(turns(operations, 3, lease_ms), &assume);
            assert_eq!(verdict.validity, Validity::Valid, "{verdict:#?}");
            verdict.figures["steps"].as_u64().expect("steps")
        });
        assert!(figures[3] < 12 * figures[0], "{lease_ms}: {figures:?}");
    }
}

fn told(history: &History) -> String {
    let line = |call: &Call| {
        let end = call.completed.map_or(0, |stamp| stamp.index);
        format!(
            "{}-{} {} {:?}\n",
            call.invoked.index, end, call.operation, call.outcome
        )
    };
    history.calls().iter().map(line).collect()
}
