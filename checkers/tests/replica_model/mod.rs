//! Three replicas that gossip: a register by last-writer-wins with clocks that are apart, a set of
//! observed removals, a grow-only set and a counter.
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::collections::{BTreeMap, BTreeSet};

use tribunal_results::{Answer, Operation, Outcome, Record, Scalar};

use crate::random::{Lcg, Timed, timeline, unknown};

/// What is wrong with the replicas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Merging only fills in what is missing.
    KeepMine,
    /// Gossip ends before the last updates.
    NoGossipAtEnd,
    /// A replica forgets everything once.
    Amnesia,
    /// Merging counters adds what is already counted.
    CountTwice,
}

impl Fault {
    /// All but none.
    pub(crate) const BROKEN: [Self; 4] = [
        Self::KeepMine,
        Self::NoGossipAtEnd,
        Self::Amnesia,
        Self::CountTwice,
    ];
}

#[derive(Clone, Default)]
struct Replica {
    register: Option<((u64, usize), i64)>,
    tags: BTreeMap<u64, i64>,
    gone: BTreeSet<u64>,
    grown: BTreeSet<i64>,
    counts: BTreeMap<usize, i64>,
}

impl Replica {
    fn members(&self) -> BTreeSet<i64> {
        let live = self.tags.iter().filter(|(tag, _)| !self.gone.contains(tag));
        live.map(|(_, element)| *element).collect()
    }

    fn merge(&mut self, other: &Self, fault: Fault) {
        if fault != Fault::KeepMine || self.register.is_none() {
            self.register = self.register.max(other.register);
        }
        self.tags.extend(&other.tags);
        self.gone.extend(&other.gone);
        self.grown.extend(&other.grown);
        for (node, count) in &other.counts {
            let mine = self.counts.entry(*node).or_default();
            *mine = match fault {
                Fault::CountTwice => *mine + count,
                _ => *count.max(mine),
            };
        }
    }

    /// Does what it is asked, and answers.
    fn apply(&mut self, operation: &Operation, node: usize, now: u64, skew: u64) -> Answer {
        let list = |set: BTreeSet<i64>| Answer::Values(set.into_iter().map(Scalar::Int).collect());
        match operation {
            Operation::Write {
                value: Scalar::Int(value),
                ..
            } => {
                let latest = self.register.map_or(0, |((time, _), _)| time + 1);
                self.register = Some(((latest.max(now + skew), node), *value));
                Answer::Done
            }
            Operation::Add {
                key,
                value: Scalar::Int(value),
            } if *key == "grown".into() => {
                self.grown.insert(*value);
                Answer::Done
            }
            Operation::Add {
                value: Scalar::Int(value),
                ..
            } => {
                self.tags.insert(now, *value);
                Answer::Done
            }
            Operation::Remove {
                value: Scalar::Int(value),
                ..
            } => {
                let found = self.members().contains(value);
                let seen = self.tags.iter().filter(|(_, element)| *element == value);
                self.gone.extend(seen.map(|(tag, _)| *tag));
                Answer::Flag(found)
            }
            Operation::Increment { by, .. } => {
                *self.counts.entry(node).or_default() += by;
                Answer::Done
            }
            Operation::Read { .. } => Answer::Value(self.register.map(|(_, value)| value.into())),
            Operation::Members { key } if *key == "grown".into() => list(self.grown.clone()),
            Operation::Members { .. } => list(self.members()),
            _ => Answer::Value(Some(self.counts.values().sum::<i64>().into())),
        }
    }
}

fn operation(lcg: &mut Lcg, fresh: i64) -> Operation {
    let key = |name: &str| Scalar::from(name);
    let few = Scalar::Int(lcg.below(4) as i64);
    match lcg.below(9) {
        0 | 1 => Operation::Write {
            key: key("register"),
            value: fresh.into(),
        },
        2 | 3 => Operation::Add {
            key: key("set"),
            value: few,
        },
        4 => Operation::Remove {
            key: key("set"),
            value: few,
        },
        5 => Operation::Add {
            key: key("grown"),
            value: fresh.into(),
        },
        6 => Operation::Increment {
            key: key("counter"),
            by: 1 + lcg.below(3) as i64,
        },
        7 => Operation::Members { key: key("grown") },
        _ => Operation::Count {
            key: key("counter"),
        },
    }
}

/// A run of replicas with final reads at each.
pub(crate) fn cluster(lcg: &mut Lcg, fault: Fault) -> Record {
    let mut replicas = vec![Replica::default(); 3];
    let skews = [0, lcg.below(20), lcg.below(20)];
    let (mut ops, mut late) = (Vec::new(), Vec::new());
    let steps = 30 + lcg.below(40);
    let mut amnesia = fault == Fault::Amnesia;
    for now in 0..steps {
        let node = lcg.below(3) as usize;
        let stops = fault == Fault::NoGossipAtEnd && now > steps / 3;
        if lcg.percent(30) && !stops {
            let other = replicas[lcg.below(3) as usize].clone();
            replicas[node].merge(&other, fault);
            continue;
        }
        if amnesia && now > steps / 2 {
            replicas[node] = Replica::default();
            amnesia = false;
        }
        let operation = operation(lcg, now as i64);
        let lost = lcg.percent(12);
        let happens = !lost || lcg.percent(40);
        let outcome = match happens {
            true => Outcome::Ok(replicas[node].apply(&operation, node, now, skews[node])),
            false => {
                if lcg.percent(50) {
                    late.push((operation.clone(), node, now));
                }
                unknown()
            }
        };
        ops.push(Timed {
            process: now * 3 + node as u64,
            call: now * 10,
            ret: now * 10 + 5,
            operation,
            outcome: if lost { unknown() } else { outcome },
        });
    }
    if fault != Fault::NoGossipAtEnd {
        for _ in 0..2 {
            for node in 0..3 {
                for other in 0..3 {
                    let other = replicas[other].clone();
                    replicas[node].merge(&other, fault);
                }
            }
        }
    }
    for (at, node) in (0..12).map(|at| (at, at as usize % 3)) {
        // What was given up long ago may happen now.
        if lcg.percent(20)
            && let Some((operation, node, now)) = late.pop()
        {
            replicas[node].apply(&operation, node, now, skews[node]);
        }
        let key = |name: &str| Scalar::from(name);
        let operation = match at / 3 {
            0 => Operation::Read {
                key: key("register"),
            },
            1 => Operation::Members { key: key("set") },
            2 => Operation::Members { key: key("grown") },
            _ => Operation::Count {
                key: key("counter"),
            },
        };
        let answer = replicas[node].apply(&operation, node, 0, 0);
        let call = 10_000_000 + at * 10;
        ops.push(Timed {
            process: (steps + at) * 3 + node as u64,
            call,
            ret: call + 5,
            operation,
            outcome: Outcome::Ok(answer),
        });
    }
    let mut record = Record {
        history: timeline(&ops),
        ..Record::default()
    };
    record.assume.settle_ms = 1;
    record
}
