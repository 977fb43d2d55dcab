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
use tribunal_results::{Answer, Call, History, Operation, Outcome, Scalar};

use crate::explain;
use crate::register::Contradiction;

pub(crate) use causality::{causal, convergent};
pub(crate) use follow::writes_follow_reads;
pub(crate) use guarantee::{monotonic_reads, monotonic_writes, read_your_writes};
pub use lattice::{ModelVerdict, Standing, strongest, strongest_isolation};
pub(crate) use saturate::{memory, pram};
pub(crate) use sequence::sequential;
pub(crate) use verdict::judge;

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
    let mut written: FxHashMap<(&Scalar, &Scalar), Vec<&Call>> = FxHashMap::default();
    let mut failed: FxHashMap<(&Scalar, &Scalar), &Call> = FxHashMap::default();
    let mut reads = Vec::new();
    let mut cas = None;
    for call in history.calls() {
        match &call.operation {
            Operation::Read { key } => {
                if let Outcome::Ok(Answer::Value(value)) = &call.outcome {
                    reads.push((call, key, value.as_ref()));
                }
            }
            Operation::Write { key, value } | Operation::Cas { key, to: value, .. }
                if call.is_fail() =>
            {
                failed.entry((key, value)).or_insert(call);
            }
            Operation::Write { key, value } => {
                written.entry((key, value)).or_default().push(call);
            }
            Operation::Cas { key, to, .. } => {
                cas = cas.or(Some(call));
                written.entry((key, to)).or_default().push(call);
            }
            _ => {}
        }
    }
    let mut unwritten = Vec::new();
    let mut ambiguous = None;
    let mut source: FxHashMap<u64, Option<u64>> = FxHashMap::default();
    for (call, key, value) in reads {
        let at = value.map(|value| (key, value));
        match at.map(|at| (at, written.get(&at).map(Vec::as_slice))) {
            None => {
                source.insert(call.invoked.index, None);
            }
            Some((_, Some([write]))) => {
                source.insert(call.invoked.index, Some(write.invoked.index));
            }
            Some((_, Some(_))) => ambiguous = ambiguous.or(Some(call)),
            Some((at, None)) => {
                let failed = failed.get(&at).copied();
                unwritten.push((key.clone(), contradiction(call, at.1, failed)));
            }
        }
    }
    if !unwritten.is_empty() {
        return Err(Unfit::Unwritten(unwritten));
    }
    if let Some(cas) = cas {
        return Err(Unfit::Cas(cas));
    }
    ambiguous.map_or_else(
        || Ok(build(history, &source)),
        |call| Err(Unfit::Ambiguous(call)),
    )
}

/// Numbers everything; `source` has the write of each read, both by the index of invocation.
fn build<'a>(history: &'a History, source: &FxHashMap<u64, Option<u64>>) -> Sessions<'a> {
    let seen: rustc_hash::FxHashSet<u64> = source.values().flatten().copied().collect();
    let mut processes: FxHashMap<u64, usize> = FxHashMap::default();
    let mut keys: FxHashMap<&Scalar, usize> = FxHashMap::default();
    let mut ids: FxHashMap<u64, OpId> = FxHashMap::default();
    let mut built = Sessions::default();
    for call in history.calls() {
        let index = call.invoked.index;
        let (key, role) = match &call.operation {
            Operation::Read { key } if source.contains_key(&index) => (key, Role::Read(None)),
            Operation::Write { key, .. } if call.is_ok() || seen.contains(&index) => {
                (key, Role::Write)
            }
            _ => continue,
        };
        let next = processes.len();
        let session = *processes.entry(call.process).or_insert(next);
        let next = keys.len();
        let key = *keys.entry(key).or_insert(next);
        ids.insert(index, built.ops.len());
        built.push(call, session, key, role);
    }
    for op in &mut built.ops {
        if let Some(Some(write)) = source.get(&op.call.invoked.index) {
            op.role = Role::Read(ids.get(write).copied());
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
