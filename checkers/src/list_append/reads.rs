//! What transactions appended to each list and what they read of it.

use tribunal_results::Anomaly;

use crate::explain;
use crate::normal::{Did, Ended, Origin, Step, Transactions};
use crate::transactions::{Collected, Told, anomaly, name};

/// In place of a list: none.
const NONE: u32 = u32::MAX;

/// A read of a list, the first of its transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'t> {
    pub(super) txn: u32,
    /// All that it returned.
    pub(super) seen: &'t [u32],
    /// How much of that was there before the transaction's own appends.
    pub(super) before: usize,
}

/// One list.
#[derive(Debug)]
pub(super) struct List<'t> {
    /// Its number.
    pub(super) key: u32,
    /// Transactions that appended to it, and what: in the order of their steps.
    pub(super) appends: Vec<(u32, u32)>,
    pub(super) reads: Vec<Read<'t>>,
    /// The longest read: the order of the list's elements.
    pub(super) order: &'t [u32],
    /// Whether the order tells nothing, since reads contradict each other or an element was
    /// appended twice.
    pub(super) broken: bool,
}

/// What a transaction knows of a list.
struct Known<'t> {
    key: u32,
    /// What it read last.
    last: Option<&'t [u32]>,
    /// Its own appends since, or from its beginning.
    own: Vec<u32>,
}

/// All lists.
#[derive(Debug)]
pub(super) struct Lists<'t, 'a> {
    txns: &'t Transactions<'a>,
    /// Of each key, where its list is; [`NONE`] if it is of none.
    at: Vec<u32>,
    pub(super) lists: Vec<List<'t>>,
    pub(super) anomalies: Collected,
    pub(super) observations: usize,
}

/// Sorts appends and reads by list; a transaction that contradicts itself is told at once.
pub(super) fn lists<'t, 'a>(txns: &'t Transactions<'a>) -> Lists<'t, 'a> {
    let mut lists = Lists {
        txns,
        at: vec![NONE; txns.keys() as usize],
        lists: Vec::new(),
        anomalies: Collected::default(),
        observations: 0,
    };
    for txn in 0..txns.len() {
        for step in txns.steps(txn).filter(|step| step.did == Did::Appended) {
            let twice = txns.writer(step.key, step.value).is_none();
            if let Some(list) = lists.list(step.key) {
                list.appends.push((txn, step.value));
                list.broken |= twice;
            }
        }
    }
    for txn in (0..txns.len()).filter(|txn| txns.ended(*txn) == Ended::Ok) {
        lists.replay(txn);
    }
    for list in &mut lists.lists {
        let seen = list.reads.iter().map(|read| read.seen);
        list.order = seen.max_by_key(|seen| seen.len()).unwrap_or_default();
    }
    lists
}

impl<'t> Lists<'t, '_> {
    fn list(&mut self, key: u32) -> Option<&mut List<'t>> {
        let at = self.at.get_mut(key as usize)?;
        if *at == NONE {
            *at = self.lists.len() as u32;
            self.lists.push(List {
                key,
                appends: Vec::new(),
                reads: Vec::new(),
                order: &[],
                broken: false,
            });
        }
        self.lists.get_mut(*at as usize)
    }

    /// Follows a transaction through its own steps.
    fn replay(&mut self, txn: u32) {
        let txns = self.txns;
        let mut known: Vec<Known<'t>> = Vec::new();
        for (at, step) in txns.numbered(txn) {
            let key = step.key;
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
            let seen = match step.did {
                Did::Appended => {
                    own.push(step.value);
                    continue;
                }
                Did::SawNothing | Did::SawList => txns.elements(step),
                _ => continue,
            };
            // What it appended itself tells nothing of the others.
            self.observations += usize::from(seen.len() > own.len());
            let before = seen.len().checked_sub(own.len());
            let (head, tail) = seen.split_at(before.unwrap_or(0));
            let follows =
                before.is_some() && tail == own.as_slice() && last.is_none_or(|last| last == head);
            if !follows || self.is_early(txn, (at, step)) {
                self.anomalies.extend(internal(txns, (txn, at), follows));
                return;
            }
            if last.is_none() {
                let before = head.len();
                if let Some(list) = self.list(key) {
                    list.reads.push(Read { txn, seen, before });
                }
            }
            *last = Some(seen);
            own.clear();
        }
    }

    /// Whether a step read what the transaction appended only later.
    fn is_early(&self, txn: u32, (at, read): (u32, Step)) -> bool {
        let mut steps = self.txns.numbered(txn);
        steps.any(|(later, step)| {
            let value = Some(step.value);
            later > at
                && (step.did, step.key) == (Did::Appended, read.key)
                && self.txns.origin(txn, step.key, value) == Origin::Own
                && self.txns.elements(read).contains(&step.value)
        })
    }
}

fn internal(txns: &Transactions<'_>, (txn, at): (u32, u32), early: bool) -> Option<Anomaly> {
    let (call, read) = (txns.call(txn)?, txns.micro(at)?);
    let why = if early {
        "It had not appended yet what it read."
    } else {
        "That is not what it had read and appended before in the same transaction."
    };
    Some(anomaly(Told {
        name: "internal",
        key: Some(read.key()),
        sentence: format!("{} contradicts its own steps: {read}", name(call)),
        facts: vec![
            format!("Within {}, the step is {read}.", explain::whose(call)),
            why.to_owned(),
        ],
        calls: &[call],
    }))
}
