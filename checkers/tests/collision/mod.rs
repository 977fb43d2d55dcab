//! Histories in which everything collides.

use tribunal_results::{
    Answer, Assumptions, Kind, Micro, Operation, Outcome, Reason, Scalar, Seen,
};

use crate::object_oracle::{Content, transaction};
use crate::random::{Lcg, Timed, failed, unknown};

/// Data types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    Queue,
    Drained,
    Stack,
    Set,
    SetRead,
    GrowSet,
    List,
    /// Counted by ones only.
    Ones,
    Counter,
    Permits,
    Register,
    Cas,
    /// Each value written once.
    Unique,
    /// The same, with many compare-and-sets that are refused.
    Refused,
    Keys,
}

/// A data type, and what is taken for granted of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) data: Data,
    permits: u32,
    owned: bool,
}

const fn plain(data: Data) -> Subject {
    permits(data, 1, false)
}

const fn permits(data: Data, permits: u32, owned: bool) -> Subject {
    Subject {
        data,
        permits,
        owned,
    }
}

/// All of them.
pub(crate) const SUBJECTS: [Subject; 20] = [
    plain(Data::Queue),
    plain(Data::Drained),
    plain(Data::Stack),
    plain(Data::Set),
    plain(Data::SetRead),
    plain(Data::GrowSet),
    plain(Data::List),
    plain(Data::Ones),
    plain(Data::Counter),
    permits(Data::Permits, 1, false),
    permits(Data::Permits, 2, false),
    permits(Data::Permits, 3, false),
    permits(Data::Permits, 1, true),
    permits(Data::Permits, 2, true),
    permits(Data::Permits, 3, true),
    plain(Data::Register),
    plain(Data::Cas),
    plain(Data::Unique),
    plain(Data::Refused),
    plain(Data::Keys),
];

impl Subject {
    pub(crate) fn assume(self) -> Assumptions {
        Assumptions {
            permits: self.permits,
            owned: self.owned,
            ..Assumptions::default()
        }
    }
}

/// Some operations at once, their answers simulated or guessed, then changed here and there.
pub(crate) fn history_of(rng: &mut Lcg, subject: Subject) -> Vec<Timed> {
    let most = if rng.percent(25) { 9 } else { 6 };
    let count = 3 + rng.below(most);
    let (shape, width) = (rng.below(3), 1 + rng.below(count));
    let spans = spans(rng, count, shape, width);
    let lost = [0, 0, 10, 30, 60][rng.below(5) as usize];
    let changes = rng.below(7);
    made(rng, subject, spans, lost, changes)
}

/// More operations, a few at once.
pub(crate) fn long_history_of(rng: &mut Lcg, subject: Subject) -> Vec<Timed> {
    let count = 12 + rng.below(30);
    let width = 1 + rng.below(5);
    let spans = spans(rng, count, 1, width);
    let lost = [0, 3, 10][rng.below(3) as usize];
    let changes = rng.below(3);
    made(rng, subject, spans, lost, changes)
}

fn made(
    rng: &mut Lcg,
    subject: Subject,
    spans: Vec<(u64, u64)>,
    lost: u64,
    changes: u64,
) -> Vec<Timed> {
    // Few values, or one for each operation.
    let fresh = rng.percent(40);
    let values = if fresh {
        spans.len() as u64
    } else {
        1 + rng.below(3)
    };
    let mut ops: Vec<Timed> = spans
        .into_iter()
        .zip(0..)
        .map(|((call, ret), id)| Timed {
            process: id,
            call,
            ret,
            operation: operation(rng, subject, (values, fresh), id),
            outcome: unknown(),
        })
        .collect();
    seat(rng, &mut ops);
    answer(rng, &mut ops, subject);
    for op in &mut ops {
        if rng.percent(lost) {
            op.outcome = unknown();
        }
    }
    for _ in 0..changes {
        change(rng, &mut ops, values);
    }
    part(&mut ops);
    ops
}

/// When operations are called and return: all at once, a few at once, or anyhow.
fn spans(rng: &mut Lcg, count: u64, shape: u64, width: u64) -> Vec<(u64, u64)> {
    let mut events: Vec<(u64, u64, bool)> = Vec::new();
    for id in 0..count {
        let (call, ret) = match shape {
            0 => (rng.below(50), 50 + rng.below(50)),
            1 => {
                let call = id * 10 + rng.below(10);
                (call, call + 1 + rng.below(width * 10))
            }
            _ => {
                let (a, b) = (rng.below(100), rng.below(100));
                (a.min(b), a.max(b))
            }
        };
        events.push((call, id, false));
        events.push((ret, id, true));
    }
    events.sort_by_key(|(at, id, ends)| (*at, *ends, *id));
    let mut spans = vec![(0, 0); count as usize];
    for ((_, id, ends), at) in events.into_iter().zip(1..) {
        let span = &mut spans[id as usize];
        *(if ends { &mut span.1 } else { &mut span.0 }) = at * 10;
    }
    spans.sort_unstable();
    spans
}

