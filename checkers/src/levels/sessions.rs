//! Transactions of registers by session, in the form that the algorithms work on.
//!
//! Every read is traced to the transaction that wrote its value. Reads that no level allows
//! (of a value that nobody wrote, or that was never committed, or of an intermediate one, and
//! those that overlook the transaction's own writes) are set aside as [`Odd`].

use rustc_hash::FxHashMap;
use tribunal_results::verdict::ANOMALIES_LISTED_MAX;

use super::rows::Rows;
use crate::normal::{Did, Ended, Origin, Step, Transactions};

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
    /// The number of the step that reads.
    pub(crate) step: u32,
    /// Who wrote the value, if another did.
    pub(crate) writer: Option<u32>,
}

/// All transactions that took effect, by session.
#[derive(Debug)]
pub(crate) struct Sessions<'t, 'a> {
    pub(crate) txns: &'t Transactions<'a>,
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
    /// At most [`ANOMALIES_LISTED_MAX`] of each name.
    pub(crate) odd: Vec<Odd>,
    pub(crate) odd_total: u64,
    /// Reads that returned something written.
    pub(crate) observations: u64,
}

/// The anomaly's name, and who wrote the value, if another did.
type Doubt = (&'static str, Option<u32>);

/// Builds [`Sessions`].
struct Builder<'t, 'a> {
    txns: &'t Transactions<'a>,
    /// Of each register, the last transaction that wrote it and the step.
    last_write: Vec<(u32, u32)>,
    reads: Rows<Read>,
    odd: Vec<Odd>,
    odd_total: u64,
    observations: u64,
}

/// Traces every read.
pub(crate) fn sessions<'t, 'a>(txns: &'t Transactions<'a>) -> Sessions<'t, 'a> {
    let mut builder = Builder {
        txns,
        last_write: vec![(NONE, 0); txns.keys() as usize],
        reads: Rows::new(),
        odd: Vec::new(),
        odd_total: 0,
        observations: 0,
    };
    for txn in 0..txns.len() {
        if txns.ended(txn) == Ended::Ok {
            builder.read(txn);
        }
        builder.reads.end_row();
    }
    builder.finish()
}

impl<'t, 'a> Builder<'t, 'a> {
    /// Follows a transaction through its own steps.
    fn read(&mut self, txn: u32) {
        for (at, step) in self.txns.numbered(txn) {
            let (key, last) = (step.key, self.last_write.get_mut(step.key as usize));
            if let (Did::Wrote, Some(last)) = (step.did, last) {
                *last = (txn, at);
            }
            let Some(seen) = step.saw() else {
                continue;
            };
            let own = self.last_write.get(key as usize);
            let own = own.filter(|(by, _)| *by == txn).map(|(_, step)| *step);
            // What it wrote itself tells nothing of the others.
            self.observations += u64::from(seen.is_some() && own.is_none());
            let found = match own {
                Some(own) => self.own(txn, own, (key, seen)),
                None => self.other(txn, (key, seen)),
            };
            if let Err((name, writer)) = found {
                self.set_aside(Odd {
                    name,
                    txn,
                    step: at,
                    writer,
                });
            }
        }
    }

    /// A read after the transaction's own write of the register.
    fn own(&self, txn: u32, own: u32, (key, seen): (u32, Option<u32>)) -> Result<(), Doubt> {
        let written =
            |step: &Step| (step.did == Did::Wrote && step.key == key).then_some(step.value);
        let last = self.txns.step(own);
        if last.as_ref().and_then(written) == seen {
            return Ok(());
        }
        let mut steps = self.txns.numbered(txn);
        let same = steps.find(|(_, step)| seen.is_some() && written(step) == seen);
        Err((
            match same {
                Some((at, _)) if at < own => "not-last-own-write",
                Some(_) => "future-read",
                None => "not-own-write",
            },
            None,
        ))
    }

    /// A read of what another transaction wrote.
    fn other(&mut self, txn: u32, (key, seen): (u32, Option<u32>)) -> Result<(), Doubt> {
        let from = match self.txns.origin(txn, key, seen) {
            Origin::Nothing => NONE,
            Origin::Final(writer) => writer,
            Origin::Several => return Ok(()),
            Origin::Nobody => return Err(("thin-air-read", None)),
            Origin::Own => return Err(("future-read", None)),
            Origin::Failed(writer) => return Err(("aborted-read", Some(writer))),
            Origin::Middle(writer) => return Err(("intermediate-read", Some(writer))),
        };
        self.reads.push(Read { key, from });
        Ok(())
    }

    fn set_aside(&mut self, odd: Odd) {
        self.odd_total += 1;
        let same = self.odd.iter().filter(|other| other.name == odd.name);
        if same.count() < ANOMALIES_LISTED_MAX {
            self.odd.push(odd);
        }
    }

    fn finish(self) -> Sessions<'t, 'a> {
        let count = self.txns.len() as usize;
        let (mut session, mut place) = (vec![NONE; count], vec![0; count]);
        let mut numbers: FxHashMap<u32, u32> = FxHashMap::default();
        let mut lengths: Vec<u32> = Vec::new();
        let mut writes = Rows::new();
        let mut row: Vec<u32> = Vec::new();
        for ((txn, session), place) in (0..).zip(&mut session).zip(&mut place) {
            if self.txns.happened(txn) {
                let next = lengths.len() as u32;
                *session = *numbers.entry(self.txns.process(txn)).or_insert(next);
                if *session == next {
                    lengths.push(0);
                }
                if let Some(length) = lengths.get_mut(*session as usize) {
                    *length += 1;
                    *place = *length;
                }
                let steps = self.txns.steps(txn);
                row.extend(steps.filter(|s| s.did == Did::Wrote).map(|s| s.key));
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
            odd: self.odd,
            odd_total: self.odd_total,
            observations: self.observations,
        }
    }
}

impl Sessions<'_, '_> {
    /// How many transactions there are, with those that did not take effect.
    pub(crate) fn len(&self) -> u32 {
        self.txns.len()
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
