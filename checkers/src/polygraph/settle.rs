//! Settles the orders that saturation left open, one after the other and without looking back.
//!
//! As all that is known is known with its consequences, an order is only taken if it closes no
//! cycle. Where there is a choice, how many come before and after each transaction tells which
//! order is likelier (choices that agree with a present order of all are what makes *VeriStrong*
//! fast: Cai et al., 2025); the clearest are settled first, so that others follow from them. This
//! rarely runs into a contradiction; then what was caught in it goes first in another attempt.

use super::chains::Chains;
use super::digraph::{CERTAIN, Digraph, Edge};
use super::known::Known;
use super::normal::Normal;
use super::reach::{Before, Reach};
use super::saturate::{Pair, Saturated};

/// How often it is tried.
const ATTEMPTS_MAX: usize = 8;
/// So few pairs are settled one at a time, with all that follows.
const FEW: usize = 64;

/// What is to be settled.
pub(super) struct Unsettled<'p> {
    pub(super) normal: &'p Normal,
    pub(super) chains: &'p Chains,
    pub(super) known: &'p Known,
    pub(super) saturated: &'p Saturated,
}

/// Why an attempt ended without an order.
enum End {
    /// Neither order of this pair is possible any more.
    Stuck(Pair),
    Stopped,
}

/// An attempt.
struct Settling<'p> {
    of: &'p Unsettled<'p>,
    reach: Reach,
    before: Before,
    edges: Vec<Edge>,
    option: Vec<Edge>,
}

impl Unsettled<'_> {
    /// An order of all nodes; `None` if none was found, which says nothing.
    pub(super) fn settle(&self, steps: &mut u64) -> Option<Vec<u32>> {
        let base = [self.known.edges.as_slice(), &self.saturated.edges].concat();
        let graph = Digraph::new(self.known.nodes, &base);
        let mut urgent: Vec<Pair> = Vec::new();
        for _ in 0..ATTEMPTS_MAX {
            let mut settling = Settling {
                of: self,
                reach: Reach::new(&graph, steps)?,
                before: Before::new(self.known.nodes, &base),
                edges: base.clone(),
                option: Vec::new(),
            };
            match settling.run(&urgent, steps) {
                Ok(order) => return Some(order),
                Err(End::Stuck(pair)) => urgent.push((pair.0.min(pair.1), pair.0.max(pair.1))),
                Err(End::Stopped) => return None,
            }
        }
        None
    }
}

impl Settling<'_> {
    fn run(&mut self, urgent: &[Pair], steps: &mut u64) -> Result<Vec<u32>, End> {
        let heights = self.reach.heights(self.of.known.nodes);
        for &pair in urgent {
            let (_, pair) = self.likelier(pair, &heights);
            self.settle(pair, true, steps)?;
        }
        let mut open = self.of.saturated.open.clone();
        loop {
            self.follow(&mut open, steps)?;
            if open.is_empty() {
                break;
            }
            let heights = self.reach.heights(self.of.known.nodes);
            *steps = steps.saturating_sub(u64::from(self.of.known.nodes));
            let clear = open.iter().map(|&pair| self.likelier(pair, &heights));
            let mut clear: Vec<(i64, Pair)> = clear.collect();
            clear.sort_unstable_by_key(|(by, pair)| (-by, *pair));
            let many = if clear.len() > FEW {
                clear.len() / 2
            } else {
                1
            };
            for &(_, pair) in clear.iter().take(many) {
                self.settle(pair, true, steps)?;
            }
            open = clear.into_iter().skip(many).map(|(_, pair)| pair).collect();
        }
        let graph = Digraph::new(self.of.known.nodes, &self.edges);
        let order = graph.peeled();
        match order.len() == self.of.known.nodes as usize {
            true => Ok(order),
            false => Err(End::Stopped),
        }
    }

    /// Settles what has to be as it is, until nothing more follows.
    fn follow(&mut self, open: &mut Vec<Pair>, steps: &mut u64) -> Result<(), End> {
        loop {
            let before = open.len();
            let mut left = Vec::with_capacity(before);
            for &pair in open.iter() {
                if !self.settle(pair, false, steps)? {
                    left.push(pair);
                }
            }
            *open = left;
            if open.len() == before {
                return Ok(());
            }
        }
    }

    /// Settles a pair if it has to be as it is, or if it may be as it stands; whether it did.
    fn settle(&mut self, pair: Pair, may: bool, steps: &mut u64) -> Result<bool, End> {
        *steps = steps.saturating_sub(2);
        if *steps == 0 {
            return Err(End::Stopped);
        }
        let back = (pair.1, pair.0);
        let chosen = match (self.is_possible(pair), self.is_possible(back)) {
            (false, false) => return Err(End::Stuck(pair)),
            (true, true) if !may => return Ok(false),
            (true, _) => pair,
            (false, true) => back,
        };
        self.take(chosen, steps);
        Ok(true)
    }

    /// The likelier order of a pair, and by how much.
    fn likelier(&mut self, pair: Pair, heights: &[i64]) -> (i64, Pair) {
        let height = |node: u32| heights.get(node as usize).copied().unwrap_or(0);
        let mut against = |pair| {
            self.list(pair);
            let each = self.option.iter().map(|e| height(e.from) - height(e.to));
            each.max().unwrap_or(0)
        };
        let back = (pair.1, pair.0);
        let (up, down) = (against(pair), against(back));
        match up <= down {
            true => (down - up, pair),
            false => (up - down, back),
        }
    }

    fn list(&mut self, pair: Pair) {
        let Unsettled {
            normal,
            chains,
            known,
            ..
        } = self.of;
        self.option.clear();
        known.chain_order(normal, chains, pair, CERTAIN, &mut self.option);
    }

    fn is_possible(&mut self, pair: Pair) -> bool {
        self.list(pair);
        let mut option = self.option.iter();
        option.all(|edge| !self.reach.has(edge.to, edge.from))
    }

    fn take(&mut self, pair: Pair, steps: &mut u64) {
        self.list(pair);
        for edge in &self.option {
            let (from, to) = (edge.from, edge.to);
            if !self.reach.has(from, to) {
                self.before.add((from, to));
                self.reach.add((from, to), &self.before, steps);
                self.edges.push(*edge);
            }
        }
    }
}