/// Gives operations one after the other to one process, often.
fn seat(rng: &mut Lcg, ops: &mut [Timed]) {
    for at in 1..ops.len() {
        let (before, after) = ops.split_at_mut(at);
        let op = &mut after[0];
        let free = |process: u64| {
            let mut theirs = before.iter().filter(|other| other.process == process);
            theirs.all(|other| other.ret < op.call)
        };
        let process = before[rng.below(at as u64) as usize].process;
        if rng.percent(80) && free(process) {
            op.process = process;
        }
    }
}

/// Gives a process of its own to each operation that its process could not have called.
fn part(ops: &mut [Timed]) {
    ops.sort_by_key(|op| op.call);
    for at in 0..ops.len() {
        let (before, after) = ops.split_at_mut(at);
        let op = &mut after[0];
        let busy = |other: &&Timed| {
            let lost = matches!(other.outcome, Outcome::Info(_));
            other.process == op.process && (lost || other.ret > op.call)
        };
        if before.iter().any(|other| busy(&other)) {
            op.process = 100 + at as u64;
        }
    }
}

/// What they answer if each takes effect at some instant of its own.
fn answer(rng: &mut Lcg, ops: &mut [Timed], subject: Subject) {
    let mut order: Vec<(u64, usize)> = ops
        .iter()
        .map(|op| op.call + 1 + rng.below(op.ret - op.call - 1))
        .zip(0..)
        .collect();
    order.sort_unstable();
    let mut content = Content::default();
    for (_, at) in order {
        let op = &mut ops[at];
        let assume = subject.assume();
        op.outcome = content.answer(op.process, &op.operation, &assume);
        let flag = matches!(op.outcome, Outcome::Ok(Answer::Flag(_)));
        if flag && op.operation.kind().mutates() && rng.percent(8) {
            op.outcome = Outcome::Ok(Answer::Done);
        }
    }
}

/// Changes something that might have been otherwise.
fn change(rng: &mut Lcg, ops: &mut Vec<Timed>, values: u64) {
    let at = rng.below(ops.len() as u64) as usize;
    let other = rng.below(ops.len() as u64) as usize;
    match rng.below(9) {
        0 if alike(&ops[at].operation, &ops[other].operation) => {
            let theirs = ops[other].outcome.clone();
            ops[other].outcome = std::mem::replace(&mut ops[at].outcome, theirs);
        }
        1 => shift(ops, at, rng.percent(50), rng.percent(50)),
        2 => ops[at].outcome = unknown(),
        3 => {
            let mut twin = ops[at].clone();
            twin.call += 1;
            twin.ret += 1 + 10 * rng.below(3);
            while ops
                .iter()
                .any(|op| op.ret == twin.ret || op.call == twin.ret)
            {
                twin.ret += 1;
            }
            while ops
                .iter()
                .any(|op| op.ret == twin.call || op.call == twin.call)
            {
                twin.call += 1;
            }
            if twin.call < twin.ret {
                ops.push(twin);
            }
        }
        4 if ops[at].operation.kind().mutates() => {
            ops[at].outcome = if rng.percent(70) {
                failed()
            } else {
                Outcome::Fail(Reason::new("unavailable", ""))
            };
        }
        _ => guess(rng, &mut ops[at], values),
    }
}

/// Whether one may have the answer of the other.
fn alike(one: &Operation, other: &Operation) -> bool {
    one.kind() == other.kind() && (one.kind() != Kind::Txn || one == other)
}

/// Moves a call or a return over the next event, or the one before.
fn shift(ops: &mut [Timed], at: usize, ret: bool, later: bool) {
    let moved = if ret { ops[at].ret } else { ops[at].call };
    let points = ops.iter().flat_map(|op| [op.call, op.ret]);
    let next = if later {
        points.filter(|point| *point > moved).min()
    } else {
        points.filter(|point| *point < moved).max()
    };
    let Some(next) = next.filter(|next| ![ops[at].call, ops[at].ret].contains(next)) else {
        return;
    };
    for op in ops {
        for point in [&mut op.call, &mut op.ret] {
            if *point == moved {
                *point = next;
            } else if *point == next {
                *point = moved;
            }
        }
    }
}

fn some(rng: &mut Lcg, values: u64) -> Scalar {
    Scalar::Int(rng.below(values) as i64)
}

