//! The definitions of the accounting checkers, tried out: quadratic, and without any idea of the
//! checkers'; and all orders of a few operations.

pub(crate) mod world;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tribunal_results::{
    Anomaly, Answer, Call, History, Micro, Operation, Outcome, Row, Scalar, Seen,
};

use crate::random::Timed;

/// What a definition says: whether the history contradicts it, and figures.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) invalid: bool,
    pub(crate) figures: BTreeMap<&'static str, u64>,
}

fn ok(op: &Timed) -> bool {
    matches!(op.outcome, Outcome::Ok(_))
}

fn info(op: &Timed) -> bool {
    matches!(op.outcome, Outcome::Info(_))
}

fn fail(op: &Timed) -> bool {
    matches!(op.outcome, Outcome::Fail(_))
}

fn added(op: &Timed) -> Option<&Scalar> {
    match &op.operation {
        Operation::Add { value, .. } | Operation::Enqueue { value, .. } => Some(value),
        _ => None,
    }
}

fn got(op: &Timed) -> &[Scalar] {
    match &op.outcome {
        Outcome::Ok(Answer::Values(values)) => values,
        Outcome::Ok(Answer::Value(Some(value))) => std::slice::from_ref(value),
        _ => &[],
    }
}

fn members(ops: &[Timed]) -> Vec<&Timed> {
    let read = |op: &&Timed| ok(op) && matches!(op.operation, Operation::Members { .. });
    ops.iter().filter(read).collect()
}

fn removed(ops: &[Timed], element: &Scalar) -> bool {
    ops.iter().any(|op| {
        !fail(op) && matches!(&op.operation, Operation::Remove { value, .. } if value == element)
    })
}

/// Adds of an element that may have taken effect.
fn attempts<'a>(ops: &'a [Timed], element: &'a Scalar) -> impl Iterator<Item = &'a Timed> {
    ops.iter()
        .filter(move |op| added(op) == Some(element) && !fail(op))
}

fn elements(ops: &[Timed]) -> BTreeSet<&Scalar> {
    ops.iter()
        .filter_map(added)
        .chain(ops.iter().flat_map(got))
        .collect()
}

/// `set`, element by element.
pub(crate) fn set(ops: &[Timed]) -> Said {
    let reads = members(ops);
    let last = reads.iter().max_by_key(|op| op.ret);
    let mut counts = [0; 4];
    for element in elements(ops) {
        let Some(last) = last else { break };
        let present = got(last).contains(element);
        let possible = attempts(ops, element).any(|add| add.call < last.ret);
        let acknowledged = attempts(ops, element).any(ok);
        let due = attempts(ops, element).any(|add| ok(add) && add.ret < last.call);
        counts[0] += u64::from(present && possible);
        counts[1] += u64::from(!present && due && !removed(ops, element));
        counts[2] += u64::from(present && !possible);
        counts[3] += u64::from(present && possible && !acknowledged);
    }
    let names = [
        "ok-count",
        "lost-count",
        "unexpected-count",
        "recovered-count",
    ];
    Said {
        invalid: counts[1] + counts[2] > 0,
        figures: names.into_iter().zip(counts).collect(),
    }
}

/// `set-full` as Jepsen defines it, element by element; reads must be fresh.
pub(crate) fn set_full(ops: &[Timed]) -> Said {
    let reads = members(ops);
    let mut counts = [0; 5];
    let mut strange = false;
    for element in elements(ops) {
        let has = |read: &&&Timed| got(read).contains(element);
        for read in reads.iter().filter(has) {
            let times = got(read).iter().filter(|other| *other == element).count();
            strange |= times > 1 || !attempts(ops, element).any(|add| add.call < read.ret);
        }
        let twice = |read: &&Timed| got(read).iter().filter(|e| *e == element).count() > 1;
        counts[4] += u64::from(reads.iter().any(twice));
        if attempts(ops, element).next().is_none() || removed(ops, element) {
            continue;
        }
        let adds = attempts(ops, element)
            .filter(|add| ok(add))
            .map(|add| add.ret);
        let known = adds
            .chain(reads.iter().filter(has).map(|read| read.ret))
            .min();
        let present = reads.iter().filter(has).map(|read| read.call).max();
        let absent = reads
            .iter()
            .filter(|read| !has(read))
            .map(|read| read.call)
            .max();
        let stable = present.is_some() && absent < present;
        let missed = known.is_some() && absent > known;
        counts[0] += u64::from(stable);
        let gone = !stable && missed && absent > present;
        let again = reads.iter().filter(has).any(|read| Some(read.ret) > absent);
        counts[1] += u64::from(gone && !again);
        counts[2] += u64::from(!(stable || gone));
        counts[3] += u64::from(stable && missed);
    }
    let names = [
        "stable-count",
        "lost-count",
        "never-read-count",
        "stale-count",
        "duplicated-count",
    ];
    Said {
        invalid: strange || counts[1] + counts[3] > 0,
        figures: names.into_iter().zip(counts).collect(),
    }
}

