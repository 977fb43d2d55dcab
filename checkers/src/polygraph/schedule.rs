//! Guesses an order by running the transactions again, one at a time.
//!
//! A healthy store takes effect between invocation and answer, so transactions are run in the
//! order in which they ended, each after what it depends on, and no register is overwritten
//! before all who saw its content have run. If that works out to the end it *is* a serial order,
//! and one that respects real time. Where it gets stuck the transaction that ended first runs
//! anyway, and the order is but a guess.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::chains::Chains;
use super::digraph::{Digraph, Edge, Rows, at};
use super::known::Known;
use super::normal::{INITIAL, Normal, Read, Write};

/// An order of transactions.
#[derive(Debug)]
pub(super) struct Guess {
    pub(super) order: Vec<u32>,
    /// Whether each transaction saw in this order what it had seen, and real time is kept.
    pub(super) is_serial: bool,
}

/// Guesses; the edges are those of [`super::known`] between transactions in real time.
pub(super) fn guess(normal: &Normal, chains: &Chains, known: Known) -> Guess {
    let mut edges = known.edges;
    reigns(normal, chains, &mut edges);
    let graph = Digraph::new(known.nodes, &edges);
    drop(edges);
    let mut schedule = Schedule::new(normal, &graph);
    schedule.run();
    Guess {
        is_serial: schedule.is_serial && schedule.order.len() == normal.txns.len(),
        order: schedule.order,
    }
}

/// How many overlapping neighbours in time of each version are compared with it.
const NEIGHBOURS: usize = 16;

/// Adds that a version comes before another of its register if all about the first had been seen
/// when the second was still there: the one was written or read by an operation that ended before
/// one began that wrote or read the other (Gibbons & Korach, *Testing shared memories*, 1997).
fn reigns(normal: &Normal, chains: &Chains, edges: &mut Vec<Edge>) {
    let member = |txn: u32| normal.txns.get(txn as usize);
    let ret = |txn: u32| member(txn).and_then(|m| m.ret).unwrap_or(u64::MAX);
    let invoked = |txn: u32| member(txn).map_or(0, |m| m.invoked);
    let versions: Vec<u32> = (0..normal.writes.len() as u32).collect();
    let key = |version: &u32| normal.writes.get(*version as usize).map_or(0, |w| w.key);
    let by_key = Rows::new(normal.keys, &versions, key);
    let mut reigns: Vec<(u64, u64, u32)> = Vec::new();
    for key in 0..normal.keys {
        reigns.clear();
        for &version in by_key.of(key) {
            let Some(writer) = normal.writer(version) else {
                continue;
            };
            let seen = || chains.readers(version).chain([writer]);
            let first_end = seen().map(ret).min().unwrap_or(u64::MAX);
            let last_call = seen().map(invoked).max().unwrap_or(0);
            reigns.push((first_end, last_call, writer));
        }
        reigns.sort_unstable();
        for (place, &(_, last_call, writer)) in reigns.iter().enumerate() {
            let before = reigns.partition_point(|(first_end, ..)| *first_end < last_call);
            let near = before.saturating_sub(NEIGHBOURS)..before;
            for (other, earlier) in near.clone().zip(reigns.get(near).unwrap_or(&[])) {
                // Real time tells most of it already.
                if other != place && ret(earlier.2) > invoked(writer) {
                    edges.push(Edge::certain(earlier.2, writer));
                }
            }
        }
    }
}

struct Schedule<'g> {
    graph: &'g Digraph,
    txns: u32,
    reads: Rows<Read>,
    writes: Rows<(u32, Write)>,
    /// When each node has to be done.
    due: Vec<u64>,
    entering: Vec<u32>,
    ready: BinaryHeap<Reverse<(u64, u32)>>,
    /// Transactions that wait for the readers of a register, and all of them by their dues.
    waiting: Vec<Vec<u32>>,
    stuck: BinaryHeap<Reverse<(u64, u32)>>,
    /// The nodes by their dues, for when nothing at all can be done.
    by_due: Vec<u32>,
    next_due: usize,
    is_waiting: Vec<bool>,
    done: Vec<bool>,
    /// The version in each register.
    current: Vec<u32>,
    /// Who has not read each version yet; then of each register, its initial absence.
    unread: Vec<u32>,
    order: Vec<u32>,
    is_serial: bool,
}

impl<'g> Schedule<'g> {
    fn new(normal: &Normal, graph: &'g Digraph) -> Self {
        let versions = normal.writes.len();
        let mut unread = vec![0; versions + normal.keys as usize];
        for read in &normal.reads {
            let slot = unread_slot(versions, read.key, read.from);
            if let Some(count) = unread.get_mut(slot) {
                *count += 1;
            }
        }
        let writes: Vec<(u32, Write)> = (0..).zip(normal.writes.iter().copied()).collect();
        let due = dues(normal, graph);
        let nodes = graph.nodes() as usize;
        let rank = |node: u32| due.get(node as usize).copied().unwrap_or(0);
        Self {
            txns: normal.len(),
            reads: normal.reads_by_txn(),
            writes: Rows::new(normal.len(), &writes, |(_, write)| write.txn),
            entering: graph.entering().to_vec(),
            ready: (0..graph.nodes())
                .filter(|node| at(graph.entering(), *node) == 0)
                .map(|node| Reverse((rank(node), node)))
                .collect(),
            waiting: vec![Vec::new(); normal.keys as usize],
            stuck: BinaryHeap::new(),
            by_due: Vec::new(),
            next_due: 0,
            is_waiting: vec![false; nodes],
            done: vec![false; nodes],
            current: vec![INITIAL; normal.keys as usize],
            unread,
            order: Vec::with_capacity(normal.txns.len()),
            is_serial: true,
            due,
            graph,
        }
    }