/// An answer that operations of its kind may have.
fn guess(rng: &mut Lcg, op: &mut Timed, values: u64) {
    let key = op.operation.key().cloned();
    op.outcome = Outcome::Ok(match &op.operation {
        Operation::Dequeue { .. } | Operation::Pop { .. } | Operation::Read { .. } => {
            Answer::Value(rng.percent(75).then(|| some(rng, values)))
        }
        Operation::Add { .. } | Operation::Remove { .. } => match rng.below(9) {
            0 => Answer::Done,
            n => Answer::Flag(n > 4),
        },
        Operation::Contains { .. } => Answer::Flag(rng.percent(50)),
        Operation::Members { .. } => {
            let all = (0..values as i64).map(Scalar::Int);
            let mut seen: Vec<Scalar> = all.filter(|_| rng.percent(50)).collect();
            if rng.percent(5) {
                seen.push(some(rng, values));
            }
            Answer::Values(seen)
        }
        Operation::Drain { .. } | Operation::Elements { .. } => {
            let count = rng.below(4);
            Answer::Values((0..count).map(|_| some(rng, values)).collect())
        }
        Operation::Count { .. } => Answer::Value(Some(Scalar::Int(rng.below(6) as i64 - 1))),
        Operation::Txn { micros } => {
            let mut micros = micros.clone();
            for micro in &mut micros {
                if let Micro::Read { key, seen } = micro {
                    let list = *key == Scalar::from("l");
                    *seen = match rng.below(4) {
                        0 => Seen::Nothing,
                        _ if list => Seen::List(vec![some(rng, values)]),
                        _ => Seen::Value(some(rng, values)),
                    };
                }
            }
            Answer::Txn(micros)
        }
        _ => Answer::Done,
    });
    let refusable = matches!(op.operation, Operation::Cas { .. }) && key.is_some();
    if refusable && rng.percent(50) {
        op.outcome = failed();
    }
}

fn operation(rng: &mut Lcg, subject: Subject, (values, unique): (u64, bool), id: u64) -> Operation {
    let key = Scalar::from("k");
    let value = match subject.data {
        Data::Set | Data::SetRead => some(rng, values.min(3)),
        _ if unique => Scalar::Int(id as i64),
        _ => some(rng, values),
    };
    let dice = rng.below(100);
    let fresh = Scalar::Int(id as i64);
    match subject.data {
        Data::Queue | Data::Drained if dice < 50 => Operation::Enqueue { key, value },
        Data::Drained if dice < 75 => Operation::Drain { key },
        Data::Queue | Data::Drained => Operation::Dequeue { key },
        Data::Stack if dice < 50 => Operation::Push { key, value },
        Data::Stack => Operation::Pop { key },
        Data::SetRead if dice < 30 => Operation::Members { key },
        Data::GrowSet if dice < 50 => Operation::Members { key },
        Data::Set | Data::SetRead if dice < 60 => Operation::Add { key, value },
        Data::Set | Data::SetRead if dice < 85 => Operation::Remove { key, value },
        Data::Set | Data::SetRead => Operation::Contains { key, value },
        Data::GrowSet => Operation::Add { key, value },
        Data::List if dice < 55 => Operation::Append { key, value },
        Data::List => Operation::Elements { key },
        Data::Ones if dice < 50 => Operation::Increment { key, by: 1 },
        Data::Counter if dice < 50 => Operation::Increment {
            key,
            by: rng.below(4) as i64 - 1,
        },
        Data::Ones | Data::Counter => Operation::Count { key },
        Data::Permits => permitted(rng, key, subject.permits),
        Data::Register | Data::Cas if dice < 40 => Operation::Write { key, value },
        Data::Unique | Data::Refused if dice < 25 => Operation::Write { key, value: fresh },
        Data::Cas if dice < 75 => Operation::Cas {
            key,
            from: value,
            to: some(rng, values),
        },
        Data::Unique | Data::Refused if dice < 75 => Operation::Cas {
            key,
            from: some(rng, id.max(1) + u64::from(subject.data == Data::Refused)),
            to: fresh,
        },
        Data::Register | Data::Cas | Data::Unique | Data::Refused => Operation::Read { key },
        Data::Keys => keyed(rng, value),
    }
}

fn permitted(rng: &mut Lcg, key: Scalar, most: u32) -> Operation {
    let permits = if rng.percent(80) {
        1
    } else {
        rng.below(u64::from(most) + 2) as u32
    };
    if rng.percent(55) {
        return Operation::AcquirePermits { key, permits };
    }
    Operation::ReleasePermits {
        key,
        permits,
        token: None,
    }
}

/// Registers `a` and `b` and the list `l`, alone and together.
fn keyed(rng: &mut Lcg, value: Scalar) -> Operation {
    let register = Scalar::from(["a", "b"][rng.below(2) as usize]);
    let list = Scalar::from("l");
    match rng.below(12) {
        0 => return Operation::Read { key: register },
        1 => {
            let key = register;
            return Operation::Write { key, value };
        }
        2 => return Operation::Elements { key: list },
        3 => return Operation::Append { key: list, value },
        _ => {}
    }
    transaction(rng, &value)
}
