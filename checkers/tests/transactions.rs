//! Random small histories of transactions, against brute force over all serial orders.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

mod random;

use std::collections::{BTreeMap, BTreeSet};

use random::{Lcg, Timed, failed, history, unknown};
use tribunal_checkers::{Budget, find, verify};
use tribunal_results::{Answer, Micro, Operation, Outcome, Record, Scalar, Seen, Validity};

type State = BTreeMap<Scalar, Seen>;

/// What transactions do: append to lists, or write registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    Lists,
    Registers,
    /// Registers, each of which is read before it is written.
    Mini,
}

/// The steps with what their reads see; the state is then as after them.
fn perform(state: &mut State, micros: &[Micro]) -> Vec<Micro> {
    let mut done = Vec::new();
    for micro in micros {
        done.push(match micro.clone() {
            Micro::Read { key, .. } => {
                let seen = state.get(&key).cloned().unwrap_or_default();
                Micro::Read { key, seen }
            }
            Micro::Append { key, value } => {
                let list = state.entry(key).or_insert(Seen::List(Vec::new()));
                if let Seen::List(list) = list {
                    list.push(value);
                }
                micro.clone()
            }
            Micro::Write { key, value } => {
                state.insert(key, Seen::Value(value));
                micro.clone()
            }
        });
    }
    done
}

/// Whether some order of all that certainly happened, and of some that may have, explains every
/// answer and keeps real time.
fn has_an_order(ops: &[Timed], state: &State, done: &BTreeSet<usize>) -> bool {
    let open = |at: &usize| !done.contains(at);
    let ok = |at: &usize| matches!(ops[*at].outcome, Outcome::Ok(_));
    if !(0..ops.len()).filter(ok).any(|at| open(&at)) {
        return true;
    }
    (0..ops.len()).filter(open).any(|at| {
        let op = &ops[at];
        let late = |other: usize| ops[other].ret < op.call;
        if (0..ops.len()).filter(ok).filter(open).any(late) {
            return false;
        }
        let Operation::Txn { micros } = &op.operation else {
            return false;
        };
        let mut next = state.clone();
        let answer = perform(&mut next, micros);
        let fits = match &op.outcome {
            Outcome::Ok(Answer::Txn(answered)) => *answered == answer,
            Outcome::Info(_) => true,
            _ => false,
        };
        let mut more = done.clone();
        more.insert(at);
        fits && has_an_order(ops, &next, &more)
    })
}

fn random_micros(random: &mut Lcg, data: Data, keys: u64, fresh: &mut i64) -> Vec<Micro> {
    if data == Data::Mini {
        let micros = random_mini(random, keys, fresh);
        if !micros.is_empty() {
            return micros;
        }
    }
    let count = 1 + random.below(3);
    let micro = |_| {
        let key = Scalar::from(["x", "y", "z"][random.below(keys) as usize]);
        if random.percent(50) {
            return Micro::Read {
                key,
                seen: Seen::Nothing,
            };
        }
        *fresh += 1;
        let value = Scalar::Int(*fresh);
        match data {
            Data::Lists => Micro::Append { key, value },
            Data::Registers | Data::Mini => Micro::Write { key, value },
        }
    };
    (0..count).map(micro).collect()
}

/// Transactions that read each register before they write it.
fn random_mini(random: &mut Lcg, keys: u64, fresh: &mut i64) -> Vec<Micro> {
    let mut micros = Vec::new();
    for key in ["x", "y", "z"].into_iter().take(keys as usize) {
        if random.percent(60) {
            let key = Scalar::from(key);
            micros.push(Micro::Read {
                key: key.clone(),
                seen: Seen::Nothing,
            });
            if random.percent(50) {
                *fresh += 1;
                let value = Scalar::Int(*fresh);
                micros.push(Micro::Write { key, value });
            }
        }
    }
    micros
}