    fn rank(&self, node: u32) -> u64 {
        self.due.get(node as usize).copied().unwrap_or(0)
    }

    fn run(&mut self) {
        loop {
            if let Some(Reverse((_, node))) = self.ready.pop() {
                if self.is_done(node) {
                    continue;
                }
                match self.held_by(node) {
                    Some(key) => self.wait(node, key),
                    None => self.perform(node),
                }
                continue;
            }
            match self.forced() {
                Some(node) => {
                    self.is_serial = false;
                    self.perform(node);
                }
                None => return,
            }
        }
    }

    fn is_done(&self, node: u32) -> bool {
        self.done.get(node as usize).copied().unwrap_or(true)
    }

    /// Where nothing can be done: who waits, else whoever has to be done first.
    fn forced(&mut self) -> Option<u32> {
        while let Some(Reverse((_, node))) = self.stuck.pop() {
            let waits = self.is_waiting.get(node as usize).copied().unwrap_or(false);
            if waits && !self.is_done(node) {
                return Some(node);
            }
        }
        if self.by_due.is_empty() {
            self.by_due = (0..self.graph.nodes()).collect();
            let due = &self.due;
            self.by_due
                .sort_by_key(|node| due.get(*node as usize).copied());
        }
        while let Some(&node) = self.by_due.get(self.next_due) {
            self.next_due += 1;
            if !self.is_done(node) {
                return Some(node);
            }
        }
        None
    }

    /// A register that the transaction writes and that others have still to read.
    fn held_by(&self, node: u32) -> Option<u32> {
        if node >= self.txns {
            return None;
        }
        let reads = self.reads.of(node);
        let held = |key: u32| {
            let current = at(&self.current, key);
            let mine = reads.iter().any(|r| r.key == key && r.from == current);
            self.unread_of(key, current) > u32::from(mine)
        };
        let mut keys = self.writes.of(node).iter().map(|(_, write)| write.key);
        keys.find(|key| held(*key))
    }

    fn unread_of(&self, key: u32, version: u32) -> u32 {
        let versions = self.unread.len() - self.current.len();
        let slot = unread_slot(versions, key, version);
        self.unread.get(slot).copied().unwrap_or(0)
    }

    fn wait(&mut self, node: u32, key: u32) {
        if let Some(waiting) = self.waiting.get_mut(key as usize) {
            waiting.push(node);
        }
        if let Some(flag) = self.is_waiting.get_mut(node as usize) {
            *flag = true;
        }
        self.stuck.push(Reverse((self.rank(node), node)));
    }

    fn wake(&mut self, key: u32) {
        let waiting = self.waiting.get_mut(key as usize);
        for node in waiting.map(std::mem::take).unwrap_or_default() {
            if let Some(flag) = self.is_waiting.get_mut(node as usize) {
                *flag = false;
            }
            self.ready.push(Reverse((self.rank(node), node)));
        }
    }

    fn perform(&mut self, node: u32) {
        if let Some(done) = self.done.get_mut(node as usize) {
            *done = true;
        }
        if node < self.txns {
            self.order.push(node);
            self.touch(node);
        }
        let graph = self.graph;
        for edge in graph.from(node) {
            if let Some(count) = self.entering.get_mut(edge.to as usize) {
                *count = count.saturating_sub(1);
                if *count == 0 && !self.is_done(edge.to) {
                    self.ready.push(Reverse((self.rank(edge.to), edge.to)));
                }
            }
        }
    }

    /// Reads and writes registers.
    fn touch(&mut self, txn: u32) {
        let versions = self.unread.len() - self.current.len();
        let mut freed: smallvec::SmallVec<[u32; 8]> = smallvec::SmallVec::new();
        for read in self.reads.of(txn) {
            let slot = unread_slot(versions, read.key, read.from);
            if let Some(count) = self.unread.get_mut(slot) {
                *count = count.saturating_sub(1);
                if *count <= 1 {
                    freed.push(read.key);
                }
            }
        }
        for (version, write) in self.writes.of(txn) {
            if let Some(current) = self.current.get_mut(write.key as usize) {
                *current = *version;
            }
            if self.unread.get(*version as usize).is_none_or(|n| *n <= 1) {
                freed.push(write.key);
            }
        }
        for key in freed {
            self.wake(key);
        }
    }
}

/// Where the readers of a version are counted.
fn unread_slot(versions: usize, key: u32, version: u32) -> usize {
    match version {
        INITIAL => versions + key as usize,
        version => version as usize,
    }
}

/// When each node has to be done: before it ended, and before all that must follow it.
fn dues(normal: &Normal, graph: &Digraph) -> Vec<u64> {
    let mut due = vec![u64::MAX; graph.nodes() as usize];
    for (due, member) in due.iter_mut().zip(&normal.txns) {
        *due = member.ret.unwrap_or(u64::MAX);
    }
    for node in graph.peeled().into_iter().rev() {
        let after = graph.from(node).iter();
        let least = after.filter_map(|edge| due.get(edge.to as usize)).min();
        if let Some(&least) = least
            && let Some(due) = due.get_mut(node as usize)
        {
            *due = (*due).min(least);
        }
    }
    due
}
