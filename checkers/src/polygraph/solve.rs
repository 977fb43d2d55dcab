//! Whether the chains of all registers can be ordered so that no cycle is left.
//!
//! Orders are proposed, and what contradicts itself in them is learnt: each cycle becomes a
//! clause that not all of its decisions may stand, and a solver of clauses changes those. Only
//! decisions that were on a cycle are known to the solver; the others follow the guessed order
//! (as in counterexample-guided refinement; Zhang et al., *Viper*, 2023, and Cai et al.,
//! *VeriStrong*, 2025, propose by the guessed order too).

use std::collections::BinaryHeap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::chains::Chains;
use super::digraph::{CERTAIN, Digraph, Edge, at};
use super::known::Known;
use super::normal::Normal;
use super::sat::{Answer, Literal, Solver};
use super::saturate::{Pair, Saturated, saturate};
use super::settle::Unsettled;

/// How many cycles are learnt from one proposal.
const CYCLES_MAX: usize = 64;
/// Tags from this on are decisions; smaller ones were forced.
const DECISION: u32 = 1 << 30;

/// What a search came to.
#[derive(Debug)]
pub(super) enum Decided {
    /// An order of all points of all transactions that explains every answer.
    Possible(Vec<u32>),
    /// Transactions that cannot be put in order.
    Impossible(Vec<u32>),
    /// The budget ran out.
    Unknown,
}

/// A problem and the means to solve it.
pub(super) struct Problem<'n> {
    pub(super) normal: &'n Normal,
    pub(super) chains: &'n Chains,
    /// With the initial order.
    pub(super) known: Known,
    /// Place of each transaction in the order that is tried first.
    pub(super) places: Vec<u64>,
    pub(super) bytes_max: u64,
}

/// A cycle, by what it needs.
struct Cycle {
    nodes: Vec<u32>,
    /// Places among the forced orders.
    forced: Vec<u32>,
    /// Orders that were chosen.
    chosen: Vec<Pair>,
}

impl Cycle {
    fn new(edges: &[Edge], chosen: impl Fn(u32) -> Option<Pair>) -> Self {
        let tags = || edges.iter().map(|e| e.tag).filter(|tag| *tag != CERTAIN);
        let mut cycle = Self {
            nodes: edges.iter().map(|edge| edge.from).collect(),
            forced: tags().filter(|tag| *tag < DECISION).collect(),
            chosen: tags()
                .filter(|tag| *tag >= DECISION)
                .filter_map(|tag| chosen(tag - DECISION))
                .collect(),
        };
        cycle.chosen.sort_unstable();
        cycle.chosen.dedup();
        cycle
    }
}

struct Search<'p, 'n> {
    problem: &'p Problem<'n>,
    saturated: Saturated,
    is_forced: FxHashSet<Pair>,
    solver: Solver,
    variables: FxHashMap<Pair, u32>,
    /// The pair of each variable; the first comes first if it is true.
    pairs: Vec<Pair>,
    learnt: Vec<Cycle>,
}

impl Problem<'_> {
    /// Looks for an order. Spends steps.
    pub(super) fn decide(&self, steps: &mut u64) -> Decided {
        let mut saturated = saturate(self.normal, self.chains, &self.known, self.bytes_max, steps);
        let cycle = saturated.cycle.take();
        let mut search = Search {
            problem: self,
            is_forced: saturated.forced.iter().copied().collect(),
            saturated,
            solver: Solver::default(),
            variables: FxHashMap::default(),
            pairs: Vec::new(),
            learnt: Vec::new(),
        };
        match cycle {
            Some(cycle) => {
                search.learn(Cycle::new(&cycle, |_| None));
                Decided::Impossible(search.support())
            }
            None => match self.settle(&search.saturated, steps) {
                Some(order) => Decided::Possible(order),
                None => search.run(steps),
            },
        }
    }

    /// An order of all points, if one is found without search.
    fn settle(&self, saturated: &Saturated, steps: &mut u64) -> Option<Vec<u32>> {
        if !saturated.is_complete {
            return None;
        }
        let unsettled = Unsettled {
            normal: self.normal,
            chains: self.chains,
            known: &self.known,
            saturated,
        };
        let order = unsettled.settle(steps)?;
        let is_point = |node: &u32| self.txn(*node).is_some();
        Some(order.into_iter().filter(is_point).collect())
    }

    /// The transaction of a node; `None` of a barrier or a gate.
    fn txn(&self, node: u32) -> Option<u32> {
        let points = self.known.points;
        let is_point = node < points.count(self.normal.len());
        is_point.then(|| points.txn(node))
    }

    fn place(&self, node: u32) -> u64 {
        let place = self.txn(node).and_then(|txn| self.places.get(txn as usize));
        place.copied().unwrap_or(0)
    }

    /// The chains of each register, each next to the one that comes after it, by their places.
    fn neighbours(&self, place: &[u32]) -> Vec<Pair> {
        let mut neighbours = Vec::new();
        let mut row: Vec<(bool, u32, u32)> = Vec::new();
        for key in 0..self.normal.keys {
            let all = self.chains.of_key.of(key);
            row.clear();
            row.extend(all.iter().map(|&number| {
                let chain = self.chains.get(number);
                let writer = self.normal.writer(chain.head).unwrap_or(0);
                let node = self.known.points.commit(writer);
                (!chain.is_first, at(place, node), number)
            }));
            row.sort_unstable();
            neighbours.extend(row.windows(2).filter_map(|pair| match pair {
                [one, next] => Some((one.2, next.2)),
                _ => None,
            }));
        }
        neighbours
    }
}

