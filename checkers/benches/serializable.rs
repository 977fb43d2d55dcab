//! How fast `serializable`, `strict-serializable` and `snapshot-isolation` judge: transactions per
//! second of processor time, and peak memory.
//!
//! `cargo bench -p tribunal-checkers --bench serializable`; each scenario runs in a process of its
//! own, so that its peak memory is its own.
//!
//! - `healthy`: one transaction at a time takes effect, somewhere between invocation and answer.
//! - `adrift`: the same, but each takes effect up to 200 others before or after it was recorded:
//!   serializable, in an order that the record does not tell (blind writes: *BlindW-RW* of Tan et
//!   al., *Cobra*, 2020).
//! - `skewed`: as `healthy`, with one write skew: not serializable, but snapshots.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints its figures and stops where it cannot go on"
)]

mod measure;

use std::collections::HashMap;

use tribunal_checkers::{Budget, find};
use tribunal_results::{
    Answer, Body, Event, History, Micro, Operation, Outcome, Process, Record, Scalar, Seen,
    Validity,
};

const SCENARIOS: [(&str, &str, u64, Validity); 12] = [
    ("healthy", "strict-serializable", 1_000, Validity::Valid),
    ("healthy", "strict-serializable", 10_000, Validity::Valid),
    ("healthy", "strict-serializable", 100_000, Validity::Valid),
    ("healthy", "strict-serializable", 1_000_000, Validity::Valid),
    ("healthy", "snapshot-isolation", 100_000, Validity::Valid),
    ("adrift", "serializable", 1_000, Validity::Valid),
    ("adrift", "serializable", 10_000, Validity::Valid),
    ("adrift", "snapshot-isolation", 10_000, Validity::Valid),
    ("skewed", "serializable", 1_000, Validity::Invalid),
    ("skewed", "serializable", 10_000, Validity::Invalid),
    ("skewed", "strict-serializable", 10_000, Validity::Invalid),
    ("skewed", "snapshot-isolation", 10_000, Validity::Valid),
];
/// Transactions that are open at once.
const CLIENTS: u64 = 24;
/// Steps of a transaction.
const STEPS: usize = 8;
/// How far the order of effects drifts from that of the record, in transactions.
const DRIFT: u64 = 200;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(place) = args.iter().find_map(|arg| arg.parse::<usize>().ok()) {
        return run(place);
    }
    for place in 0..SCENARIOS.len() {
        measure::apart(&[&place.to_string()]);
    }
}

fn run(place: usize) {
    let (scenario, checker, size, expected) = SCENARIOS[place];
    let record = Record {
        history: history(scenario, size),
        ..Record::default()
    };
    let budget = Budget {
        steps: 20_000_000_000,
        bytes: 8 << 30,
    };
    let judge = find(checker).expect("a checker");
    let (verdict, cost) = measure::measure(|| judge.check(&record, budget));
    let found_by = verdict.figures.get("found-by");
    let found_by = found_by.map_or("-".into(), ToString::to_string);
    measure::row(&format!("{scenario} {checker}"), size, cost, &found_by);
    assert_eq!(verdict.validity, expected, "{}", verdict.summary);
}

/// Numbers below a bound, the same ones each time (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A transaction on its way: when it is invoked, takes effect and ends.
struct Planned {
    times: [u64; 3],
    asked: Vec<Micro>,
    answered: Vec<Micro>,
}

fn history(scenario: &str, size: u64) -> History {
    let mut chance = Chance(7);
    let keys = size.max(1_000);
    let mut fresh = 0;
    let mut plan: Vec<Planned> = (0..size)
        .map(|at| {
            let mut asked = Vec::with_capacity(STEPS);
            for step in 0..STEPS {
                let key = Scalar::Int(chance.below(keys) as i64);
                let seen = Seen::Nothing;
                asked.push(if step % 2 == 0 {
                    Micro::Read { key, seen }
                } else {
                    fresh += 1;
                    let value = Scalar::Int(fresh);
                    Micro::Write { key, value }
                });
            }
            let start = at * 1_000 + chance.below(1_000);
            let length = 1_000 + chance.below((CLIENTS - 4) * 1_000);
            let drift = match scenario {
                "adrift" => chance.below(2 * DRIFT * 1_000),
                _ => chance.below(length),
            };
            Planned {
                times: [start, start + drift, start + length],
                answered: asked.clone(),
                asked,
            }
        })
        .collect();
    if scenario == "skewed" {
        skew(&mut plan, keys as i64);
    }
    perform(&mut plan, scenario == "skewed");
    build(&plan)
}

/// Lets two transactions in the middle each overwrite what the other reads.
fn skew(plan: &mut [Planned], unused: i64) {
    let middle = plan.len() / 2;
    for (at, (read, write)) in [(middle, (0, 1)), (middle + 1, (1, 0))] {
        let planned = &mut plan[at];
        planned.asked = vec![
            Micro::Read {
                key: Scalar::Int(unused + read),
                seen: Seen::Nothing,
            },
            Micro::Write {
                key: Scalar::Int(unused + write),
                value: Scalar::Int(-1 - write),
            },
        ];
        planned.answered.clone_from(&planned.asked);
    }
}

/// Lets all take effect in their order; of the two skewed ones neither sees the other.
fn perform(plan: &mut [Planned], skewed: bool) {
    let middle = plan.len() / 2;
    let mut order: Vec<usize> = (0..plan.len()).collect();
    order.sort_by_key(|at| plan[*at].times[1]);
    let mut state: HashMap<Scalar, Scalar> = HashMap::new();
    for at in order {
        let blind = skewed && (at == middle || at == middle + 1);
        for micro in &mut plan[at].answered {
            match micro {
                Micro::Read { seen, .. } if blind => *seen = Seen::Nothing,
                Micro::Read { key, seen } => {
                    *seen = state.get(key).cloned().map_or(Seen::Nothing, Seen::Value);
                }
                Micro::Write { key, value } => {
                    state.insert(key.clone(), value.clone());
                }
                Micro::Append { .. } => {}
            }
        }
    }
}

/// The events; a client that is free takes the next transaction.
fn build(plan: &[Planned]) -> History {
    let mut moments: Vec<(u64, bool, usize)> = Vec::new();
    for (at, planned) in plan.iter().enumerate() {
        moments.push((planned.times[0], false, at));
        moments.push((planned.times[2], true, at));
    }
    moments.sort_unstable();
    let mut free: Vec<u64> = Vec::new();
    let (mut clients, mut of) = (0, vec![0; plan.len()]);
    let mut events = Vec::with_capacity(moments.len());
    for (index, (time, ends, at)) in (0_u64..).zip(moments) {
        let micros = plan[at].asked.clone();
        let operation = Operation::Txn { micros };
        let body = if ends {
            free.push(of[at]);
            let answer = Answer::Txn(plan[at].answered.clone());
            Body::Complete(operation, Outcome::Ok(answer))
        } else {
            of[at] = free.pop().unwrap_or_else(|| {
                clients += 1;
                clients - 1
            });
            Body::Invoke(operation)
        };
        events.push(Event {
            index,
            time,
            process: Process::Client(of[at]),
            node: None,
            body,
        });
    }
    History::from_events(events).expect("a history")
}
