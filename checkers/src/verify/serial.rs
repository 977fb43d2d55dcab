//! Transactions on registers: one order of many, and all orders of a few.

use std::collections::{BTreeMap, BTreeSet};

use tribunal_results::{Anomaly, Answer, Call, History, Micro, Operation, Outcome, Scalar, Seen};

/// The most transactions of one contradiction that are tried in every order.
const CALLS_MAX: usize = 24;
/// The most beginnings of orders that are tried.
const VISITS_MAX: usize = 500_000;

/// The order that has to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// None.
    Nothing,
    /// That of each client's transactions.
    Sessions,
    /// That of real time.
    RealTime,
}

type State = BTreeMap<Scalar, Scalar>;

/// The steps of a call on registers: what it read, if that is known, and what it wrote.
fn steps(call: &Call) -> Option<Vec<Micro>> {
    match (&call.operation, &call.outcome) {
        (_, Outcome::Fail(_)) => None,
        (Operation::Txn { .. }, Outcome::Ok(Answer::Txn(micros))) => Some(micros.clone()),
        (Operation::Txn { micros }, _) => {
            let is_write = |micro: &&Micro| matches!(micro, Micro::Write { .. });
            Some(micros.iter().filter(is_write).cloned().collect())
        }
        (Operation::Write { key, value }, _) => Some(vec![Micro::Write {
            key: key.clone(),
            value: value.clone(),
        }]),
        (Operation::Read { key }, Outcome::Ok(Answer::Value(value))) => Some(vec![Micro::Read {
            key: key.clone(),
            seen: value.clone().map_or(Seen::Nothing, Seen::Value),
        }]),
        _ => None,
    }
}

/// The keys that steps write.
fn written(steps: &[Micro]) -> BTreeSet<&Scalar> {
    let is_write = |micro: &&Micro| matches!(micro, Micro::Write { .. });
    steps.iter().filter(is_write).map(Micro::key).collect()
}

/// Whether steps that begin in this state see what they say they saw.
fn explains(state: &State, steps: &[Micro]) -> bool {
    let mut own: BTreeMap<&Scalar, &Scalar> = BTreeMap::new();
    steps.iter().all(|micro| match micro {
        Micro::Read { key, seen } => {
            let there = own.get(key).copied().or_else(|| state.get(key));
            match seen {
                Seen::Nothing => there.is_none(),
                Seen::Value(value) => there == Some(value),
                Seen::List(_) => false,
            }
        }
        Micro::Write { key, value } => {
            own.insert(key, value);
            true
        }
        Micro::Append { .. } => false,
    })
}

fn leave(state: &mut State, steps: &[Micro]) {
    for micro in steps {
        if let Micro::Write { key, value } = micro {
            state.insert(key.clone(), value.clone());
        }
    }
}

fn ended(call: &Call) -> Option<u64> {
    match (&call.outcome, call.completed) {
        (Outcome::Ok(_), Some(stamp)) => Some(stamp.index),
        _ => None,
    }
}

/// Whether the first of two calls must come before the second.
fn precedes(first: &Call, second: &Call, kept: Kept) -> bool {
    match kept {
        Kept::Nothing => false,
        Kept::Sessions => {
            first.process == second.process && first.invoked.index < second.invoked.index
        }
        Kept::RealTime => ended(first).is_some_and(|end| end < second.invoked.index),
    }
}

/// Whether transactions that happen one at a time in this order, named by the index of their
/// invocation, see what they saw, and nothing that succeeded is missing.
///
/// # Errors
/// The first transaction that does not fit, and why.
pub fn serial_order(history: &History, order: &[u64], kept: Kept) -> Result<(), String> {
    let twice: Vec<u64> = order.iter().flat_map(|index| [*index, *index]).collect();
    snapshot_order(history, &twice, kept)
}

