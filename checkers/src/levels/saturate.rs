//! What the commit order must contain at each level, beyond the order of sessions and of reads
//! from writes (Møldrup & Pavlogiannis, *AWDIT: An Optimal Weak Database Isolation Tester*, 2025).
//!
//! Each level has one axiom (Biswas & Enea, *On the Complexity of Checking Transactional
//! Consistency*, 2019): if a transaction reads a register from `T1` although `T2`, which wrote it
//! too, comes before it in the level's sense, then `T2` was committed before `T1`. It is enough to
//! add some of these pairs, such that the rest follow; then the level holds exactly if all of it
//! has no cycle.

use super::rows::Rows;
use super::sessions::{NONE, Sessions};
use crate::Budget;

/// `from` was committed before `to`, because of what `by` read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Before {
    pub(crate) from: u32,
    /// [`NONE`] for the initial state, which is before everything: a contradiction.
    pub(crate) to: u32,
    pub(crate) by: u32,
}

/// Pairs that must be in the commit order.
#[derive(Debug, Default)]
pub(crate) struct Saturated {
    pub(crate) pairs: Vec<Before>,
    pub(crate) steps: u64,
    /// Whether the budget ran out, so that pairs may be missing.
    pub(crate) exhausted: bool,
}

impl Saturated {
    fn add(&mut self, from: u32, to: u32, by: u32) {
        let pair = Before { from, to, by };
        if from != to && self.pairs.last() != Some(&pair) {
            self.pairs.push(pair);
        }
    }

    /// Whether no more may be spent, with so many bytes besides the pairs.
    fn exceeds(&mut self, budget: Budget, bytes: usize) -> bool {
        let bytes = bytes + self.pairs.len() * size_of::<Before>();
        self.exhausted = self.steps > budget.steps || bytes as u64 > budget.bytes;
        self.exhausted
    }
}

/// Of the transaction that is looked at, for each register the writers of its next reads.
#[derive(Clone, Copy)]
struct Next {
    by: u32,
    writers: [u32; 2],
}

/// *Read committed*: who reads from `T2` and afterwards a register from `T1` that `T2` wrote too,
/// has seen that `T2` came first. Time O(n^1.5).
pub(crate) fn committed(sessions: &Sessions<'_, '_>, budget: Budget) -> Saturated {
    let mut found = Saturated::default();
    let fresh = Next {
        by: NONE,
        writers: [NONE; 2],
    };
    let mut next = vec![fresh; sessions.txns.keys() as usize];
    // Of each writer, the last reader that was looked at, and the first of its reads from it.
    let mut first: Vec<(u32, u32)> = vec![(NONE, 0); sessions.txns.len() as usize];
    let mut met: Vec<u32> = Vec::new();
    for by in 0..sessions.len() {
        let reads = sessions.reads.row(by);
        for (at, read) in (0..).zip(reads) {
            if let Some(first) = first.get_mut(read.from as usize)
                && first.0 != by
            {
                *first = (by, at);
            }
        }
        met.clear();
        for (at, read) in (0..reads.len() as u32).zip(reads).rev() {
            if first.get(read.from as usize) == Some(&(by, at)) {
                let writes = sessions.writes.row(read.from);
                let both = if writes.len() <= met.len() {
                    writes
                } else {
                    met.as_slice()
                };
                found.steps += both.len() as u64;
                for &key in both {
                    let next = next.get(key as usize).filter(|next| next.by == by);
                    let Some(&Next { writers, .. }) = next else {
                        continue;
                    };
                    if !std::ptr::eq(both, writes) && !sessions.wrote(read.from, key) {
                        continue;
                    }
                    let [one, other] = writers;
                    if one != read.from {
                        found.add(read.from, one, by);
                    } else if other != read.from {
                        found.add(read.from, other, by);
                    }
                }
            }
            let Some(next) = next.get_mut(read.key as usize) else {
                continue;
            };
            if next.by != by {
                met.push(read.key);
                *next = Next {
                    by,
                    writers: [read.from; 2],
                };
            } else if next.writers[0] != read.from {
                next.writers = [read.from, next.writers[0]];
            }
        }
        if found.exceeds(budget, 0) {
            break;
        }
    }
    found
}

