//! The checkers of locks and permits on random answers: as folds, against oracles that try every
//! order, and with their witnesses derived again.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

mod random;
#[path = "lock_model/service.rs"]
mod service;

use std::collections::BTreeMap;

use random::{Lcg, Timed, failed, timeline, unknown};
use tribunal_checkers::{Budget, find, stream, verify};
use tribunal_results::{
    Anomaly, Answer, Assumptions, Event, Grant, History, Operation, Outcome, Process, Record,
    Validity, Verdict,
};

const CHECKERS: [&str; 6] = [
    "mutual-exclusion",
    "fencing",
    "fifo",
    "reentrancy",
    "leases",
    "semaphore",
];

/// How many random histories: by hand more than in CI.
fn rounds(usual: u64) -> u64 {
    let wanted = std::env::var("TRIBUNAL_RANDOM_HISTORIES").ok();
    wanted.map_or(usual, |n| n.parse().expect("a number"))
}

struct Client {
    process: u64,
    open: Option<(u64, Operation)>,
    tickets: Vec<u64>,
    tokens: Vec<u64>,
}

/// Anything may be asked and answered, though not without reason: tickets and tokens are mostly
/// those that the client has.
fn anything(rng: &mut Lcg, permits: bool) -> Vec<Timed> {
    let mut clients: Vec<Client> = (0..2 + rng.below(2))
        .map(|process| Client {
            process,
            open: None,
            tickets: Vec::new(),
            tokens: Vec::new(),
        })
        .collect();
    let (mut ops, mut now, mut last) = (Vec::new(), 0, 0);
    let leased = rng.percent(50);
    for _ in 0..10 + rng.below(16) {
        now += 1 + rng.below(8) * 1_000_000;
        let at = rng.below(clients.len() as u64) as usize;
        let client = &mut clients[at];
        let Some((call, operation)) = client.open.take() else {
            let operation = if permits {
                ask_permits(rng, client, leased)
            } else {
                ask_lock(rng, client)
            };
            client.open = Some((now, operation));
            continue;
        };
        last += u64::from(rng.percent(80));
        let outcome = answer(rng, client, &operation, last, leased);
        let lost = matches!(outcome, Outcome::Info(_));
        ops.push(Timed {
            process: client.process,
            call,
            ret: now,
            operation,
            outcome,
        });
        if lost {
            client.process += 10;
            client.tickets.clear();
            client.tokens.clear();
        }
    }
    ops
}

fn ask_lock(rng: &mut Lcg, client: &Client) -> Operation {
    let lock = "a".into();
    let token = match client.tokens.last() {
        Some(token) if rng.percent(85) => *token,
        _ => 1 + rng.below(4),
    };
    let has = !client.tokens.is_empty();
    match rng.below(12) {
        0 | 1 => Operation::Request { lock },
        2 | 3 => Operation::Acquire {
            lock,
            ticket: client.tickets.last().copied(),
        },
        4 => Operation::Acquire { lock, ticket: None },
        5 => Operation::TryAcquire { lock },
        6 | 7 if has => Operation::Renew { lock, token },
        8 => Operation::GuardedWrite {
            key: lock,
            value: 1.into(),
            token,
        },
        _ if has => Operation::Release { lock, token },
        _ => Operation::TryAcquire { lock },
    }
}

fn ask_permits(rng: &mut Lcg, client: &Client, leased: bool) -> Operation {
    let key = "s".into();
    let permits = 1 + u32::from(rng.percent(30));
    let has = !client.tokens.is_empty();
    if rng.percent(if has { 60 } else { 3 }) {
        let token = leased.then(|| client.tokens.last().copied().unwrap_or(1));
        return Operation::ReleasePermits {
            key,
            permits,
            token,
        };
    }
    Operation::AcquirePermits { key, permits }
}

