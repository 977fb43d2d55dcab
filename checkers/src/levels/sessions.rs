//! Transactions of registers by session, in the form that the algorithms work on.
//!
//! Every read is traced to the transaction that wrote its value. Reads that no level allows
//! (of a value that nobody wrote, or that was never committed, or of an intermediate one, and
//! those that overlook the transaction's own writes) are set aside as [`Odd`].

use rustc_hash::FxHashMap;
use tribunal_results::verdict::ANOMALIES_LISTED_MAX;
use tribunal_results::{Micro, Scalar, Seen};

use super::rows::Rows;
use crate::transactions::Txn;

/// In the place of a transaction: none, or for a read the initial absence.
pub(crate) const NONE: u32 = u32::MAX;

/// A read of a register that its transaction had not written before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) key: u32,
    /// The transaction that wrote what was read; [`NONE`] if nothing was there.
    pub(crate) from: u32,
}

/// A read that nothing explains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Odd {
    /// The anomaly's name.
    pub(crate) name: &'static str,
    pub(crate) txn: u32,
    /// The step that reads.
    pub(crate) step: u32,
    /// Who wrote the value, if another did.
    pub(crate) writer: Option<u32>,
}

/// Who wrote a value.
#[derive(Clone, Copy, Debug)]
struct Writer {
    txn: u32,
    standing: Standing,
}

/// What became of a written value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The transaction's last of the register.
    Last,
    /// Its transaction overwrote it.
    Overwritten,
    /// Its transaction failed.
    Failed,
    /// Written more than once: nobody knows which write a read saw.
    Ambiguous,
}

/// All transactions that took effect, by session.
#[derive(Debug)]
pub(crate) struct Sessions<'a> {
    pub(crate) txns: &'a [Txn<'a>],
    /// The transactions of each session, in its order.
    pub(crate) sessions: Rows<u32>,
    /// The session of each transaction; [`NONE`] if it did not take effect.
    pub(crate) session: Vec<u32>,
    /// Its place there, from 1.
    pub(crate) place: Vec<u32>,
    /// Of each transaction, what it read, in its order.
    pub(crate) reads: Rows<Read>,
    /// Of each transaction, the registers that it wrote: sorted, each once.
    pub(crate) writes: Rows<u32>,
    /// The registers.
    pub(crate) keys: Vec<&'a Scalar>,
    /// At most [`ANOMALIES_LISTED_MAX`] of each name.
    pub(crate) odd: Vec<Odd>,
    pub(crate) odd_total: u64,
    /// Reads that returned something written.
    pub(crate) observations: u64,
    /// A register and a value that was written to it twice.
    pub(crate) ambiguous: Option<(&'a Scalar, &'a Scalar)>,
}

/// Builds [`Sessions`].
struct Builder<'a> {
    txns: &'a [Txn<'a>],
    key_ids: FxHashMap<&'a Scalar, u32>,
    keys: Vec<&'a Scalar>,
    /// Of each step of each transaction, its register.
    step_keys: Rows<u32>,
    writers: FxHashMap<(u32, &'a Scalar), Writer>,
    /// Of each register, the last transaction and step that wrote it in the pass that is on.
    last_write: Vec<(u32, u32)>,
    ambiguous: Option<(&'a Scalar, &'a Scalar)>,
    happened: Vec<bool>,
    reads: Rows<Read>,
    odd: Vec<Odd>,
    odd_total: u64,
    observations: u64,
}