impl Search<'_, '_> {
    fn run(mut self, steps: &mut u64) -> Decided {
        loop {
            match self.solver.solve(steps) {
                Answer::Satisfied => {}
                Answer::Contradiction => return Decided::Impossible(self.support()),
                Answer::Stopped => return Decided::Unknown,
            }
            match self.propose(steps) {
                Ok(order) => return Decided::Possible(order),
                Err(cycles) => cycles.into_iter().for_each(|cycle| self.learn(cycle)),
            }
            if *steps == 0 {
                return Decided::Unknown;
            }
        }
    }

    /// The order that what is decided and the guess together give, or cycles in it.
    fn propose(&self, steps: &mut u64) -> Result<Vec<u32>, Vec<Cycle>> {
        let Problem {
            normal,
            chains,
            known,
            ..
        } = self.problem;
        let mut chosen: Vec<Pair> = (0_u32..)
            .zip(&self.pairs)
            .map(
                |(variable, &(one, other))| match self.solver.value(variable) {
                    true => (one, other),
                    false => (other, one),
                },
            )
            .collect();
        let mut edges = [known.edges.as_slice(), &self.saturated.edges].concat();
        for (tag, pair) in (DECISION..).zip(&chosen) {
            known.chain_order(normal, chains, *pair, tag, &mut edges);
        }
        let graph = Digraph::new(known.nodes, &edges);
        let sorted = graph.sorted(|node| self.problem.place(node));
        *steps = steps.saturating_sub(edges.len() as u64);
        if sorted.len() < known.nodes as usize {
            return Err(cycles(&graph, &chosen, steps));
        }
        let mut place = vec![0_u32; known.nodes as usize];
        for (at, node) in (0..).zip(sorted) {
            if let Some(place) = place.get_mut(node as usize) {
                *place = at;
            }
        }
        let is_open = |pair: &Pair| !self.is_forced.contains(pair) && !chains.get(pair.0).is_first;
        let neighbours = self.problem.neighbours(&place);
        let from = DECISION + chosen.len() as u32;
        chosen.extend(neighbours.into_iter().filter(is_open));
        let guessed = chosen.iter().skip((from - DECISION) as usize);
        for (tag, pair) in (from..).zip(guessed) {
            known.chain_order(normal, chains, *pair, tag, &mut edges);
        }
        let graph = Digraph::new(known.nodes, &edges);
        let order = graph.peeled();
        *steps = steps.saturating_sub(edges.len() as u64);
        if order.len() < known.nodes as usize {
            return Err(cycles(&graph, &chosen, steps));
        }
        let is_point = |node: &u32| self.problem.txn(*node).is_some();
        Ok(order.into_iter().filter(is_point).collect())
    }

    /// That the decisions of a cycle cannot stand together.
    fn learn(&mut self, cycle: Cycle) {
        let mut clause = Vec::new();
        for &(first, second) in &cycle.chosen {
            let is_up = first < second;
            let pair = (first.min(second), first.max(second));
            let variable = *self.variables.entry(pair).or_insert_with(|| {
                self.pairs.push(pair);
                self.solver.variable(is_up)
            });
            clause.push(Literal::new(variable, is_up).not());
        }
        self.solver.add(clause);
        self.learnt.push(cycle);
    }

    /// The transactions that speak in the contradiction: those of all cycles learnt, and of the
    /// cycles that forced an order used there.
    fn support(&self) -> Vec<u32> {
        let known = &self.problem.known;
        let edges = [known.edges.as_slice(), &self.saturated.edges].concat();
        let graph = Digraph::new(known.nodes, &edges);
        let mut nodes: Vec<u32> = Vec::new();
        let mut chains: Vec<u32> = Vec::new();
        let mut open = BinaryHeap::new();
        for cycle in &self.learnt {
            nodes.extend(&cycle.nodes);
            open.extend(&cycle.forced);
            chains.extend(cycle.chosen.iter().flat_map(|pair| [pair.0, pair.1]));
        }
        let mut last = None;
        while let Some(tag) = open.pop() {
            if last.replace(tag) == Some(tag) {
                continue;
            }
            let Some(&(first, second)) = self.saturated.forced.get(tag as usize) else {
                continue;
            };
            chains.extend([first, second]);
            for edge in self.closing(&graph, tag, (second, first)) {
                nodes.push(edge.from);
                nodes.push(edge.to);
                open.extend((edge.tag < tag).then_some(edge.tag));
            }
        }
        let mut txns: Vec<u32> = nodes
            .into_iter()
            .filter_map(|node| self.problem.txn(node))
            .collect();
        for chain in chains {
            let chain = self.problem.chains.get(chain);
            let ends = [chain.head, chain.tail];
            txns.extend(ends.iter().filter_map(|v| self.problem.normal.writer(*v)));
        }
        txns.sort_unstable();
        txns.dedup();
        txns
    }

