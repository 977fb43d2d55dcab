//! Directed graphs in compressed rows: topological orders, and short cycles where there is none.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::graph::components;

/// Edges that nothing had to be decided for.
pub(super) const CERTAIN: u32 = u32::MAX;

/// An edge; its tag says which decision it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) tag: u32,
}

impl Edge {
    pub(super) const fn certain(from: u32, to: u32) -> Self {
        Self {
            from,
            to,
            tag: CERTAIN,
        }
    }
}

/// How many nodes may turn out to be on no further cycle before the search for more is given up.
const MISSES_MAX: u32 = 32;

/// The entry at a place known to exist; 0 elsewhere.
pub(super) fn at(of: &[u32], place: u32) -> u32 {
    of.get(place as usize).copied().unwrap_or(0)
}

/// Numbers grouped by what they belong to, in compressed rows.
#[derive(Debug, Default)]
pub(super) struct Rows<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy> Rows<T> {
    /// Sorts items into rows, keeping their order within each.
    pub(super) fn new(rows: u32, items: &[T], row: impl Fn(&T) -> u32) -> Self {
        Self::of_each(rows, items, row, |item| *item)
    }

    /// Sorts what is wanted of each item into rows.
    pub(super) fn of_each<I>(
        rows: u32,
        items: &[I],
        row: impl Fn(&I) -> u32,
        wanted: impl Fn(&I) -> T,
    ) -> Self {
        // The row of an item ends up one place further on, so that places become starts.
        let mut starts = vec![0_u32; rows as usize + 2];
        for item in items {
            if let Some(count) = starts.get_mut(row(item) as usize + 2) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let filler = items.first().map(&wanted);
        let mut sorted = filler.map_or_else(Vec::new, |item| vec![item; sum as usize]);
        for item in items {
            if let Some(place) = starts.get_mut(row(item) as usize + 1) {
                if let Some(slot) = sorted.get_mut(*place as usize) {
                    *slot = wanted(item);
                }
                *place += 1;
            }
        }
        Self {
            starts,
            items: sorted,
        }
    }

    /// The items of a row.
    pub(super) fn of(&self, row: u32) -> &[T] {
        let at = row as usize;
        match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(&from), Some(&to)) => self.items.get(from as usize..to as usize).unwrap_or(&[]),
            _ => &[],
        }
    }
}

/// A directed graph.
#[derive(Debug)]
pub(super) struct Digraph {
    nodes: u32,
    rows: Rows<Edge>,
    entering: Vec<u32>,
}

impl Digraph {
    pub(super) fn new(nodes: u32, edges: &[Edge]) -> Self {
        let mut entering = vec![0; nodes as usize];
        for edge in edges {
            if let Some(count) = entering.get_mut(edge.to as usize) {
                *count += 1;
            }
        }
        Self {
            nodes,
            rows: Rows::new(nodes, edges, |edge| edge.from),
            entering,
        }
    }

    pub(super) const fn nodes(&self) -> u32 {
        self.nodes
    }

    pub(super) fn from(&self, node: u32) -> &[Edge] {
        self.rows.of(node)
    }

    /// How many edges enter each node.
    pub(super) fn entering(&self) -> &[u32] {
        &self.entering
    }

