//! Convergence, compared with all subsets of the updates of unknown end; and simulated replicas
//! that converge, or do not.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

mod random;
mod replica_model;

use std::collections::BTreeSet;

use random::{Lcg, Timed, failed, timeline, unknown};
use replica_model::{Fault, cluster};
use tribunal_checkers::{Budget, find, verify};
use tribunal_results::{Answer, Call, Operation, Outcome, Record, Scalar, Validity, Verdict};

fn rounds(usual: u64) -> u64 {
    let wanted = std::env::var("TRIBUNAL_RANDOM_HISTORIES").ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(usual)
}

fn check(record: &Record) -> Verdict {
    let checker = find("convergence").expect("a checker");
    checker.check(record, Budget::default())
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Family {
    Register,
    Set,
    Counter,
    List,
}

fn key() -> Scalar {
    "x".into()
}

fn update(lcg: &mut Lcg, family: Family) -> (Operation, Answer) {
    let value = Scalar::Int(1 + lcg.below(3) as i64);
    let by = lcg.below(4) as i64 - i64::from(lcg.percent(20)) * 2;
    match family {
        Family::Register => (Operation::Write { key: key(), value }, Answer::Done),
        Family::Set if lcg.percent(30) => {
            let found = Answer::Flag(lcg.percent(60));
            (Operation::Remove { key: key(), value }, found)
        }
        Family::Set => (Operation::Add { key: key(), value }, Answer::Done),
        Family::Counter => (Operation::Increment { key: key(), by }, Answer::Done),
        Family::List => (Operation::Append { key: key(), value }, Answer::Done),
    }
}

/// Some state, likely one that the updates explain.
fn state(lcg: &mut Lcg, family: Family, updates: &[Timed]) -> Answer {
    let taken: Vec<&Timed> = updates
        .iter()
        .filter(|op| match op.outcome {
            Outcome::Ok(_) => lcg.percent(88),
            Outcome::Info(_) => lcg.percent(50),
            Outcome::Fail(_) => lcg.percent(10),
        })
        .collect();
    let mut values = Vec::new();
    let mut sum = 0;
    for op in taken {
        match &op.operation {
            Operation::Increment { by, .. } => sum += by,
            Operation::Remove { value, .. } if lcg.percent(70) => values.retain(|v| v != value),
            Operation::Write { value, .. }
            | Operation::Add { value, .. }
            | Operation::Append { value, .. } => values.push(value.clone()),
            _ => {}
        }
    }
    match family {
        Family::Register => Answer::Value(values.pop()),
        Family::Counter => Answer::Value(Some(sum.into())),
        Family::Set | Family::List => Answer::Values(values),
    }
}

fn read(family: Family) -> Operation {
    match family {
        Family::Register => Operation::Read { key: key() },
        Family::Set => Operation::Members { key: key() },
        Family::Counter => Operation::Count { key: key() },
        Family::List => Operation::Elements { key: key() },
    }
}

const SETTLED: u64 = 5_000_000;

/// A few updates, perhaps a read or two meanwhile, and final reads.
fn history(lcg: &mut Lcg, family: Family) -> Record {
    let mut ops = Vec::new();
    for process in 0..1 + lcg.below(4) {
        let (operation, answer) = update(lcg, family);
        let call = lcg.below(20) * 100 + process;
        ops.push(Timed {
            process,
            call,
            ret: call + 1 + (1 + lcg.below(9)) * 100,
            operation,
            outcome: match lcg.below(100) {
                0..60 => Outcome::Ok(answer),
                60..88 => unknown(),
                _ => failed(),
            },
        });
    }
    let updates = ops.clone();
    let mut agreed = state(lcg, family, &updates);
    for at in 0..1 + lcg.below(5) {
        let early = lcg.percent(30);
        if lcg.percent(25) {
            agreed = state(lcg, family, &updates);
        }
        let process = 10 + at * 3 + lcg.below(3);
        let call = if early { 1_000 } else { SETTLED } + lcg.below(30) * 100 + 50 + at;
        ops.push(Timed {
            process,
            call,
            ret: call + 1 + lcg.below(5) * 100 + 20,
            operation: read(family),
            outcome: Outcome::Ok(agreed.clone()),
        });
    }
    let mut record = Record {
        history: timeline(&ops),
        ..Record::default()
    };
    record.assume.settle_ms = 1;
    record
}

/// The definitions, by trying everything.
struct Oracle<'a> {
    updates: Vec<&'a Call>,
    reads: Vec<&'a Call>,
}

