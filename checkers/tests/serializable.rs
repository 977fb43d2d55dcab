//! Serializability and snapshot isolation, against brute force over all orders of commits and all
//! snapshots, on random small histories of transactions on registers.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

mod random;

use std::collections::{BTreeMap, BTreeSet};

use random::{Lcg, Timed, failed, history, unknown};
use tribunal_checkers::{ALL, Budget, find, verify};
use tribunal_results::{
    Answer, History, Micro, Operation, Outcome, Record, Scalar, Seen, Validity, Verdict,
};
use verify::Kept;

type State = BTreeMap<Scalar, Scalar>;

/// Each level, whether it is of snapshots, and what it keeps.
const LEVELS: [(&str, bool, Kept); 6] = [
    ("strict-serializable", false, Kept::RealTime),
    ("strong-session-serializable", false, Kept::Sessions),
    ("serializable", false, Kept::Nothing),
    ("strong-snapshot-isolation", true, Kept::RealTime),
    ("strong-session-snapshot-isolation", true, Kept::Sessions),
    ("snapshot-isolation", true, Kept::Nothing),
];
/// Each level with one that it implies, by their places.
const IMPLIES: [(usize, usize); 7] = [(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)];

/// The steps as they happen in that state, which is then as after them.
fn perform(state: &mut State, micros: &[Micro]) -> Vec<Micro> {
    let step = |micro: &Micro| match micro.clone() {
        Micro::Read { key, .. } => {
            let seen = state.get(&key).cloned().map_or(Seen::Nothing, Seen::Value);
            Micro::Read { key, seen }
        }
        Micro::Write { key, value } => {
            state.insert(key, value);
            micro.clone()
        }
        Micro::Append { .. } => micro.clone(),
    };
    micros.iter().map(step).collect()
}

fn micros(op: &Timed) -> &[Micro] {
    match &op.operation {
        Operation::Txn { micros } => micros,
        _ => &[],
    }
}

fn writes(op: &Timed) -> BTreeSet<&Scalar> {
    let is_write = |micro: &&Micro| matches!(micro, Micro::Write { .. });
    micros(op).iter().filter(is_write).map(Micro::key).collect()
}

/// All orders of commits with all snapshots, by definition.
struct Oracle<'o> {
    ops: &'o [Timed],
    snapshots: bool,
    kept: Kept,
}

impl Oracle<'_> {
    fn precedes(&self, first: usize, second: usize) -> bool {
        let (first, second) = (&self.ops[first], &self.ops[second]);
        match self.kept {
            Kept::Nothing => false,
            Kept::Sessions => first.process == second.process && first.call < second.call,
            Kept::RealTime => matches!(first.outcome, Outcome::Ok(_)) && first.ret < second.call,
        }
    }

    fn possible(&self, placed: &mut Vec<usize>, states: &mut Vec<State>) -> bool {
        let ok = |at: &usize| matches!(self.ops[*at].outcome, Outcome::Ok(_));
        let left: Vec<usize> = (0..self.ops.len())
            .filter(|at| !placed.contains(at))
            .collect();
        if !left.iter().any(ok) {
            return true;
        }
        for &at in &left {
            let early = |other: &usize| ok(other) && self.precedes(*other, at);
            if left.iter().any(early) || !self.may_commit(at, placed, states) {
                continue;
            }
            let mut state = states.last().cloned().expect("a state");
            perform(&mut state, micros(&self.ops[at]));
            states.push(state);
            placed.push(at);
            let possible = self.possible(placed, states);
            states.pop();
            placed.pop();
            if possible {
                return true;
            }
        }
        false
    }

    fn may_commit(&self, at: usize, placed: &[usize], states: &[State]) -> bool {
        let op = &self.ops[at];
        if matches!(op.outcome, Outcome::Fail(_)) {
            return false;
        }
        let least = if self.snapshots { 0 } else { placed.len() };
        (least..=placed.len()).any(|taken| {
            let since = &placed[taken..];
            let clash = |other: &usize| !writes(op).is_disjoint(&writes(&self.ops[*other]));
            let answer = perform(&mut states[taken].clone(), micros(op));
            let fits = match &op.outcome {
                Outcome::Ok(Answer::Txn(answered)) => *answered == answer,
                _ => true,
            };
            let late = |other: &usize| self.precedes(*other, at);
            fits && !since.iter().any(clash) && !since.iter().any(late)
        })
    }
}

fn is_possible(ops: &[Timed], snapshots: bool, kept: Kept) -> bool {
    let oracle = Oracle {
        ops,
        snapshots,
        kept,
    };
    oracle.possible(&mut Vec::new(), &mut vec![State::new()])
}