fn answer(
    rng: &mut Lcg,
    client: &mut Client,
    operation: &Operation,
    last: u64,
    leased: bool,
) -> Outcome {
    if rng.percent(8) {
        return unknown();
    }
    if rng.percent(15) {
        return failed();
    }
    let lease_ms = if rng.percent(50) { 12 } else { 40 };
    let again = client.tokens.last().copied().filter(|_| rng.percent(80));
    let fresh = last % 7 + 1;
    let answer = match operation {
        Operation::Request { .. } => {
            client.tickets.push(fresh);
            Answer::Ticket(fresh)
        }
        Operation::Acquire { ticket: None, .. } => {
            let token = again.unwrap_or(fresh);
            client.tokens.push(token);
            Answer::Grant(Grant { token, lease_ms })
        }
        Operation::Acquire { .. } | Operation::TryAcquire { .. } => {
            client.tokens.push(fresh);
            Answer::Grant(Grant {
                token: fresh,
                lease_ms,
            })
        }
        Operation::Renew { token, .. } => Answer::Grant(Grant {
            token: *token,
            lease_ms,
        }),
        Operation::Release { .. } | Operation::ReleasePermits { .. } => {
            client.tokens.pop();
            Answer::Done
        }
        Operation::AcquirePermits { .. } if leased => {
            // A token of its own for each grant.
            let token = 1 + last * 8 + client.process % 8;
            client.tokens.push(token);
            Answer::Grant(Grant { token, lease_ms })
        }
        Operation::AcquirePermits { .. } => {
            client.tokens.push(0);
            Answer::Done
        }
        _ => Answer::Done,
    };
    Outcome::Ok(answer)
}

fn assumptions(rng: &mut Lcg) -> Assumptions {
    Assumptions {
        permits: 1 + rng.below(3) as u32,
        owned: rng.percent(70),
        entries: rng.percent(50).then_some(2),
        ..Assumptions::default()
    }
}

fn record(assume: &Assumptions, history: History) -> Record {
    Record {
        history,
        assume: assume.clone(),
        ..Record::default()
    }
}

fn judge(checker: &str, assume: &Assumptions, history: History) -> Verdict {
    let checker = find(checker).expect("a registered checker");
    checker.check(&record(assume, history), Budget::default())
}

/// The first events of a history, as a history.
fn prefix(history: &History, events: u64) -> History {
    let mut all: Vec<Event> = Vec::new();
    for call in history.calls() {
        let event = |stamp: tribunal_results::Stamp, body| Event {
            index: stamp.index,
            time: stamp.time,
            process: Process::Client(call.process),
            node: call.node.clone(),
            body,
        };
        let operation = call.operation.clone();
        let invoke = tribunal_results::Body::Invoke(operation.clone());
        all.push(event(call.invoked, invoke));
        let complete = tribunal_results::Body::Complete(operation, call.outcome.clone());
        all.extend(call.completed.map(|stamp| event(stamp, complete)));
    }
    all.sort_by_key(|event| event.index);
    all.truncate(events as usize);
    History::from_events(all).expect("a well-formed history")
}

#[test]
fn a_fold_says_of_every_prefix_what_the_checker_says_of_it_alone() {
    let mut contradicted: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..rounds(4_000) / 2 {
        let rng = &mut Lcg::new(seed);
        let assume = assumptions(rng);
        let history = timeline(&anything(rng, seed % 4 == 0));
        for name in CHECKERS {
            let checker = find(name).expect("a registered checker");
            let mut fold = checker
                .fold(&assume, Budget::default())
                .expect("a checker that folds");
            let mut before = false;
            for moment in stream::moments(&history) {
                fold.step(&history, moment);
                let (stream::Moment::Called(at) | stream::Moment::Returned(at)) = moment;
                let call = &history.calls()[at];
                let event = match moment {
                    stream::Moment::Called(_) => call.invoked.index,
                    stream::Moment::Returned(_) => call.returned().expect("a return"),
                };
                let alone = judge(name, &assume, prefix(&history, event + 1));
                let told = fold.verdict(&history);
                let context = || format!("{name}, seed {seed}, event {event}: {alone:#?}");
                assert_eq!(told.validity, alone.validity, "{}", context());
                assert_eq!(told.anomalies_total, alone.anomalies_total, "{}", context());
                let invalid = alone.validity == Validity::Invalid;
                assert_eq!(fold.contradicted(), invalid, "{}", context());
                assert!(invalid || !before, "{} is taken back", context());
                before = invalid;
            }
            *contradicted.entry(name).or_default() += u64::from(before);
        }
    }
    for name in CHECKERS {
        let some = if name == "fifo" { 5 } else { 50 };
        assert!(contradicted[name] >= some, "{contradicted:?}");
    }
}

/// Whether an anomaly cannot do without a call: with what another call of the witness answered its
/// client, the contradiction may be there still. And permits may be so many that one acquire less
/// is still too many.
fn needed(history: &History, anomaly: &Anomaly, index: u64) -> bool {
    let process = |index: u64| history.call_at(index).map(|call| call.process);
    let others = || anomaly.calls.iter().filter(|other| **other != index);
    let alone = others().all(|other| process(*other) != process(index));
    alone && anomaly.name != "over-grant" || others().next().is_none()
}