/// *Read atomic*: who comes after `T2` in its session, or reads from it, sees all that it wrote.
/// Time O(n^1.5).
pub(crate) fn atomic(sessions: &Sessions<'_, '_>, budget: Budget) -> Saturated {
    let mut found = Saturated::default();
    // Of each register, the session that is looked at and its last writer there.
    let mut last = vec![(NONE, NONE); sessions.txns.keys() as usize];
    // Of each register, the transaction that is looked at and whom it read it from.
    let mut from = vec![(NONE, NONE); sessions.txns.keys() as usize];
    let mut read_from: Vec<u32> = Vec::new();
    for session in 0..sessions.sessions.len() {
        for &by in sessions.sessions.row(session) {
            read_from.clear();
            for read in sessions.reads.row(by) {
                let last = last.get(read.key as usize);
                if let Some(&(_, writer)) = last.filter(|last| last.0 == session) {
                    found.add(writer, read.from, by);
                }
                if let Some(from) = from.get_mut(read.key as usize) {
                    *from = (by, read.from);
                }
                if read.from != NONE {
                    read_from.push(read.from);
                }
            }
            read_from.sort_unstable();
            read_from.dedup();
            for &writer in &read_from {
                fractured(sessions, &from, by, writer, &mut found);
            }
            for &key in sessions.writes.row(by) {
                if let Some(last) = last.get_mut(key as usize) {
                    *last = (session, by);
                }
            }
        }
        if found.exceeds(budget, 0) {
            break;
        }
    }
    found
}

/// Registers that `writer` wrote and `by` read from others.
fn fractured(
    sessions: &Sessions<'_, '_>,
    from: &[(u32, u32)],
    by: u32,
    writer: u32,
    found: &mut Saturated,
) {
    let (reads, writes) = (sessions.reads.row(by), sessions.writes.row(writer));
    if writes.len() <= reads.len() {
        found.steps += writes.len() as u64;
        for &key in writes {
            let from = from.get(key as usize).filter(|from| from.0 == by);
            if let Some(&(_, other)) = from {
                found.add(writer, other, by);
            }
        }
    } else {
        found.steps += reads.len() as u64;
        for read in reads {
            if read.from != writer && sessions.wrote(writer, read.key) {
                found.add(writer, read.from, by);
            }
        }
    }
}

/// The writers of a register in one session, in its order.
#[derive(Clone, Copy)]
struct Group {
    session: u32,
    /// Where they are among all writers by register.
    from: u32,
    to: u32,
}

/// *Transactional causal consistency*: who comes after `T2` in any way, over sessions and reads,
/// sees what it wrote or something later. `order` is a topological one of sessions and reads.
/// Time O(n k) for k sessions, but for the search for a session's last writer.
pub(crate) fn causal(sessions: &Sessions<'_, '_>, order: &[u32], budget: Budget) -> Saturated {
    let mut found = Saturated::default();
    let (writers, groups) = by_register(sessions);
    let mut clocks = Clocks::new(sessions);
    let mut now = vec![0_u32; sessions.sessions.len() as usize];
    for &by in order {
        let reads = sessions.reads.row(by);
        now.fill(0);
        for before in sessions.before(by).into_iter().chain(sources(sessions, by)) {
            clocks.join(before, &mut now);
        }
        for read in reads {
            let then = clocks.of(read.from);
            let groups = groups.row(read.key);
            found.steps += groups.len() as u64;
            for group in groups {
                let at = group.session as usize;
                let high = now.get(at).copied().unwrap_or(0);
                // What came before the writer is before it anyway.
                let low = then.get(at).copied().unwrap_or(0);
                if high <= low {
                    continue;
                }
                let all = writers.get(group.from as usize..group.to as usize);
                let all: &[(u32, u32)] = all.unwrap_or(&[]);
                let past = all.partition_point(|(place, _)| *place <= high);
                let last = past.checked_sub(1).and_then(|at| all.get(at));
                if let Some(&(_, writer)) = last.filter(|(place, _)| *place > low) {
                    found.add(writer, read.from, by);
                }
            }
        }
        for before in sessions.before(by).into_iter().chain(sources(sessions, by)) {
            clocks.consumed(before);
        }
        clocks.keep(sessions, by, &now);
        found.steps += now.len() as u64;
        if found.exceeds(budget, clocks.memory.len() * 4) {
            break;
        }
    }
    found
}

