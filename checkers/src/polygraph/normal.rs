//! Transactions on registers in numbers: who installed which version, and who read it.
//!
//! A version is the last value that a transaction wrote to a register. Written values are unique,
//! so a read names its version. What no order of transactions explains is told on the way.

use rustc_hash::FxHashMap;
use tribunal_results::{Anomaly, Call, Micro, Scalar, Seen};

use super::digraph::Rows;
use crate::transactions::{Told, Txn, anomaly, name};

/// In place of a version: what was there before the first write.
pub(super) const INITIAL: u32 = u32::MAX;

/// A transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// Its place among the transactions of the history.
    pub(super) call: u32,
    pub(super) session: u64,
    pub(super) invoked: u64,
    /// When it ended; `None` if it may take effect at any later time.
    pub(super) ret: Option<u64>,
}

/// A read of what other transactions left there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) txn: u32,
    pub(super) key: u32,
    /// The version seen: its place in [`Normal::writes`], or [`INITIAL`].
    pub(super) from: u32,
}

/// A version: what a transaction left in a register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    pub(super) txn: u32,
    pub(super) key: u32,
}

/// The transactions that took effect, in the order of invocation.
#[derive(Debug, Default)]
pub(super) struct Normal {
    pub(super) txns: Vec<Member>,
    /// Sorted by transaction; at most one for each transaction and register.
    pub(super) reads: Vec<Read>,
    /// Sorted by transaction; at most one for each transaction and register.
    pub(super) writes: Vec<Write>,
    pub(super) keys: u32,
}

impl Normal {
    /// How many transactions there are.
    pub(super) fn len(&self) -> u32 {
        self.txns.len() as u32
    }

    /// The writer of a version; `None` of [`INITIAL`].
    pub(super) fn writer(&self, version: u32) -> Option<u32> {
        self.writes.get(version as usize).map(|write| write.txn)
    }

    /// The reads of each transaction.
    pub(super) fn reads_by_txn(&self) -> Rows<Read> {
        Rows::new(self.len(), &self.reads, |read| read.txn)
    }

    /// Some of the transactions alone, in the order of invocation; reads of what others wrote are
    /// dropped. If these cannot be put in order, neither can all: without a transaction and the
    /// reads of what it wrote every other answer stays explained.
    pub(super) fn only(&self, txns: &[u32]) -> Self {
        let place: FxHashMap<u32, u32> = txns.iter().copied().zip(0..).collect();
        let mut version: FxHashMap<u32, u32> = FxHashMap::default();
        let mut part = Self {
            keys: self.keys,
            ..Self::default()
        };
        let numbered = (0_u32..).zip(&self.writes);
        for (old, write) in numbered {
            if let Some(&txn) = place.get(&write.txn) {
                version.insert(old, part.writes.len() as u32);
                part.writes.push(Write { txn, ..*write });
            }
        }
        for read in &self.reads {
            let from = match read.from {
                INITIAL => Some(INITIAL),
                from => version.get(&from).copied(),
            };
            if let (Some(&txn), Some(from)) = (place.get(&read.txn), from) {
                part.reads.push(Read { txn, from, ..*read });
            }
        }
        let member = |txn: &u32| self.txns.get(*txn as usize).copied();
        part.txns = txns.iter().filter_map(member).collect();
        part
    }
}

/// Who wrote a value.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// The last write of the transaction to the register.
    Final(u32),
    /// A write that the transaction itself overwrote.
    Middle(u32),
    /// Several writes.
    Several,
}

/// The normal form, and what was found on the way.
#[derive(Debug, Default)]
pub(super) struct Parsed<'a> {
    pub(super) normal: Normal,
    /// Contradictions that need no order.
    pub(super) anomalies: Vec<Anomaly>,
    /// Reads that saw something written.
    pub(super) observations: usize,
    /// A value written twice that somebody read.
    pub(super) ambiguous: Option<(&'a Scalar, &'a Scalar)>,
}

/// Parses transactions; each takes part if it succeeded or if a value of it was seen.
pub(super) fn parse<'a>(txns: &'a [Txn<'a>]) -> Parsed<'a> {
    let mut parser = Parser {
        txns,
        keys: FxHashMap::default(),
        origins: FxHashMap::default(),
        reads: Vec::new(),
        happened: txns.iter().map(|txn| txn.call.is_ok()).collect(),
        parsed: Parsed::default(),
    };
    for (at, txn) in (0_u32..).zip(txns) {
        parser.writes(at, &txn.micros);
    }
    for (at, txn) in (0_u32..).zip(txns) {
        if txn.call.is_ok() {
            parser.follow(at, &txn.micros);
        }
    }
    parser.finish()
}

struct Parser<'a> {
    txns: &'a [Txn<'a>],
    keys: FxHashMap<&'a Scalar, u32>,
    origins: FxHashMap<(u32, &'a Scalar), Origin>,
    /// Reader, register, and the writer if there is one.
    reads: Vec<(u32, u32, Option<u32>)>,
    happened: Vec<bool>,
    parsed: Parsed<'a>,
}

impl<'a> Parser<'a> {
    fn key(&mut self, key: &'a Scalar) -> u32 {
        let next = self.keys.len() as u32;
        *self.keys.entry(key).or_insert(next)
    }

    fn writes(&mut self, txn: u32, micros: &'a [Micro]) {
        for (step, micro) in micros.iter().enumerate() {
            let Micro::Write { key, value } = micro else {
                continue;
            };
            let rest = micros.get(step + 1..).unwrap_or(&[]);
            let again = rest
                .iter()
                .any(|later| matches!(later, Micro::Write { key: of, .. } if of == key));
            let origin = if again {
                Origin::Middle(txn)
            } else {
                Origin::Final(txn)
            };
            let key = self.key(key);
            self.origins
                .entry((key, value))
                .and_modify(|origin| *origin = Origin::Several)
                .or_insert(origin);
        }
    }