/// `total-queue` by multisets, and a matching of missing elements with unknown dequeues.
pub(crate) fn total_queue(ops: &[Timed]) -> Said {
    let drain = |op: &Timed| matches!(op.operation, Operation::Drain { .. });
    let empty =
        |op: &Timed| (drain(op) && ok(op)) || op.outcome == Outcome::Ok(Answer::Value(None));
    let dequeue = |op: &&Timed| info(op) && matches!(op.operation, Operation::Dequeue { .. });
    let unknown: Vec<u64> = ops.iter().filter(dequeue).map(|op| op.call).collect();
    let mut counts = [0; 4];
    let mut invalid = false;
    let mut deadlines = Vec::new();
    for element in elements(ops) {
        let tries = attempts(ops, element).count();
        let takers = ops.iter().filter(|op| added(op).is_none());
        let takes = |op: &&Timed| got(op).iter().filter(|e| *e == element).count();
        let taken: usize = takers.clone().map(|op| takes(&op)).sum();
        let due = |add: &Timed| {
            let after = ops.iter().filter(|op| empty(op) && op.call > add.ret);
            after.map(|op| op.ret).min().unwrap_or(u64::MAX)
        };
        let mut kept: Vec<u64> = attempts(ops, element)
            .filter(|op| ok(op))
            .map(due)
            .collect();
        kept.sort_unstable();
        counts[0] += taken.min(tries) as u64;
        counts[1] += if tries > 0 {
            taken.saturating_sub(tries) as u64
        } else {
            0
        };
        counts[2] += taken.min(tries).saturating_sub(kept.len()) as u64;
        let early = |op: &Timed| !attempts(ops, element).any(|add| add.call < op.ret);
        invalid |= takers.filter(|op| takes(op) > 0).any(early);
        let drained = |due: &u64| ops.iter().any(|op| drain(op) && info(op) && op.call < *due);
        let missing = kept.into_iter().skip(taken);
        deadlines.extend(missing.filter(|due| *due < u64::MAX && !drained(due)));
    }
    let matched = matching(&deadlines, &unknown);
    counts[3] = (deadlines.len() - matched) as u64;
    let names = [
        "ok-count",
        "duplicated-count",
        "recovered-count",
        "lost-count",
    ];
    Said {
        invalid: invalid || counts[3] > 0,
        figures: names.into_iter().zip(counts).collect(),
    }
}

/// The most elements that can each be given a taker of its own (augmenting paths).
fn matching(deadlines: &[u64], takers: &[u64]) -> usize {
    fn place(e: usize, d: &[u64], t: &[u64], of: &mut [Option<usize>], seen: &mut [bool]) -> bool {
        for at in 0..t.len() {
            if t[at] < d[e] && !std::mem::replace(&mut seen[at], true) {
                let free = of[at].is_none_or(|other| place(other, d, t, of, seen));
                if free {
                    of[at] = Some(e);
                    return true;
                }
            }
        }
        false
    }
    let mut of = vec![None; takers.len()];
    let placed = |e: &usize| {
        let mut seen = vec![false; takers.len()];
        place(*e, deadlines, takers, &mut of, &mut seen)
    };
    (0..deadlines.len()).filter(placed).count()
}

fn count(op: &Timed) -> Option<i64> {
    match (&op.operation, &op.outcome) {
        (Operation::Count { .. }, Outcome::Ok(Answer::Value(Some(Scalar::Int(n))))) => Some(*n),
        _ => None,
    }
}

const fn by(op: &Timed) -> Option<i64> {
    match op.operation {
        Operation::Increment { by, .. } => Some(by),
        _ => None,
    }
}