fn random_micros(random: &mut Lcg, keys: u64, writes: u64, fresh: &mut i64) -> Vec<Micro> {
    let count = 1 + random.below(3);
    let step = |_| {
        let key = Scalar::from(["x", "y", "z"][random.below(keys) as usize]);
        if !random.percent(writes) {
            let seen = Seen::Nothing;
            return Micro::Read { key, seen };
        }
        *fresh += 1;
        let value = Scalar::Int(*fresh);
        Micro::Write { key, value }
    };
    (0..count).map(step).collect()
}

/// Transactions of few clients, each of which sees one of the states so far, or of each register
/// a content that it once had.
fn random_history(random: &mut Lcg) -> Vec<Timed> {
    let (keys, count) = (1 + random.below(3), 3 + random.below(4));
    let (old, mixed, broken) = (random.below(70), random.below(40), random.below(8));
    let (reach, write_share) = (50 + random.below(300), 30 + random.below(40));
    let mut states = vec![State::new()];
    let mut ops: Vec<Timed> = Vec::new();
    let mut fresh = 0;
    for at in 0..count {
        let micros = random_micros(random, keys, write_share, &mut fresh);
        let mut state = states.last().cloned().expect("a state");
        let end = random.below(100);
        let mut answer = if random.percent(old) {
            let from = random.below(states.len() as u64) as usize;
            let answer = perform(&mut states[from].clone(), &micros);
            perform(&mut state, &micros);
            answer
        } else {
            perform(&mut state, &micros)
        };
        if random.percent(mixed) {
            let from = random.below(states.len() as u64) as usize;
            let other = perform(&mut states[from].clone(), &micros);
            let place = random.below(micros.len() as u64) as usize;
            answer[place] = other[place].clone();
        }
        if random.percent(broken) {
            let place = random.below(micros.len() as u64) as usize;
            if let Micro::Read { seen, .. } = &mut answer[place] {
                *seen = Seen::Value(Scalar::Int(1 + random.below(9) as i64));
            }
        }
        if end < 92 || random.percent(30) {
            states.push(state);
        }
        let middle = 1000 + at * 100;
        // Distinct positions: those of a transaction end in its number.
        let call = (middle - random.below(reach)) * 20 + at * 2;
        let ret = (middle + random.below(reach)) * 20 + at * 2 + 1;
        let free = |process: &u64| {
            let mut mine = ops.iter().filter(|op| op.process == *process);
            mine.all(|op| op.ret < call || ret < op.call)
        };
        let process = (0..10).find(free).expect("a free process");
        let (process, outcome) = match end {
            0..86 => (process, Outcome::Ok(Answer::Txn(answer))),
            86..95 => (100 + at, unknown()),
            _ => (process, failed()),
        };
        ops.push(Timed {
            process,
            call,
            ret,
            operation: Operation::Txn { micros },
            outcome,
        });
    }
    ops
}

/// The transactions, one a line.
fn told(ops: &[Timed]) -> String {
    let line = |op: &Timed| {
        let (from, to, end) = (op.call, op.ret, &op.outcome);
        format!("\np{} {from}..{to} {} {end:?}", op.process, op.operation)
    };
    ops.iter().map(line).collect()
}

fn record(history: History) -> Record {
    Record {
        history,
        ..Record::default()
    }
}

fn judge(checker: &str, record: &Record) -> Verdict {
    let checker = find(checker).expect("a registered checker");
    checker.check(record, Budget::default())
}

/// Replays the order of a valid verdict.
fn replay(record: &Record, verdict: &Verdict, snapshots: bool, kept: Kept) -> Result<(), String> {
    let order = verdict.figures.get("order").expect("an order");
    let order: Vec<u64> = serde_json::from_value(order.clone()).expect("numbers");
    match snapshots {
        true => verify::snapshot_order(&record.history, &order, kept),
        false => verify::serial_order(&record.history, &order, kept),
    }
}

/// Derives the contradictions of an invalid verdict again, which take all of their calls.
fn derive(record: &Record, verdict: &Verdict) -> Result<(), String> {
    for anomaly in &verdict.anomalies {
        verify::witness(&record.history, anomaly)?;
        for left_out in 0..anomaly.calls.len() {
            let mut fewer = anomaly.clone();
            fewer.calls.remove(left_out);
            if verify::witness(&record.history, &fewer).is_ok() {
                return Err(format!("{} needs fewer calls", anomaly.name));
            }
        }
    }
    Ok(())
}

