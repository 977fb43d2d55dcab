//! What transactions appended to each list and what they read of it.

use rustc_hash::FxHashMap;
use tribunal_results::{Anomaly, Micro, Scalar, Seen};

use crate::explain;
use crate::transactions::{Collected, Told, Txn, Writers, anomaly, name};

/// A read of a list, the first of its transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'a> {
    pub(super) txn: u32,
    /// All that it returned.
    pub(super) seen: &'a [Scalar],
    /// How much of that was there before the transaction's own appends.
    pub(super) before: usize,
}

/// One list.
#[derive(Debug)]
pub(super) struct List<'a> {
    pub(super) key: &'a Scalar,
    pub(super) writers: FxHashMap<&'a Scalar, Writers>,
    pub(super) reads: Vec<Read<'a>>,
    /// The longest read: the order of the list's elements.
    pub(super) order: &'a [Scalar],
    /// Whether the order tells nothing, since reads contradict each other or an element was
    /// appended twice.
    pub(super) broken: bool,
}

/// What a transaction knows of a list.
struct Known<'a> {
    key: &'a Scalar,
    /// What it read last.
    last: Option<&'a [Scalar]>,
    /// Its own appends since, or from its beginning.
    own: Vec<&'a Scalar>,
}

/// All lists.
#[derive(Debug, Default)]
pub(super) struct Lists<'a> {
    at: FxHashMap<&'a Scalar, usize>,
    pub(super) lists: Vec<List<'a>>,
    pub(super) anomalies: Collected,
    pub(super) observations: usize,
}

/// What a read returned as a list; `None` if it is of a register.
fn elements(seen: &Seen) -> Option<&[Scalar]> {
    match seen {
        Seen::Nothing => Some(&[]),
        Seen::List(list) => Some(list),
        Seen::Value(_) => None,
    }
}

/// Steps and elements that have to be looked at.
pub(super) fn work(txns: &[Txn<'_>]) -> u64 {
    let cost = |micro: &Micro| match micro {
        Micro::Read { seen, .. } => 1 + elements(seen).map_or(0, <[Scalar]>::len) as u64,
        _ => 1,
    };
    let micros = txns.iter().flat_map(|txn| txn.micros.iter());
    micros.map(cost).sum()
}

/// Of each transaction whose end is unknown, whether another saw that it took effect.
pub(super) fn observed(txns: &[Txn<'_>]) -> Vec<bool> {
    let mut unknown: FxHashMap<(&Scalar, &Scalar), Vec<usize>> = FxHashMap::default();
    for (at, txn) in txns
        .iter()
        .enumerate()
        .filter(|(_, txn)| txn.call.is_info())
    {
        for micro in txn.micros.iter() {
            if let Micro::Append { key, value } = micro {
                unknown.entry((key, value)).or_default().push(at);
            }
        }
    }
    let mut observed = vec![false; txns.len()];
    if unknown.is_empty() {
        return observed;
    }
    for micro in txns
        .iter()
        .filter(|t| t.call.is_ok())
        .flat_map(|t| t.micros.iter())
    {
        let Micro::Read { key, seen } = micro else {
            continue;
        };
        for element in elements(seen).unwrap_or(&[]) {
            for &at in unknown.get(&(key, element)).into_iter().flatten() {
                observed
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|seen| *seen = true);
            }
        }
    }
    observed
}

/// Sorts appends and reads by list; a transaction that contradicts itself is told at once.
pub(super) fn lists<'a>(txns: &'a [Txn<'a>]) -> Lists<'a> {
    let mut lists = Lists::default();
    for (at, txn) in (0_u32..).zip(txns) {
        for (step, micro) in (0_u32..).zip(txn.micros.iter()) {
            if let Micro::Append { key, value } = micro
                && let Some(list) = lists.list(key)
            {
                list.writers.entry(value).or_default().push((at, step));
            }
        }
    }
    for (at, txn) in (0_u32..).zip(txns).filter(|(_, txn)| txn.call.is_ok()) {
        lists.replay(at, txn);
    }
    for list in &mut lists.lists {
        let longest = list
            .reads
            .iter()
            .map(|read| read.seen)
            .max_by_key(|seen| seen.len());
        list.order = longest.unwrap_or(&[]);
        list.broken = list.writers.values().any(|writers| writers.len() > 1);
    }
    lists
}

impl<'a> Lists<'a> {
    fn list(&mut self, key: &'a Scalar) -> Option<&mut List<'a>> {
        let next = self.lists.len();
        let at = *self.at.entry(key).or_insert(next);
        if at == next {
            self.lists.push(List {
                key,
                writers: FxHashMap::default(),
                reads: Vec::new(),
                order: &[],
                broken: false,
            });
        }
        self.lists.get_mut(at)
    }

    /// An element that was appended twice.
    pub(super) fn ambiguous(&self) -> Option<(&'a Scalar, &'a Scalar)> {
        self.lists.iter().find_map(|list| {
            let mut writers = list.writers.iter();
            let (value, _) = writers.find(|(_, writers)| writers.len() > 1)?;
            Some((list.key, *value))
        })
    }

    /// Follows a transaction through its own steps.
    fn replay(&mut self, at: u32, txn: &'a Txn<'a>) {
        let mut known: Vec<Known<'a>> = Vec::new();
        for (step, micro) in txn.micros.iter().enumerate() {
            let key = micro.key();
            let place = known.iter().position(|known| known.key == key);
            let place = place.unwrap_or_else(|| {
                known.push(Known {
                    key,
                    last: None,
                    own: Vec::new(),
                });
                known.len() - 1
            });
            let Some(Known { last, own, .. }) = known.get_mut(place) else {
                continue;
            };
            let seen = match micro {
                Micro::Append { value, .. } => {
                    own.push(value);
                    continue;
                }
                Micro::Read { seen, .. } => elements(seen),
                Micro::Write { .. } => None,
            };
            let Some(seen) = seen else {
                continue;
            };
            // What it appended itself tells nothing of the others.
            self.observations += usize::from(seen.len() > own.len());
            let before = seen.len().checked_sub(own.len());
            let (head, tail) = seen.split_at(before.unwrap_or(0));
            let follows = before.is_some()
                && tail.iter().eq(own.iter().copied())
                && last.is_none_or(|last| last == head);
            let later = txn.micros.get(step + 1..).unwrap_or(&[]);
            let writers = self.list(key).map(|list| &list.writers);
            let early = later.iter().any(|later| {
                matches!(later, Micro::Append { key: of, value } if of == key
                    && writers.is_some_and(|all| all.get(value).is_some_and(|w| w.len() == 1))
                    && seen.contains(value))
            });
            if !follows || early {
                let found = internal(txn, micro, follows);
                self.anomalies.push(found);
                return;
            }
            if last.is_none() {
                let read = Read {
                    txn: at,
                    seen,
                    before: head.len(),
                };
                if let Some(list) = self.list(key) {
                    list.reads.push(read);
                }
            }
            *last = Some(seen);
            own.clear();
        }
    }
}

fn internal(txn: &Txn<'_>, read: &Micro, early: bool) -> Anomaly {
    let why = if early {
        "It had not appended yet what it read."
    } else {
        "That is not what it had read and appended before in the same transaction."
    };
    anomaly(Told {
        name: "internal",
        key: Some(read.key()),
        sentence: format!("{} contradicts its own steps: {read}", name(txn.call)),
        facts: vec![
            format!("Within {}, the step is {read}.", explain::whose(txn.call)),
            why.to_owned(),
        ],
        calls: &[txn.call],
    })
}
