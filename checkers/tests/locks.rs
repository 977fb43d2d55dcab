//! The lock checkers against an oracle, and against services that work and that do not.
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

mod lock_model;
mod random;

use std::collections::BTreeMap;

use lock_model::{Bug, simulate};
use random::{Lcg, Timed, failed, timeline, unknown, verdict};
use tribunal_results::{Answer, Grant, Operation, Outcome, Validity};

/// How many random histories: by hand more than in CI.
fn rounds(usual: u64) -> u64 {
    let wanted = std::env::var("TRIBUNAL_RANDOM_HISTORIES").ok();
    wanted.map_or(usual, |n| n.parse().expect("a number"))
}

/// Whether some order of the operations, each within its interval, is what a lock without leases
/// can do. Knows nothing of certain holds.
fn possible(ops: &[Timed]) -> bool {
    fn go(left: &mut Vec<&Timed>, holder: Option<(u64, u64, u64)>) -> bool {
        if left.iter().all(|op| matches!(op.outcome, Outcome::Info(_))) {
            return true;
        }
        for at in 0..left.len() {
            let op = left[at];
            let before =
                |other: &&Timed| !matches!(other.outcome, Outcome::Info(_)) && other.ret < op.call;
            if left.iter().any(before) {
                continue;
            }
            let Some(next) = step(op, holder) else {
                continue;
            };
            left.remove(at);
            let fits = go(left, next);
            left.insert(at, op);
            if fits {
                return true;
            }
        }
        false
    }
    go(
        &mut ops
            .iter()
            .filter(|op| !matches!(op.outcome, Outcome::Fail(_)))
            .collect(),
        None,
    )
}

type Holder = Option<(u64, u64, u64)>;

/// The holder (client, token, count) after an operation, if it can happen. An acquire of unknown
/// end need not have happened, and can only be in the way.
fn step(op: &Timed, holder: Holder) -> Option<Holder> {
    match (&op.operation, &op.outcome, holder) {
        (Operation::TryAcquire { .. }, Outcome::Ok(Answer::Grant(grant)), None) => {
            Some(Some((op.process, grant.token, 1)))
        }
        (Operation::Acquire { .. }, Outcome::Ok(Answer::Grant(grant)), Some((who, token, n)))
            if who == op.process && token == grant.token =>
        {
            Some(Some((who, token, n + 1)))
        }
        (Operation::Release { token, .. }, _, Some((who, held, n)))
            if who == op.process && *token == held =>
        {
            Some((n > 1).then_some((who, held, n - 1)))
        }
        (Operation::TryAcquire { .. } | Operation::Acquire { .. }, Outcome::Info(_), _) => {
            Some(holder)
        }
        _ => None,
    }
}

/// A few operations of a few clients with answers at random.
fn generate(rng: &mut Lcg) -> Vec<Timed> {
    struct Client {
        process: u64,
        open: Option<(u64, Operation)>,
        /// Token, and how often it was entered less how often release was asked for.
        held: Option<(u64, u64)>,
    }
    let lock = || "a".into();
    let mut clients: Vec<Client> = (0..2 + rng.below(2))
        .map(|process| Client {
            process,
            open: None,
            held: None,
        })
        .collect();
    let (mut ops, mut tokens) = (Vec::new(), 0);
    for now in 0..14 {
        let at = rng.below(clients.len() as u64) as usize;
        let client = &mut clients[at];
        let Some((call, operation)) = client.open.take() else {
            let foreign = rng.percent(7).then(|| 1 + rng.below(3));
            let operation = match (foreign, client.held) {
                (Some(token), _) => Operation::Release {
                    lock: lock(),
                    token,
                },
                (None, Some((_, n))) if n > 0 && rng.percent(25) => Operation::Acquire {
                    lock: lock(),
                    ticket: None,
                },
                (None, Some((token, n))) if n > 0 || rng.percent(5) => Operation::Release {
                    lock: lock(),
                    token,
                },
                _ => Operation::TryAcquire { lock: lock() },
            };
            client.open = Some((now, operation));
            continue;
        };
        let lost = rng.percent(10);
        let mut grant = |client: &mut Client, fresh: bool| {
            tokens += u64::from(fresh);
            let (token, n) = client.held.filter(|_| !fresh).unwrap_or((tokens, 0));
            client.held = Some((token, n + 1));
            Outcome::Ok(Answer::Grant(Grant {
                token,
                lease_ms: 1 << 40,
            }))
        };
        let outcome = match operation {
            _ if lost => unknown(),
            Operation::TryAcquire { .. } if rng.percent(30) => failed(),
            Operation::TryAcquire { .. } => grant(client, true),
            Operation::Acquire { .. } => grant(client, false),
            Operation::Release { token, .. } => match &mut client.held {
                Some((mine, n)) if *mine == token => {
                    *n = n.saturating_sub(1);
                    Outcome::Ok(Answer::Done)
                }
                _ if rng.percent(80) => failed(),
                _ => Outcome::Ok(Answer::Done),
            },
            _ => failed(),
        };
        ops.push(Timed {
            process: client.process,
            call,
            ret: now,
            operation,
            outcome,
        });
        if lost {
            client.process += 10;
            client.held = None;
        }
    }
    ops
}