/// Whether transactions that read at the first place where they are named and write at the second
/// saw what they saw, and no two that overlap write the same register.
///
/// # Errors
/// The first transaction that does not fit, and why.
pub fn snapshot_order(history: &History, points: &[u64], kept: Kept) -> Result<(), String> {
    let mut state = State::new();
    // What each open transaction must not find written when it ends.
    let mut open: BTreeMap<u64, BTreeSet<Scalar>> = BTreeMap::new();
    let mut done: BTreeMap<u64, usize> = BTreeMap::new();
    let mut latest: BTreeMap<u64, u64> = BTreeMap::new();
    let mut last_call = 0;
    for index in points {
        let refuse = |why: &str| Err(format!("the transaction at event {index} {why}"));
        let Some(call) = history.call_at(*index) else {
            return refuse("is unknown");
        };
        let Some(steps) = steps(call) else {
            return refuse("did not happen");
        };
        if done.contains_key(index) {
            return refuse("is named too often");
        }
        if let Some(clash) = open.remove(index) {
            if written(&steps).iter().any(|key| clash.contains(*key)) {
                return refuse("overwrites what was written after it had started");
            }
            for others in open.values_mut() {
                others.extend(written(&steps).into_iter().cloned());
            }
            leave(&mut state, &steps);
            done.insert(*index, done.len());
            last_call = last_call.max(call.invoked.index);
            let last = latest.entry(call.process).or_default();
            *last = (*last).max(*index);
            continue;
        }
        if !explains(&state, &steps) {
            return refuse("saw something else than was there");
        }
        let late = match kept {
            Kept::Nothing => false,
            Kept::Sessions => latest.get(&call.process).is_some_and(|last| last > index),
            Kept::RealTime => ended(call).is_some_and(|end| end < last_call),
        };
        if late {
            return refuse("starts after the end of one that it has to precede");
        }
        open.insert(*index, BTreeSet::new());
    }
    if let Some(index) = open.keys().next() {
        return Err(format!("the transaction at event {index} never ends"));
    }
    let mut all = history.calls().iter();
    let missing = all.find(|call| {
        call.is_ok() && steps(call).is_some() && !done.contains_key(&call.invoked.index)
    });
    match missing {
        Some(call) => Err(format!(
            "the transaction at event {} is missing",
            call.invoked.index
        )),
        None => started_in_time(history, points, kept),
    }
}

/// Whether each transaction starts after the end of all that have to precede it.
fn started_in_time(history: &History, points: &[u64], kept: Kept) -> Result<(), String> {
    let mut starts: BTreeMap<u64, usize> = BTreeMap::new();
    let mut ends: BTreeMap<u64, usize> = BTreeMap::new();
    for (at, index) in points.iter().enumerate() {
        starts.entry(*index).or_insert(at);
        ends.insert(*index, at);
    }
    // The latest end so far, of all and of each session, in the order of invocation and answer.
    let mut moments: Vec<(u64, bool, &Call)> = Vec::new();
    for call in history.calls() {
        if starts.contains_key(&call.invoked.index) {
            moments.push((call.invoked.index, false, call));
            moments.extend(ended(call).map(|end| (end, true, call)));
        }
    }
    moments.sort_by_key(|(at, ..)| *at);
    let mut latest: BTreeMap<u64, usize> = BTreeMap::new();
    for (_, is_end, call) in moments {
        let session = match kept {
            Kept::Nothing => return Ok(()),
            Kept::Sessions => call.process,
            Kept::RealTime => 0,
        };
        let index = call.invoked.index;
        let latest = latest.entry(session).or_default();
        if is_end {
            *latest = (*latest).max(ends.get(&index).copied().unwrap_or(0));
        } else if starts.get(&index).is_some_and(|start| start < latest) {
            return Err(format!(
                "the transaction at event {index} starts before the end of one that precedes it"
            ));
        }
    }
    Ok(())
}

/// Whether the calls of an anomaly contradict each other as its name says.
///
/// # Errors
/// They do not, or there are too many to tell.
pub(super) fn contradiction(history: &History, anomaly: &Anomaly) -> Result<(), String> {
    let found = |index: &u64| history.call_at(*index).ok_or(*index);
    let calls: Vec<&Call> = anomaly
        .calls
        .iter()
        .map(found)
        .collect::<Result<_, _>>()
        .map_err(|index| format!("no call was invoked by event {index}"))?;
    if calls.len() > CALLS_MAX {
        return Err(format!("{} transactions are too many to try", calls.len()));
    }
    let name = anomaly.name.as_str();
    match name {
        "phantom-value" | "G1a" | "G1b" | "internal" => return at_sight(history, &calls, name),
        "lost-update" => return lost_update(&calls),
        _ => {}
    }
    let (kind, kept) = match (
        name.strip_suffix("-process"),
        name.strip_suffix("-realtime"),
    ) {
        (Some(kind), _) => (kind, Kept::Sessions),
        (_, Some(kind)) => (kind, Kept::RealTime),
        _ => (name, Kept::Nothing),
    };
    let calls: Vec<(&Call, Vec<Micro>)> = calls
        .into_iter()
        .filter_map(|call| Some((call, steps(call)?)))
        .collect();
    let mut orders = Orders {
        kept,
        is_serial: matches!(kind, "G2-item" | "not-serializable"),
        txns: with_known_reads(calls),
        states: vec![State::new()],
        placed: Vec::new(),
        visits: 0,
    };
    match orders.exists()? {
        true => Err("an order explains these transactions".to_owned()),
        false => Ok(()),
    }
}

