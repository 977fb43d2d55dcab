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
use tribunal_checkers::{Budget, Standing, find, strongest_isolation, verify};
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
        verify::witness(record, anomaly)?;
        for left_out in 0..anomaly.calls.len() {
            let mut fewer = anomaly.clone();
            fewer.calls.remove(left_out);
            if verify::witness(record, &fewer).is_ok() {
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
    let count = histories(5_000);
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
}

/// How a simulated store runs transactions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Store {
    Serial,
    Snapshots,
}

/// A history of a store that keeps what it promises: transactions overlap, each takes effect at a
/// point between its invocation and its end (of snapshots: reads at one point, writes at another,
/// and is refused where another wrote the same in between). Ends of some are unknown.
fn simulated(random: &mut Lcg, store: Store, count: u64) -> Vec<Timed> {
    let keys = 2 + random.below(2);
    let mut fresh = 0;
    let mut ops: Vec<Timed> = Vec::new();
    let mut points: Vec<(u64, usize, bool)> = Vec::new();
    for at in 0..count {
        let call = (at * 100 + random.below(100)) * 10_000 + at;
        let length = 100 + random.below(600);
        let mut inner = [random.below(length), random.below(length)];
        inner.sort_unstable();
        if store == Store::Serial {
            inner[0] = inner[1];
        }
        for (point, commits) in inner.into_iter().zip([false, true]) {
            points.push((call + 1 + point * 10_000, ops.len(), commits));
        }
        let ret = call + 2 + length * 10_000;
        let free = |process: &u64| {
            let mut mine = ops.iter().filter(|op| op.process == *process);
            mine.all(|op| op.ret < call)
        };
        let is_lost = random.percent(5);
        let process = match is_lost {
            true => 1_000 + at,
            false => (0..100).find(free).expect("a free process"),
        };
        ops.push(Timed {
            process,
            call,
            ret,
            operation: Operation::Txn {
                micros: random_micros(random, keys, 50, &mut fresh),
            },
            outcome: if is_lost { unknown() } else { failed() },
        });
    }
    points.sort_unstable();
    let mut state = State::new();
    let mut begun: BTreeMap<usize, (State, State)> = BTreeMap::new();
    for (_, at, commits) in points {
        if !commits {
            begun.insert(at, (state.clone(), state.clone()));
            continue;
        }
        let (before, mut after) = begun.remove(&at).expect("a snapshot");
        let clash = writes(&ops[at])
            .iter()
            .any(|key| before.get(key) != state.get(key));
        let answer = perform(&mut after, micros(&ops[at]));
        if clash || random.percent(2) {
            continue;
        }
        for key in writes(&ops[at]) {
            state.insert(key.clone(), after[key].clone());
        }
        if !matches!(ops[at].outcome, Outcome::Info(_)) {
            ops[at].outcome = Outcome::Ok(Answer::Txn(answer));
        }
    }
    ops
}

#[test]
fn stores_that_keep_their_promise_are_never_refuted() {
    let mut skewed = 0;
    for seed in 0..80 {
        for store in [Store::Serial, Store::Snapshots] {
            let random = &mut Lcg::new(seed);
            let ops = simulated(random, store, 20 + seed);
            let record = record(history(&ops));
            for (level, snapshots, kept) in LEVELS {
                let verdict = judge(level, &record);
                let context = || format!("seed {seed}, {level}: {}", verdict.summary);
                if store == Store::Serial || snapshots {
                    assert_eq!(verdict.validity, Validity::Valid, "{}", context());
                    replay(&record, &verdict, snapshots, kept)
                        .unwrap_or_else(|why| panic!("{why}: {}", context()));
                } else if verdict.validity == Validity::Invalid {
                    skewed += 1;
                    derive(&record, &verdict).unwrap_or_else(|why| panic!("{why}: {}", context()));
                }
            }
        }
    }
    assert!(skewed > 20, "{skewed}");
}

fn read(key: &str, seen: Option<i64>) -> Micro {
    Micro::Read {
        key: key.into(),
        seen: seen.map_or(Seen::Nothing, |value| Seen::Value(value.into())),
    }
}

