//! Registers without real time: do the named calls violate the definition of the model?
//!
//! Each process is a session. What holds of all calls holds of some of them, as long as each read
//! is there with the write that it returned: so reads of what no named call wrote are left out.

use std::collections::HashSet;

use tribunal_results::{Answer, Call, History, Operation, Outcome, Scalar};

/// The most calls of one contradiction that are tried in every order.
const CALLS_MAX: usize = 64;
/// The most combinations of calls done and values present that are tried.
const VISITS_MAX: usize = 200_000;

/// A call that took effect.
struct Op<'a> {
    process: u64,
    key: &'a Scalar,
    /// Of a read, which call wrote what it returned; of `None`, that it returned nothing.
    read: Option<Option<usize>>,
}

/// Which call comes before which.
type Order = Vec<Vec<bool>>;

/// Whether the calls of an anomaly contradict each other as its name says.
///
/// # Errors
/// They do not, or there are too many to tell.
pub(super) fn contradiction(history: &History, name: &str, calls: &[&Call]) -> Result<(), String> {
    if calls.len() > CALLS_MAX {
        return Err(format!("{} calls are too many to try", calls.len()));
    }
    if name == "not-sequential" && !differ(history, calls) {
        return interleaved(history, calls);
    }
    let ops = took_effect(history, calls)?;
    let so = order(ops.len(), |a, b| session(&ops, a, b));
    let co = closed(order(ops.len(), |a, b| {
        session(&ops, a, b) || ops[b].read == Some(Some(a))
    }));
    let is_so = match name {
        "cyclic-causality" => is_cyclic(&co),
        "write-co-read" | "write-co-init-read" => overwritten(&ops, &co),
        "cyclic-conflict" => unarbitrated(&ops, |read, write| co[write][read], &co),
        "cyclic-happens-before" | "write-hb-init-read" => {
            let mut explained = true;
            for op in &ops {
                let here = |at: usize| ops[at].read.is_none() || ops[at].process == op.process;
                explained &= has_order(&ops, here, &co)?;
            }
            !explained
        }
        "not-sequential" => !has_order(&ops, |_| true, &so)?,
        _ => guarantee(&ops, name)?,
    };
    match is_so {
        true => Ok(()),
        false => Err(format!("these calls show no {name}")),
    }
}

/// Whether the calls only read and write, and what they read was written once.
fn differ(history: &History, calls: &[&Call]) -> bool {
    let writers = |key: &Scalar, wanted: &Scalar| {
        let all = history.calls().iter().filter(|call| !call.is_fail());
        all.filter(|call| effect(call).is_some_and(|(k, _, to)| k == key && to == Some(wanted)))
            .count()
    };
    calls.iter().all(|call| match effect(call) {
        _ if matches!(call.operation, Operation::Cas { .. }) => false,
        Some((key, Some(Some(seen)), None)) => writers(key, seen) <= 1,
        _ => true,
    })
}

/// The register, the value that must be there, if one must, and the value that it sets, if any.
type Effect<'a> = (&'a Scalar, Option<Option<&'a Scalar>>, Option<&'a Scalar>);

/// What a call does to a register, if it may have done something that anybody can tell.
fn effect(call: &Call) -> Option<Effect<'_>> {
    match (&call.operation, &call.outcome) {
        (_, Outcome::Fail(_)) => None,
        (Operation::Write { key, value }, _) => Some((key, None, Some(value))),
        (Operation::Cas { key, from, to }, _) => Some((key, Some(Some(from)), Some(to))),
        (Operation::Read { key }, Outcome::Ok(Answer::Value(seen))) => {
            Some((key, Some(seen.as_ref()), None))
        }
        _ => None,
    }
}