/// Traces every read.
pub(crate) fn sessions<'a>(txns: &'a [Txn<'a>]) -> Sessions<'a> {
    let mut builder = Builder {
        txns,
        key_ids: FxHashMap::default(),
        keys: Vec::new(),
        step_keys: Rows::new(),
        writers: FxHashMap::default(),
        last_write: Vec::new(),
        ambiguous: None,
        happened: txns.iter().map(|txn| txn.call.is_ok()).collect(),
        reads: Rows::new(),
        odd: Vec::new(),
        odd_total: 0,
        observations: 0,
    };
    builder.intern();
    for (at, txn) in (0..).zip(txns) {
        builder.write(at, txn);
    }
    builder.last_write.fill((NONE, 0));
    for (at, txn) in (0..).zip(txns) {
        if txn.call.is_ok() {
            builder.read(at, txn);
        }
        builder.reads.end_row();
    }
    builder.finish()
}

impl<'a> Builder<'a> {
    /// Numbers the registers.
    fn intern(&mut self) {
        let mut writes = 0;
        for txn in self.txns {
            for micro in txn.micros.iter() {
                writes += usize::from(matches!(micro, Micro::Write { .. }));
                let next = self.keys.len() as u32;
                let id = *self.key_ids.entry(micro.key()).or_insert(next);
                if id == next {
                    self.keys.push(micro.key());
                }
                self.step_keys.push(id);
            }
            self.step_keys.end_row();
        }
        self.writers.reserve(writes);
        self.last_write = vec![(NONE, 0); self.keys.len()];
    }

    /// Notes what a transaction wrote.
    fn write(&mut self, at: u32, txn: &'a Txn<'a>) {
        let standing = if txn.call.is_fail() {
            Standing::Failed
        } else {
            Standing::Last
        };
        let new = Writer { txn: at, standing };
        let keys = self.step_keys.row(at);
        for ((step, micro), &key) in (0..).zip(txn.micros.iter()).zip(keys) {
            let Micro::Write { value, .. } = micro else {
                continue;
            };
            let Some(last) = self.last_write.get_mut(key as usize) else {
                continue;
            };
            let before = std::mem::replace(last, (at, step));
            if before.0 == at
                && let Some(Micro::Write { value, .. }) = txn.micros.get(before.1 as usize)
                && let Some(writer) = self.writers.get_mut(&(key, value))
                && writer.standing == Standing::Last
            {
                writer.standing = Standing::Overwritten;
            }
            let writer = self.writers.entry((key, value)).or_insert(Writer {
                txn: NONE,
                standing,
            });
            if writer.txn == NONE || (writer.standing == Standing::Failed && !txn.call.is_fail()) {
                *writer = new;
            } else if !txn.call.is_fail() {
                writer.standing = Standing::Ambiguous;
                let name = self.keys.get(key as usize).copied();
                self.ambiguous = self.ambiguous.or(name.map(|key| (key, value)));
            }
        }
    }

    /// Follows a transaction through its own steps.
    fn read(&mut self, at: u32, txn: &'a Txn<'a>) {
        for (step, micro) in (0_u32..).zip(txn.micros.iter()) {
            let key = self.step_keys.row(at).get(step as usize).copied();
            let Some(key) = key else {
                continue;
            };
            let seen = match micro {
                Micro::Write { .. } => {
                    if let Some(last) = self.last_write.get_mut(key as usize) {
                        *last = (at, step);
                    }
                    continue;
                }
                Micro::Read { seen, .. } => match seen {
                    Seen::Nothing => None,
                    Seen::Value(value) => Some(value),
                    Seen::List(_) => continue,
                },
                Micro::Append { .. } => continue,
            };
            let own = self.last_write.get(key as usize);
            let own = own.filter(|(by, _)| *by == at).map(|(_, step)| *step);
            // What it wrote itself tells nothing of the others.
            self.observations += u64::from(seen.is_some() && own.is_none());
            let writer = seen.and_then(|value| self.writers.get(&(key, value)).copied());
            let found = match own {
                Some(own) => self.own(at, txn, own, (key, seen)),
                None => self.other(at, (key, seen), writer),
            };
            if let Err((name, writer)) = found {
                self.set_aside(Odd {
                    name,
                    txn: at,
                    step,
                    writer,
                });
            }
        }
    }

    /// A read after the transaction's own write of the register.
    fn own(
        &self,
        at: u32,
        txn: &Txn<'_>,
        own: u32,
        (key, seen): (u32, Option<&Scalar>),
    ) -> Result<(), (&'static str, Option<u32>)> {
        let written = |step: usize| match txn.micros.get(step) {
            Some(Micro::Write { value, .. }) => Some(value),
            _ => None,
        };
        if written(own as usize) == seen {
            return Ok(());
        }
        let keys = self.step_keys.row(at);
        let mine = |steps: std::ops::Range<usize>| {
            let mut steps = steps.filter(|step| keys.get(*step) == Some(&key));
            seen.is_some() && steps.any(|step| written(step) == seen)
        };
        if mine(0..own as usize) {
            return Err(("not-last-own-write", None));
        }
        if mine(own as usize + 1..txn.micros.len()) {
            return Err(("future-read", None));
        }
        Err(("not-own-write", None))
    }

    /// A read of what another transaction wrote.
    fn other(
        &mut self,
        at: u32,
        (key, seen): (u32, Option<&Scalar>),
        writer: Option<Writer>,
    ) -> Result<(), (&'static str, Option<u32>)> {
        let read = |from| Read { key, from };
        if seen.is_none() {
            self.reads.push(read(NONE));
            return Ok(());
        }
        let Some(Writer { txn, standing }) = writer else {
            return Err(("thin-air-read", None));
        };
        match standing {
            Standing::Ambiguous => Ok(()),
            _ if txn == at => Err(("future-read", None)),
            Standing::Failed => Err(("aborted-read", Some(txn))),
            Standing::Overwritten => Err(("intermediate-read", Some(txn))),
            Standing::Last => {
                self.reads.push(read(txn));
                if let Some(happened) = self.happened.get_mut(txn as usize) {
                    *happened = true;
                }
                Ok(())
            }
        }
    }

    fn set_aside(&mut self, odd: Odd) {
        self.odd_total += 1;
        let same = self.odd.iter().filter(|other| other.name == odd.name);
        if same.count() < ANOMALIES_LISTED_MAX {
            self.odd.push(odd);
        }
    }

    fn finish(self) -> Sessions<'a> {
        let count = self.txns.len();
        let (mut session, mut place) = (vec![NONE; count], vec![0; count]);
        let mut numbers: FxHashMap<u64, u32> = FxHashMap::default();
        let mut lengths: Vec<u32> = Vec::new();
        let mut writes = Rows::new();
        let mut row: Vec<u32> = Vec::new();
        let slots = session.iter_mut().zip(&mut place);
        for (((at, txn), happened), (session, place)) in
            (0..).zip(self.txns).zip(&self.happened).zip(slots)
        {
            if *happened {
                let next = lengths.len() as u32;
                *session = *numbers.entry(txn.call.process).or_insert(next);
                if *session == next {
                    lengths.push(0);
                }
                if let Some(length) = lengths.get_mut(*session as usize) {
                    *length += 1;
                    *place = *length;
                }
                let steps = txn.micros.iter().zip(self.step_keys.row(at));
                let written = steps.filter(|(micro, _)| matches!(micro, Micro::Write { .. }));
                row.extend(written.map(|(_, key)| *key));
                row.sort_unstable();
                row.dedup();
                row.drain(..).for_each(|key| writes.push(key));
            }
            writes.end_row();
        }
        let placed = (0..).zip(&session).filter(|(_, session)| **session != NONE);
        let by_session = placed.map(|(at, session): (u32, _)| (*session, at));
        Sessions {
            txns: self.txns,
            sessions: Rows::sorted(lengths.len(), by_session),
            session,
            place,
            reads: self.reads,
            writes,
            keys: self.keys,
            odd: self.odd,
            odd_total: self.odd_total,
            observations: self.observations,
            ambiguous: self.ambiguous,
        }
    }
}

impl Sessions<'_> {
    /// How many transactions there are, with those that did not take effect.
    pub(crate) fn len(&self) -> u32 {
        self.txns.len() as u32
    }

    /// The session of a transaction and its place there.
    pub(crate) fn at(&self, txn: u32) -> Option<(u32, u32)> {
        let session = *self.session.get(txn as usize)?;
        let place = *self.place.get(txn as usize)?;
        (session != NONE).then_some((session, place))
    }

    /// The transaction before it in its session.
    pub(crate) fn before(&self, txn: u32) -> Option<u32> {
        let (session, place) = self.at(txn)?;
        let before = (place as usize).checked_sub(2)?;
        self.sessions.row(session).get(before).copied()
    }

    /// Whether it wrote the register.
    pub(crate) fn wrote(&self, txn: u32, key: u32) -> bool {
        self.writes.row(txn).binary_search(&key).is_ok()
    }

    /// Whether both are of one session, in this order.
    pub(crate) fn in_session(&self, one: u32, next: u32) -> bool {
        match (self.at(one), self.at(next)) {
            (Some(one), Some(next)) => one.0 == next.0 && one.1 < next.1,
            _ => false,
        }
    }
}
