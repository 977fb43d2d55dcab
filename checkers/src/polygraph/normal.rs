//! Transactions on registers in numbers: who installed which version, and who read it.
//!
//! A version is the last value that a transaction wrote to a register. Written values are unique,
//! so a read names its version. What no order of transactions explains is told on the way.

use rustc_hash::FxHashMap;
use tribunal_results::{Anomaly, Call, Micro, Scalar, Seen};

use super::digraph::Rows;
use crate::intern::Numbers;
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

/// Who wrote each value to each register.
#[derive(Default)]
struct Origins<'a> {
    values: Numbers<'a>,
    /// Of each value, the register that it was first written to, and by whom.
    first: Vec<(u32, Origin)>,
    /// The same values in other registers.
    more: FxHashMap<(u32, u32), Origin>,
}

impl<'a> Origins<'a> {
    fn add(&mut self, key: u32, value: &'a Scalar, origin: Origin) {
        let number = self.values.number(value);
        match self.first.get_mut(number as usize) {
            None => self.first.push((key, origin)),
            Some((of, first)) if *of == key => *first = Origin::Several,
            Some(_) => {
                let entry = self.more.entry((key, number));
                entry
                    .and_modify(|origin| *origin = Origin::Several)
                    .or_insert(origin);
            }
        }
    }

    fn of(&self, key: u32, value: &Scalar) -> Option<Origin> {
        let number = self.values.get(value)?;
        match self.first.get(number as usize) {
            Some((of, origin)) if *of == key => Some(*origin),
            _ => self.more.get(&(key, number)).copied(),
        }
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
pub(super) fn parse<'a>(txns: &'a [Txn<'a>]) -> Parsed<'a> {
    let steps = txns.iter().map(|txn| txn.micros.len()).sum();
    let mut parser = Parser {
        txns,
        keys: Numbers::expecting(steps),
        registers: Vec::with_capacity(steps),
        origins: Origins {
            values: Numbers::expecting(steps),
            ..Origins::default()
        },
        reads: Vec::new(),
        happened: txns.iter().map(|txn| txn.call.is_ok()).collect(),
        parsed: Parsed::default(),
    };
    for (at, txn) in (0_u32..).zip(txns) {
        parser.writes(at, &txn.micros);
    }
    let registers = std::mem::take(&mut parser.registers);
    let mut rest = registers.as_slice();
    for (at, txn) in (0_u32..).zip(txns) {
        let (mine, later) = rest.split_at_checked(txn.micros.len()).unwrap_or_default();
        rest = later;
        if txn.call.is_ok() {
            parser.follow(at, &txn.micros, mine);
        }
    }
    parser.finish(&registers)
}

struct Parser<'a> {
    txns: &'a [Txn<'a>],
    keys: Numbers<'a>,
    /// The register of each step of each transaction.
    registers: Vec<u32>,
    origins: Origins<'a>,
    /// Reader, register, and the writer; [`INITIAL`] if there is none.
    reads: Vec<(u32, u32, u32)>,
    happened: Vec<bool>,
    parsed: Parsed<'a>,
}

impl<'a> Parser<'a> {
    /// Numbers the registers and notes who wrote what.
    fn writes(&mut self, txn: u32, micros: &'a [Micro]) {
        let from = self.registers.len();
        for micro in micros {
            self.registers.push(self.keys.number(micro.key()));
        }
        let mine = self.registers.get(from..).unwrap_or(&[]);
        for (step, (micro, &key)) in micros.iter().zip(mine).enumerate() {
            let Micro::Write { value, .. } = micro else {
                continue;
            };
            let mut rest = micros.iter().zip(mine).skip(step + 1);
            let again = rest.any(|(later, of)| matches!(later, Micro::Write { .. }) && *of == key);
            let origin = if again {
                Origin::Middle(txn)
            } else {
                Origin::Final(txn)
            };
            self.origins.add(key, value, origin);
        }
    }

    /// Follows a transaction through its own steps.
    fn follow(&mut self, txn: u32, micros: &'a [Micro], registers: &[u32]) {
        // Of each register touched, what it must hold from here on.
        let mut known: smallvec::SmallVec<[(u32, Option<&Scalar>); 8]> = smallvec::SmallVec::new();
        for (micro, &key) in micros.iter().zip(registers) {
            let place = known.iter().position(|(of, _)| *of == key);
            let last = place.and_then(|at| known.get(at)).map(|(_, value)| *value);
            let now = match micro {
                Micro::Write { value, .. } => Some(value),
                Micro::Read { seen, .. } => {
                    let seen = match seen {
                        Seen::Value(value) => Some(value),
                        Seen::Nothing | Seen::List(_) => None,
                    };
                    // What it wrote or read before tells nothing new.
                    self.parsed.observations += usize::from(seen.is_some() && last.is_none());
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
            self.reads.push((txn, key, INITIAL));
            return;
        };
        match self.origins.of(key, value) {
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
                self.reads.push((txn, key, writer));
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

    fn finish(mut self, registers: &[u32]) -> Parsed<'a> {
        let mut normal = Normal {
            keys: self.keys.len(),
            ..Normal::default()
        };
        // The number of each transaction, and where its versions begin.
        let mut places = Vec::with_capacity(self.txns.len());
        let mut rest = registers;
        for (at, txn) in (0_u32..).zip(self.txns) {
            let (mine, later) = rest.split_at_checked(txn.micros.len()).unwrap_or_default();
            rest = later;
            let number = normal.len();
            let from = normal.writes.len();
            if !self.happened.get(at as usize).copied().unwrap_or(false) {
                places.push((INITIAL, from));
                continue;
            }
            places.push((number, from));
            normal.txns.push(Member {
                call: at,
                session: txn.call.process,
                invoked: txn.call.invoked.index,
                ret: txn.call.returned(),
            });
            for (micro, &key) in txn.micros.iter().zip(mine) {
                if matches!(micro, Micro::Write { .. })
                    && let Some(written) = normal.writes.get(from..)
                    && written.iter().all(|write| write.key != key)
                {
                    normal.writes.push(Write { txn: number, key });
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