/// `counter`: bounds, and pairs of reads.
pub(crate) fn counter(ops: &[Timed]) -> Said {
    let (mut outside, mut fallen) = (0, 0);
    let increments = || ops.iter().filter(|op| by(op).is_some() && !fail(op));
    let grows = increments().filter_map(by).all(|by| by >= 0);
    let within = |read: &Timed, value: i64| {
        let sum = |certain: bool, sign: i64| -> i64 {
            let counted = |op: &&Timed| {
                if certain {
                    ok(op) && op.ret < read.call
                } else {
                    op.call < read.ret
                }
            };
            increments()
                .filter(counted)
                .filter_map(by)
                .filter(|by| by * sign > 0)
                .sum()
        };
        (sum(true, 1) + sum(false, -1)..=sum(false, 1) + sum(true, -1)).contains(&value)
    };
    for read in ops {
        let Some(value) = count(read) else { continue };
        if !within(read, value) {
            outside += 1;
            continue;
        }
        let lower = |other: &Timed| {
            count(other).is_some_and(|less| less < value && within(other, less))
                && read.ret < other.call
        };
        fallen += u64::from(grows && ops.iter().any(lower));
    }
    Said {
        invalid: outside + fallen > 0,
        figures: [("error-count", outside), ("non-monotonic-count", fallen)].into(),
    }
}

/// `unique-ids`: identifiers that were given more than once.
pub(crate) fn unique_ids(ops: &[Timed]) -> Said {
    let mut times: BTreeMap<&Scalar, u64> = BTreeMap::new();
    for id in ops.iter().flat_map(got) {
        *times.entry(id).or_default() += 1;
    }
    let twice = times.values().filter(|times| **times > 1).count() as u64;
    Said {
        invalid: twice > 0,
        figures: [("duplicated-count", twice)].into(),
    }
}

/// `bank`: the first error of each read.
pub(crate) fn bank(ops: &[Timed]) -> Said {
    let read = |op: &Timed| match &op.outcome {
        Outcome::Ok(Answer::Balances(held)) => Some((op.ret, held.clone())),
        _ => None,
    };
    let reads: Vec<_> = ops.iter().filter_map(read).collect();
    let total = |held: &[(Scalar, Option<i64>)]| held.iter().filter_map(|(_, n)| *n).sum::<i64>();
    let names = |held: &[(Scalar, Option<i64>)]| -> BTreeSet<Scalar> {
        held.iter().map(|(account, _)| account.clone()).collect()
    };
    let first = reads.iter().min_by_key(|(ret, _)| *ret);
    let wrong = |(_, held): &&(u64, Vec<(Scalar, Option<i64>)>)| {
        let Some((_, norm)) = first else { return false };
        names(held) != names(norm)
            || held.len() > names(held).len()
            || held.iter().any(|(_, n)| n.is_none_or(|n| n < 0))
            || total(held) != total(norm)
    };
    let errors = reads.iter().filter(wrong).count() as u64;
    Said {
        invalid: errors > 0,
        figures: [("error-count", errors)].into(),
    }
}

fn seen(op: &Timed) -> BTreeMap<&Scalar, bool> {
    let Outcome::Ok(Answer::Txn(micros)) = &op.outcome else {
        return BTreeMap::new();
    };
    let read = |micro: &Micro| matches!(micro, Micro::Read { .. });
    let there = |micro: &Micro| match micro {
        Micro::Read { seen, .. } => *seen != Seen::Nothing,
        _ => false,
    };
    let reads = micros.iter().filter(|micro| read(micro));
    reads.map(|micro| (micro.key(), there(micro))).collect()
}

/// `long-fork`: all pairs of reads of the same keys.
pub(crate) fn long_fork(ops: &[Timed]) -> Said {
    let reads: Vec<_> = ops.iter().map(seen).filter(|keys| keys.len() > 1).collect();
    let ahead = |a: &BTreeMap<&Scalar, bool>, b: &BTreeMap<&Scalar, bool>| {
        a.iter().any(|(key, there)| *there && !b[key])
    };
    let fork = |a: &BTreeMap<&Scalar, bool>, b: &BTreeMap<&Scalar, bool>| {
        a.keys().eq(b.keys()) && ahead(a, b) && ahead(b, a)
    };
    Said {
        invalid: reads.iter().any(|a| reads.iter().any(|b| fork(a, b))),
        figures: [("reads-count", reads.len() as u64)].into(),
    }
}