fn values(call: &Call) -> Vec<Scalar> {
    match &call.outcome {
        Outcome::Ok(Answer::Values(values)) => values.clone(),
        Outcome::Ok(Answer::Value(value)) => value.iter().cloned().collect(),
        _ => Vec::new(),
    }
}

fn value(call: &Call) -> Option<&Scalar> {
    match &call.operation {
        Operation::Write { value, .. }
        | Operation::Add { value, .. }
        | Operation::Append { value, .. } => Some(value),
        _ => None,
    }
}

fn removes(call: &Call, element: &Scalar) -> bool {
    matches!(&call.operation, Operation::Remove { value, .. } if value == element)
}

impl<'a> Oracle<'a> {
    fn new(record: &'a Record) -> Self {
        let (updates, reads) = record
            .history
            .calls()
            .iter()
            .partition(|call| call.operation.kind().mutates());
        Self { updates, reads }
    }

    fn finals(&self) -> Vec<&'a Call> {
        let is_final = |call: &&&Call| call.invoked.time >= SETTLED;
        let mut finals: Vec<&Call> = Vec::new();
        for read in self.reads.iter().filter(is_final) {
            finals.retain(|other| other.node != read.node);
            finals.push(read);
        }
        finals
    }

    /// Every choice of what took effect: what was acknowledged, and some of the rest.
    fn choices(&self) -> Vec<Vec<&'a Call>> {
        let perhaps: Vec<&Call> = self
            .updates
            .iter()
            .filter(|c| c.is_info())
            .copied()
            .collect();
        let choice = |bits: u32| {
            let ok = self.updates.iter().filter(|c| c.is_ok()).copied();
            let some = perhaps
                .iter()
                .enumerate()
                .filter(move |(at, _)| bits >> at & 1 == 1);
            ok.chain(some.map(|(_, call)| *call)).collect()
        };
        (0..1 << perhaps.len()).map(choice).collect()
    }

    fn explained(&self, family: Family, read: &Call) -> bool {
        let shown = values(read);
        self.choices().into_iter().any(|done| {
            let put = |v: &Scalar| done.iter().filter(|c| value(c) == Some(v)).count();
            match family {
                Family::Register => match shown.first() {
                    None => done.is_empty(),
                    Some(shown) => put(shown) > 0,
                },
                Family::Counter => {
                    let by = |c: &&Call| match c.operation {
                        Operation::Increment { by, .. } => by,
                        _ => 0,
                    };
                    shown == [Scalar::Int(done.iter().map(by).sum())]
                }
                Family::Set => (1..4).map(Scalar::Int).all(|element| {
                    let removed = done.iter().any(|c| removes(c, &element));
                    let found = |c: &&Call| {
                        removes(c, &element) && c.outcome == Outcome::Ok(Answer::Flag(true))
                    };
                    // All that may have added it, since any may still do so.
                    let adds = self
                        .updates
                        .iter()
                        .filter(|c| !c.is_fail() && value(c) == Some(&element));
                    let gone = adds.count() == 1 && put(&element) == 1 && done.iter().any(found);
                    match shown.contains(&element) {
                        true => put(&element) > 0 && !gone,
                        false => put(&element) == 0 || removed,
                    }
                }),
                Family::List => (1..4).map(Scalar::Int).all(|element| {
                    put(&element) == shown.iter().filter(|v| **v == element).count()
                }),
            }
        })
    }

    /// Whether one state and late updates of unknown end make all final reads.
    fn agree(&self, family: Family) -> bool {
        let finals = self.finals();
        let late = |v: &Scalar| {
            let about = |c: &&&Call| c.is_info() && (value(c) == Some(v) || removes(c, v));
            self.updates.iter().any(|c| about(&c))
        };
        let states: Vec<Vec<Scalar>> = finals.iter().map(|read| values(read)).collect();
        match family {
            Family::Counter => {
                let any = self.updates.iter().any(|c| c.is_info());
                any || states.windows(2).all(|pair| pair[0] == pair[1])
            }
            Family::Register => {
                let base = states.iter().find(|s| !s.first().is_some_and(late));
                base.is_none_or(|base| {
                    states
                        .iter()
                        .all(|s| s == base || s.first().is_some_and(late))
                })
            }
            Family::Set => (1..4).map(Scalar::Int).all(|element| {
                let has: BTreeSet<bool> = states.iter().map(|s| s.contains(&element)).collect();
                has.len() < 2 || late(&element)
            }),
            Family::List => {
                // Every list without some of what may have come late.
                let shorter = |list: &Vec<Scalar>| -> BTreeSet<Vec<Scalar>> {
                    let without = |bits: u32| {
                        let kept = list
                            .iter()
                            .enumerate()
                            .filter(|(at, v)| bits >> at & 1 == 1 || !late(v));
                        kept.map(|(_, v)| v.clone()).collect()
                    };
                    (0..1 << list.len()).map(without).collect()
                };
                let common = states.iter().map(shorter).reduce(|a, b| &a & &b);
                common.is_none_or(|common| !common.is_empty())
            }
        }
    }

    fn went_back(&self, family: Family) -> bool {
        let shrinks = |c: &&Call| {
            let less = matches!(c.operation, Operation::Increment { by, .. } if by < 0);
            !c.is_fail() && (less || matches!(c.operation, Operation::Remove { .. }))
        };
        if matches!(family, Family::Register | Family::List) || self.updates.iter().any(shrinks) {
            return false;
        }
        self.reads.iter().any(|first| {
            self.reads.iter().any(|second| {
                let after = first.completed.is_some_and(|end| end < second.invoked);
                let (was, is) = (values(first), values(second));
                let less = match family {
                    Family::Counter => was > is,
                    _ => was.iter().any(|v| !is.contains(v)),
                };
                after && first.node == second.node && less
            })
        })
    }
}

