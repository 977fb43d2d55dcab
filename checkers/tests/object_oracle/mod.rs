//! Objects as their definitions have them: what one operation after the other does, every order
//! tried, and random histories that were linearizable until some answers were spoilt.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tribunal_results::{Answer, Assumptions, Micro, Operation, Outcome, Reason, Scalar, Seen};

use crate::random::{Lcg, Timed, failed, unknown};

/// Data types of which there are histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Queue,
    Drained,
    Stack,
    Set,
    SetRead,
    Counter,
    List,
    Owned,
    Anonymous,
    Keys,
    Refusing,
}

pub(crate) const TYPES: [Type; 11] = [
    Type::Queue,
    Type::Drained,
    Type::Stack,
    Type::Set,
    Type::SetRead,
    Type::Counter,
    Type::List,
    Type::Owned,
    Type::Anonymous,
    Type::Keys,
    Type::Refusing,
];

impl Type {
    pub(crate) fn assume(self) -> Assumptions {
        Assumptions {
            permits: 2,
            owned: self == Self::Owned,
            ..Assumptions::default()
        }
    }
}

/// Whatever an object may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Content {
    line: Vec<Scalar>,
    set: BTreeSet<Scalar>,
    sum: i64,
    held: BTreeMap<u64, u32>,
    keys: BTreeMap<Scalar, Seen>,
}

impl Content {
    /// What the operation does and answers now.
    pub(crate) fn answer(
        &mut self,
        process: u64,
        operation: &Operation,
        assume: &Assumptions,
    ) -> Outcome {
        let owner = if assume.owned { process } else { 0 };
        Outcome::Ok(match operation {
            Operation::Enqueue { value, .. } | Operation::Push { value, .. } => {
                self.line.push(value.clone());
                Answer::Done
            }
            Operation::Dequeue { .. } => {
                Answer::Value((!self.line.is_empty()).then(|| self.line.remove(0)))
            }
            Operation::Drain { .. } => Answer::Values(std::mem::take(&mut self.line)),
            Operation::Pop { .. } => Answer::Value(self.line.pop()),
            Operation::Add { value, .. } => Answer::Flag(self.set.insert(value.clone())),
            Operation::Remove { value, .. } => Answer::Flag(self.set.remove(value)),
            Operation::Contains { value, .. } => Answer::Flag(self.set.contains(value)),
            Operation::Members { .. } => Answer::Values(self.set.iter().rev().cloned().collect()),
            Operation::Increment { by, .. } => {
                self.sum += by;
                Answer::Done
            }
            Operation::Count { .. } => Answer::Value(Some(Scalar::Int(self.sum))),
            Operation::AcquirePermits { permits, .. } => {
                if self.held.values().sum::<u32>() + permits > assume.permits {
                    return failed();
                }
                *self.held.entry(owner).or_default() += permits;
                Answer::Done
            }
            Operation::ReleasePermits { permits, .. } => {
                let held = self.held.entry(owner).or_default();
                if *held < *permits {
                    return failed();
                }
                *held -= permits;
                Answer::Done
            }
            Operation::Cas { key, from, to } => {
                if self.keys.get(key) != Some(&Seen::Value(from.clone())) {
                    return failed();
                }
                self.keys.insert(key.clone(), Seen::Value(to.clone()));
                Answer::Done
            }
            Operation::Txn { micros } => {
                Answer::Txn(micros.iter().map(|m| self.micro(m)).collect())
            }
            Operation::Read { key } => Answer::Value(match self.keys.get(key) {
                Some(Seen::Value(value)) => Some(value.clone()),
                _ => None,
            }),
            Operation::Write { key, value } => {
                self.keys.insert(key.clone(), Seen::Value(value.clone()));
                Answer::Done
            }
            Operation::Elements { key } => Answer::Values(match self.keys.get(key) {
                Some(Seen::List(values)) => values.clone(),
                _ => Vec::new(),
            }),
            Operation::Append { key, value } => {
                self.append(key, value);
                Answer::Done
            }
            other => unreachable!("{other}"),
        })
    }

