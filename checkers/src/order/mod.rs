//! Consistency models of registers without real time: which orders the clients' answers allow.
//!
//! A history is put into *normal form* ([`Sessions`]): each process is a session, and each read
//! names the one write that it returned, so the writes of one key must be told apart by their
//! values (the history is *differentiated*). Then causal consistency in its three forms, PRAM and
//! the session guarantees are graph problems: their violations are the *bad patterns* of
//! Bouajjani, Enea, Guerraoui & Hamza, *On verifying causal consistency*, POPL 2017. Sequential
//! consistency is NP-complete (Gibbons & Korach 1997): see [`sequence`].

mod causality;
mod follow;
mod graph;
mod guarantee;
mod interleave;
mod lattice;
mod saturate;
mod sequence;
mod verdict;
mod witness;

use rustc_hash::FxHashMap;
use tribunal_results::{Call, History, Operation, Scalar};

use crate::explain;
use crate::normal::{Origin, Transactions};
use crate::register::Contradiction;

pub(crate) use causality::{causal, convergent};
pub(crate) use follow::writes_follow_reads;
pub(crate) use guarantee::{monotonic_reads, monotonic_writes, read_your_writes};
pub use lattice::{ModelVerdict, Standing, strongest, strongest_isolation};
pub(crate) use saturate::{memory, pram};
pub(crate) use sequence::sequential;
pub(crate) use verdict::Model;

/// An operation by its place in [`Sessions::ops`].
pub(crate) type OpId = usize;

/// What an operation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It wrote a value of its own.
    Write,
    /// It returned what that operation wrote; of `None`, that nothing had been written.
    Read(Option<OpId>),
}

/// An operation of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op<'a> {
    /// The call.
    pub(crate) call: &'a Call,
    /// Its session.
    pub(crate) session: usize,
    /// Its place in the session, from 0.
    pub(crate) place: usize,
    /// Its key, by number.
    pub(crate) key: usize,
    /// What it did.
    pub(crate) role: Role,
}

/// The writes of one session to one key, in the session's order.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The session.
    pub(crate) session: usize,
    /// The writes.
    pub(crate) writes: Vec<OpId>,
}

/// A differentiated history in normal form. A write whose end is unknown is in it if it was read,
/// and so took effect; one that nobody read need never have happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions<'a> {
    /// Every operation, in the order of invocation.
    pub(crate) ops: Vec<Op<'a>>,
    /// The operations of each session, in its order.
    pub(crate) sessions: Vec<Vec<OpId>>,
    /// The writes of each key, session by session.
    pub(crate) lines: Vec<Vec<Line>>,
}

impl<'a> Sessions<'a> {
    /// Every read, with the write that it returned.
    pub(crate) fn reads(&self) -> impl Iterator<Item = (OpId, &Op<'a>, Option<OpId>)> {
        self.ops.iter().enumerate().filter_map(|(id, op)| {
            let Role::Read(source) = op.role else {
                return None;
            };
            Some((id, op, source))
        })
    }

    /// The writes of a key, session by session.
    pub(crate) fn lines_of(&self, key: usize) -> &[Line] {
        self.lines.get(key).map_or(&[], Vec::as_slice)
    }

    /// How many reads returned what another session wrote: without one, nothing is checked.
    pub(crate) fn cross_reads(&self) -> usize {
        let crosses = |(_, op, source): &(OpId, &Op<'a>, Option<OpId>)| {
            source.is_some_and(|source| self.ops[source].session != op.session)
        };
        self.reads().filter(crosses).count()
    }

    fn push(&mut self, call: &'a Call, session: usize, key: usize, role: Role) {
        let id = self.ops.len();
        grow(&mut self.sessions, session);
        grow(&mut self.lines, key);
        let place = self.sessions[session].len();
        self.sessions[session].push(id);
        if role == Role::Write {
            let lines = &mut self.lines[key];
            match lines.iter_mut().find(|line| line.session == session) {
                Some(line) => line.writes.push(id),
                None => lines.push(Line {
                    session,
                    writes: vec![id],
                }),
            }
        }
        self.ops.push(Op {
            call,
            session,
            place,
            key,
            role,
        });
    }
}

fn grow<T: Clone + Default>(list: &mut Vec<T>, index: usize) {
    if list.len() <= index {
        list.resize(index + 1, T::default());
    }
}