/// `causal-reverse`: all reads, with all pairs of writes.
pub(crate) fn causal_reverse(ops: &[Timed]) -> Said {
    let wrote = |op: &Timed| match &op.operation {
        Operation::Txn { micros } => match micros.first() {
            Some(Micro::Write { key, .. }) => Some(key.clone()),
            _ => None,
        },
        _ => added(op).cloned(),
    };
    let mut errors = 0;
    for read in ops.iter().filter(|op| ok(op)) {
        let set = matches!(read.operation, Operation::Members { .. });
        let keys = seen(read);
        let saw = |what: &Scalar| {
            if set {
                Some(got(read).contains(what))
            } else {
                keys.get(what).copied()
            }
        };
        let reversed = ops.iter().filter(|op| ok(op)).any(|missed| {
            let Some(lost) = wrote(missed) else {
                return false;
            };
            saw(&lost) == Some(false)
                && !removed(ops, &lost)
                && ops.iter().filter_map(wrote).any(|what| {
                    let writers = || {
                        ops.iter()
                            .filter(|op| wrote(op).as_ref() == Some(&what) && !fail(op))
                    };
                    saw(&what) == Some(true)
                        && writers().next().is_some()
                        && writers().all(|op| op.call > missed.ret)
                })
        });
        errors += u64::from(reversed);
    }
    Said {
        invalid: errors > 0,
        figures: [("error-count", errors)].into(),
    }
}

/// `monotonic`: the last read, value by value and pair by pair.
pub(crate) fn monotonic(ops: &[Timed]) -> Said {
    let inserted = |op: &Timed| match op.outcome {
        Outcome::Ok(Answer::Row(row)) => Some((row, op.clone())),
        _ => None,
    };
    let acknowledged: Vec<(Row, Timed)> = ops.iter().filter_map(inserted).collect();
    let rows = |op: &Timed| match &op.outcome {
        Outcome::Ok(Answer::Rows(rows)) => Some((op.clone(), rows.clone())),
        _ => None,
    };
    let last = ops.iter().filter_map(rows).max_by_key(|(op, _)| op.ret);
    let Some((read, rows)) = last else {
        return Said::default();
    };
    let values: Vec<i64> = rows.iter().map(|row| row.value).collect();
    let lost = acknowledged
        .iter()
        .filter(|(row, op)| op.ret < read.call && !values.contains(&row.value))
        .count() as u64;
    let twice = |all: Vec<i64>| all.len() - all.iter().collect::<BTreeSet<_>>().len();
    let told = acknowledged
        .iter()
        .map(|(row, _)| row.value)
        .collect::<Vec<_>>();
    let distinct: BTreeSet<i64> = values.iter().copied().collect();
    let skips = |value: &&i64| !distinct.contains(&(**value + 1)) && distinct.last() != Some(value);
    let skipped = distinct.iter().filter(skips).count() as u64;
    let unsorted = rows
        .windows(2)
        .filter(|pair| pair[0].timestamp > pair[1].timestamp)
        .count();
    let falls = rows.iter().any(|one| {
        rows.iter()
            .any(|next| one.timestamp < next.timestamp && one.value > next.value)
    });
    let unknown = ops.iter().filter(|op| {
        info(op) && op.call < read.ret && matches!(op.operation, Operation::Advance { .. })
    });
    let strange =
        |value: &&i64| told.iter().min().is_some_and(|min| *value > min) && !told.contains(value);
    let revived = values.iter().filter(strange).count() > unknown.count();
    let doubled = (twice(values.clone()) + twice(told.clone())) as u64;
    Said {
        invalid: lost + skipped + doubled + unsorted as u64 > 0 || falls || revived,
        figures: [
            ("lost-count", lost),
            ("duplicates-count", doubled),
            ("skipped-count", skipped),
            ("order-by-errors-count", unsorted as u64),
        ]
        .into(),
    }
}

/// The fewest transfers under way during a read that, each seen by half, make up what its total
/// lacks: all choices.
pub(crate) fn fewest_halves(history: &History, anomaly: &Anomaly) -> Option<usize> {
    let total = |call: &Call| match &call.outcome {
        Outcome::Ok(Answer::Balances(held)) => {
            Some(held.iter().filter_map(|(_, n)| *n).sum::<i64>())
        }
        _ => None,
    };
    let reads = history.calls().iter().filter(|call| total(call).is_some());
    let first = reads.min_by_key(|call| call.returned())?;
    let named = anomaly
        .calls
        .iter()
        .filter_map(|index| history.call_at(*index));
    let read = named
        .filter(|call| total(call).is_some())
        .find(|call| total(call) != total(first))?;
    let difference = total(read)? - total(first)?;
    let under_way = |call: &&Call| {
        !call.is_fail()
            && Some(call.invoked.index) < read.returned()
            && call.returned().is_none_or(|ret| ret > read.invoked.index)
    };
    let amount = |call: &Call| match call.operation {
        Operation::Transfer { amount, .. } => Some(amount),
        _ => None,
    };
    let amounts: Vec<i64> = history
        .calls()
        .iter()
        .filter(under_way)
        .filter_map(amount)
        .collect();
    let mut choices = vec![(0_usize, 0_i64)];
    for amount in amounts {
        let taken =
            |(n, sum): &(usize, i64)| [(*n, *sum), (n + 1, sum + amount), (n + 1, sum - amount)];
        choices = choices
            .iter()
            .flat_map(taken)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
    }
    choices
        .into_iter()
        .find(|(_, sum)| *sum == difference)
        .map(|(n, _)| n)
}