    /// Follows a transaction through its own steps.
    fn follow(&mut self, txn: u32, micros: &'a [Micro]) {
        // Of each register touched, what it must hold from here on.
        let mut known: smallvec::SmallVec<[(u32, Option<&Scalar>); 8]> = smallvec::SmallVec::new();
        for micro in micros {
            let key = self.key(micro.key());
            let place = known.iter().position(|(of, _)| *of == key);
            let last = place.and_then(|at| known.get(at)).map(|(_, value)| *value);
            let now = match micro {
                Micro::Write { value, .. } => Some(value),
                Micro::Read { seen, .. } => {
                    let seen = match seen {
                        Seen::Value(value) => Some(value),
                        Seen::Nothing | Seen::List(_) => None,
                    };
                    self.parsed.observations += usize::from(seen.is_some());
                    if last.is_some_and(|last| last != seen) {
                        self.internal(txn, micro);
                        return;
                    }
                    if last.is_none() {
                        self.read(txn, key, micro, seen);
                    }
                    seen
                }
                Micro::Append { .. } => continue,
            };
            match place.and_then(|at| known.get_mut(at)) {
                Some(entry) => entry.1 = now,
                None => known.push((key, now)),
            }
        }
    }

    fn call(&self, txn: u32) -> Option<&'a Call> {
        self.txns.get(txn as usize).map(|txn| txn.call)
    }

    fn read(&mut self, txn: u32, key: u32, micro: &'a Micro, seen: Option<&'a Scalar>) {
        let Some(value) = seen else {
            self.reads.push((txn, key, None));
            return;
        };
        match self.origins.get(&(key, value)).copied() {
            Some(Origin::Several) => {
                self.parsed.ambiguous.get_or_insert((micro.key(), value));
            }
            Some(Origin::Final(writer) | Origin::Middle(writer)) if writer == txn => {
                self.internal(txn, micro);
            }
            Some(Origin::Final(writer) | Origin::Middle(writer))
                if self.call(writer).is_some_and(Call::is_fail) =>
            {
                self.tell(
                    "G1a",
                    (txn, micro),
                    "of a transaction that failed",
                    Some(writer),
                );
            }
            Some(Origin::Middle(writer)) => {
                let what = "from the middle of a transaction";
                self.tell("G1b", (txn, micro), what, Some(writer));
            }
            Some(Origin::Final(writer)) => {
                if let Some(happened) = self.happened.get_mut(writer as usize) {
                    *happened = true;
                }
                self.reads.push((txn, key, Some(writer)));
            }
            None => self.tell("phantom-value", (txn, micro), "which nobody wrote", None),
        }
    }

    fn internal(&mut self, txn: u32, read: &Micro) {
        let Some(call) = self.call(txn) else {
            return;
        };
        self.parsed.anomalies.push(anomaly(Told {
            name: "internal",
            key: Some(read.key()),
            sentence: format!("{} contradicts its own steps: {read}", name(call)),
            facts: vec![
                "That is not what it had read or written before in the same transaction, or what \
                 it wrote only later."
                    .to_owned(),
            ],
            calls: &[call],
        }));
    }

    fn tell(&mut self, kind: &str, read: (u32, &Micro), what: &str, writer: Option<u32>) {
        let Some(reader) = self.call(read.0) else {
            return;
        };
        let sentence = format!("{} saw {}, {what}", name(reader), read.1);
        let mut calls = vec![reader];
        calls.extend(writer.and_then(|writer| self.call(writer)));
        self.parsed.anomalies.push(anomaly(Told {
            name: kind,
            key: Some(read.1.key()),
            facts: vec![format!("{sentence}.")],
            sentence,
            calls: &calls,
        }));
    }

    fn finish(mut self) -> Parsed<'a> {
        let mut place = vec![INITIAL; self.txns.len()];
        let mut normal = Normal::default();
        // Where the versions of each transaction begin.
        let mut first = Vec::new();
        for (at, txn) in (0_u32..).zip(self.txns) {
            first.push(normal.writes.len());
            if !self.happened.get(at as usize).copied().unwrap_or(false) {
                continue;
            }
            let number = normal.len();
            if let Some(place) = place.get_mut(at as usize) {
                *place = number;
            }
            normal.txns.push(Member {
                call: at,
                session: txn.call.process,
                invoked: txn.call.invoked.index,
                ret: txn.call.returned(),
            });
            let from = normal.writes.len();
            for micro in txn.micros.iter() {
                if let Micro::Write { key, .. } = micro
                    && let Some(&key) = self.keys.get(key)
                    && let Some(mine) = normal.writes.get(from..)
                    && mine.iter().all(|write| write.key != key)
                {
                    normal.writes.push(Write { txn: number, key });
                }
            }
        }
        normal.keys = self.keys.len() as u32;
        for (txn, key, writer) in self.reads {
            let from = writer.map_or(Some(INITIAL), |writer| {
                let from = *first.get(writer as usize)?;
                let mut mine = normal.writes.iter().enumerate().skip(from);
                let version = mine.find(|(_, write)| write.key == key)?;
                Some(version.0 as u32)
            });
            if let (Some(from), Some(&txn)) = (from, place.get(txn as usize)) {
                normal.reads.push(Read { txn, key, from });
            }
        }
        self.parsed.normal = normal;
        self.parsed
    }
}
