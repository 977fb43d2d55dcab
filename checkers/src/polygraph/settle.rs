//! Settles the orders that saturation left open, one after the other and without looking back.
//!
//! As all that is known is known with its consequences, an order is only taken if it closes no
//! cycle, and those that it decides nearby follow at once. Where a choice is left the guessed
//! order is taken (as the polarity of *VeriStrong*: Cai et al., 2025). This rarely runs into a
//! contradiction; then what was caught in it is settled first in another attempt.

use super::chains::Chains;
use super::digraph::{CERTAIN, Digraph, Edge, at};
use super::known::Known;
use super::normal::Normal;
use super::reach::{Before, Reach};
use super::saturate::{Pair, Saturated};

/// How often it is tried.
const ATTEMPTS_MAX: usize = 8;
/// How many of the next pairs are looked at again after each choice.
const NEAR: usize = 256;

/// What is to be settled.
pub(super) struct Unsettled<'p> {
    pub(super) normal: &'p Normal,
    pub(super) chains: &'p Chains,
    pub(super) known: &'p Known,
    pub(super) saturated: &'p Saturated,
}

/// What came of an attempt.
enum Attempt {
    /// An order of all nodes.
    Done(Vec<u32>),
    /// The place of a pair neither order of which is possible any more.
    Stuck(usize),
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
    /// An order of all nodes; `None` if none was found, which says nothing. `rank` is the guess.
    pub(super) fn settle(&self, rank: impl Fn(u32) -> u64, steps: &mut u64) -> Option<Vec<u32>> {
        let base = [self.known.edges.as_slice(), &self.saturated.edges].concat();
        let graph = Digraph::new(self.known.nodes, &base);
        let sorted = graph.sorted(rank);
        let mut place = vec![0; self.known.nodes as usize];
        for (at, node) in (0_u32..).zip(sorted) {
            if let Some(place) = place.get_mut(node as usize) {
                *place = at;
            }
        }
        let mut pairs = self.pairs(&place);
        for _ in 0..ATTEMPTS_MAX {
            let mut settling = Settling {
                of: self,
                reach: Reach::new(&graph, steps)?,
                before: Before::new(self.known.nodes, &base),
                edges: base.clone(),
                option: Vec::new(),
            };
            match settling.run(&pairs, steps) {
                Attempt::Done(order) => return Some(order),
                Attempt::Stuck(at) => pairs.get_mut(..=at)?.rotate_right(1),
                Attempt::Stopped => return None,
            }
        }
        None
    }

    /// The open pairs by when the later of the two comes in the guess; the earlier first in each.
    fn pairs(&self, place: &[u32]) -> Vec<Pair> {
        let node = |chain: u32| {
            let writer = self.normal.writer(self.chains.get(chain).head);
            at(place, self.known.points.commit(writer.unwrap_or(0)))
        };
        let keyed = self.saturated.open.iter().map(|&(one, other)| {
            let (a, b) = (node(one), node(other));
            match a <= b {
                true => (b, a, (one, other)),
                false => (a, b, (other, one)),
            }
        });
        let mut keyed: Vec<(u32, u32, Pair)> = keyed.collect();
        // Those next to each other come first.
        keyed.sort_unstable_by_key(|(late, early, pair)| (*late, u32::MAX - early, *pair));
        keyed.into_iter().map(|(.., pair)| pair).collect()
    }
}

impl Settling<'_> {
    fn run(&mut self, pairs: &[Pair], steps: &mut u64) -> Attempt {
        let mut settled = vec![false; pairs.len()];
        for from in 0..pairs.len() {
            if settled.get(from).copied().unwrap_or(true) {
                continue;
            }
            if *steps == 0 {
                return Attempt::Stopped;
            }
            // The first is decided, the ones after it only if they have to be.
            let near = pairs.iter().zip(&mut settled).enumerate();
            for (at, (&pair, settled)) in near.skip(from).take(NEAR) {
                if *settled {
                    continue;
                }
                *steps = steps.saturating_sub(2);
                let (up, down) = (pair, (pair.1, pair.0));
                let chosen = match (self.is_possible(up), self.is_possible(down)) {
                    (false, false) => return Attempt::Stuck(at),
                    (true, true) if at > from => continue,
                    (true, _) => up,
                    (false, true) => down,
                };
                *settled = true;
                self.take(chosen, steps);
            }
        }
        let graph = Digraph::new(self.of.known.nodes, &self.edges);
        let order = graph.peeled();
        match order.len() == self.of.known.nodes as usize {
            true => Attempt::Done(order),
            false => Attempt::Stopped,
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
