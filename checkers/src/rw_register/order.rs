//! Which version of a register came after which, by source, and what that says of transactions.
//!
//! Each source holds at some strength only: what one transaction read and then wrote always, the
//! order of a process and real time where the model respects them. So each has reasons of its own
//! ([`Why`]), and a cycle is called after the strongest that it needs.

use rustc_hash::{FxHashMap, FxHashSet};
use tribunal_results::{Anomaly, Call};

use super::versions::{Register, version};
use crate::explain;
use crate::graph::Why;
use crate::normal::{Did, Ended, Transactions};
use crate::transactions::{Because, Told, UNORDERED_EDGES_MAX, anomaly, leads, name, works_on};

/// Where an order of versions comes from (names as in Elle).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// Absence comes before all versions.
    Initial,
    /// A transaction read the old version and then wrote the new one.
    Chain,
    /// A process met the old version before the new one.
    Sequential,
    /// The old version had been met when the new one was asked for.
    Linearizable,
}

/// Every source.
pub(super) const SOURCES: [Source; 4] = [
    Source::Initial,
    Source::Chain,
    Source::Sequential,
    Source::Linearizable,
];

impl Source {
    /// Its name among the figures of a verdict.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Chain => "wfr-keys",
            Self::Sequential => "sequential-keys",
            Self::Linearizable => "linearizable-keys",
        }
    }

    /// As what it orders writers, and readers before writers.
    const fn why(self) -> (Why, Why) {
        match self {
            Self::Initial | Self::Chain => (Why::WW, Why::RW),
            Self::Sequential => (Why::WW_PROCESS, Why::RW_PROCESS),
            Self::Linearizable => (Why::WW_REALTIME, Why::RW_REALTIME),
        }
    }
}

/// A version that comes after another.
#[derive(Clone, Copy, Debug)]
struct Follows {
    old: Option<u32>,
    /// The transaction that wrote the new version.
    new: u32,
    source: Source,
    /// Who met the old version, and then who met the new one.
    by: (u32, u32),
}

/// What a transaction had to do with a register.
#[derive(Clone, Copy, Debug)]
struct Touch {
    txn: u32,
    process: u64,
    /// What it read before it wrote, if it did.
    read: Option<Option<u32>>,
    /// What it wrote last, if it did.
    wrote: Option<u32>,
}

impl Touch {
    /// The version that it left.
    fn last(&self) -> Option<u32> {
        self.wrote.or(self.read.flatten())
    }
}

/// Dependencies, and from which source they are.
#[derive(Debug, Default)]
pub(super) struct Edges {
    pub(super) edges: Vec<(u32, u32, Why)>,
    /// How many each of [`SOURCES`] gave.
    pub(super) counts: [u64; SOURCES.len()],
}

impl Edges {
    fn add(&mut self, from: u32, to: u32, why: Why, source: Source) {
        if from != to {
            self.edges.push((from, to, why));
            if let Some(count) = self.counts.get_mut(source as usize) {
                *count += 1;
            }
        }
    }
}

impl Register {
    /// Who had to do with it and took effect, in the order of invocation.
    fn touches(&self, txns: &Transactions<'_>) -> Vec<Touch> {
        let mut touches: FxHashMap<u32, Touch> = FxHashMap::default();
        let touch = |txn: u32| {
            Some(Touch {
                txn,
                process: txns.call(txn)?.process,
                read: None,
                wrote: None,
            })
        };
        // The last step that wrote it counts.
        for &(txn, value) in self.writes.iter().filter(|write| txns.happened(write.0)) {
            if let Some(new) = touch(txn) {
                let unique = txns.writer(self.key, value).is_some();
                touches.entry(txn).or_insert(new).wrote = unique.then_some(value);
            }
        }
        for read in &self.reads {
            if let Some(new) = touch(read.txn) {
                touches.entry(read.txn).or_insert(new).read = Some(read.seen);
            }
        }
        let mut touches: Vec<Touch> = touches.into_values().collect();
        touches.sort_unstable_by_key(|touch| touch.txn);
        touches
    }

