//! Orders of chains that leave no choice, to a fixpoint (Tan et al., *Cobra*, 2020; Huang et al.,
//! *PolySI*, 2023): what would close a cycle with what is known is the other way round.

use super::chains::Chains;
use super::digraph::{Digraph, Edge};
use super::known::Known;
use super::normal::Normal;
use super::reach::Reach;

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
