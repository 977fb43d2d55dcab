//! Causal consistency, weak and convergent.
//!
//! *Causal order* is the order of the sessions and of writes before their readers, closed
//! transitively. A read must not return what was overwritten in its causal past (weak: CC); and
//! one order of all writes must explain every read so (convergent: CCv).

use super::graph::{Clocks, Graph, Why};
use super::verdict::{Exhausted, Found, Meter};
use super::witness::{self, Witness};
use super::{OpId, Sessions};
use crate::explain::{done, whose};

/// So many sessions of two clocks are compared at once.
const LANES: usize = 8;

/// The bad patterns of weak causal consistency.
///
/// # Errors
/// If the budget runs out.
pub(crate) fn causal<'a>(
    sessions: &Sessions<'a>,
    meter: &mut Meter,
) -> Result<Found<'a>, Exhausted> {
    let graph = Graph::causal(sessions);
    weak(sessions, &graph, meter).map(|(found, _)| found)
}

/// The bad patterns of causal convergence: those of the weak form, and a cycle of causal order
/// with the order of writes that reads decided.
///
/// # Errors
/// If the budget runs out.
pub(crate) fn convergent<'a>(
    sessions: &Sessions<'a>,
    meter: &mut Meter,
) -> Result<Found<'a>, Exhausted> {
    let mut graph = Graph::causal(sessions);
    let (mut found, clocks) = weak(sessions, &graph, meter)?;
    let Some(clocks) = clocks.filter(|_| found.is_empty()) else {
        return Ok(found);
    };
    for (read, _, source) in sessions.reads() {
        meter.spend(sessions.lines_of(sessions.ops[read].key).len())?;
        let Some(source) = source else { continue };
        for newer in clocks.last_writes(sessions, read) {
            if newer != source && !clocks.precedes(sessions, newer, source) {
                let path = Vec::new();
                graph.add(newer, source, Why::Inferred { by: read, path });
            }
        }
    }
    meter.spend(graph.len())?;
    let order = graph.topological();
    if let Some(cycle) = graph.cycle(&order) {
        found.add(|| witness::cycle(sessions, &graph, &cycle, "cyclic-conflict"));
    }
    Ok(found)
}

/// The patterns of the weak form, and the clocks of causal order if it is one.
fn weak<'a>(
    sessions: &Sessions<'a>,
    graph: &Graph,
    meter: &mut Meter,
) -> Result<(Found<'a>, Option<Clocks>), Exhausted> {
    let mut found = Found::default();
    meter.hold(Clocks::bytes(sessions))?;
    meter.spend(graph.len() * sessions.sessions.len().div_ceil(LANES))?;
    let order = graph.topological();
    if let Some(cycle) = graph.cycle(&order) {
        found.add(|| witness::cycle(sessions, graph, &cycle, "cyclic-causality"));
        return Ok((found, None));
    }
    let clocks = Clocks::new(sessions, graph, &order);
    for (read, _, source) in sessions.reads() {
        meter.spend(sessions.lines_of(sessions.ops[read].key).len())?;
        let overwrites =
            |newer: &OpId| source.is_none_or(|source| clocks.precedes(sessions, source, *newer));
        let newer = clocks.last_writes(sessions, read).find(overwrites);
        let Some(newer) = newer else { continue };
        meter.spend(graph.len())?;
        found.add(|| match source {
            Some(source) => overwritten(sessions, graph, (source, newer, read)),
            None => {
                let path = graph.path(newer, read, usize::MAX).unwrap_or_default();
                let name = "write-co-init-read";
                witness::nothing(sessions, graph, &path, (newer, read), name)
            }
        });
    }
    Ok((found, Some(clocks)))
}

fn overwritten<'a>(
    sessions: &Sessions<'a>,
    graph: &Graph,
    (old, new, read): (OpId, OpId, OpId),
) -> (
    Option<tribunal_results::Scalar>,
    crate::register::Contradiction<'a>,
) {
    let mut witness = Witness::new(sessions, graph);
    for (from, to) in [(old, new), (new, read)] {
        if let Some(path) = graph.path(from, to, usize::MAX) {
            witness.follow(&path);
        }
    }
    witness.overwritten(old, new, read);
    let sentence = format!(
        "{}, although {} came before that and had overwritten the value",
        done(sessions.ops[read].call),
        whose(sessions.ops[new].call)
    );
    witness.end("write-co-read", sentence, read)
}