fn histories(default: u64) -> u64 {
    let count = std::env::var("TRIBUNAL_RANDOM_HISTORIES");
    count.ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

#[test]
fn every_level_is_judged_as_by_brute_force() {
    let count = histories(8_000);
    let mut counts = [[0_u64; 2]; LEVELS.len()];
    let mut names: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..count {
        let ops = random_history(&mut Lcg::new(seed));
        let record = record(history(&ops));
        let mut possible = [false; LEVELS.len()];
        for (at, (level, snapshots, kept)) in LEVELS.into_iter().enumerate() {
            let verdict = judge(level, &record);
            let known = is_possible(&ops, snapshots, kept);
            let context = || format!("seed {seed}, {level}: {}\n{verdict:#?}", told(&ops));
            possible[at] = known;
            counts[at][usize::from(known)] += 1;
            match verdict.validity {
                Validity::Valid => {
                    assert!(known, "{}", context());
                    replay(&record, &verdict, snapshots, kept)
                        .unwrap_or_else(|why| panic!("{why}: {}", context()));
                }
                Validity::Invalid => {
                    assert!(!known, "{}", context());
                    derive(&record, &verdict).unwrap_or_else(|why| panic!("{why}: {}", context()));
                    *names.entry(verdict.anomalies[0].name.clone()).or_default() += 1;
                    dump(
                        level,
                        &verdict.anomalies[0].name,
                        &ops,
                        &verdict.anomalies[0].calls,
                    );
                }
                Validity::Unknown => {
                    assert!(known, "{}", context());
                    let code = &verdict.unknown.as_ref().expect("a reason").code;
                    assert_eq!(code, "vacuous", "{}", context());
                }
            }
        }
        for (stronger, weaker) in IMPLIES {
            assert!(!possible[stronger] || possible[weaker], "seed {seed}");
        }
    }
    for (level, [not, yes]) in LEVELS.iter().zip(counts) {
        assert!(
            not * 12 > count && yes * 4 > count,
            "{level:?}: {not} {yes}"
        );
    }
    let found: BTreeSet<&str> = names.keys().map(String::as_str).collect();
    assert!(found.len() > 20, "{names:?}");
    assert!(ALL.len() > LEVELS.len());
}

fn dump(level: &str, name: &str, ops: &[Timed], calls: &[u64]) {
    use std::io::Write;
    let Ok(dir) = std::env::var("DUMP") else {
        return;
    };
    let h = history(ops);
    let whole = ops.len() == calls.len();
    let calls: Vec<_> = h
        .calls()
        .iter()
        .filter(|c| calls.contains(&c.invoked.index))
        .collect();
    let small = history(&random::only(&calls));
    let _ = whole;
    let v = judge(level, &record(small.clone()));
    if v.anomalies.is_empty() || v.anomalies[0].name != name {
        return;
    }
    let path = format!("{dir}/{level}@{name}@{}.jsonl", calls.len());
    if std::path::Path::new(&path).exists() {
        return;
    }
    let mut out = std::fs::File::create(path).expect("file");
    writeln!(
        out,
        "{{\"format\":\"tribunal-history\",\"version\":1,\"nodes\":[\"n1\",\"n2\",\"n3\"]}}"
    )
    .expect("w");
    let mut events: Vec<(u64, serde_json::Value)> = Vec::new();
    for c in small.calls() {
        let (asked,) = (match &c.operation {
            Operation::Txn { micros } => serde_json::to_value(micros).expect("v"),
            _ => panic!(),
        },);
        let line = |i: u64, ty: &str, v: &serde_json::Value| serde_json::json!({"index": i, "time": (i+1)*10_000_000, "process": c.process, "node": c.node.as_ref().map(|n| n.to_string()), "type": ty, "f": "txn", "value": v});
        events.push((c.invoked.index, line(c.invoked.index, "invoke", &asked)));
        let i = c.completed.expect("c").index;
        match &c.outcome {
            Outcome::Ok(Answer::Txn(m)) => {
                events.push((i, line(i, "ok", &serde_json::to_value(m).expect("v"))))
            }
            Outcome::Info(_) => {
                let mut l = line(i, "info", &asked);
                l["error"] = serde_json::json!({"code":"timeout","text":""});
                events.push((i, l))
            }
            _ => {
                let mut l = line(i, "fail", &asked);
                l["error"] = serde_json::json!({"code":"precondition-failed","text":""});
                events.push((i, l))
            }
        }
    }
    events.sort_by_key(|e| e.0);
    for (_, e) in events {
        writeln!(out, "{e}").expect("w");
    }
}
