//! Weak levels of isolation against their definitions: all commit orders of random small
//! histories are tried.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

mod random;

use random::{Lcg, Timed, failed, history, unknown};
use tribunal_checkers::{Budget, find, verify};
use tribunal_results::{Answer, Micro, Operation, Outcome, Record, Scalar, Seen, Validity};

const LEVELS: [&str; 3] = ["read-committed", "read-atomic", "transactional-causal"];

fn histories(default: u64) -> u64 {
    let wanted = std::env::var("TRIBUNAL_RANDOM_HISTORIES").ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// A transaction that took effect; the first of all is the initial state.
#[derive(Clone, Debug, Default)]
struct Act {
    process: Option<u64>,
    steps: Vec<Micro>,
    /// Whether its reads count.
    is_ok: bool,
}

impl Act {
    fn last_write(&self, of: &Scalar) -> Option<&Scalar> {
        self.steps.iter().rev().find_map(|step| match step {
            Micro::Write { key, value } if key == of => Some(value),
            _ => None,
        })
    }

    fn writes(&self, of: &Scalar) -> bool {
        self.process.is_none() || self.last_write(of).is_some()
    }
}

/// What took effect, with who read what from whom; `None` if a read has no source that any level
/// allows.
struct World {
    acts: Vec<Act>,
    /// Of each act its external reads: the register and the act that wrote what was read.
    reads: Vec<Vec<(Scalar, usize)>>,
}

impl World {
    fn new(acts: Vec<Act>) -> Option<Self> {
        let mut reads = vec![Vec::new(); acts.len()];
        for (at, act) in acts.iter().enumerate().filter(|(_, act)| act.is_ok) {
            for (nth, step) in act.steps.iter().enumerate() {
                let Micro::Read { key, seen } = step else {
                    continue;
                };
                let before = Act {
                    steps: act.steps[..nth].to_vec(),
                    ..Act::default()
                };
                let seen = match seen {
                    Seen::Value(value) => Some(value),
                    _ => None,
                };
                if let Some(own) = before.last_write(key) {
                    if Some(own) != seen {
                        return None;
                    }
                    continue;
                }
                let source = match seen {
                    None => 0,
                    Some(_) => acts
                        .iter()
                        .position(|other| other.last_write(key) == seen)
                        .filter(|source| *source != at)?,
                };
                reads[at].push((key.clone(), source));
            }
        }
        Some(Self { acts, reads })
    }

    fn session(&self, one: usize, next: usize) -> bool {
        one < next && (one == 0 || self.acts[one].process == self.acts[next].process)
    }

    fn reads_from(&self, one: usize, next: usize) -> bool {
        self.reads[next].iter().any(|(_, source)| *source == one)
    }

    /// Over any number of steps of sessions and reads.
    fn causes(&self) -> Vec<Vec<bool>> {
        let all = 0..self.acts.len();
        let direct = |a, b| self.session(a, b) || self.reads_from(a, b);
        let row = |a| all.clone().map(|b| direct(a, b)).collect();
        let mut causes: Vec<Vec<bool>> = all.clone().map(row).collect();
        for _ in all.clone() {
            for (a, b, c) in triples(self.acts.len()) {
                causes[a][c] |= causes[a][b] && causes[b][c];
            }
        }
        causes
    }

    /// Whether the level's axiom holds in this commit order.
    fn holds(&self, level: &str, causes: &[Vec<bool>], order: &[usize]) -> bool {
        let place = |act| order.iter().position(|other| *other == act);
        let all = 0..self.acts.len();
        let pairs = all.clone().flat_map(|a| all.clone().map(move |b| (a, b)));
        let mut given = pairs.filter(|(a, b)| causes[*a][*b]);
        if !given.all(|(a, b)| place(a) < place(b)) {
            return false;
        }
        for (reader, reads) in self.reads.iter().enumerate() {
            for (nth, (key, source)) in reads.iter().enumerate() {
                let others = all.clone().filter(|other| {
                    other != source && *other != reader && self.acts[*other].writes(key)
                });
                for other in others {
                    let sees = match level {
                        "read-committed" => reads[..nth].iter().any(|read| read.1 == other),
                        "read-atomic" => {
                            self.session(other, reader) || self.reads_from(other, reader)
                        }
                        _ => causes[other][reader],
                    };
                    if sees && place(other) > place(*source) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Whether one at a time, in this order, they read what they read.
    fn is_serial(&self, order: &[usize]) -> bool {
        let given = order.iter().enumerate().all(|(place, act)| {
            order[place + 1..]
                .iter()
                .all(|later| !self.session(*later, *act))
        });
        given
            && order.iter().enumerate().all(|(place, act)| {
                self.reads[*act].iter().all(|(key, source)| {
                    let before = order[..place].iter().rev();
                    let last = before.copied().find(|other| self.acts[*other].writes(key));
                    last == Some(*source)
                })
            })
    }
}

fn triples(n: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..n * n * n).map(move |at| (at / n / n, at / n % n, at % n))
}

/// Every order that begins with the initial state.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![vec![0]];
    for _ in 1..count {
        let longer = |order: Vec<usize>| {
            let left: Vec<usize> = (1..count).filter(|at| !order.contains(at)).collect();
            left.into_iter()
                .map(move |next| [order.clone(), vec![next]].concat())
        };
        orders = orders.into_iter().flat_map(longer).collect();
    }
    orders
}

/// Whether each level allows the history, and whether it is serializable: in some world.
fn allowed(ops: &[Timed]) -> [bool; 4] {
    let mut sorted: Vec<&Timed> = ops.iter().collect();
    sorted.sort_by_key(|op| op.call);
    let lost = |op: &Timed| matches!(op.outcome, Outcome::Info(_));
    let doubts = sorted.iter().filter(|op| lost(op)).count();
    let mut allowed = [false; 4];
    for guess in 0..1_u32 << doubts {
        let mut acts = vec![Act::default()];
        let mut nth = 0;
        for op in &sorted {
            let (steps, is_ok) = match (&op.outcome, &op.operation) {
                (Outcome::Ok(Answer::Txn(steps)), _) => (steps, true),
                (Outcome::Info(_), Operation::Txn { micros }) => (micros, false),
                _ => continue,
            };
            nth += u32::from(!is_ok);
            if is_ok || guess >> (nth - 1) & 1 == 1 {
                acts.push(Act {
                    process: Some(op.process),
                    steps: steps.clone(),
                    is_ok,
                });
            }
        }
        let Some(world) = World::new(acts) else {
            continue;
        };
        let causes = world.causes();
        for order in orders(world.acts.len()) {
            for (level, allowed) in LEVELS.iter().zip(&mut allowed) {
                *allowed |= world.holds(level, &causes, &order);
            }
            allowed[3] |= world.is_serial(&order);
        }
    }
    allowed
}

/// A few transactions of a few clients that read any values that there are.
fn random_history(random: &mut Lcg) -> Vec<Timed> {
    let (keys, clients) = (1 + random.below(3), 1 + random.below(3));
    let count = 2 + random.below(4);
    let odd = random.percent(25);
    let key = |random: &mut Lcg| Scalar::from(["x", "y", "z"][random.below(keys) as usize]);
    let mut drafts: Vec<Vec<Micro>> = Vec::new();
    let mut written: Vec<(Scalar, i64, usize)> = Vec::new();
    for at in 0..count as usize {
        let micro = |_| {
            let key = key(random);
            if random.percent(45) {
                let value = written.len() as i64 + 1;
                written.push((key.clone(), value, at));
                let value = Scalar::Int(value);
                return Micro::Write { key, value };
            }
            let seen = Seen::Nothing;
            Micro::Read { key, seen }
        };
        drafts.push((0..1 + random_steps(at, count)).map(micro).collect());
    }
    let mut ops: Vec<Timed> = Vec::new();
    for (at, draft) in drafts.into_iter().enumerate() {
        let mut answer = draft.clone();
        for nth in 0..answer.len() {
            let (before, rest) = answer.split_at_mut(nth);
            let Micro::Read { key, seen } = &mut rest[0] else {
                continue;
            };
            let own = before.iter().rev().find_map(|step| match step {
                Micro::Write { key: of, value } if of == key => Some(value.clone()),
                _ => None,
            });
            let near = |w: &&(Scalar, i64, usize)| w.0 == *key && (odd || w.2 != at);
            let values: Vec<&(Scalar, i64, usize)> = written.iter().filter(near).collect();
            *seen = match own {
                Some(own) if !odd || random.percent(80) => Seen::Value(own),
                _ if values.is_empty() || random.percent(15) => Seen::Nothing,
                _ if odd && random.percent(5) => Seen::Value(Scalar::Int(99)),
                _ => {
                    // More often what was written before: then there is less of a muddle.
                    let past: Vec<_> = values.iter().filter(|w| w.2 < at).collect();
                    let value = match past.as_slice() {
                        [] => values[random.below(values.len() as u64) as usize].1,
                        _ if random.percent(15) => {
                            values[random.below(values.len() as u64) as usize].1
                        }
                        past => past[random.below(past.len() as u64) as usize].1,
                    };
                    Seen::Value(Scalar::Int(value))
                }
            };
        }
        let mut process = random.below(clients);
        let gone = |p: u64, ops: &[Timed]| {
            let mut mine = ops.iter().filter(|op| op.process == p);
            mine.any(|op| matches!(op.outcome, Outcome::Info(_)))
        };
        while gone(process, &ops) {
            process += 10;
        }
        let end = random.below(100);
        ops.push(Timed {
            process,
            call: at as u64 * 2,
            ret: at as u64 * 2 + 1,
            operation: Operation::Txn { micros: draft },
            outcome: match end {
                0..86 => Outcome::Ok(Answer::Txn(answer)),
                86..96 => unknown(),
                _ => failed(),
            },
        });
    }
    ops
}

/// Longer transactions where there are few.
fn random_steps(at: usize, count: u64) -> usize {
    (at * 7 + count as usize) % 3
}

fn told(ops: &[Timed]) -> String {
    let line = |op: &Timed| format!("\np{} {} {:?}", op.process, op.operation, op.outcome);
    ops.iter().map(line).collect()
}

#[test]
fn levels_are_judged_as_by_their_definitions() {
    let mut counts = [[0; 3]; 3];
    let (mut kept, mut minimal) = (0, 0);
    for seed in 0..histories(8_000) {
        let ops = random_history(&mut Lcg::new(seed));
        let allowed = allowed(&ops);
        let mut before = Validity::Valid;
        for (level, checker) in LEVELS.into_iter().enumerate() {
            let record = Record {
                history: history(&ops),
                ..Record::default()
            };
            let verdict = random::verdict(checker, record.history.clone());
            let validity = verdict.validity;
            counts[level][validity as usize] += 1;
            let say = || format!("seed {seed}, {checker}: {}\n{verdict:#?}", told(&ops));
            assert_eq!(validity == Validity::Invalid, !allowed[level], "{}", say());
            assert!(validity >= before, "a stronger level holds: {}", say());
            assert!(!allowed[3] || validity != Validity::Invalid, "{}", say());
            before = validity;
            for anomaly in &verdict.anomalies {
                verify::witness(&record, anomaly).unwrap_or_else(|e| panic!("{e}: {}", say()));
                for at in 0..anomaly.calls.len() {
                    let mut less = anomaly.clone();
                    less.calls.remove(at);
                    kept += u32::from(verify::witness(&record, &less).is_ok());
                    minimal += 1;
                }
            }
        }
    }
    for [valid, _, invalid] in counts {
        assert!(valid > 1_000 && invalid > 500, "{counts:?}");
    }
    assert!(counts[0][2] < counts[1][2] && counts[1][2] < counts[2][2]);
    assert!(
        minimal > 3_000 && kept * 20 < minimal,
        "{kept} of {minimal}"
    );
}

/// Transactions by turns, each on a snapshot of what was committed when it began.
fn snapshots(random: &mut Lcg, size: usize) -> Vec<Timed> {
    let mut states: Vec<Vec<Option<i64>>> = vec![vec![None; 6]];
    let mut fresh = 0;
    let mut ops = Vec::new();
    for at in 0..size as u64 {
        let newest = states.len() - 1;
        // A client sees at least what was committed at its last turn.
        let old = newest - random.below((newest as u64).min(2) + 1) as usize;
        let mut own = states[old].clone();
        let mut newer = states[newest].clone();
        let mut steps = Vec::new();
        for _ in 0..1 + random.below(4) {
            let key = random.below(6);
            let place = key as usize;
            let key = Scalar::Int(key as i64);
            if random.percent(50) {
                fresh += 1;
                (own[place], newer[place]) = (Some(fresh), Some(fresh));
                let value = Scalar::Int(fresh);
                steps.push(Micro::Write { key, value });
            } else {
                let seen = own[place].map_or(Seen::Nothing, |v| Seen::Value(Scalar::Int(v)));
                steps.push(Micro::Read { key, seen });
            }
        }
        states.push(newer);
        let asked = steps.iter().map(Micro::asked).collect();
        ops.push(Timed {
            process: at % 4,
            call: at * 2,
            ret: at * 2 + 1,
            operation: Operation::Txn { micros: asked },
            outcome: Outcome::Ok(Answer::Txn(steps)),
        });
    }
    ops
}

#[test]
fn a_database_of_snapshots_satisfies_every_level() {
    for seed in 0..200 {
        let ops = snapshots(&mut Lcg::new(seed), 60);
        for checker in LEVELS {
            let verdict = random::verdict(checker, history(&ops));
            assert_eq!(verdict.validity, Validity::Valid, "{seed}: {verdict:#?}");
        }
    }
}

#[test]
fn a_small_budget_never_gives_a_wrong_answer() {
    let mut stopped = 0;
    for seed in 0..1_000 {
        let ops = random_history(&mut Lcg::new(seed));
        let record = Record {
            history: history(&ops),
            ..Record::default()
        };
        let allowed = allowed(&ops);
        for (level, checker) in LEVELS.into_iter().enumerate() {
            let budget = Budget {
                steps: seed % 30,
                bytes: 1 << 12,
            };
            let verdict = find(checker).expect("a checker").check(&record, budget);
            match verdict.validity {
                Validity::Valid => assert!(allowed[level], "seed {seed}"),
                Validity::Invalid => assert!(!allowed[level], "seed {seed}"),
                Validity::Unknown => {
                    stopped += u32::from(verdict.unknown.is_some_and(|why| why.code == "budget"));
                }
            }
        }
    }
    assert!(stopped > 300, "{stopped}");
}

/// Sessions as text, and how many of the levels hold.
const TEXTS: [(&str, usize); 6] = [
    (
        "w a 1\nw b 1\n=====\nr a 1\nw a 2\n=====\nr b 1\n-----\nr a 2\n",
        3,
    ),
    ("w a 1\n-----\nr b 5\n=====\nw b 5\n-----\nr a 1\n", 3),
    (
        "w a 1\n-----\nw a 2\n=====\nr a 2\nw b 7\n=====\nr a 1\nr b 7\n",
        2,
    ),
    (
        "w a 1\nw b 1\n=====\nw a 2\nw b 2\n=====\nr a 1\nr b 2\n",
        1,
    ),
    ("w a 1\n=====\nw a 2\n=====\nr a 1\nr a 2\n", 1),
    ("r a 3\n-----\nw b 4\n=====\nr b 4\n-----\nw a 3\n", 0),
];

#[test]
fn sessions_as_text_satisfy_the_levels_that_they_should() {
    for (text, holding) in TEXTS {
        let imported = tribunal_results::import::read(text.as_bytes(), None, None);
        let history = imported.expect("a history").history;
        let valid =
            |checker: &&&str| random::verdict(checker, history.clone()).validity == Validity::Valid;
        assert_eq!(LEVELS.iter().filter(valid).count(), holding, "{text}");
    }
}