    /// The nodes in a topological order, those of a small rank first where there is a choice.
    /// Nodes on cycles and behind them are missing.
    pub(super) fn sorted(&self, rank: impl Fn(u32) -> u64) -> Vec<u32> {
        let mut entering = self.entering.clone();
        let free = (0..self.nodes).filter(|node| at(&entering, *node) == 0);
        let mut ready: BinaryHeap<Reverse<(u64, u32)>> =
            free.map(|node| Reverse((rank(node), node))).collect();
        let mut order = Vec::with_capacity(self.nodes as usize);
        while let Some(Reverse((_, node))) = ready.pop() {
            order.push(node);
            for edge in self.from(node) {
                if let Some(count) = entering.get_mut(edge.to as usize) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push(Reverse((rank(edge.to), edge.to)));
                    }
                }
            }
        }
        order
    }

    /// The nodes in any topological order, as far as there is one.
    pub(super) fn peeled(&self) -> Vec<u32> {
        let mut entering = self.entering.clone();
        let mut order: Vec<u32> = (0..self.nodes)
            .filter(|node| at(&entering, *node) == 0)
            .collect();
        let mut next = 0;
        while let Some(&node) = order.get(next) {
            next += 1;
            for edge in self.from(node) {
                if let Some(count) = entering.get_mut(edge.to as usize) {
                    *count -= 1;
                    if *count == 0 {
                        order.push(edge.to);
                    }
                }
            }
        }
        order
    }

    /// Up to so many short cycles that share no node, as edges; empty if there is no cycle.
    /// Spends steps.
    pub(super) fn cycles(&self, most: usize, steps: &mut u64) -> Vec<Vec<Edge>> {
        let component = components(
            self.nodes,
            |node| self.from(node),
            |_, edge: Edge| Some(edge.to),
        );
        let mut sizes = vec![0_u32; self.nodes as usize];
        for number in &component {
            if let Some(size) = sizes.get_mut(*number as usize) {
                *size += 1;
            }
        }
        let mut open: Vec<bool> = component.iter().map(|of| at(&sizes, *of) > 1).collect();
        let mut search = Search {
            came: vec![None; self.nodes as usize],
            touched: Vec::new(),
        };
        let mut found: Vec<Vec<Edge>> = Vec::new();
        let mut misses = 0;
        for start in 0..self.nodes {
            let is_enough = *steps == 0 || misses > MISSES_MAX;
            if found.len() >= most || (is_enough && !found.is_empty()) {
                break;
            }
            if !is(&open, start) {
                continue;
            }
            let within = |edge: &Edge| {
                is(&open, edge.to) && at(&component, edge.to) == at(&component, start)
            };
            match search.path(self, start, start, within, steps) {
                None => {
                    misses += 1;
                    close(&mut open, start);
                }
                Some(cycle) => {
                    for edge in &cycle {
                        close(&mut open, edge.from);
                    }
                    found.push(cycle);
                }
            }
        }
        found
    }

    /// A shortest path of at least one edge along edges that may be followed.
    pub(super) fn path(
        &self,
        from: u32,
        to: u32,
        may: impl Fn(&Edge) -> bool,
    ) -> Option<Vec<Edge>> {
        let mut search = Search {
            came: vec![None; self.nodes as usize],
            touched: Vec::new(),
        };
        search.path(self, from, to, may, &mut u64::MAX.clone())
    }
}

fn is(flags: &[bool], node: u32) -> bool {
    flags.get(node as usize).copied().unwrap_or(false)
}

fn close(flags: &mut [bool], node: u32) {
    if let Some(flag) = flags.get_mut(node as usize) {
        *flag = false;
    }
}

/// A search in breadth.
struct Search {
    /// The edge by which each node was first reached.
    came: Vec<Option<Edge>>,
    touched: Vec<u32>,
}

impl Search {
    fn path(
        &mut self,
        graph: &Digraph,
        from: u32,
        to: u32,
        may: impl Fn(&Edge) -> bool,
        steps: &mut u64,
    ) -> Option<Vec<Edge>> {
        for node in self.touched.drain(..) {
            if let Some(came) = self.came.get_mut(node as usize) {
                *came = None;
            }
        }
        let (mut queue, mut next) = (vec![from], 0);
        while let Some(&node) = queue.get(next) {
            next += 1;
            for edge in graph.from(node) {
                *steps = steps.saturating_sub(1);
                let Some(came) = self.came.get_mut(edge.to as usize) else {
                    continue;
                };
                if came.is_some() || !may(edge) {
                    continue;
                }
                *came = Some(*edge);
                self.touched.push(edge.to);
                if edge.to == to {
                    return Some(self.back(from, to));
                }
                queue.push(edge.to);
            }
        }
        None
    }

    fn back(&self, from: u32, to: u32) -> Vec<Edge> {
        let mut path = Vec::new();
        let mut node = to;
        while let Some(Some(edge)) = self.came.get(node as usize) {
            path.push(*edge);
            node = edge.from;
            if node == from {
                break;
            }
        }
        path.reverse();
        path
    }
}
