//! Contradictions of weak isolation levels, by the definitions of Biswas & Enea (2019): a naive
//! closure over the few transactions that an anomaly names.

use std::collections::BTreeMap;

use tribunal_results::{Answer, Call, History, Micro, Operation, Outcome, Scalar, Seen};

/// Which transactions must be seen whole by one that reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// None: the order of sessions and of reads alone goes round.
    Bare,
    /// Those that it read from before.
    Committed,
    /// Those that it read from, or that came before it in its session.
    Atomic,
    /// All before it.
    Causal,
}

/// A step: whether it writes, the register, and the value.
type Step = (bool, Scalar, Option<Scalar>);

fn steps(call: &Call) -> Vec<Step> {
    let micros = match (&call.operation, &call.outcome) {
        (_, Outcome::Ok(Answer::Txn(micros))) => micros.clone(),
        (Operation::Txn { micros }, _) => micros.clone(),
        (Operation::Write { key, value }, _) => {
            return vec![(true, key.clone(), Some(value.clone()))];
        }
        (Operation::Read { key }, Outcome::Ok(Answer::Value(seen))) => {
            return vec![(false, key.clone(), seen.clone())];
        }
        (Operation::Cas { key, from, to }, outcome) => {
            let read = (false, key.clone(), Some(from.clone()));
            let write = (true, key.clone(), Some(to.clone()));
            return match outcome {
                Outcome::Ok(_) => vec![read, write],
                _ => vec![write],
            };
        }
        _ => Vec::new(),
    };
    let step = |micro: Micro| match micro {
        Micro::Write { key, value } => Some((true, key, Some(value))),
        Micro::Read { key, seen } if call.is_ok() => match seen {
            Seen::Nothing => Some((false, key, None)),
            Seen::Value(value) => Some((false, key, Some(value))),
            Seen::List(_) => None,
        },
        _ => None,
    };
    micros.into_iter().filter_map(step).collect()
}

/// Who wrote each value: index of the call, and whether it failed.
type Writers = BTreeMap<(Scalar, Scalar), Vec<(u64, bool)>>;

fn writers(history: &History) -> Writers {
    let mut writers = Writers::new();
    for call in history.calls() {
        for (writes, key, value) in steps(call) {
            if let (true, Some(value)) = (writes, value) {
                let of = writers.entry((key, value)).or_default();
                of.push((call.invoked.index, call.is_fail()));
            }
        }
    }
    for of in writers.values_mut() {
        // Who failed wrote nothing, if another may have.
        if of.iter().any(|(_, failed)| !failed) {
            of.retain(|(_, failed)| !failed);
        }
    }
    writers
}

/// Derives the contradiction again.
pub(super) fn contradiction(history: &History, name: &str, calls: &[u64]) -> Result<(), String> {
    let named: Vec<&Call> = calls.iter().filter_map(|at| history.call_at(*at)).collect();
    let writers = writers(history);
    let level = match name {
        "cyclic-causality" => Level::Bare,
        "non-monotonic-read" => Level::Committed,
        "non-repeatable-read" | "fractured-read" => Level::Atomic,
        "causality-violation" => Level::Causal,
        _ => return odd(&named, &writers, name),
    };
    Order::new(&named, &writers).goes_round(level)
}

/// A read that is wrong by itself.
fn odd(named: &[&Call], writers: &Writers, name: &str) -> Result<(), String> {
    for call in named.iter().filter(|call| call.is_ok()) {
        let steps = steps(call);
        for (at, (writes, key, seen)) in steps.iter().enumerate() {
            let (before, after) = steps.split_at(at);
            let mine = |part: &[Step]| part.iter().any(|s| s.0 && s.1 == *key && s.2 == *seen);
            let own = before.iter().rfind(|s| s.0 && s.1 == *key).map(|s| &s.2);
            let all = seen.clone().and_then(|v| writers.get(&(key.clone(), v)));
            let all = all.map_or(&[][..], Vec::as_slice);
            let overwritten = || {
                let other = named.iter().find(|c| all == [(c.invoked.index, false)]);
                let of_key = other.into_iter().flat_map(|call| self::steps(call));
                let last = of_key.filter(|s| s.0 && s.1 == *key).last();
                own.is_none() && last.is_some_and(|s| s.2 != *seen)
            };
            let failed = || named.iter().any(|c| all.contains(&(c.invoked.index, true)));
            let wrong = !*writes
                && match name {
                    "thin-air-read" => seen.is_some() && all.is_empty(),
                    "aborted-read" => all.iter().all(|(_, failed)| *failed) && failed(),
                    "intermediate-read" => !mine(&steps) && overwritten(),
                    "future-read" => mine(after) && (own.is_some() || all.len() == 1),
                    "not-last-own-write" => own.is_some_and(|o| o != seen) && mine(before),
                    "not-own-write" => own.is_some_and(|o| o != seen) && !mine(&steps),
                    _ => return Err(format!("nothing is known here of {name}")),
                };
            if wrong {
                return Ok(());
            }
        }
    }
    Err(format!("no named call has a read that shows {name}"))
}