fn write(key: &str, value: i64) -> Micro {
    Micro::Write {
        key: key.into(),
        value: value.into(),
    }
}

/// Adds transactions that are all open at once, after all others.
fn plant(ops: &mut Vec<Timed>, planted: &[&[Micro]]) {
    let start = ops.iter().map(|op| op.ret).max().unwrap_or(0) + 10_000;
    for (at, micros) in (0..).zip(planted) {
        ops.push(Timed {
            process: 5_000 + at,
            call: start + at,
            ret: start + 1_000 + at,
            operation: Operation::Txn {
                micros: micros.iter().map(Micro::asked).collect(),
            },
            outcome: Outcome::Ok(Answer::Txn(micros.to_vec())),
        });
    }
}

#[test]
fn planted_anomalies_are_found_among_many_transactions() {
    let (r, w) = (read, write);
    let skew: [&[Micro]; 2] = [&[r("a", None), w("b", -1)], &[r("b", None), w("a", -2)]];
    let fork: [&[Micro]; 4] = [
        &[w("a", -1)],
        &[w("b", -2)],
        &[r("a", Some(-1)), r("b", None)],
        &[r("a", None), r("b", Some(-2))],
    ];
    let lost: [&[Micro]; 2] = [&[r("a", None), w("a", -1)], &[r("a", None), w("a", -2)]];
    let planted: [(&str, &[&[Micro]], bool); 3] = [
        ("G2-item", &skew, true),
        ("G-nonadjacent", &fork, false),
        ("lost-update", &lost, false),
    ];
    for seed in 0..10 {
        for (name, planted, is_snapshot) in planted {
            let mut ops = simulated(&mut Lcg::new(seed), Store::Serial, 100);
            plant(&mut ops, planted);
            let record = record(history(&ops));
            for (level, snapshots, _) in LEVELS {
                let verdict = judge(level, &record);
                if snapshots && is_snapshot {
                    assert_eq!(verdict.validity, Validity::Valid, "{level}");
                    continue;
                }
                assert_eq!(verdict.validity, Validity::Invalid, "{level} {name}");
                assert_eq!(verdict.anomalies[0].name, name, "{level}");
                assert_eq!(verdict.anomalies[0].calls.len(), planted.len());
            }
        }
    }
}

#[test]
fn a_small_budget_never_gives_a_wrong_verdict() {
    let mut stopped = 0;
    for seed in 0..2_000 {
        let ops = random_history(&mut Lcg::new(seed));
        let record = record(history(&ops));
        let budget = Budget {
            steps: seed % 80,
            bytes: 1 << 20,
        };
        for (level, snapshots, kept) in LEVELS {
            let verdict = find(level).expect("a checker").check(&record, budget);
            match verdict.validity {
                Validity::Unknown => {
                    stopped += u32::from(verdict.unknown.is_some_and(|why| why.code == "budget"));
                }
                validity => assert_eq!(
                    validity == Validity::Valid,
                    is_possible(&ops, snapshots, kept),
                    "seed {seed}, {level}: {}",
                    told(&ops)
                ),
            }
        }
    }
    assert!(stopped > 200, "{stopped}");
}

#[test]
fn the_report_on_all_levels_says_of_each_what_brute_force_says() {
    for seed in 0..1_000 {
        let ops = random_history(&mut Lcg::new(seed));
        let report = strongest_isolation(&history(&ops), Budget::default());
        assert_eq!(report.len(), LEVELS.len() + 5);
        for verdict in report {
            // Of the weaker levels other tests know more.
            let level = LEVELS.iter().find(|level| level.0 == verdict.model);
            let Some((_, snapshots, kept)) = level else {
                continue;
            };
            let possible = is_possible(&ops, *snapshots, *kept);
            let fits = match verdict.standing {
                Standing::Holds => possible,
                Standing::Violated => !possible,
                Standing::Unknown => possible && verdict.why.contains("nothing to judge"),
            };
            assert!(fits, "seed {seed}: {verdict:?}{}", told(&ops));
        }
    }
}