    /// The transaction that wrote the version, if it took effect.
    fn effective(&self, txns: &Transactions<'_>, value: u32) -> Option<u32> {
        let (writer, _) = txns.writer(self.key, value)?;
        txns.happened(writer).then_some(writer)
    }

    /// What every source says.
    fn follows(&self, txns: &Transactions<'_>, touches: &[Touch]) -> Vec<Follows> {
        let mut follows: Vec<Follows> = Vec::new();
        if self.cyclic_versions(txns).is_none() {
            follows.extend(self.chains());
        }
        self.sequential(txns, touches, &mut follows);
        self.linearizable(txns, touches, &mut follows);
        follows
    }

    /// *wfr-keys*: the version that a transaction read is right before the one that it wrote.
    fn chains(&self) -> impl Iterator<Item = Follows> + '_ {
        let chains = self.reads.iter().filter(|read| read.writes);
        chains
            .filter(|read| read.seen.is_some())
            .map(|read| Follows {
                old: read.seen,
                new: read.txn,
                source: Source::Chain,
                by: (read.txn, read.txn),
            })
    }

    /// *sequential-keys*: a process meets no older version than it met before.
    fn sequential(&self, txns: &Transactions<'_>, touches: &[Touch], follows: &mut Vec<Follows>) {
        let mut last: FxHashMap<u64, Touch> = FxHashMap::default();
        for touch in touches {
            let Some(before) = last.insert(touch.process, *touch) else {
                continue;
            };
            let new = match touch.read {
                Some(Some(seen)) if Some(seen) != before.last() => self.effective(txns, seen),
                Some(_) => None,
                None => Some(touch.txn),
            };
            if let (Some(old), Some(new)) = (before.last(), new) {
                follows.push(Follows {
                    old: Some(old),
                    new,
                    source: Source::Sequential,
                    by: (before.txn, touch.txn),
                });
            }
        }
    }

    /// *linearizable-keys*: after one met a version and returned, nobody who is invoked then meets
    /// an older one. Of those invoked later the writer and the reader that ended first are taken.
    fn linearizable(&self, txns: &Transactions<'_>, touches: &[Touch], follows: &mut Vec<Follows>) {
        let returned = |txn: u32| txns.call(txn).and_then(Call::returned);
        // Of each version, who first met it and returned.
        let mut met: FxHashMap<u32, (u64, u32)> = FxHashMap::default();
        for touch in touches {
            let Some(end) = returned(touch.txn) else {
                continue;
            };
            for value in touch.wrote.into_iter().chain(touch.read.flatten()) {
                let first = met.entry(value).or_insert((end, touch.txn));
                *first = (*first).min((end, touch.txn));
            }
        }
        let writers = touches.iter().filter(|touch| touch.wrote.is_some());
        let readers = touches
            .iter()
            .filter(|touch| touch.read.flatten().is_some());
        let (writers, readers) = (Later::new(txns, writers), Later::new(txns, readers));
        let mut olds: Vec<(u32, (u64, u32))> = met.into_iter().collect();
        olds.sort_unstable_by_key(|(_, first)| *first);
        for (old, (end, first)) in olds {
            let mut found = |new: u32, by: u32| {
                follows.push(Follows {
                    old: Some(old),
                    new,
                    source: Source::Linearizable,
                    by: (first, by),
                });
            };
            if let Some(writer) = writers.after(end) {
                found(writer.txn, writer.txn);
            }
            if let Some(reader) = readers.after(end)
                && let Some(seen) = reader.read.flatten().filter(|seen| *seen != old)
                && let Some(new) = self.effective(txns, seen)
            {
                found(new, reader.txn);
            }
        }
    }

    /// Versions of which each was read and then overwritten by the writer of the next, round.
    pub(super) fn cyclic_versions(&self, txns: &Transactions<'_>) -> Option<Anomaly> {
        // Of each transaction the one whose version it read and overwrote.
        let mut before: FxHashMap<u32, u32> = FxHashMap::default();
        for chain in self.chains() {
            let writer = chain.old.and_then(|old| self.effective(txns, old));
            before.extend(writer.map(|writer| (chain.new, writer)));
        }
        let mut done: FxHashSet<u32> = FxHashSet::default();
        for start in self.chains().map(|chain| chain.new) {
            let mut path: Vec<u32> = Vec::new();
            let mut at = Some(start);
            while let Some(txn) = at.filter(|txn| done.insert(*txn)) {
                path.push(txn);
                at = before.get(&txn).copied();
            }
            let from = at.and_then(|at| path.iter().position(|txn| *txn == at));
            let Some(cycle) = from.and_then(|from| path.get(from..)) else {
                continue;
            };
            let calls: Vec<&Call> = cycle.iter().filter_map(|txn| txns.call(*txn)).collect();
            let key = txns.key(self.key)?;
            let names: Vec<String> = calls.iter().map(|call| name(call)).collect();
            let overwrote = |pair: (&String, &String)| {
                let (new, old) = pair;
                format!("{new} read {key} as {old} had written it, and overwrote it.")
            };
            let next = names.iter().cycle().skip(1);
            return Some(anomaly(Told {
                name: "cyclic-versions",
                key: Some(key),
                sentence: format!(
                    "the versions of {key} go round: each was overwritten by one who had read it"
                ),
                facts: names.iter().zip(next).map(overwrote).collect(),
                calls: &calls,
            }));
        }
        None
    }

    /// Adds the dependencies that reads and the order of versions give.
    pub(super) fn edges(&self, txns: &Transactions<'_>, edges: &mut Edges) {
        let touches = self.touches(txns);
        let mut readers: FxHashMap<Option<u32>, Vec<u32>> = FxHashMap::default();
        for read in &self.reads {
            readers.entry(read.seen).or_default().push(read.txn);
            if let Some(writer) = read.seen.and_then(|seen| self.effective(txns, seen)) {
                edges.edges.push((writer, read.txn, Why::WR));
            }
        }
        let mut allowed = UNORDERED_EDGES_MAX;
        let mut overwritten = |old: Option<u32>, new: u32, source: Source, edges: &mut Edges| {
            let readers = readers.get(&old).map_or(&[][..], Vec::as_slice);
            for reader in readers.iter().take(allowed) {
                edges.add(*reader, new, source.why().1, source);
            }
            // What one transaction read and wrote always counts: there is one for each version.
            if source != Source::Chain {
                allowed = allowed.saturating_sub(readers.len());
            }
        };
        for first in self.firsts(txns) {
            overwritten(None, first, Source::Initial, edges);
        }
        for follows in self.follows(txns, &touches) {
            let Some(old) = follows.old else {
                continue;
            };
            let writer = self.effective(txns, old);
            if let Some(writer) = writer {
                edges.add(writer, follows.new, follows.source.why().0, follows.source);
                overwritten(Some(old), follows.new, follows.source, edges);
            }
        }
    }

    /// Writers that did not read another version before: any of them may be the first.
    fn firsts(&self, txns: &Transactions<'_>) -> Vec<u32> {
        let chained: FxHashSet<u32> = self.chains().map(|chain| chain.new).collect();
        let mut firsts = self.committed(txns);
        firsts.retain(|txn| !chained.contains(txn));
        firsts
    }

    /// Why one transaction comes before another, in this register.
    pub(super) fn why(
        &self,
        txns: &Transactions<'_>,
        from: u32,
        to: u32,
        why: Why,
    ) -> Option<Because> {
        if !works_on(txns, from, self.key) || !works_on(txns, to, self.key) {
            return None;
        }
        let mut edges = Edges::default();
        self.edges(txns, &mut edges);
        if !leads(&edges.edges, from, to, why) {
            return None;
        }
        let key = txns.key(self.key)?;
        if why.meets(Why::WR) {
            let mut reads = self.reads.iter().filter(|read| read.txn == to);
            let read = reads.find(|r| {
                r.seen
                    .is_some_and(|v| self.effective(txns, v) == Some(from))
            });
            let seen = version(txns, read?.seen);
            return Some(Because {
                text: format!("it wrote {key} = {seen}, which the other read"),
                shown_by: Vec::new(),
            });
        }
        let is_read = why.meets(Why::ANTI);
        let fits = |follows: &Follows| {
            let (ww, rw) = follows.source.why();
            let old = follows.old;
            let mine = match is_read {
                true => self.reads.iter().any(|r| r.txn == from && r.seen == old),
                false => old.is_some_and(|old| self.effective(txns, old) == Some(from)),
            };
            follows.new == to && mine && why.meets(if is_read { rw } else { ww })
        };
        let follows = self.follows(txns, &self.touches(txns));
        let found = follows.into_iter().find(fits);
        let old = version(txns, found.and_then(|found| found.old));
        let did = if is_read {
            format!("it read {key} → {old}, which the other overwrote")
        } else {
            format!("it wrote {key} = {old}, which the other overwrote")
        };
        let Some(Follows { by, source, .. }) = found else {
            return Some(Because {
                text: did,
                shown_by: Vec::new(),
            });
        };
        let writer = found.and_then(|found| self.effective(txns, found.old?));
        let (one, next) = (txns.call(by.0)?, txns.call(by.1)?);
        let text = match source {
            Source::Initial | Source::Chain => did,
            Source::Sequential => format!(
                "{did}: p{} met {old} in its transaction of {} and the other's value in that of {}",
                one.process,
                explain::seconds(one.invoked.time),
                explain::seconds(next.invoked.time)
            ),
            Source::Linearizable => format!(
                "{did}: {} met {old} and returned at {}, {} met the other's value and was invoked \
                 at {}",
                name(one),
                explain::seconds(explain::ended(one)),
                name(next),
                explain::seconds(next.invoked.time)
            ),
        };
        let shown_by = writer.into_iter().chain([by.0, by.1]).collect();
        Some(Because { text, shown_by })
    }

    /// Whether each version but one is known to come right after another: all who wrote had read
    /// before, for certain.
    pub(super) fn is_chain(&self, txns: &Transactions<'_>) -> bool {
        let read: FxHashSet<u32> = self.reads.iter().map(|read| read.txn).collect();
        let all = self.committed(txns);
        let plain = all.iter().all(|txn| {
            let mut steps = txns.steps(*txn).filter(|step| step.key == self.key);
            txns.ended(*txn) == Ended::Ok && steps.next().is_some_and(|step| step.did != Did::Wrote)
        });
        plain && all.iter().all(|txn| read.contains(txn))
    }
}

/// Transactions on a register by invocation.
struct Later {
    /// Invocation of each, and of those from it on the one that ended first.
    by_call: Vec<(u64, Touch)>,
}

impl Later {
    fn new<'t>(
        txns: &Transactions<'_>,
        touches: impl DoubleEndedIterator<Item = &'t Touch>,
    ) -> Self {
        let mut by_call = Vec::new();
        let mut first: Option<(u64, Touch)> = None;
        // Transactions are numbered by invocation.
        for touch in touches.rev() {
            if let Some(call) = txns.call(touch.txn) {
                let end = call.returned().unwrap_or(u64::MAX);
                if first.is_none_or(|first| end <= first.0) {
                    first = Some((end, *touch));
                }
                by_call.extend(first.map(|(_, touch)| (call.invoked.index, touch)));
            }
        }
        by_call.reverse();
        Self { by_call }
    }

    /// Of those invoked after the event, the one that ended first.
    fn after(&self, event: u64) -> Option<Touch> {
        let at = self.by_call.partition_point(|(call, _)| *call < event);
        self.by_call.get(at).map(|(_, first)| *first)
    }
}