/// The transactions without reads of what none of them wrote.
fn with_known_reads(calls: Vec<(&Call, Vec<Micro>)>) -> Vec<(&Call, Vec<Micro>)> {
    let all: Vec<Micro> = calls.iter().flat_map(|(_, steps)| steps.clone()).collect();
    let is_known = |micro: &Micro| match micro {
        Micro::Read {
            key,
            seen: Seen::Value(value),
        } => all.contains(&Micro::Write {
            key: key.clone(),
            value: value.clone(),
        }),
        _ => true,
    };
    let known = |steps: Vec<Micro>| steps.into_iter().filter(&is_known).collect();
    calls
        .into_iter()
        .map(|(call, steps)| (call, known(steps)))
        .collect()
}

/// What needs no order: a transaction that contradicts itself, or that saw what it cannot have.
fn at_sight(history: &History, calls: &[&Call], name: &str) -> Result<(), String> {
    let all: Vec<(&Call, Vec<Micro>)> = calls
        .iter()
        .map(|call| (*call, steps(call).unwrap_or_default()))
        .collect();
    let reads = |steps: &Vec<Micro>, wanted: &Micro| {
        let (Micro::Write { key, value } | Micro::Append { key, value }) = wanted else {
            return false;
        };
        let seen = Seen::Value(value.clone());
        let key = key.clone();
        steps.contains(&Micro::Read { key, seen })
    };
    let writes = |call: &Call| match &call.operation {
        Operation::Txn { micros } => micros.clone(),
        Operation::Write { key, value } => vec![Micro::Write {
            key: key.clone(),
            value: value.clone(),
        }],
        _ => Vec::new(),
    };
    let seen_by = |steps: &Vec<Micro>, writer: &Call| {
        writes(writer)
            .iter()
            .any(|micro| matches!(micro, Micro::Write { .. }) && reads(steps, micro))
    };
    let is_so = all.iter().any(|(reader, steps)| match name {
        "G1a" => calls.iter().any(|w| w.is_fail() && seen_by(steps, w)),
        "G1b" => calls.iter().any(|w| {
            let (micros, me) = (writes(w), reader.invoked.index);
            let middle = micros.iter().enumerate().any(|(at, micro)| {
                let rest = micros.get(at + 1..).unwrap_or(&[]);
                let is_write = matches!(micro, Micro::Write { .. });
                is_write && written(rest).contains(micro.key()) && reads(steps, micro)
            });
            w.invoked.index != me && middle
        }),
        "phantom-value" => steps.iter().any(|micro| match micro {
            Micro::Read {
                key,
                seen: Seen::Value(value),
            } => {
                let wanted = Micro::Write {
                    key: key.clone(),
                    value: value.clone(),
                };
                !history.calls().iter().any(|c| writes(c).contains(&wanted))
            }
            _ => false,
        }),
        _ => reader.is_ok() && !is_consistent(steps),
    });
    match is_so {
        true => Ok(()),
        false => Err(format!("these transactions show no {name}")),
    }
}

/// Two transactions that read the same content of a register, and then wrote it.
fn lost_update(calls: &[&Call]) -> Result<(), String> {
    let [one, other] = calls else {
        return Err("a lost update is of two transactions".to_owned());
    };
    let updates = |call: &Call| -> Vec<Micro> {
        let steps = steps(call).unwrap_or_default();
        let after = |at: usize| written(steps.get(at..).unwrap_or(&[]));
        let first = |at: usize, key: &Scalar| {
            let before = steps.get(..at).unwrap_or(&[]);
            before.iter().all(|micro| micro.key() != key)
        };
        let reads = steps.iter().enumerate().filter(|(at, micro)| {
            let is_read = matches!(micro, Micro::Read { .. });
            is_read && first(*at, micro.key()) && after(*at).contains(micro.key())
        });
        reads.map(|(_, micro)| micro.clone()).collect()
    };
    let (mine, theirs) = (updates(one), updates(other));
    match one != other && mine.iter().any(|update| theirs.contains(update)) {
        true => Ok(()),
        false => Err("they did not overwrite the same content".to_owned()),
    }
}