    /// The path that an order would close to a cycle, of what was known before the tag.
    fn closing(&self, graph: &Digraph, tag: u32, pair: Pair) -> Vec<Edge> {
        let Problem {
            normal,
            chains,
            known,
            ..
        } = self.problem;
        let mut option = Vec::new();
        known.chain_order(normal, chains, pair, tag, &mut option);
        let may = |edge: &Edge| edge.tag == CERTAIN || edge.tag < tag;
        option
            .iter()
            .find_map(|edge| graph.path(edge.to, edge.from, may))
            .unwrap_or_default()
    }
}

fn cycles(graph: &Digraph, chosen: &[Pair], steps: &mut u64) -> Vec<Cycle> {
    let cycles = graph.cycles(CYCLES_MAX, steps);
    let pair = |at: u32| chosen.get(at as usize).copied();
    cycles.iter().map(|cycle| Cycle::new(cycle, pair)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Decided, Problem};
    use crate::polygraph::chains::Chains;
    use crate::polygraph::normal::{INITIAL, Member, Normal, Read, Write};
    use crate::polygraph::{Isolation, Order, known};

    /// A linear congruential generator (Knuth's constants).
    struct Lcg(u64);

    impl Lcg {
        fn below(&mut self, bound: u32) -> u32 {
            let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
            self.0 = next.wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as u32 % bound
        }
    }

    /// Transactions that write some registers, and read versions near their own time.
    fn random(seed: u64, txns: u32, keys: u32) -> Normal {
        let mut lcg = Lcg(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        lcg.below(2);
        let mut normal = Normal {
            keys,
            ..Normal::default()
        };
        for txn in 0..txns {
            normal.txns.push(Member {
                call: txn,
                session: u64::from(lcg.below(4)),
                invoked: u64::from(txn) * 2,
                ret: Some(u64::from(txn) * 2 + 1 + 2 * u64::from(lcg.below(6))),
            });
            for key in 0..keys {
                if lcg.below(3) == 0 {
                    normal.writes.push(Write { txn, key });
                }
            }
        }
        for txn in 0..txns {
            for key in 0..keys {
                if lcg.below(3) > 0 {
                    continue;
                }
                let near = normal.writes.iter().enumerate().filter(|(_, write)| {
                    write.key == key && write.txn != txn && write.txn.abs_diff(txn) < 5
                });
                let near: Vec<usize> = near.map(|(at, _)| at).collect();
                let from = match near.get(lcg.below(near.len() as u32 + 1) as usize) {
                    Some(at) => *at as u32,
                    None if lcg.below(3) == 0 => INITIAL,
                    None => continue,
                };
                normal.reads.push(Read { txn, key, from });
            }
        }
        normal
    }

    fn decide(normal: &Normal, isolation: Isolation, order: Order, bytes_max: u64) -> Decided {
        let chains = Chains::new(normal);
        let mut known = known::known(normal, &chains, isolation, order);
        known.initial(normal, &chains);
        let problem = Problem {
            normal,
            chains: &chains,
            known,
            places: (0..normal.txns.len() as u64).collect(),
            bytes_max,
        };
        problem.decide(&mut 50_000_000)
    }

    #[test]
    fn learning_alone_decides_as_with_orders_forced_before() {
        let mut counts = [0; 2];
        for seed in 0..3_000 {
            let normal = random(seed, 4 + seed as u32 % 12, 2 + seed as u32 % 3);
            for (isolation, order) in [
                (Isolation::Serializable, Order::Any),
                (Isolation::Serializable, Order::RealTime),
                (Isolation::Snapshot, Order::Session),
            ] {
                let forced = decide(&normal, isolation, order, 1 << 26);
                let learnt = decide(&normal, isolation, order, 0);
                let possible = matches!(forced, Decided::Possible(_));
                assert_eq!(
                    possible,
                    matches!(learnt, Decided::Possible(_)),
                    "seed {seed} {isolation:?} {order:?}: {forced:?} {learnt:?}"
                );
                assert!(!matches!(learnt, Decided::Unknown), "seed {seed}");
                counts[usize::from(possible)] += 1;
            }
        }
        assert!(counts.iter().all(|count| *count > 1_000), "{counts:?}");
    }
}
