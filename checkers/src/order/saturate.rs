//! Causal memory and PRAM: each session for itself has one order of all that it knows of.
//!
//! For one session at a time: wherever a write is behind one of the session's reads, and the read
//! returned another write's value, the first write came before the second. That is repeated until
//! nothing new follows. As the session's reads are in one order, nothing else is forced: the
//! session is consistent unless there is a cycle, or a write behind a read that returned nothing.

use rustc_hash::FxHashSet;

use super::causality::causal;
use super::graph::{Graph, Why};
use super::verdict::{Exhausted, Found, Meter};
use super::{OpId, Role, Sessions, witness};

/// The bad patterns of causal memory: those of weak causal consistency, and those of a session's
/// own view, over causal order.
///
/// # Errors
/// If the budget runs out.
pub(crate) fn memory<'a>(
    sessions: &Sessions<'a>,
    meter: &mut Meter,
) -> Result<Found<'a>, Exhausted> {
    let mut found = causal(sessions, meter)?;
    if found.is_empty() {
        let mut graph = Graph::causal(sessions);
        for session in 0..sessions.sessions.len() {
            view(sessions, &mut graph, session, meter, &mut found)?;
        }
    }
    Ok(found)
}

/// The bad patterns of PRAM: those of a session's own view, over the order of every session. What
/// other sessions read says nothing.
///
/// # Errors
/// If the budget runs out.
pub(crate) fn pram<'a>(sessions: &Sessions<'a>, meter: &mut Meter) -> Result<Found<'a>, Exhausted> {
    let mut found = Found::default();
    let mut graph = Graph::of_sessions(sessions);
    let base = graph.len();
    for (session, ops) in sessions.sessions.iter().enumerate() {
        for &read in ops {
            if let Role::Read(Some(source)) = sessions.ops[read].role {
                graph.add(source, read, Why::ReadsFrom);
            }
        }
        view(sessions, &mut graph, session, meter, &mut found)?;
        graph.truncate(base);
    }
    Ok(found)
}

/// Saturates the graph for one session, and leaves it as it was.
fn view<'a>(
    sessions: &Sessions<'a>,
    graph: &mut Graph,
    session: usize,
    meter: &mut Meter,
    found: &mut Found<'a>,
) -> Result<(), Exhausted> {
    let base = graph.len();
    let reads: Vec<(OpId, Option<OpId>)> = sessions.sessions[session]
        .iter()
        .filter_map(|&op| match sessions.ops[op].role {
            Role::Read(source) => Some((op, source)),
            Role::Write => None,
        })
        .collect();
    let mut known: FxHashSet<(OpId, OpId)> = FxHashSet::default();
    let mut grown = !reads.is_empty();
    while grown {
        meter.spend(graph.len() + sessions.ops.len())?;
        let order = graph.topological();
        if let Some(cycle) = graph.cycle(&order) {
            found.add(|| witness::cycle(sessions, graph, &cycle, "cyclic-happens-before"));
            break;
        }
        let reach = reach(sessions, graph, session, &order);
        let limit = graph.len();
        for &(read, source) in &reads {
            let newer = behind(sessions, &reach, read, meter)?;
            let Some(source) = source else {
                if let Some(&write) = newer.first() {
                    let path = graph.path(write, read, limit).unwrap_or_default();
                    let name = "write-hb-init-read";
                    found.add(|| witness::nothing(sessions, graph, &path, (write, read), name));
                    graph.truncate(base);
                    return Ok(());
                }
                continue;
            };
            for newer in newer {
                if newer != source && known.insert((newer, source)) {
                    let path = Vec::new();
                    graph.add(newer, source, Why::Inferred { by: read, path });
                }
            }
        }
        grown = graph.len() > limit;
    }
    graph.truncate(base);
    Ok(())
}

/// For each operation the place of the first one of the session that comes after it; the
/// operation's own place in that session; the end of time if there is none.
fn reach(sessions: &Sessions<'_>, graph: &Graph, session: usize, order: &[OpId]) -> Vec<usize> {
    let mut reach = vec![usize::MAX; sessions.ops.len()];
    for &op in order.iter().rev() {
        let own = &sessions.ops[op];
        reach[op] = if own.session == session {
            own.place
        } else {
            let after = graph.after(op).map(|to| reach[to]).min();
            after.unwrap_or(usize::MAX)
        };
    }
    reach
}

/// The last write of each session to the read's key that comes before the read.
fn behind(
    sessions: &Sessions<'_>,
    reach: &[usize],
    read: OpId,
    meter: &mut Meter,
) -> Result<Vec<OpId>, Exhausted> {
    let read = &sessions.ops[read];
    let lines = sessions.lines_of(read.key);
    meter.spend(lines.len())?;
    let last = |line: &super::Line| {
        let before = |write: &OpId| reach[*write] < read.place;
        let count = line.writes.partition_point(before);
        line.writes.get(count.checked_sub(1)?).copied()
    };
    Ok(lines.iter().filter_map(last).collect())
}