/// Why a history has no normal form.
#[derive(Debug)]
pub(crate) enum Unfit<'a> {
    /// Reads returned what nobody wrote: no model allows that.
    Unwritten(Vec<(Scalar, Contradiction<'a>)>),
    /// A value that was read was written more than once, so nobody knows which write was read.
    Ambiguous(&'a Call),
    /// A compare-and-set took effect, or may have.
    Cas(&'a Call),
}

/// The normal form of a history.
///
/// # Errors
/// If it has none.
pub(crate) fn normalize(history: &History) -> Result<Sessions<'_>, Unfit<'_>> {
    use Operation::{Cas, Read, Write};
    let is_of_register = |of: &Operation| matches!(of, Read { .. } | Write { .. } | Cas { .. });
    let txns = Transactions::of_those(history, is_of_register);
    let mut unwritten = Vec::new();
    let mut ambiguous = None;
    let mut cas = None;
    // Of each read the write that it returned.
    let mut sources: Vec<Option<u32>> = Vec::with_capacity(txns.len() as usize);
    for txn in 0..txns.len() {
        sources.push(None);
        let Some((call, step)) = txns.call(txn).zip(txns.steps(txn).next()) else {
            continue;
        };
        if matches!(call.operation, Cas { .. }) {
            cas = cas.or((!call.is_fail()).then_some(call));
            continue;
        }
        let Some(seen) = step.saw() else {
            continue;
        };
        let failed = match txns.origin(txn, step.key, seen) {
            Origin::Final(writer) | Origin::Middle(writer) => {
                sources[txn as usize] = Some(writer);
                continue;
            }
            Origin::Nothing | Origin::Own => continue,
            Origin::Several => {
                ambiguous = ambiguous.or(Some(call));
                continue;
            }
            Origin::Failed(writer) => txns.call(writer),
            Origin::Nobody => None,
        };
        let value = seen.and_then(|value| txns.value(value));
        if let Some((key, value)) = txns.key(step.key).zip(value) {
            unwritten.push((key.clone(), contradiction(call, value, failed)));
        }
    }
    if !unwritten.is_empty() {
        return Err(Unfit::Unwritten(unwritten));
    }
    if let Some(cas) = cas {
        return Err(Unfit::Cas(cas));
    }
    ambiguous.map_or_else(
        || Ok(build(&txns, &sources)),
        |call| Err(Unfit::Ambiguous(call)),
    )
}

/// Numbers everything that took effect; `sources` has the write of each read.
fn build<'a>(txns: &Transactions<'a>, sources: &[Option<u32>]) -> Sessions<'a> {
    let mut processes: FxHashMap<u32, usize> = FxHashMap::default();
    let mut ids: Vec<OpId> = Vec::with_capacity(sources.len());
    let mut built = Sessions::default();
    for txn in 0..txns.len() {
        ids.push(built.ops.len());
        let step = txns.steps(txn).next().filter(|_| txns.happened(txn));
        let Some((call, step)) = txns.call(txn).zip(step) else {
            continue;
        };
        let role = match step.saw() {
            // Its write may be numbered later: until then by its place among all.
            Some(_) => Role::Read(sources[txn as usize].map(|write| write as OpId)),
            None => Role::Write,
        };
        let next = processes.len();
        let session = *processes.entry(txns.process(txn)).or_insert(next);
        built.push(call, session, step.key as usize, role);
    }
    for op in &mut built.ops {
        if let Role::Read(Some(write)) = &mut op.role {
            *write = ids[*write];
        }
    }
    built
}

fn contradiction<'a>(
    read: &'a Call,
    value: &Scalar,
    failed: Option<&'a Call>,
) -> Contradiction<'a> {
    let (name, why, fact) = failed.map_or_else(
        || {
            (
                "phantom-read",
                format!("but nobody ever wrote {value}"),
                format!("No write of {value} to this key is in the history, not even a failed one."),
            )
        },
        |failed| {
            (
                "aborted-read",
                format!(
                    "although p{}'s {} had failed",
                    failed.process, failed.operation
                ),
                format!(
                    "{} and failed at {}: it definitely had no effect, and nobody else wrote {value}.",
                    explain::invoked(failed),
                    explain::seconds(explain::ended(failed))
                ),
            )
        },
    );
    Contradiction {
        name,
        sentence: format!("{}, {why}", explain::done(read)),
        calls: [Some(read), failed].into_iter().flatten().collect(),
        facts: vec![fact],
    }
}