/// What the definitions come to: the validity and, if nobody can tell, why.
fn truth(record: &Record, family: Family) -> (Validity, Option<&'static str>) {
    let oracle = Oracle::new(record);
    let finals = oracle.finals();
    let explained = finals.iter().all(|read| oracle.explained(family, read));
    if !explained || !oracle.agree(family) || oracle.went_back(family) {
        return (Validity::Invalid, None);
    }
    let state = |read: &&Call| {
        let mut state = values(read);
        if family == Family::Set {
            state.sort_unstable();
            state.dedup();
        }
        state
    };
    let states: BTreeSet<Vec<Scalar>> = finals.iter().map(state).collect();
    if states.len() > 1 {
        (Validity::Unknown, Some("late-update"))
    } else if finals.len() < 2 || !oracle.updates.iter().any(|c| c.is_ok()) {
        (Validity::Unknown, Some("vacuous"))
    } else {
        (Validity::Valid, None)
    }
}

fn verified(record: &Record, verdict: &Verdict) {
    for anomaly in &verdict.anomalies {
        assert_eq!(verify::witness(record, anomaly), Ok(()), "{anomaly:#?}");
        for at in 0..anomaly.calls.len() {
            let mut tampered = anomaly.clone();
            tampered.calls.remove(at);
            // That a value's only writer was refused explains, but is not needed.
            let refused = record
                .history
                .call_at(anomaly.calls[at])
                .is_some_and(Call::is_fail);
            let derived = verify::witness(record, &tampered);
            assert!(derived.is_err() || refused, "{anomaly:#?}");
        }
    }
}

#[test]
fn settled_objects_are_judged_as_all_subsets_of_unknown_updates_say() {
    let (mut invalid, mut valid, mut late) = (0, 0, 0);
    let total = rounds(20_000);
    for seed in 0..total {
        let lcg = &mut Lcg::new(seed);
        let family =
            [Family::Register, Family::Set, Family::Counter, Family::List][lcg.below(4) as usize];
        let record = history(lcg, family);
        let verdict = check(&record);
        let code = verdict.unknown.as_ref().map(|reason| reason.code.as_str());
        assert_eq!(
            (verdict.validity, code),
            truth(&record, family),
            "seed {seed}: {verdict:#?} {:#?}",
            record.history.calls()
        );
        verified(&record, &verdict);
        invalid += u64::from(verdict.validity == Validity::Invalid);
        valid += u64::from(verdict.validity == Validity::Valid);
        late += u64::from(code == Some("late-update"));
    }
    let counts = (invalid, valid, late);
    assert!(invalid > total / 10, "{counts:?}");
    assert!(valid > total / 10, "{counts:?}");
    assert!(late > total / 100, "{counts:?}");
}

#[test]
fn replicas_that_merge_are_never_flagged_and_broken_ones_are() {
    let mut found = [0_u64; 4];
    let total = rounds(600).min(20_000);
    for seed in 0..total {
        let sound = cluster(&mut Lcg::new(seed), Fault::None);
        let verdict = check(&sound);
        assert_ne!(
            verdict.validity,
            Validity::Invalid,
            "seed {seed}: {verdict:#?}"
        );
        for (at, fault) in Fault::BROKEN.into_iter().enumerate() {
            let record = cluster(&mut Lcg::new(seed), fault);
            let verdict = check(&record);
            verified(&record, &verdict);
            found[at] += u64::from(verdict.validity == Validity::Invalid);
        }
    }
    // Not every run gives each fault something to break.
    assert!(found.iter().all(|found| *found > total / 4), "{found:?}");
}