    fn append(&mut self, key: &Scalar, value: &Scalar) {
        let list = self
            .keys
            .entry(key.clone())
            .or_insert(Seen::List(Vec::new()));
        if let Seen::List(values) = list {
            values.push(value.clone());
        }
    }

    fn micro(&mut self, micro: &Micro) -> Micro {
        match micro {
            Micro::Write { key, value } => {
                self.keys.insert(key.clone(), Seen::Value(value.clone()));
            }
            Micro::Append { key, value } => self.append(key, value),
            Micro::Read { key, .. } => {
                return Micro::Read {
                    key: key.clone(),
                    seen: self.keys.get(key).cloned().unwrap_or_default(),
                };
            }
        }
        micro.clone()
    }
}

/// Whether the answer that was given is the one that would be given now.
fn agrees(operation: &Operation, given: &Outcome, now: &Outcome) -> bool {
    match (given, now) {
        (Outcome::Info(_), _) => true,
        // A refusal of a compare-and-set tells what was not there; other failures tell nothing.
        (Outcome::Fail(_), now) => matches!(now, Outcome::Fail(_)),
        (Outcome::Ok(Answer::Done), Outcome::Ok(_)) => true,
        (Outcome::Ok(Answer::Values(one)), Outcome::Ok(Answer::Values(two))) => {
            let set = matches!(operation, Operation::Members { .. });
            let sorted = |values: &[Scalar]| {
                let mut values = values.to_vec();
                values.sort();
                values
            };
            one == two || (set && sorted(one) == sorted(two))
        }
        (given, now) => given == now,
    }
}

/// One thing that happens at one instant: a drain is several, one after the other.
struct Act<'a> {
    op: &'a Timed,
    operation: Operation,
    outcome: Outcome,
    /// The act that must come before.
    after: Option<usize>,
}

fn acts<'a>(ops: &'a [Timed]) -> Vec<Act<'a>> {
    let mut acts: Vec<Act<'a>> = Vec::new();
    let puts = ops
        .iter()
        .filter(|op| matches!(op.operation, Operation::Enqueue { .. }));
    let puts = puts.count();
    for op in ops {
        let one = |operation: &Operation, outcome: Outcome, after| Act {
            op,
            operation: operation.clone(),
            outcome,
            after,
        };
        match (&op.operation, &op.outcome) {
            (Operation::Cas { .. }, Outcome::Fail(reason))
                if reason.code == "precondition-failed" => {}
            (_, Outcome::Fail(_)) => continue,
            (Operation::Drain { key }, outcome) => {
                let take = Operation::Dequeue { key: key.clone() };
                let outcomes: Vec<Outcome> = match outcome {
                    Outcome::Ok(Answer::Values(values)) => {
                        let values = values.iter().cloned().map(Some).chain([None]);
                        values.map(|v| Outcome::Ok(Answer::Value(v))).collect()
                    }
                    _ => vec![unknown(); puts],
                };
                for (at, outcome) in outcomes.into_iter().enumerate() {
                    let after = (at > 0).then(|| acts.len() - 1);
                    acts.push(one(&take, outcome, after));
                }
                continue;
            }
            _ => {}
        }
        acts.push(one(&op.operation, op.outcome.clone(), None));
    }
    acts
}

/// Tries every order; what is left in a state in which it did not fit is not tried there again.
pub(crate) fn linearizable(ops: &[Timed], assume: &Assumptions) -> bool {
    let acts = acts(ops);
    let mut left = (0..acts.len()).collect();
    go(
        &acts,
        &mut left,
        &Content::default(),
        assume,
        &mut HashSet::new(),
    )
}

