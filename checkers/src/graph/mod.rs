//! The dependency graph of transactions, and cycles in it.
//!
//! A node is a transaction, or a *barrier*: an instant at which some transactions had ended.
//! Barriers carry the real-time order in space linear in the history: `a` reaches `b` through
//! them exactly if `a` ended before `b` began. Each edge says why its source comes before its
//! target ([`Why`]); a cycle of edges is a contradiction, and which edges it needs tells which
//! isolation it rules out (Adya, *Weak Consistency*, 1999).

mod components;
mod cycles;
mod models;

pub(crate) use components::components;
pub(crate) use cycles::{Cycle, search};
pub use models::{forbids, levels};
pub(crate) use models::{models_left, weakest_that_forbid};

/// Why one transaction comes before another: a set of reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Why(pub(crate) u16);

impl Why {
    /// Wrote a version of which the other wrote the next one.
    pub(crate) const WW: Self = Self(1);
    /// Wrote what the other read.
    pub(crate) const WR: Self = Self(2);
    /// Read a version that the other overwrote.
    pub(crate) const RW: Self = Self(4);
    /// Was called earlier by the same client.
    pub(crate) const PROCESS: Self = Self(8);
    /// Ended before the other began.
    pub(crate) const REALTIME: Self = Self(16);
    /// Read a version that the other overwrote, if versions follow real time.
    pub(crate) const RW_REALTIME: Self = Self(32);
    /// Read a version that the other overwrote, if versions follow the order of each process.
    pub(crate) const RW_PROCESS: Self = Self(64);
    /// Wrote an earlier version than the other, if versions follow the order of each process.
    pub(crate) const WW_PROCESS: Self = Self(128);
    /// Wrote an earlier version than the other, if versions follow real time.
    pub(crate) const WW_REALTIME: Self = Self(256);
    /// Every kind of anti-dependency.
    pub(crate) const ANTI: Self = Self(4 | 32 | 64);
    /// Every kind of dependency between writes.
    pub(crate) const WRITES: Self = Self(1 | 128 | 256);
    /// What counts only where the order of each process does.
    pub(crate) const OF_PROCESS: Self = Self(8 | 64 | 128);
    /// What counts only where real time does.
    pub(crate) const OF_REALTIME: Self = Self(16 | 32 | 256);

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A directed graph in compressed rows.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// Where the edges of each node begin in `edges`; one more than there are nodes.
    starts: Vec<u32>,
    edges: Vec<(u32, Why)>,
    /// How many nodes are transactions; those after them are barriers.
    pub(crate) transactions: u32,
}

impl Graph {
    /// The graph of these edges. Reasons for the same edge are united; loops are dropped.
    pub(crate) fn new(transactions: u32, nodes: u32, mut edges: Vec<(u32, u32, Why)>) -> Self {
        edges.retain(|(from, to, _)| from != to);
        edges.sort_unstable_by_key(|(from, to, _)| (*from, *to));
        edges.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 = kept.2.or(next.2);
            }
            same
        });
        let mut starts = vec![0; nodes as usize + 1];
        for (from, _, _) in &edges {
            if let Some(count) = starts.get_mut(*from as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let edges = edges.into_iter().map(|(_, to, why)| (to, why)).collect();
        Self {
            starts,
            edges,
            transactions,
        }
    }

    /// Transactions and barriers.
    pub(crate) fn nodes(&self) -> u32 {
        self.starts.len().saturating_sub(1) as u32
    }

    /// How many edges it has.
    pub(crate) fn size(&self) -> usize {
        self.edges.len()
    }

    /// The edges that leave the node.
    pub(crate) fn from(&self, node: u32) -> &[(u32, Why)] {
        let at = node as usize;
        match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(&from), Some(&to)) => self.edges.get(from as usize..to as usize).unwrap_or(&[]),
            _ => &[],
        }
    }
}

/// When a transaction may have taken effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interval {
    pub(crate) process: u64,
    /// Index of the event that invoked it.
    pub(crate) call: u64,
    /// Index of the event that ended it; `None` if it may take effect at any later time.
    pub(crate) ret: Option<u64>,
}

/// Adds the order of each process and of real time. Answers how many nodes there are with the
/// barriers; the transactions, `None` where one never happened, must be in the order of invocation.
pub(crate) fn add_orders(intervals: &[Option<Interval>], edges: &mut Vec<(u32, u32, Why)>) -> u32 {
    let mut last_of = rustc_hash::FxHashMap::default();
    let mut ends: Vec<(u64, u32)> = Vec::new();
    let present = || {
        let numbered = (0_u32..).zip(intervals);
        numbered.filter_map(|(node, interval)| Some((node, interval.as_ref()?)))
    };
    for (node, interval) in present() {
        if let Some(before) = last_of.insert(interval.process, node) {
            edges.push((before, node, Why::PROCESS));
        }
        ends.extend(interval.ret.map(|ret| (ret, node)));
    }
    ends.sort_unstable();
    let mut ends = ends.into_iter().peekable();
    let mut nodes = intervals.len() as u32;
    let mut barrier: Option<u32> = None;
    for (node, interval) in present() {
        let mut fresh = false;
        while let Some((_, ended)) = ends.next_if(|(ret, _)| *ret < interval.call) {
            if !fresh {
                fresh = true;
                edges.extend(barrier.map(|old| (old, nodes, Why::REALTIME)));
                barrier = Some(nodes);
                nodes += 1;
            }
            edges.extend(barrier.map(|new| (ended, new, Why::REALTIME)));
        }
        edges.extend(barrier.map(|barrier| (barrier, node, Why::REALTIME)));
    }
    nodes
}