/// Tries every order of the calls that keeps each session's own. Whoever else changes these
/// registers may do so once at any time, or never.
fn interleaved(history: &History, calls: &[&Call]) -> Result<(), String> {
    let named: HashSet<u64> = calls.iter().map(|call| call.invoked.index).collect();
    let keys: HashSet<&Scalar> = calls.iter().filter_map(|c| c.operation.key()).collect();
    let takes_part = |call: &&Call| {
        let sets = effect(call).is_some_and(|(key, _, to)| keys.contains(key) && to.is_some());
        named.contains(&call.invoked.index) || sets
    };
    let all: Vec<&Call> = history.calls().iter().filter(takes_part).collect();
    if all.len() > CALLS_MAX {
        return Err(format!("{} calls are too many to try", all.len()));
    }
    let is_named = |at: usize| named.contains(&all[at].invoked.index);
    let due = |at: usize| is_named(at) && all[at].is_ok();
    let mut open: Vec<(u64, Vec<(&Scalar, &Scalar)>)> = vec![(0, Vec::new())];
    let mut visited = HashSet::new();
    while let Some((done, state)) = open.pop() {
        let is_left = |at: usize| done >> at & 1 == 0;
        if !(0..all.len()).any(|at| due(at) && is_left(at)) {
            return Err("the calls have an order".to_owned());
        }
        if visited.len() > VISITS_MAX {
            return Err("there are too many orders to try".to_owned());
        }
        if !visited.insert((done, state.clone())) {
            continue;
        }
        for at in (0..all.len()).filter(|at| is_left(*at)) {
            let same = |other: usize| all[other].process == all[at].process;
            let waits = is_named(at) && (0..at).any(|o| due(o) && is_left(o) && same(o));
            let Some((key, needs, sets)) = effect(all[at]) else {
                return Err("a call is of no register".to_owned());
            };
            let there = state
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, value)| *value);
            if waits || needs.is_some_and(|needs| needs != there) {
                continue;
            }
            let mut after = state.clone();
            if let Some(value) = sets {
                after.retain(|(k, _)| *k != key);
                after.push((key, value));
                after.sort_unstable();
            }
            open.push((done | 1 << at, after));
        }
    }
    Ok(())
}

/// The value that a write wrote or a read returned; `None` if it did nothing for certain.
fn value(call: &Call) -> Option<(&Scalar, Option<&Scalar>, bool)> {
    match (&call.operation, &call.outcome) {
        (_, Outcome::Fail(_)) => None,
        (Operation::Write { key, value }, _) => Some((key, Some(value), false)),
        (Operation::Read { key }, Outcome::Ok(Answer::Value(seen))) => {
            Some((key, seen.as_ref(), true))
        }
        _ => None,
    }
}

