//! Sequential consistency with compare-and-set and with values written more than once, against
//! trying every interleaving.
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

mod random;

use std::collections::BTreeMap;

use random::{Lcg, Timed, failed, history, only, unknown, verdict};
use tribunal_results::{Answer, Call, Operation, Outcome, Scalar, Validity};

/// How many random histories: by hand more than in CI.
fn rounds(usual: u64) -> u64 {
    let wanted = std::env::var("TRIBUNAL_RANDOM_HISTORIES").ok();
    wanted.map_or(usual, |n| n.parse().expect("a number"))
}

type State = BTreeMap<Scalar, Scalar>;

/// The state after an operation, if it can have had its answer in this one.
fn apply(op: &Timed, state: &State) -> Option<State> {
    let mut after = state.clone();
    match (&op.operation, &op.outcome) {
        (Operation::Read { key }, Outcome::Ok(Answer::Value(seen))) => {
            (state.get(key) == seen.as_ref()).then_some(after)
        }
        (Operation::Write { key, value }, _) => {
            after.insert(key.clone(), value.clone());
            Some(after)
        }
        (Operation::Cas { key, from, to }, _) => {
            after.insert(key.clone(), to.clone());
            (state.get(key) == Some(from)).then_some(after)
        }
        _ => Some(after),
    }
}

/// Whether some interleaving of what is left of the sessions explains every answer.
fn interleaves(sessions: &mut [Vec<&Timed>], state: &State) -> bool {
    let is_certain = |op: &&&Timed| matches!(op.outcome, Outcome::Ok(_));
    if sessions.iter().flatten().filter(is_certain).count() == 0 {
        return true;
    }
    for at in 0..sessions.len() {
        let Some(op) = sessions[at].pop() else {
            continue;
        };
        let skips = !matches!(op.outcome, Outcome::Ok(_)) && interleaves(sessions, state);
        let happens = !matches!(op.outcome, Outcome::Fail(_))
            && apply(op, state).is_some_and(|after| interleaves(sessions, &after));
        sessions[at].push(op);
        if skips || happens {
            return true;
        }
    }
    false
}

fn sequential(ops: &[Timed]) -> bool {
    let mut sorted: Vec<&Timed> = ops.iter().collect();
    sorted.sort_by_key(|op| std::cmp::Reverse(op.call));
    // Each session's next operation is its last here.
    let mut sessions: BTreeMap<u64, Vec<&Timed>> = BTreeMap::new();
    for op in sorted {
        sessions.entry(op.process).or_default().push(op);
    }
    let mut sessions: Vec<Vec<&Timed>> = sessions.into_values().collect();
    interleaves(&mut sessions, &State::new())
}

/// A few clients of a register or two, with few values; some answers are of another time.
fn generate(rng: &mut Lcg) -> Vec<Timed> {
    let (clients, keys, values) = (2 + rng.below(2), 1 + rng.below(2), 1 + rng.below(3));
    let (swaps, spoilt) = (rng.below(60), rng.below(50));
    let mut processes: Vec<u64> = (0..clients).collect();
    let mut states = vec![State::new()];
    let mut ops = Vec::new();
    for at in 0..4 + rng.below(6) {
        let client = rng.below(clients) as usize;
        let key = Scalar::Int(rng.below(keys) as i64);
        let value = Scalar::Int(rng.below(values) as i64);
        let back = if rng.percent(spoilt) { rng.below(4) } else { 0 } as usize;
        let state = states[states.len().saturating_sub(back + 1)].clone();
        let there = state.get(&key).cloned();
        let (operation, answer) = match (rng.below(100), there) {
            (n, Some(from)) if n < swaps => (
                Operation::Cas {
                    key,
                    from,
                    to: value,
                },
                Answer::Done,
            ),
            (n, there) if n < 60 => (Operation::Read { key }, Answer::Value(there)),
            _ => (Operation::Write { key, value }, Answer::Done),
        };
        let end = rng.below(100);
        let mut op = Timed {
            process: processes[client],
            call: at * 10,
            ret: at * 10 + 1,
            operation,
            outcome: Outcome::Ok(answer),
        };
        if end < 92 || rng.percent(50) {
            let now = states.last().expect("a state");
            let mut blind = op.clone();
            blind.outcome = unknown();
            states.push(apply(&blind, now).unwrap_or_else(|| now.clone()));
        }
        if end >= 88 {
            op.outcome = if end < 97 { unknown() } else { failed() };
            processes[client] += clients;
        }
        ops.push(op);
    }
    ops
}

/// The operations in that order, replayed.
fn replays(whole: &tribunal_results::History, order: &[u64]) -> bool {
    let calls: Vec<&Call> = order.iter().filter_map(|at| whole.call_at(*at)).collect();
    let keeps_sessions = calls.iter().enumerate().all(|(at, call)| {
        let mut later = calls[at..].iter();
        later
            .all(|other| other.process != call.process || other.invoked.index >= call.invoked.index)
    });
    let all = whole.calls().iter().filter(|call| call.is_ok());
    let is_whole = all.clone().all(|call| order.contains(&call.invoked.index));
    let mut state = Some(State::new());
    for op in only(&calls) {
        state = state.and_then(|state| apply(&op, &state));
    }
    keeps_sessions && is_whole && state.is_some()
}

#[test]
fn compare_and_set_and_values_written_twice_agree_with_trying_every_interleaving() {
    let (mut counts, mut replayed, mut searched) = ([0_u64; 3], 0, 0);
    let tried = rounds(20_000);
    for seed in 0..tried {
        let ops = generate(&mut Lcg::new(seed));
        let whole = history(&ops);
        let expected = sequential(&ops);
        let found = verdict("sequential", whole.clone());
        let context = || format!("seed {seed}: {found:#?} {ops:#?}");
        assert_eq!(
            found.validity != Validity::Invalid,
            expected,
            "{}",
            context()
        );
        counts[found.validity as usize] += 1;
        if let Some(order) = found
            .figures
            .get("order")
            .and_then(|order| order.as_array())
        {
            let order: Vec<u64> = order.iter().filter_map(|at| at.as_u64()).collect();
            assert!(replays(&whole, &order), "{}", context());
            replayed += 1;
            searched += u64::from(found.figures["found-by"] == "interleaving");
        }
        for anomaly in &found.anomalies {
            let at = |index: &u64| whole.call_at(*index).expect("a call");
            let calls: Vec<&Call> = anomaly.calls.iter().map(at).collect();
            assert!(!sequential(&only(&calls)), "{}", context());
            assert!(!anomaly.facts.is_empty() && !anomaly.sentence.is_empty());
        }
    }
    assert!(
        counts[0] > tried / 5 && counts[2] > tried / 20,
        "{counts:?}"
    );
    assert_eq!(replayed, counts[0]);
    assert!(searched > tried / 10, "{searched}");
}
