//! Transactions on registers in numbers: who installed which version, and who read it.
//!
//! A version is the last value that a transaction wrote to a register. Written values are unique,
//! so a read names its version. What no order of transactions explains is told on the way.

use rustc_hash::FxHashMap;
use tribunal_results::{Anomaly, Scalar};

use super::digraph::Rows;
use crate::normal::{Did, Ended, OPEN, Origin, Transactions};
use crate::transactions::{Told, anomaly, name};

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
pub(super) fn parse<'a>(txns: &Transactions<'a>) -> Parsed<'a> {
    let mut parser = Parser {
        txns,
        reads: Vec::new(),
        parsed: Parsed::default(),
    };
    for txn in (0..txns.len()).filter(|txn| txns.ended(*txn) == Ended::Ok) {
        parser.follow(txn);
    }
    parser.finish()
}

struct Parser<'t, 'a> {
    txns: &'t Transactions<'a>,
    /// Reader, register, and the writer; [`INITIAL`] if there is none.
    reads: Vec<(u32, u32, u32)>,
    parsed: Parsed<'a>,
}

impl<'a> Parser<'_, 'a> {
    /// Follows a transaction through its own steps.
    fn follow(&mut self, txn: u32) {
        // Of each register touched, what it must hold from here on.
        let mut known: smallvec::SmallVec<[(u32, Option<u32>); 8]> = smallvec::SmallVec::new();
        for (at, step) in self.txns.numbered(txn) {
            let place = known.iter().position(|(of, _)| *of == step.key);
            let last = place.and_then(|at| known.get(at)).map(|(_, value)| *value);
            let now = match (step.brought(), step.did) {
                (Some(value), _) => Some(value),
                (None, did) => {
                    let seen = (did == Did::Saw).then_some(step.value);
                    // What it wrote or read before tells nothing new.
                    self.parsed.observations += usize::from(seen.is_some() && last.is_none());
                    if last.is_some_and(|last| last != seen) {
                        self.internal(txn, at);
                        return;
                    }
                    if last.is_none() {
                        self.read(txn, at, (step.key, seen));
                    }
                    seen
                }
            };
            match place.and_then(|at| known.get_mut(at)) {
                Some(entry) => entry.1 = now,
                None => known.push((step.key, now)),
            }
        }
    }

    fn read(&mut self, txn: u32, at: u32, (key, seen): (u32, Option<u32>)) {
        match self.txns.origin(txn, key, seen) {
            Origin::Nothing => self.reads.push((txn, key, INITIAL)),
            Origin::Final(writer) => self.reads.push((txn, key, writer)),
            Origin::Several => {
                let names = (self.txns.key(key), seen.and_then(|v| self.txns.value(v)));
                if let (None, (Some(key), Some(value))) = (self.parsed.ambiguous, names) {
                    self.parsed.ambiguous = Some((key, value));
                }
            }
            Origin::Own => self.internal(txn, at),
            Origin::Failed(writer) => {
                self.tell(
                    "G1a",
                    (txn, at),
                    "of a transaction that failed",
                    Some(writer),
                );
            }
            Origin::Middle(writer) => {
                let what = "from the middle of a transaction";
                self.tell("G1b", (txn, at), what, Some(writer));
            }
            Origin::Nobody => self.tell("phantom-value", (txn, at), "which nobody wrote", None),
        }
    }

    fn internal(&mut self, txn: u32, at: u32) {
        let (Some(call), Some(read)) = (self.txns.call(txn), self.txns.micro(at)) else {
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

    fn tell(&mut self, kind: &str, (txn, at): (u32, u32), what: &str, writer: Option<u32>) {
        let (Some(reader), Some(read)) = (self.txns.call(txn), self.txns.micro(at)) else {
            return;
        };
        let sentence = format!("{} saw {read}, {what}", name(reader));
        let mut calls = vec![reader];
        calls.extend(writer.and_then(|writer| self.txns.call(writer)));
        self.parsed.anomalies.push(anomaly(Told {
            name: kind,
            key: Some(read.key()),
            facts: vec![format!("{sentence}.")],
            sentence,
            calls: &calls,
        }));
    }

    fn finish(mut self) -> Parsed<'a> {
        let mut normal = Normal {
            keys: self.txns.keys(),
            ..Normal::default()
        };
        // The number of each transaction, and where its versions begin.
        let mut places = Vec::with_capacity(self.txns.len() as usize);
        for txn in 0..self.txns.len() {
            let number = normal.len();
            let from = normal.writes.len();
            if !self.txns.happened(txn) {
                places.push((INITIAL, from));
                continue;
            }
            places.push((number, from));
            let (call, ret) = self.txns.interval(txn);
            normal.txns.push(Member {
                call: txn,
                session: self.txns.process(txn).into(),
                invoked: call.into(),
                ret: (ret != OPEN).then_some(ret.into()),
            });
            for step in self.txns.steps(txn) {
                if let (Some(_), Some(written)) = (step.brought(), normal.writes.get(from..))
                    && written.iter().all(|write| write.key != step.key)
                {
                    let (txn, key) = (number, step.key);
                    normal.writes.push(Write { txn, key });
                }
            }
        }
        normal.reads.reserve(self.reads.len());
        for (txn, key, writer) in self.reads {
            let from = match writer {
                INITIAL => Some(INITIAL),
                writer => places.get(writer as usize).and_then(|(_, from)| {
                    let mut mine = normal.writes.iter().enumerate().skip(*from);
                    let version = mine.find(|(_, write)| write.key == key)?;
                    Some(version.0 as u32)
                }),
            };
            if let (Some(from), Some(&(txn, _))) = (from, places.get(txn as usize)) {
                normal.reads.push(Read { txn, key, from });
            }
        }
        self.parsed.normal = normal;
        self.parsed
    }
}
