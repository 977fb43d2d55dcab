//! Orders of chains that leave no choice, to a fixpoint (Tan et al., *Cobra*, 2020; Huang et al.,
//! *PolySI*, 2023): what would close a cycle with what is known is the other way round.

use super::chains::Chains;
use super::digraph::{Digraph, Edge};
use super::known::Known;
use super::normal::Normal;

/// Two chains of a register, the first of which comes first.
pub(super) type Pair = (u32, u32);

/// What became known.
#[derive(Debug, Default)]
pub(super) struct Saturated {
    /// The orders without choice; edges carry the place of theirs as a tag.
    pub(super) forced: Vec<Pair>,
    pub(super) edges: Vec<Edge>,
    /// Pairs of which either may come first.
    pub(super) open: Vec<Pair>,
    /// Whether it went to the fixpoint. Without, all is still true.
    pub(super) is_complete: bool,
    /// A cycle of what is known.
    pub(super) cycle: Option<Vec<Edge>>,
}

/// What each node reaches, as rows of bits.
struct Reach {
    words: usize,
    bits: Vec<u64>,
}

impl Reach {
    /// `None` if there is a cycle.
    fn new(graph: &Digraph, steps: &mut u64) -> Option<Self> {
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

    fn has(&self, from: u32, to: u32) -> bool {
        let at = from as usize * self.words + to as usize / 64;
        self.bits.get(at).copied().unwrap_or(0) >> (to % 64) & 1 == 1
    }
}

/// Decides what can be decided within so many bytes and steps.
pub(super) fn saturate(
    normal: &Normal,
    chains: &Chains,
    known: &Known,
    bytes_max: u64,
    steps: &mut u64,
) -> Saturated {
    let mut saturated = Saturated::default();
    let nodes = u64::from(known.nodes);
    let pairs: u64 = (0..normal.keys)
        .map(|key| chains.of_key.of(key).len() as u64)
        .map(|many| many * many / 2)
        .sum();
    if nodes * nodes.div_ceil(64) * 8 + pairs * 8 > bytes_max || pairs > *steps {
        return saturated;
    }
    for key in 0..normal.keys {
        let all = chains.of_key.of(key);
        for (place, &one) in all.iter().enumerate() {
            let rest = all.get(place + 1..).unwrap_or(&[]);
            if !chains.get(one).is_first {
                saturated
                    .open
                    .extend(rest.iter().map(|&other| (one, other)));
            }
        }
    }
    loop {
        let edges = [known.edges.as_slice(), &saturated.edges].concat();
        let graph = Digraph::new(known.nodes, &edges);
        let Some(reach) = Reach::new(&graph, steps) else {
            saturated.cycle = graph.cycles(1, steps).pop();
            return saturated;
        };
        let before = saturated.open.len();
        let mut open = Vec::with_capacity(before);
        let mut option = Vec::new();
        for (one, other) in std::mem::take(&mut saturated.open) {
            *steps = steps.saturating_sub(2);
            let mut possible = |pair| {
                option.clear();
                known.chain_order(normal, chains, pair, 0, &mut option);
                !option.iter().any(|edge| reach.has(edge.to, edge.from))
            };
            let forced = match (possible((one, other)), possible((other, one))) {
                (true, true) => {
                    open.push((one, other));
                    continue;
                }
                (false, _) => (other, one),
                (true, false) => (one, other),
            };
            let tag = saturated.forced.len() as u32;
            known.chain_order(normal, chains, forced, tag, &mut saturated.edges);
            saturated.forced.push(forced);
        }
        saturated.open = open;
        if saturated.open.len() == before {
            saturated.is_complete = true;
            return saturated;
        }
        if *steps == 0 {
            return saturated;
        }
    }
}