/// The calls that took effect, in the order of invocation. A write of unknown end did if anybody
/// read it.
fn took_effect<'a>(history: &'a History, calls: &[&'a Call]) -> Result<Vec<Op<'a>>, String> {
    let matching = |key: &Scalar, wanted: &Scalar, is_read: bool| -> Vec<&Call> {
        let all = history.calls().iter();
        all.filter(|call| value(call) == Some((key, Some(wanted), is_read)))
            .collect()
    };
    let mut named: Vec<(&Call, &Scalar, Option<&Scalar>, bool)> = Vec::new();
    for call in calls {
        let Some((key, value, is_read)) = value(call) else {
            return Err("a call had no effect, or is of no register".to_owned());
        };
        let read = |value: &Scalar| !matching(key, value, true).is_empty();
        if call.is_ok() || value.is_some_and(read) {
            named.push((*call, key, value, is_read));
        }
    }
    named.sort_by_key(|(call, ..)| call.invoked.index);
    named.dedup_by_key(|(call, ..)| call.invoked.index);
    let is_known = |key: &Scalar, value: &Scalar| {
        let mut all = named.iter();
        all.any(|(_, of, wrote, is_read)| !is_read && *of == key && *wrote == Some(value))
    };
    let kept: Vec<_> = named
        .iter()
        .filter(|(_, key, value, is_read)| !is_read || value.is_none_or(|v| is_known(key, v)))
        .collect();
    let mut ops = Vec::new();
    for (call, key, value, is_read) in &kept {
        let mut source = None;
        if let (true, Some(value)) = (is_read, value) {
            if matching(key, value, false).len() != 1 {
                return Err(format!("{value} was written to {key} more than once"));
            }
            let mut all = kept.iter();
            source = all.position(|(_, of, wrote, r)| !r && of == key && *wrote == Some(*value));
        }
        ops.push(Op {
            process: call.process,
            key,
            read: is_read.then_some(source),
        });
    }
    Ok(ops)
}

fn order(size: usize, before: impl Fn(usize, usize) -> bool) -> Order {
    let row = |a| (0..size).map(|b| before(a, b)).collect();
    (0..size).map(row).collect()
}

/// The order with all that follows from it (Warshall 1962).
fn closed(mut order: Order) -> Order {
    for via in 0..order.len() {
        let onwards = order[via].clone();
        for row in order.iter_mut().filter(|row| row[via]) {
            row.iter_mut()
                .zip(&onwards)
                .for_each(|(to, more)| *to |= *more);
        }
    }
    order
}

fn is_cyclic(order: &Order) -> bool {
    (0..order.len()).any(|at| order[at][at])
}

/// Whether one session did both, in this order.
fn session(ops: &[Op<'_>], a: usize, b: usize) -> bool {
    a < b && ops[a].process == ops[b].process
}

/// Each read with every other write to its key, and the write that it returned.
fn rivals(ops: &[Op<'_>]) -> impl Iterator<Item = (usize, usize, Option<usize>)> {
    let pairs = (0..ops.len()).flat_map(move |read| (0..ops.len()).map(move |at| (read, at)));
    pairs.filter_map(move |(read, write)| {
        let source = ops[read].read?;
        let rival = ops[write].read.is_none() && ops[write].key == ops[read].key;
        (rival && source != Some(write)).then_some((read, write, source))
    })
}

/// Whether a read returned what had been overwritten in its past.
fn overwritten(ops: &[Op<'_>], past: &Order) -> bool {
    rivals(ops).any(|(read, write, source)| {
        past[write][read] && source.is_none_or(|source| past[source][write])
    })
}

/// Whether no one order of writes that keeps what is `known` puts, before each write that a read
/// returned, all others that were behind the read.
fn unarbitrated(ops: &[Op<'_>], behind: impl Fn(usize, usize) -> bool, known: &Order) -> bool {
    let mut order = known.clone();
    for (_, write, source) in rivals(ops).filter(|rival| behind(rival.0, rival.1)) {
        match source {
            None => return true,
            Some(source) => order[write][source] = true,
        }
    }
    is_cyclic(&closed(order))
}

/// Whether a session guarantee is violated: no order of versions, in which each session's own
/// writes keep their order, has what was behind each read before what it returned.
fn guarantee(ops: &[Op<'_>], name: &str) -> Result<bool, String> {
    let so = |a: usize, b: usize| session(ops, a, b);
    let source = |at: usize| ops[at].read.flatten();
    let all = || 0..ops.len();
    let is_write = |at: usize| ops[at].read.is_none();
    let same_key = |a: usize, b: usize| ops[a].key == ops[b].key;
    // What another session wrote, and this one has read before.
    let met = |read: usize, write: usize| {
        ops[write].process != ops[read].process
            && all().any(|earlier| so(earlier, read) && source(earlier) == Some(write))
    };
    // A session had read one and then wrote the other.
    let answers = |old: usize, new: usize| {
        all().any(|first| source(first) == Some(old) && so(first, new)) && is_write(new)
    };
    let behind = |read: usize, write: usize| match name {
        "lost-own-write" => so(write, read),
        "non-monotonic-read" => all().any(|r| so(r, read) && source(r) == Some(write)),
        "writes-reordered" => {
            let of_same = source(read).is_some_and(|s| ops[s].process == ops[write].process);
            all().any(|later| so(write, later) && met(read, later)) || (of_same && met(read, write))
        }
        _ => {
            let newer = source(read).is_some_and(|old| answers(old, write));
            all().any(|later| answers(write, later) && met(read, later))
                || (newer && met(read, write))
        }
    };
    let known = order(ops.len(), |a, b| {
        let follows = name == "writes-not-following-reads" && answers(a, b);
        is_write(a) && is_write(b) && same_key(a, b) && a != b && (so(a, b) || follows)
    });
    match name {
        "lost-own-write"
        | "non-monotonic-read"
        | "writes-reordered"
        | "writes-not-following-reads" => Ok(unarbitrated(ops, behind, &known)),
        _ => Err(format!("nothing is known here of {name}")),
    }
}

/// Whether those that are here have an order that keeps what comes before what, and in which each
/// read returns the latest write before it.
fn has_order(ops: &[Op<'_>], here: impl Fn(usize) -> bool, before: &Order) -> Result<bool, String> {
    let here: Vec<usize> = (0..ops.len()).filter(|at| here(*at)).collect();
    // What is done, and of each key the latest write.
    let mut open: Vec<(u64, Vec<(&Scalar, usize)>)> = vec![(0, Vec::new())];
    let mut visited = HashSet::new();
    while let Some((done, state)) = open.pop() {
        let is_left = |at: &usize| done >> at & 1 == 0;
        if !here.iter().any(is_left) {
            return Ok(true);
        }
        if visited.len() > VISITS_MAX {
            return Err("there are too many orders to try".to_owned());
        }
        if !visited.insert((done, state.clone())) {
            continue;
        }
        for &at in here.iter().filter(|at| is_left(at)) {
            let op = &ops[at];
            let latest = state.iter().find(|(key, _)| *key == op.key);
            let waits = here
                .iter()
                .any(|other| is_left(other) && before[*other][at]);
            if waits || op.read.is_some_and(|source| source != latest.map(|l| l.1)) {
                continue;
            }
            let mut after = state.clone();
            if op.read.is_none() {
                after.retain(|(key, _)| *key != op.key);
                after.push((op.key, at));
                after.sort_unstable();
            }
            open.push((done | 1 << at, after));
        }
    }
    Ok(false)
}