#[test]
fn every_witness_is_confirmed_and_none_without_one_of_its_calls() {
    let mut confirmed: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..rounds(20_000) {
        let rng = &mut Lcg::new(seed ^ 0x55_0000);
        let assume = assumptions(rng);
        let history = timeline(&anything(rng, seed % 4 == 0));
        for name in CHECKERS {
            for anomaly in judge(name, &assume, history.clone()).anomalies {
                let context =
                    |what: &str| format!("{what}, seed {seed}: {anomaly:#?} {history:#?}");
                let record = record(&assume, history.clone());
                let witness = |anomaly: &Anomaly| verify::witness(&record, anomaly);
                assert_eq!(witness(&anomaly), Ok(()), "{}", context(name));
                for index in anomaly
                    .calls
                    .iter()
                    .filter(|at| needed(&history, &anomaly, **at))
                {
                    let mut less = anomaly.clone();
                    less.calls.retain(|call| call != index);
                    assert!(
                        witness(&less).is_err(),
                        "{}",
                        context(&format!("{name} - {index}"))
                    );
                }
                *confirmed.entry(anomaly.name.clone()).or_default() += 1;
            }
        }
    }
    let names = CHECKERS
        .iter()
        .flat_map(|name| find(name).expect("registered").anomalies());
    for name in names {
        let count = confirmed.get(*name).copied().unwrap_or_default();
        assert!(count >= 10, "{name}: {confirmed:?}");
    }
}

/// Whether some order of the operations, each within its interval, is what a semaphore without
/// leases can do. A release of unknown end may take some of the permits.
fn possible(left: &[&Timed], held: &mut BTreeMap<(u64, Option<u64>), i64>, limit: i64) -> bool {
    let certain = |op: &&&Timed| matches!(op.outcome, Outcome::Ok(_));
    let due = left.iter().filter(certain).map(|op| op.ret).min();
    let Some(due) = due else {
        return true;
    };
    for at in 0..left.len() {
        let op = left[at];
        if op.call > due {
            continue;
        }
        let mut rest = left.to_vec();
        rest.remove(at);
        let (key, change) = effect(op);
        let least = if matches!(op.outcome, Outcome::Ok(_)) {
            change
        } else {
            0
        };
        for change in change.min(least)..=change.max(least) {
            let count = held.entry(key).or_default();
            *count += change;
            let fits = *count >= 0 && held.values().sum::<i64>() <= limit;
            let found = fits && possible(&rest, held, limit);
            *held.entry(key).or_default() -= change;
            if found {
                return true;
            }
        }
    }
    false
}

/// Whose permits an operation changes, and by how many.
fn effect(op: &Timed) -> ((u64, Option<u64>), i64) {
    match (&op.operation, &op.outcome) {
        (Operation::AcquirePermits { permits, .. }, Outcome::Ok(Answer::Grant(grant))) => {
            ((op.process, Some(grant.token)), i64::from(*permits))
        }
        (Operation::AcquirePermits { permits, .. }, _) => ((op.process, None), i64::from(*permits)),
        (Operation::ReleasePermits { permits, token, .. }, _) => {
            ((op.process, *token), -i64::from(*permits))
        }
        _ => panic!("not of a semaphore"),
    }
}

#[test]
fn permits_agree_with_trying_every_order() {
    let (mut fine, mut broken) = (0, 0);
    let rounds = rounds(20_000);
    for seed in 0..rounds {
        let rng = &mut Lcg::new(seed ^ 0x77_0000);
        let assume = Assumptions {
            owned: true,
            ..assumptions(rng)
        };
        let mut ops = anything(rng, true);
        for op in &mut ops {
            if let Outcome::Ok(Answer::Grant(grant)) = &mut op.outcome {
                grant.lease_ms = 1 << 40;
            }
        }
        // After a refusal nobody knows whether the permits are still there.
        ops.retain(|op| !matches!(op.outcome, Outcome::Fail(_)));
        let left: Vec<&Timed> = ops.iter().collect();
        let expected = possible(&left, &mut BTreeMap::new(), assume.permits.into());
        let found = judge("semaphore", &assume, timeline(&ops));
        let valid = found.validity != Validity::Invalid;
        assert_eq!(
            valid, expected,
            "seed {seed}: {found:#?} {ops:#?} {assume:?}"
        );
        *(if expected { &mut fine } else { &mut broken }) += 1;
    }
    assert!(
        fine > rounds / 20 && broken > rounds / 20,
        "{fine} fine, {broken} broken"
    );
}