/// What is known of the order of the named transactions. Number 0 is the initial state.
struct Order {
    wrote: Vec<Vec<Scalar>>,
    /// Of each, what it read from whom.
    read: Vec<Vec<(Scalar, usize)>>,
    session: Vec<Vec<bool>>,
}

impl Order {
    fn new(named: &[&Call], writers: &Writers) -> Self {
        let count = named.len() + 1;
        let mut order = Self {
            wrote: vec![Vec::new(); count],
            read: vec![Vec::new(); count],
            session: vec![vec![false; count]; count],
        };
        for ((at, call), (wrote, read)) in (1..)
            .zip(named)
            .zip(order.wrote.iter_mut().zip(&mut order.read).skip(1))
        {
            for (writes, key, value) in steps(call) {
                if writes {
                    wrote.push(key);
                } else if !wrote.contains(&key) {
                    let source = match value {
                        None => Some(0),
                        Some(value) => {
                            let all = writers.get(&(key.clone(), value));
                            let mut all = all.into_iter().flatten().filter(|w| !w.1);
                            let one = all.next().filter(|_| all.next().is_none());
                            let place =
                                |w: &(u64, bool)| named.iter().position(|c| c.invoked.index == w.0);
                            one.and_then(place).map(|place| place + 1)
                        }
                    };
                    read.extend(source.filter(|source| *source != at).map(|s| (key, s)));
                }
            }
        }
        for (one, row) in order.session.iter_mut().enumerate() {
            for (next, cell) in row.iter_mut().enumerate().skip(1) {
                *cell = match (
                    one.checked_sub(1).and_then(|at| named.get(at)),
                    named.get(next - 1),
                ) {
                    (None, _) => true,
                    (Some(one), Some(next)) => {
                        one.process == next.process && one.invoked.index < next.invoked.index
                    }
                    _ => false,
                };
            }
        }
        order
    }

    fn goes_round(&self, level: Level) -> Result<(), String> {
        let mut given = self.session.clone();
        for (reader, reads) in self.read.iter().enumerate() {
            for (_, source) in reads {
                mark(&mut given, *source, reader);
            }
        }
        let mut all = given.clone();
        close(&mut given);
        for (reader, reads) in self.read.iter().enumerate() {
            for (nth, (key, source)) in reads.iter().enumerate() {
                for (other, wrote) in self.wrote.iter().enumerate() {
                    if other == *source || other == reader || !wrote.contains(key) {
                        continue;
                    }
                    let read = |reads: &[(Scalar, usize)]| reads.iter().any(|r| r.1 == other);
                    let sees = match level {
                        Level::Bare => false,
                        Level::Committed => read(reads.get(..nth).unwrap_or(&[])),
                        Level::Atomic => read(reads) || is_marked(&self.session, other, reader),
                        Level::Causal => is_marked(&given, other, reader),
                    };
                    if sees {
                        mark(&mut all, other, *source);
                    }
                }
            }
        }
        close(&mut all);
        if (0..all.len()).any(|at| is_marked(&all, at, at)) {
            return Ok(());
        }
        Err("the named transactions can be committed in some order".into())
    }
}

fn is_marked(pairs: &[Vec<bool>], from: usize, to: usize) -> bool {
    pairs.get(from).and_then(|row| row.get(to)) == Some(&true)
}

fn mark(pairs: &mut [Vec<bool>], from: usize, to: usize) {
    if let Some(cell) = pairs.get_mut(from).and_then(|row| row.get_mut(to)) {
        *cell = true;
    }
}

/// Warshall's transitive closure.
fn close(pairs: &mut [Vec<bool>]) {
    for via in 0..pairs.len() {
        for from in 0..pairs.len() {
            for to in 0..pairs.len() {
                if is_marked(pairs, from, via) && is_marked(pairs, via, to) {
                    mark(pairs, from, to);
                }
            }
        }
    }
}