fn go(
    acts: &[Act<'_>],
    left: &mut BTreeSet<usize>,
    now: &Content,
    assume: &Assumptions,
    tried: &mut HashSet<(BTreeSet<usize>, Content)>,
) -> bool {
    let certain = |at: &&usize| !matches!(acts[**at].op.outcome, Outcome::Info(_));
    let Some(due) = left.iter().filter(certain).map(|at| acts[*at].op.ret).min() else {
        return true;
    };
    if !tried.insert((left.clone(), now.clone())) {
        return false;
    }
    for at in left.iter().copied().collect::<Vec<_>>() {
        let act = &acts[at];
        if act.op.call > due || act.after.is_some_and(|before| left.contains(&before)) {
            continue;
        }
        let mut next = now.clone();
        let answer = next.answer(act.op.process, &act.operation, assume);
        let impossible =
            matches!(answer, Outcome::Fail(_)) && !matches!(act.outcome, Outcome::Fail(_));
        if impossible || !agrees(&act.operation, &act.outcome, &answer) {
            continue;
        }
        left.remove(&at);
        let fits = go(acts, left, &next, assume, tried);
        left.insert(at);
        if fits {
            return true;
        }
    }
    false
}

/// What histories are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    pub(crate) ops: u64,
    pub(crate) clients: u64,
    pub(crate) unknown: u64,
    pub(crate) spoilt: u64,
}

/// Each operation takes effect at a random instant of its interval; then some answers are spoilt.
pub(crate) fn generate(rng: &mut Lcg, kind: Type, mix: Mix) -> Vec<Timed> {
    let assume = kind.assume();
    let mut free: Vec<(u64, u64)> = (0..mix.clients).map(|client| (0, client)).collect();
    let mut drafts = Vec::new();
    for id in 0..mix.ops {
        let at = rng.below(free.len() as u64) as usize;
        let (since, process) = free[at];
        let call = since + 1 + rng.below(6);
        let instant = call + rng.below(12);
        let ret = instant + 1 + rng.below(12);
        let stamp = |time: u64| time * 1000 + id;
        let lost = rng.percent(mix.unknown);
        let timed = Timed {
            process,
            call: stamp(call),
            ret: stamp(ret),
            operation: operation(rng, kind, id as i64),
            outcome: unknown(),
        };
        drafts.push((stamp(instant), lost, rng.percent(50), timed));
        free[at] = (ret, if lost { process + mix.clients } else { process });
    }
    drafts.sort_by_key(|(instant, ..)| *instant);
    let mut content = Content::default();
    let mut ops: Vec<Timed> = Vec::new();
    for (_, lost, effective, mut op) in drafts {
        if !lost || effective {
            op.outcome = content.answer(op.process, &op.operation, &assume);
        }
        if lost {
            op.outcome = unknown();
        } else if matches!(op.outcome, Outcome::Ok(Answer::Flag(_)))
            && rng.percent(20)
            && !matches!(op.operation, Operation::Contains { .. })
        {
            op.outcome = Outcome::Ok(Answer::Done);
        }
        ops.push(op);
    }
    for at in 0..ops.len() {
        if rng.percent(mix.spoilt) {
            spoil(rng, &mut ops, at);
        }
    }
    ops
}

/// Gives an operation an answer that another one of its kind had, or that is a little different.
fn spoil(rng: &mut Lcg, ops: &mut [Timed], at: usize) {
    let other = rng.below(ops.len() as u64) as usize;
    let alike = ops[other].operation.kind() == ops[at].operation.kind();
    let theirs = ops[other].outcome.clone();
    let op = &mut ops[at];
    match &mut op.outcome {
        Outcome::Ok(Answer::Flag(flag)) => *flag = !*flag,
        Outcome::Ok(Answer::Value(Some(Scalar::Int(n))))
            if matches!(op.operation, Operation::Count { .. }) =>
        {
            *n += 1 - rng.below(3) as i64
        }
        Outcome::Ok(Answer::Values(values)) if !values.is_empty() && rng.percent(70) => {
            let at = rng.below(values.len() as u64) as usize;
            if rng.percent(50) {
                values.remove(at);
            } else {
                values.swap(0, at);
            }
        }
        Outcome::Ok(Answer::Txn(micros)) => {
            for micro in micros {
                if let Micro::Read { seen, .. } = micro {
                    *seen = Seen::Nothing;
                }
            }
        }
        Outcome::Ok(Answer::Done) if rng.percent(30) => {
            op.outcome = Outcome::Fail(Reason::new("unavailable", ""));
        }
        Outcome::Fail(_) => op.outcome = Outcome::Ok(Answer::Done),
        Outcome::Ok(Answer::Value(_)) if alike && matches!(theirs, Outcome::Ok(_)) => {
            op.outcome = theirs;
        }
        Outcome::Ok(Answer::Value(seen)) => {
            let value = Scalar::Int(rng.below(4) as i64);
            *seen = rng.percent(60).then_some(value);
        }
        _ => {}
    }
}