/// Whether some grant had run out, but for what clocks may differ by, when it was answered.
fn late(ops: &[Timed]) -> bool {
    let over = |op: &Timed| match &op.outcome {
        Outcome::Ok(Answer::Grant(grant)) => {
            op.call + grant.lease_ms * 1_000_000 < op.ret + 2_000_000
        }
        _ => false,
    };
    ops.iter().any(over)
}

/// Whether a release of unknown end may have been of more than its client had.
fn asks_too_much(ops: &[Timed]) -> bool {
    ops.iter().any(|op| match op.operation {
        Operation::ReleasePermits { permits, .. } => {
            permits > 1 && matches!(op.outcome, Outcome::Info(_))
        }
        _ => false,
    })
}

/// Whether it matters of which of its grants a client gives permits back: it has several with
/// leases, or gives back what it has not.
fn told_apart(ops: &[Timed]) -> bool {
    let token = |op: &Timed| match &op.outcome {
        Outcome::Ok(Answer::Grant(grant)) => Some(grant.token),
        _ => None,
    };
    ops.iter().any(|op| {
        let mut granted = ops
            .iter()
            .filter(|other| other.process == op.process)
            .filter_map(token);
        let given = match op.operation {
            Operation::ReleasePermits { token, .. } => token,
            _ => token(op),
        };
        given.is_some() && (granted.next() != given || granted.next().is_some())
    })
}

#[test]
fn permits_and_linearizability_agree_but_for_what_one_of_them_is_blind_to() {
    let (mut valid, mut invalid, mut counted_more, mut ordered_more) = (0_u64, 0_u64, 0_u64, 0_u64);
    let rounds = rounds(8_000);
    for seed in 0..rounds {
        let rng = &mut Lcg::new(seed ^ 0xbb_0000);
        let assume = Assumptions {
            owned: true,
            ..assumptions(rng)
        };
        let mut ops = anything(rng, true);
        // A refusal tells only one of them that permits may be lost.
        ops.retain(|op| !matches!(op.outcome, Outcome::Fail(_)));
        let history = timeline(&ops);
        let verdict = |name: &str| judge(name, &assume, history.clone());
        let (counted, ordered) = (verdict("semaphore"), verdict("linearizable"));
        let context = || format!("seed {seed}: {counted:#?} {ordered:#?} {ops:#?} {assume:?}");
        let is_invalid = |verdict: &Verdict| verdict.validity == Validity::Invalid;
        match (is_invalid(&counted), is_invalid(&ordered)) {
            (false, false) => {
                // Both need evidence that permits were scarce.
                assert!(ordered.validity <= counted.validity, "{}", context());
                valid += u64::from(ordered.validity == Validity::Valid);
            }
            (true, true) => invalid += 1,
            (true, false) => {
                assert!(told_apart(&ops), "{}", context());
                counted_more += 1;
            }
            (false, true) => {
                assert!(late(&ops) || asks_too_much(&ops), "{}", context());
                ordered_more += 1;
            }
        }
    }
    let counts = [valid, invalid, counted_more, ordered_more];
    assert!(
        counts.iter().all(|count| *count > rounds / 200),
        "{counts:?}"
    );
}

#[test]
fn whoever_is_blamed_gave_answers_that_no_order_explains() {
    let mut blamed: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut fine, mut broken) = (0, 0);
    let rounds = rounds(10_000);
    for seed in 0..rounds {
        let rng = &mut Lcg::new(seed ^ 0x99_0000);
        let mut ops = anything(rng, false);
        for op in &mut ops {
            if let Outcome::Ok(Answer::Grant(grant)) = &mut op.outcome {
                grant.lease_ms = 1 << 40;
            }
        }
        // Short histories are not contradictory yet.
        ops.truncate(2 + rng.below(5) as usize);
        let possible = service::possible(&ops);
        let history = timeline(&ops);
        for name in CHECKERS {
            let verdict = judge(name, &Assumptions::default(), history.clone());
            if verdict.validity == Validity::Invalid {
                assert!(!possible, "{name}, seed {seed}: {verdict:#?} {ops:#?}");
                *blamed.entry(name).or_default() += 1;
            }
        }
        fine += u64::from(possible);
        broken += u64::from(!possible);
    }
    assert!(
        fine > rounds / 20 && broken > rounds / 20,
        "{fine} {broken}"
    );
    for name in ["mutual-exclusion", "fencing", "reentrancy"] {
        assert!(blamed.contains_key(name), "{blamed:?}");
    }
}