/// Something with states that can do what was done.
pub(crate) type Step = fn(&BTreeMap<i64, i64>, &Timed) -> Option<BTreeMap<i64, i64>>;

fn put(state: &BTreeMap<i64, i64>, at: i64, more: i64) -> BTreeMap<i64, i64> {
    let mut state = state.clone();
    let held = state.entry(at).or_default();
    *held += more;
    if *held == 0 {
        state.remove(&at);
    }
    state
}

fn int(scalar: &Scalar) -> i64 {
    match scalar {
        Scalar::Int(n) => *n,
        Scalar::Text(_) => i64::MIN,
    }
}

/// One step of a set: elements that are there are at 1.
pub(crate) fn set_step(state: &BTreeMap<i64, i64>, op: &Timed) -> Option<BTreeMap<i64, i64>> {
    match (&op.operation, &op.outcome) {
        (Operation::Add { value, .. }, _) => {
            let mut state = state.clone();
            state.insert(int(value), 1);
            Some(state)
        }
        (Operation::Remove { value, .. }, _) => {
            let mut state = state.clone();
            state.remove(&int(value));
            Some(state)
        }
        (_, Outcome::Ok(Answer::Values(values))) => {
            let mut seen: Vec<i64> = values.iter().map(int).collect();
            seen.sort_unstable();
            state.keys().copied().eq(seen).then(|| state.clone())
        }
        _ => Some(state.clone()),
    }
}

/// One step of a counter: its value is at 0.
pub(crate) fn counter_step(state: &BTreeMap<i64, i64>, op: &Timed) -> Option<BTreeMap<i64, i64>> {
    match by(op) {
        Some(more) => Some(put(state, 0, more)),
        None if ok(op) => {
            let value = state.get(&0).copied().unwrap_or(0);
            (count(op) == Some(value)).then(|| state.clone())
        }
        None => Some(state.clone()),
    }
}

/// One step of a bag that counts its elements; what a dequeue of unknown end took is in its
/// answer (see [`bag`]).
pub(crate) fn bag_step(state: &BTreeMap<i64, i64>, op: &Timed) -> Option<BTreeMap<i64, i64>> {
    match (&op.operation, &op.outcome) {
        (Operation::Enqueue { value, .. }, _) => Some(put(state, int(value), 1)),
        (_, Outcome::Ok(Answer::Value(None))) => state.is_empty().then(|| state.clone()),
        (_, Outcome::Ok(Answer::Value(Some(value)))) => state
            .contains_key(&int(value))
            .then(|| put(state, int(value), -1)),
        _ => Some(state.clone()),
    }
}

/// The operations of a queue, each drain as the dequeues that it is made of; `None` if what
/// somebody took is not known.
pub(crate) fn bag(ops: &[Timed]) -> Option<Vec<Timed>> {
    let mut parts = Vec::new();
    for op in ops {
        match (&op.operation, &op.outcome) {
            (Operation::Dequeue { .. } | Operation::Drain { .. }, Outcome::Info(_)) => return None,
            (Operation::Drain { .. }, Outcome::Ok(Answer::Values(values))) => {
                for value in values.iter().cloned().map(Some).chain([None]) {
                    parts.push(Timed {
                        outcome: Outcome::Ok(Answer::Value(value)),
                        ..op.clone()
                    });
                }
            }
            _ => parts.push(op.clone()),
        }
    }
    Some(parts)
}

/// Whether some order of the operations explains all answers: each takes effect while it is on,
/// those of unknown end at any later time or never.
pub(crate) fn explained(ops: &[Timed], step: Step) -> bool {
    let ops: Vec<&Timed> = ops.iter().filter(|op| !fail(op)).collect();
    let mut visited = HashSet::new();
    let mut open = vec![(0_u64, BTreeMap::new())];
    while let Some((done, state)) = open.pop() {
        let left = || (0..ops.len()).filter(|at| done >> at & 1 == 0);
        let due = left().filter(|at| ok(ops[*at])).map(|at| ops[at].ret).min();
        let Some(due) = due else { return true };
        for at in left().filter(|at| ops[*at].call < due) {
            if let Some(next) = step(&state, ops[at]) {
                let next = (done | 1 << at, next);
                if visited.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
    }
    false
}