/// The transactions that it read from, as often as it did.
pub(crate) fn sources<'s>(
    sessions: &'s Sessions<'_, '_>,
    txn: u32,
) -> impl Iterator<Item = u32> + Clone + 's {
    let reads = sessions.reads.row(txn).iter().map(|read| read.from);
    reads.filter(|from| *from != NONE)
}

/// All writers by register, each as its place in its session and its number; and where in there
/// those of each session are.
fn by_register(sessions: &Sessions<'_, '_>) -> (Vec<(u32, u32)>, Rows<Group>) {
    let written = sessions.sessions.items().iter().flat_map(|txn| {
        let keys = sessions.writes.row(*txn).iter();
        keys.map(move |key| (*key, *txn))
    });
    let by_key = Rows::sorted(sessions.txns.keys() as usize, written);
    let mut groups: Rows<Group> = Rows::new();
    let mut from = 0;
    for key in 0..by_key.len() {
        let of = |txn: &u32| sessions.session.get(*txn as usize);
        for group in by_key.row(key).chunk_by(|a, b| of(a) == of(b)) {
            let to = from + group.len() as u32;
            let session = group.first().and_then(of).copied().unwrap_or(NONE);
            groups.push(Group { session, from, to });
            from = to;
        }
        groups.end_row();
    }
    let place = |txn: &u32| sessions.place.get(*txn as usize).copied();
    let placed = |txn: &u32| (place(txn).unwrap_or(0), *txn);
    (by_key.items().iter().map(placed).collect(), groups)
}

/// Of transactions, how many of each session come before or are it; kept until the last that
/// follows directly was looked at.
struct Clocks {
    width: usize,
    /// Where each transaction's clock is; [`NONE`] if it is not kept.
    slot: Vec<u32>,
    /// How many direct followers have not been looked at.
    awaited: Vec<u32>,
    free: Vec<u32>,
    memory: Vec<u32>,
}

impl Clocks {
    fn new(sessions: &Sessions<'_, '_>) -> Self {
        let mut awaited = vec![0; sessions.txns.len() as usize];
        for txn in 0..sessions.len() {
            for before in sessions
                .before(txn)
                .into_iter()
                .chain(sources(sessions, txn))
            {
                if let Some(count) = awaited.get_mut(before as usize) {
                    *count += 1;
                }
            }
        }
        Self {
            width: sessions.sessions.len() as usize,
            slot: vec![NONE; sessions.txns.len() as usize],
            awaited,
            free: Vec::new(),
            memory: Vec::new(),
        }
    }

    /// The clock of a transaction; empty if it has none.
    fn of(&self, txn: u32) -> &[u32] {
        let slot = self.slot.get(txn as usize).copied().unwrap_or(NONE);
        if slot == NONE {
            return &[];
        }
        let from = slot as usize * self.width;
        self.memory.get(from..from + self.width).unwrap_or(&[])
    }

    fn join(&self, txn: u32, now: &mut [u32]) {
        for (now, then) in now.iter_mut().zip(self.of(txn)) {
            *now = (*now).max(*then);
        }
    }

    fn consumed(&mut self, txn: u32) {
        let Some(awaited) = self.awaited.get_mut(txn as usize) else {
            return;
        };
        *awaited = awaited.saturating_sub(1);
        if *awaited == 0
            && let Some(slot) = self.slot.get_mut(txn as usize)
        {
            self.free.push(std::mem::replace(slot, NONE));
        }
    }

    fn keep(&mut self, sessions: &Sessions<'_, '_>, txn: u32, now: &[u32]) {
        if self
            .awaited
            .get(txn as usize)
            .is_none_or(|count| *count == 0)
        {
            return;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = self.memory.len() / self.width.max(1);
            self.memory.resize(self.memory.len() + self.width, 0);
            slot as u32
        });
        let from = slot as usize * self.width;
        if let Some(clock) = self.memory.get_mut(from..from + self.width) {
            clock.copy_from_slice(now);
            if let Some((session, place)) = sessions.at(txn)
                && let Some(own) = clock.get_mut(session as usize)
            {
                *own = place;
            }
        }
        if let Some(of) = self.slot.get_mut(txn as usize) {
            *of = slot;
        }
    }
}