/// Breaks what a read saw.
fn corrupt(random: &mut Lcg, micros: &mut [Micro]) {
    let at = random.below(micros.len() as u64) as usize;
    let Micro::Read { seen, .. } = &mut micros[at] else {
        return;
    };
    let other = Scalar::Int(1 + random.below(6) as i64);
    match seen {
        Seen::List(list) if random.percent(40) => {
            list.pop();
            if list.is_empty() {
                *seen = Seen::Nothing;
            }
        }
        Seen::List(list) if random.percent(50) => {
            let (a, b) = (
                random.below(list.len() as u64),
                random.below(list.len() as u64),
            );
            list.swap(a as usize, b as usize);
        }
        Seen::List(list) => list.push(other),
        Seen::Value(value) if random.percent(70) => *value = other,
        _ => *seen = Seen::Nothing,
    }
}

/// Transactions one after another, of which some answers may be wrong and some read old states.
fn random_history(random: &mut Lcg, data: Data, final_reads: bool) -> Vec<Timed> {
    let keys = 2 + random.below(2);
    let count = 3 + random.below(if final_reads { 2 } else { 3 });
    let (weak, broken) = (random.percent(70), random.percent(40));
    let mut states = vec![State::new()];
    let mut ops: Vec<Timed> = Vec::new();
    let mut fresh = 0;
    for at in 0..=count {
        let is_final = at == count;
        if is_final && !final_reads {
            break;
        }
        let micros = if is_final {
            let read = |key: &&str| Micro::Read {
                key: (*key).into(),
                seen: Seen::Nothing,
            };
            ["x", "y", "z"]
                .iter()
                .take(keys as usize)
                .map(read)
                .collect()
        } else {
            random_micros(random, data, keys, &mut fresh)
        };
        let mut state = states.last().cloned().expect("a state");
        let end = random.below(100);
        let (is_ok, is_info) = (is_final || end < 80, end < 92);
        let mut answer = if weak && random.percent(60) && !is_final {
            let old = random.below(states.len() as u64) as usize;
            let answer = perform(&mut states[old].clone(), &micros);
            perform(&mut state, &micros);
            answer
        } else {
            perform(&mut state, &micros)
        };
        if is_ok || (is_info && random.percent(50)) || (broken && random.percent(10)) {
            states.push(state);
        }
        if broken && random.percent(30) {
            corrupt(random, &mut answer);
        }
        let middle = 1000 + at * 100;
        let reach = if is_final { 40 } else { 300 };
        // Distinct positions: those of a transaction end in its number.
        let call = (middle - random.below(reach)) * 20 + at * 2;
        let ret = (middle + random.below(reach)) * 20 + at * 2 + 1;
        let (call, ret) = match is_final {
            true => (100_000, 100_001),
            false => (call, ret),
        };
        let free = |process: &u64| {
            let mut mine = ops.iter().filter(|op| op.process == *process);
            mine.all(|op| {
                (op.ret < call || ret < op.call) && !matches!(op.outcome, Outcome::Info(_))
            })
        };
        let process = (0..10).find(free).expect("a free process");
        let outcome = match (is_ok, is_info) {
            (true, _) => Outcome::Ok(Answer::Txn(answer)),
            (_, true) => unknown(),
            _ => failed(),
        };
        // A process whose end is unknown is never heard of again.
        let process = match outcome {
            Outcome::Info(_) => 100 + at,
            _ => process,
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

fn histories(default: u64) -> u64 {
    let wanted = std::env::var("TRIBUNAL_RANDOM_HISTORIES").ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// How many histories were valid, unknown and invalid.
fn compare(checker: &str, data: Data, complete: bool, seeds: u64) -> [u64; 3] {
    let mut counts = [0; 3];
    let (mut kept, mut removed) = (0, 0);
    for seed in 0..histories(seeds) {
        let ops = random_history(&mut Lcg::new(seed), data, complete);
        let record = Record {
            history: history(&ops),
            ..Record::default()
        };
        let verdict = random::verdict(checker, record.history.clone());
        let possible = has_an_order(&ops, &State::new(), &BTreeSet::new());
        counts[verdict.validity as usize] += 1;
        if verdict.validity == Validity::Invalid {
            assert!(!possible, "seed {seed}: {}\n{verdict:#?}", told(&ops));
            for anomaly in &verdict.anomalies {
                assert!(!anomaly.calls.is_empty() && !anomaly.facts.is_empty());
                let say = || format!("seed {seed}: {}\n{anomaly:#?}", told(&ops));
                verify::witness(&record, anomaly).unwrap_or_else(|e| panic!("{e}: {}", say()));
                for at in 0..anomaly.calls.len() {
                    let mut less = anomaly.clone();
                    less.calls.remove(at);
                    kept += u32::from(verify::witness(&record, &less).is_ok());
                    removed += 1;
                }
                assert!(
                    anomaly
                        .facts
                        .iter()
                        .all(|fact| !fact.contains("order of versions"))
                );
            }
        } else if complete {
            assert!(possible, "seed {seed}: {}\n{verdict:#?}", told(&ops));
        }
    }
    // A few say more than is needed, to be clear.
    assert!(
        kept * 20 < removed,
        "{kept} of {removed} calls were not needed"
    );
    counts
}

#[test]
fn lists_read_at_the_end_are_judged_as_by_brute_force() {
    let [valid, _, invalid] = compare("list-append", Data::Lists, true, 20_000);
    assert!(valid > 4_000 && invalid > 2_000, "{valid} {invalid}");
}

#[test]
fn what_is_found_in_lists_is_always_a_contradiction() {
    let [valid, _, invalid] = compare("list-append", Data::Lists, false, 20_000);
    assert!(valid > 4_000 && invalid > 500, "{valid} {invalid}");
}

#[test]
fn what_is_found_in_registers_is_always_a_contradiction() {
    let [valid, _, invalid] = compare("rw-register", Data::Registers, false, 20_000);
    assert!(valid > 4_000 && invalid > 500, "{valid} {invalid}");
}

#[test]
fn mini_transactions_are_judged_as_by_brute_force() {
    let mut counts = [0; 2];
    for seed in 0..histories(10_000) {
        let ops = random_history(&mut Lcg::new(seed), Data::Mini, false);
        let verdict = random::verdict("rw-register", history(&ops));
        let possible = has_an_order(&ops, &State::new(), &BTreeSet::new());
        let is_complete = verdict.figures.get("version-order-complete") == Some(&true.into());
        match verdict.validity {
            Validity::Invalid => assert!(!possible, "seed {seed}: {}", told(&ops)),
            _ if is_complete => {
                assert!(possible, "seed {seed}: {}", told(&ops));
                counts[0] += 1;
            }
            _ => {}
        }
        counts[1] += u32::from(verdict.validity == Validity::Invalid && is_complete);
    }
    assert!(counts[0] > 1_500 && counts[1] > 500, "{counts:?}");
}

#[test]
fn most_contradictions_in_registers_are_found() {
    let (mut found, mut all) = (0, 0);
    for seed in 0..histories(5_000) {
        let ops = random_history(&mut Lcg::new(seed), Data::Registers, true);
        let verdict = random::verdict("rw-register", history(&ops));
        let possible = has_an_order(&ops, &State::new(), &BTreeSet::new());
        assert!(
            verdict.validity != Validity::Invalid || !possible,
            "seed {seed}"
        );
        found += u32::from(verdict.validity == Validity::Invalid);
        all += u32::from(!possible);
    }
    assert!(all > 300 && found * 10 > all * 8, "{found} of {all}");
}

#[test]
fn a_small_budget_never_gives_a_wrong_answer() {
    let checker = find("list-append").expect("a checker");
    let mut stopped = 0;
    for seed in 0..histories(3_000) {
        let ops = random_history(&mut Lcg::new(seed), Data::Lists, true);
        let record = Record {
            history: history(&ops),
            ..Record::default()
        };
        let budget = Budget {
            steps: seed % 60,
            bytes: 1 << 20,
        };
        let verdict = checker.check(&record, budget);
        if verdict.validity == Validity::Unknown {
            stopped += u32::from(verdict.unknown.is_some_and(|why| why.code == "budget"));
            continue;
        }
        let possible = has_an_order(&ops, &State::new(), &BTreeSet::new());
        assert_eq!(
            verdict.validity == Validity::Valid,
            possible,
            "seed {seed}: {}",
            told(&ops)
        );
    }
    assert!(stopped > 300, "{stopped}");
}