#[test]
fn mutual_exclusion_agrees_with_trying_every_order() {
    let (mut holds, mut broken) = (0, 0);
    for seed in 0..rounds(30_000) {
        let ops = generate(&mut Lcg::new(seed));
        let expected = possible(&ops);
        let found = verdict("mutual-exclusion", random::history(&ops));
        assert_eq!(
            found.validity != Validity::Invalid,
            expected,
            "seed {seed}: {found:#?} {ops:#?}"
        );
        *(if expected { &mut holds } else { &mut broken }) += 1;
    }
    assert!(
        holds > 3_000 && broken > 3_000,
        "{holds} hold, {broken} broken"
    );
}

const CHECKERS: [&str; 3] = ["mutual-exclusion", "fencing", "fifo"];

#[test]
fn a_correct_service_is_never_blamed() {
    let mut judged: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..rounds(20_000) {
        let ops = simulate(&mut Lcg::new(seed), Bug::Nothing, 2 + seed % 4, 250);
        let history = timeline(&ops);
        for checker in CHECKERS {
            let verdict = verdict(checker, history.clone());
            assert_ne!(
                verdict.validity,
                Validity::Invalid,
                "seed {seed}: {verdict:#?}"
            );
            *judged.entry(checker).or_default() += u64::from(verdict.validity == Validity::Valid);
        }
    }
    for checker in CHECKERS {
        assert!(judged[checker] > 10_000, "{judged:?}");
    }
}

#[test]
fn a_broken_service_is_caught() {
    let bugs = [
        (Bug::DoubleGrant, "mutual-exclusion", "double-hold"),
        (Bug::Lifo, "fifo", "overtaking"),
        (Bug::TokenReuse, "fencing", "token-not-monotonic"),
        (Bug::ReleaseByAnyone, "mutual-exclusion", "foreign-release"),
        (Bug::NoFence, "fencing", "stale-token-accepted"),
    ];
    for (bug, checker, anomaly) in bugs {
        let caught = (0..300)
            .filter(|seed| {
                let ops = simulate(&mut Lcg::new(seed + 50_000), bug, 4, 400);
                let verdict = verdict(checker, timeline(&ops));
                verdict.anomalies.iter().any(|found| found.name == anomaly)
            })
            .count();
        assert!(caught > 100, "{bug:?}: {anomaly} found in {caught} of 300");
    }
}

#[test]
fn bugs_elsewhere_are_not_taken_for_others() {
    for seed in 0..500 {
        for (bug, innocent) in [
            (Bug::Lifo, "mutual-exclusion"),
            (Bug::Lifo, "fencing"),
            (Bug::NoFence, "mutual-exclusion"),
            (Bug::NoFence, "fifo"),
            (Bug::TokenReuse, "fifo"),
        ] {
            let ops = simulate(&mut Lcg::new(seed), bug, 4, 250);
            let verdict = verdict(innocent, timeline(&ops));
            assert_ne!(
                verdict.validity,
                Validity::Invalid,
                "{bug:?} {seed}: {verdict:#?}"
            );
        }
    }
}