fn operation(rng: &mut Lcg, kind: Type, id: i64) -> Operation {
    let key = Scalar::from("k");
    let unique = rng.percent(60);
    let value = Scalar::Int(if unique { id } else { rng.below(3) as i64 });
    let small = Scalar::Int(rng.below(2) as i64);
    let dice = rng.below(100);
    match kind {
        Type::Queue | Type::Drained if dice < 50 => Operation::Enqueue { key, value },
        Type::Drained if dice < 75 => Operation::Drain { key },
        Type::Queue | Type::Drained => Operation::Dequeue { key },
        Type::Stack if dice < 50 => Operation::Push { key, value },
        Type::Stack => Operation::Pop { key },
        Type::SetRead if dice < 30 => Operation::Members { key },
        Type::Set | Type::SetRead if dice < 60 => Operation::Add { key, value: small },
        Type::Set | Type::SetRead if dice < 85 => Operation::Remove { key, value: small },
        Type::Set | Type::SetRead => Operation::Contains { key, value: small },
        Type::Counter if dice < 55 => Operation::Increment {
            key,
            by: [1, 1, 1, 2, -1][rng.below(5) as usize],
        },
        Type::Counter => Operation::Count { key },
        Type::List if dice < 55 => Operation::Append { key, value },
        Type::List => Operation::Elements { key },
        Type::Owned | Type::Anonymous => {
            let permits = 1 + u32::from(rng.percent(15));
            if dice < 55 {
                Operation::AcquirePermits { key, permits }
            } else {
                let token = None;
                Operation::ReleasePermits {
                    key,
                    permits,
                    token,
                }
            }
        }
        Type::Refusing if dice < 45 => Operation::Cas {
            key,
            from: small,
            to: Scalar::Int(rng.below(3) as i64),
        },
        Type::Refusing if dice < 75 => Operation::Write { key, value: small },
        Type::Refusing => Operation::Read { key },
        Type::Keys => keyed(rng, small),
    }
}

/// Registers `a` and `b` and the list `l`, alone and together.
fn keyed(rng: &mut Lcg, value: Scalar) -> Operation {
    let register = Scalar::from(["a", "b"][rng.below(2) as usize]);
    let list = Scalar::from("l");
    match rng.below(10) {
        0 => return Operation::Read { key: register },
        1 => {
            return Operation::Write {
                key: register,
                value,
            };
        }
        2 => return Operation::Elements { key: list },
        _ => {}
    }
    transaction(rng, &value)
}

/// One to three steps on these keys.
pub(crate) fn transaction(rng: &mut Lcg, value: &Scalar) -> Operation {
    let mut micros = Vec::new();
    for _ in 0..1 + rng.below(3) {
        let key = Scalar::from(["a", "b", "l"][rng.below(3) as usize]);
        let value = value.clone();
        micros.push(match (rng.percent(50), key == Scalar::from("l")) {
            (true, _) => Micro::Read {
                key,
                seen: Seen::Nothing,
            },
            (false, true) => Micro::Append { key, value },
            (false, false) => Micro::Write { key, value },
        });
    }
    Operation::Txn { micros }
}
