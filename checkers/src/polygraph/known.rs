//! What comes before what, whatever the order of versions.
//!
//! Under serializability a transaction is one point in time. Under snapshot isolation it is two:
//! its start, at which it reads, and its commit, at which it writes; what it depends on was
//! committed before it started, and what overwrites its reads commits after it started (Adya,
//! 1999). With that the same question is asked of both: is there an order of all points?

use rustc_hash::FxHashMap;

use super::chains::Chains;
use super::digraph::Edge;
use super::normal::Normal;
use super::{Isolation, Order};

/// The points in time of a level's transactions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Points {
    pub(super) isolation: Isolation,
}

impl Points {
    /// Where the transaction reads.
    pub(super) const fn start(self, txn: u32) -> u32 {
        match self.isolation {
            Isolation::Serializable => txn,
            Isolation::Snapshot => 2 * txn,
        }
    }

    /// Where the transaction writes.
    pub(super) const fn commit(self, txn: u32) -> u32 {
        match self.isolation {
            Isolation::Serializable => txn,
            Isolation::Snapshot => 2 * txn + 1,
        }
    }

    /// The transaction of a point.
    pub(super) const fn txn(self, point: u32) -> u32 {
        match self.isolation {
            Isolation::Serializable => point,
            Isolation::Snapshot => point / 2,
        }
    }

    /// How many points so many transactions have.
    pub(super) const fn count(self, txns: u32) -> u32 {
        match self.isolation {
            Isolation::Serializable => txns,
            Isolation::Snapshot => 2 * txns,
        }
    }
}

/// Edges between points, and between points and further nodes.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) points: Points,
    pub(super) edges: Vec<Edge>,
    pub(super) nodes: u32,
}

/// What is known without any order of chains.
pub(super) fn known(normal: &Normal, chains: &Chains, isolation: Isolation, order: Order) -> Known {
    let points = Points { isolation };
    let mut known = Known {
        points,
        edges: Vec::new(),
        nodes: points.count(normal.len()),
    };
    if isolation == Isolation::Snapshot {
        let inner = |txn| Edge::certain(points.start(txn), points.commit(txn));
        known.edges.extend((0..normal.len()).map(inner));
    }
    // What real time tells anyway is not said twice.
    let is_told = |first: u32, second: u32| {
        let member = |txn: u32| normal.txns.get(txn as usize);
        order == Order::RealTime
            && member(first)
                .zip(member(second))
                .is_some_and(|(first, second)| first.ret.is_some_and(|ret| ret < second.invoked))
    };
    for read in &normal.reads {
        if let Some(writer) = normal.writer(read.from)
            && !is_told(writer, read.txn)
        {
            known.depends(writer, read.txn);
        }
    }
    for version in 0..normal.writes.len() as u32 {
        let next = chains.next_of(version).and_then(|next| normal.writer(next));
        if let Some(next) = next {
            for reader in chains.readers(version).filter(|r| !is_told(*r, next)) {
                known.overwritten(reader, next);
            }
        }
    }
    for key in 0..normal.keys {
        let first = chains.first_of(key).and_then(|first| normal.writer(first));
        if let Some(first) = first {
            for reader in chains.initial_readers(key).filter(|r| !is_told(*r, first)) {
                known.overwritten(reader, first);
            }
        }
    }
    match order {
        Order::Any => {}
        Order::Session => known.sessions(normal),
        Order::RealTime => known.real_time(normal),
    }
    known
}

impl Known {
    fn edge(&mut self, from: u32, to: u32) {
        self.edges.push(Edge::certain(from, to));
    }

    /// The second saw, or overwrote, what the first wrote.
    pub(super) fn depends(&mut self, first: u32, second: u32) {
        let (from, to) = (self.points.commit(first), self.points.start(second));
        self.edge(from, to);
    }

    /// The writer overwrote what the reader saw.
    pub(super) fn overwritten(&mut self, reader: u32, writer: u32) {
        if reader != writer {
            self.edge(self.points.start(reader), self.points.commit(writer));
        }
    }

    fn sessions(&mut self, normal: &Normal) {
        let mut last: FxHashMap<u64, u32> = FxHashMap::default();
        for (txn, member) in (0_u32..).zip(&normal.txns) {
            if let Some(before) = last.insert(member.session, txn) {
                self.depends(before, txn);
            }
        }
    }

    /// A node for each instant at which some had ended before another began.
    fn real_time(&mut self, normal: &Normal) {
        let numbered = (0_u32..).zip(&normal.txns);
        let mut ends: Vec<(u64, u32)> = numbered
            .filter_map(|(txn, member)| Some((member.ret?, txn)))
            .collect();
        ends.sort_unstable();
        let mut ends = ends.into_iter().peekable();
        let mut barrier: Option<u32> = None;
        for (txn, member) in (0_u32..).zip(&normal.txns) {
            let mut fresh = false;
            while let Some((_, ended)) = ends.next_if(|(ret, _)| *ret < member.invoked) {
                if !fresh {
                    fresh = true;
                    if let Some(old) = barrier {
                        self.edge(old, self.nodes);
                    }
                    barrier = Some(self.nodes);
                    self.nodes += 1;
                }
                if let Some(barrier) = barrier {
                    self.edge(self.points.commit(ended), barrier);
                }
            }
            if let Some(barrier) = barrier {
                self.edge(barrier, self.points.start(txn));
            }
        }
    }

    /// What comes before what if one chain of a register comes before another, with a tag.
    pub(super) fn chain_order(
        &self,
        normal: &Normal,
        chains: &Chains,
        (first, second): (u32, u32),
        tag: u32,
        edges: &mut Vec<Edge>,
    ) {
        let (tail, head) = (chains.get(first).tail, chains.get(second).head);
        let (Some(old), Some(new)) = (normal.writer(tail), normal.writer(head)) else {
            return;
        };
        let (from, to) = (self.points.commit(old), self.points.start(new));
        edges.push(Edge { from, to, tag });
        let to = self.points.commit(new);
        for reader in chains.readers(tail).filter(|reader| *reader != new) {
            let from = self.points.start(reader);
            edges.push(Edge { from, to, tag });
        }
    }

    /// That all chains of a register come after its initial absence and its first chain, with a
    /// node between many and many.
    pub(super) fn initial(&mut self, normal: &Normal, chains: &Chains) {
        for key in 0..normal.keys {
            let of_key = chains.of_key.of(key);
            let first = of_key.first().map(|first| chains.get(*first));
            let first = first.filter(|chain| chain.is_first);
            let others = of_key.iter().map(|chain| chains.get(*chain));
            let heads: Vec<u32> = others
                .filter(|chain| !chain.is_first)
                .filter_map(|chain| normal.writer(chain.head))
                .collect();
            let readers: Vec<u32> = match first {
                Some(chain) => chains.readers(chain.tail).collect(),
                None => chains.initial_readers(key).collect(),
            };
            if let Some(old) = first.and_then(|chain| normal.writer(chain.tail)) {
                for &head in &heads {
                    self.depends(old, head);
                }
            }
            let few = readers.len() * heads.len() <= readers.len() + heads.len() + 8;
            if few {
                for &reader in &readers {
                    for &head in &heads {
                        self.overwritten(reader, head);
                    }
                }
                continue;
            }
            let gate = self.nodes;
            self.nodes += 1;
            for &reader in &readers {
                self.edge(self.points.start(reader), gate);
            }
            for &head in &heads {
                self.edge(gate, self.points.commit(head));
            }
        }
    }
}