/// Versions of a register that were each overwritten by one who had read it, round.
pub(super) fn cyclic_versions(calls: &[&Call]) -> Result<(), String> {
    let all: Vec<Vec<Micro>> = calls
        .iter()
        .map(|call| steps(call).unwrap_or_default())
        .collect();
    // Whether one of them read the last value of a register that the other wrote, and wrote it too.
    let follows = |old: &[Micro], new: &[Micro], key: &Scalar| {
        let is_of = |micro: &&Micro| micro.key() == key;
        let writes = |micro: &&Micro| is_of(micro) && matches!(micro, Micro::Write { .. });
        let mut mine = new.iter().filter(is_of);
        match (old.iter().rfind(writes), mine.next()) {
            (Some(Micro::Write { value, .. }), Some(Micro::Read { seen, .. })) => {
                *seen == Seen::Value(value.clone()) && new.iter().any(|micro| writes(&micro))
            }
            _ => false,
        }
    };
    let keys: BTreeSet<&Scalar> = all.iter().flat_map(|steps| written(steps)).collect();
    let round = |key: &&Scalar| {
        // Whoever follows none of those left cannot be on a cycle of them.
        let mut left: Vec<&Vec<Micro>> = all.iter().collect();
        loop {
            let before = left.len();
            let kept = left.clone();
            left.retain(|new| kept.iter().any(|old| old != new && follows(old, new, key)));
            if left.len() == before {
                return before > 0;
            }
        }
    };
    match keys.iter().any(round) {
        true => Ok(()),
        false => Err("the versions have an order".to_owned()),
    }
}

/// Whether steps that nothing comes between could see what they saw.
fn is_consistent(steps: &[Micro]) -> bool {
    let mut known: BTreeMap<&Scalar, Seen> = BTreeMap::new();
    for (at, micro) in steps.iter().enumerate() {
        match micro {
            Micro::Read { key, seen } => {
                let rest = steps.get(at + 1..).unwrap_or(&[]);
                let later = rest.iter().any(|later| match later {
                    Micro::Write { key: of, value } => {
                        of == key && *seen == Seen::Value(value.clone())
                    }
                    _ => false,
                });
                if later || known.get(key).is_some_and(|known| known != seen) {
                    return false;
                }
                known.insert(key, seen.clone());
            }
            Micro::Write { key, value } => {
                known.insert(key, Seen::Value(value.clone()));
            }
            Micro::Append { .. } => {}
        }
    }
    true
}

/// Transactions in the order of their commits, as far as they are placed.
struct Orders<'a> {
    kept: Kept,
    is_serial: bool,
    txns: Vec<(&'a Call, Vec<Micro>)>,
    /// After each commit.
    states: Vec<State>,
    placed: Vec<usize>,
    visits: usize,
}

impl Orders<'_> {
    /// Whether those that are not placed yet can follow.
    fn exists(&mut self) -> Result<bool, String> {
        self.visits += 1;
        if self.visits > VISITS_MAX {
            return Err("there are too many orders to try".to_owned());
        }
        let left: Vec<usize> = (0..self.txns.len())
            .filter(|at| !self.placed.contains(at))
            .collect();
        let is_ok = |at: &usize| self.txns.get(*at).is_some_and(|(call, _)| call.is_ok());
        if !left.iter().any(is_ok) {
            return Ok(true);
        }
        for at in left.iter().copied() {
            let Some((call, steps)) = self.txns.get(at) else {
                continue;
            };
            let must = |other: &usize| {
                let other = self.txns.get(*other).map(|(call, _)| *call);
                other.is_some_and(|other| other.is_ok() && precedes(other, call, self.kept))
            };
            if left.iter().any(|other| *other != at && must(other)) || !self.fits(call, steps) {
                continue;
            }
            let mut state = self.states.last().cloned().unwrap_or_default();
            leave(&mut state, steps);
            self.states.push(state);
            self.placed.push(at);
            let rest = self.exists()?;
            self.states.pop();
            self.placed.pop();
            if rest {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the transaction could commit now: with a snapshot that holds all that has to
    /// precede it, shows what it saw, and after which nobody wrote what it writes.
    fn fits(&self, call: &Call, steps: &[Micro]) -> bool {
        let mine = written(steps);
        for taken in (0..=self.placed.len()).rev() {
            if self.states.get(taken).is_some_and(|s| explains(s, steps)) {
                return true;
            }
            let Some(last) = taken.checked_sub(1).and_then(|at| self.placed.get(at)) else {
                return false;
            };
            let Some((other, theirs)) = self.txns.get(*last) else {
                return false;
            };
            let clash = written(theirs).iter().any(|key| mine.contains(key));
            if self.is_serial || clash || precedes(other, call, self.kept) {
                return false;
            }
        }
        false
    }
}
