//! What each node reaches, kept while edges are added.

use smallvec::SmallVec;

use super::digraph::{Digraph, Edge, Rows};

/// What each node reaches, as rows of bits.
#[derive(Debug)]
pub(super) struct Reach {
    words: usize,
    bits: Vec<u64>,
}

impl Reach {
    /// `None` if there is a cycle.
    pub(super) fn new(graph: &Digraph, steps: &mut u64) -> Option<Self> {
        let order = graph.peeled();
        if order.len() < graph.nodes() as usize {
            return None;
        }
        let words = graph.nodes().div_ceil(64) as usize;
        let mut reach = Self {
            words,
            bits: vec![0; words * graph.nodes() as usize],
        };
        let mut row = vec![0_u64; words];
        for node in order.into_iter().rev() {
            row.fill(0);
            if let Some(word) = row.get_mut(node as usize / 64) {
                *word |= 1 << (node % 64);
            }
            for edge in graph.from(node) {
                // Reached already through an edge before.
                let word = row.get(edge.to as usize / 64).copied().unwrap_or(0);
                if word >> (edge.to % 64) & 1 == 1 {
                    continue;
                }
                *steps = steps.saturating_sub(words as u64 / 8 + 1);
                for (into, from) in row.iter_mut().zip(reach.row(edge.to)) {
                    *into |= from;
                }
            }
            let from = node as usize * words;
            if let Some(place) = reach.bits.get_mut(from..from + words) {
                place.copy_from_slice(&row);
            }
        }
        Some(reach)
    }

    fn row(&self, node: u32) -> &[u64] {
        let from = node as usize * self.words;
        self.bits.get(from..from + self.words).unwrap_or(&[])
    }

    /// Whether there is a path.
    pub(super) fn has(&self, from: u32, to: u32) -> bool {
        let at = from as usize * self.words + to as usize / 64;
        self.bits.get(at).copied().unwrap_or(0) >> (to % 64) & 1 == 1
    }

    /// Where each node comes about in an order of all: how many are before it, less how many
    /// are after it.
    pub(super) fn heights(&self, nodes: u32) -> Vec<i64> {
        let mut heights = vec![0_i64; nodes as usize];
        for node in 0..nodes {
            let mut after = 0;
            for (place, &word) in self.row(node).iter().enumerate() {
                let mut left = word;
                while left != 0 {
                    let to = place * 64 + left.trailing_zeros() as usize;
                    left &= left - 1;
                    after += 1;
                    if let Some(height) = heights.get_mut(to) {
                        *height += 1;
                    }
                }
            }
            if let Some(height) = heights.get_mut(node as usize) {
                *height -= after;
            }
        }
        heights
    }

    /// Notes a new edge, which must close no cycle. Who reaches its end already is passed by, with
    /// all before them (Italiano, *Amortized efficiency of a path retrieval data structure*,
    /// 1986).
    pub(super) fn add(&mut self, (from, to): (u32, u32), before: &Before, steps: &mut u64) {
        let mut open = vec![from];
        let mut row = vec![0_u64; self.words];
        row.copy_from_slice(self.row(to));
        while let Some(node) = open.pop() {
            if self.has(node, to) {
                continue;
            }
            *steps = steps.saturating_sub(self.words as u64 / 8 + 1);
            let start = node as usize * self.words;
            if let Some(mine) = self.bits.get_mut(start..start + self.words) {
                for (into, from) in mine.iter_mut().zip(&row) {
                    *into |= from;
                }
            }
            open.extend(before.of(node));
        }
    }
}

/// The nodes directly before each node.
#[derive(Debug)]
pub(super) struct Before {
    known: Rows<u32>,
    added: Vec<SmallVec<[u32; 4]>>,
}

impl Before {
    pub(super) fn new(nodes: u32, edges: &[Edge]) -> Self {
        Self {
            known: Rows::of_each(nodes, edges, |edge| edge.to, |edge| edge.from),
            added: vec![SmallVec::new(); nodes as usize],
        }
    }

    pub(super) fn add(&mut self, (from, to): (u32, u32)) {
        if let Some(added) = self.added.get_mut(to as usize) {
            added.push(from);
        }
    }

    fn of(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        let added = self.added.get(node as usize).into_iter().flatten();
        self.known.of(node).iter().chain(added).copied()
    }
}
