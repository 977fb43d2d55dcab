//! The four session guarantees (Terry et al., *Session guarantees for weakly consistent
//! replicated data*, PDIS 1994), as clients can see them.
//!
//! All assume one order of versions for each key, in which a session's own writes to the key have
//! the session's order. Each guarantee says which writes are *behind* a read; a read that returns
//! another write's value puts those before it, and one that returns nothing must have none. The
//! guarantee is violated if the versions then have no order.
//!
//! * read your writes: what the session wrote;
//! * monotonic reads: what the session read;
//! * monotonic writes: what was written before a write that the session read, in the session of
//!   that write;
//! * writes follow reads: what was read before a write that the session read, in the session of
//!   that write; and versions have that order too.
//!
//! The last two are about replicas: a client sees them broken only by a second read. So where both
//! versions that it saw are of one such pair, the newer is behind the older one's reader.

use rustc_hash::FxHashMap;

use super::graph::{Edge, Graph, Why};
use super::verdict::{Exhausted, Found, Meter};
use super::witness::{self, Witness};
use super::{OpId, Role, Sessions};

/// The bad patterns of read your writes.
///
/// # Errors
/// If the budget runs out.
pub(crate) fn read_your_writes<'a>(
    sessions: &Sessions<'a>,
    meter: &mut Meter,
) -> Result<Found<'a>, Exhausted> {
    let mut versions = Versions::new(sessions, "lost-own-write");
    for session in &sessions.sessions {
        let mut own: FxHashMap<usize, OpId> = FxHashMap::default();
        for &op in session {
            let key = sessions.ops[op].key;
            match sessions.ops[op].role {
                Role::Write => {
                    own.insert(key, op);
                }
                Role::Read(source) => {
                    if let Some(&write) = own.get(&key) {
                        versions.behind(write, &[write, op], source);
                    }
                }
            }
        }
    }
    versions.end(meter)
}

/// The bad patterns of monotonic reads.
///
/// # Errors
/// If the budget runs out.
pub(crate) fn monotonic_reads<'a>(
    sessions: &Sessions<'a>,
    meter: &mut Meter,
) -> Result<Found<'a>, Exhausted> {
    let mut versions = Versions::new(sessions, "non-monotonic-read");
    for session in &sessions.sessions {
        let mut last: FxHashMap<usize, (OpId, OpId)> = FxHashMap::default();
        for &read in session {
            let Role::Read(source) = sessions.ops[read].role else {
                continue;
            };
            let key = sessions.ops[read].key;
            if let Some(&(write, before)) = last.get(&key) {
                versions.behind(write, &[write, before, read], source);
            }
            if let Some(source) = source {
                last.insert(key, (source, read));
            }
        }
    }
    versions.end(meter)
}

/// The bad patterns of monotonic writes.
///
/// # Errors
/// If the budget runs out.
pub(crate) fn monotonic_writes<'a>(
    sessions: &Sessions<'a>,
    meter: &mut Meter,
) -> Result<Found<'a>, Exhausted> {
    let mut versions = Versions::new(sessions, "writes-reordered");
    for own in 0..sessions.sessions.len() {
        // Of each other session the latest write that was read, and the read.
        let mut seen: FxHashMap<usize, (OpId, OpId)> = FxHashMap::default();
        for (read, source) in reads_of(sessions, own) {
            let lines = sessions.lines_of(sessions.ops[read].key);
            meter.spend(lines.len())?;
            meter.hold(versions.bytes())?;
            for line in lines {
                let Some(&(latest, by)) = seen.get(&line.session) else {
                    continue;
                };
                let of_line = source.is_some_and(|s| sessions.ops[s].session == line.session);
                let place = sessions.ops[latest].place + usize::from(of_line);
                let before = |write: &OpId| sessions.ops[*write].place < place;
                let count = line.writes.partition_point(before);
                if let Some(&write) = count.checked_sub(1).and_then(|at| line.writes.get(at)) {
                    versions.behind(write, &[write, latest, by, read], source);
                }
            }
            note(sessions, &mut seen, own, (read, source));
        }
    }
    versions.end(meter)
}

/// The reads of a session, each with the write that it returned.
pub(super) fn reads_of<'s>(
    sessions: &'s Sessions<'_>,
    session: usize,
) -> impl Iterator<Item = (OpId, Option<OpId>)> + 's {
    let ops = sessions.sessions[session].iter();
    ops.filter_map(|&op| match sessions.ops[op].role {
        Role::Read(source) => Some((op, source)),
        Role::Write => None,
    })
}

/// Notes what of another session's was read.
pub(super) fn note(
    sessions: &Sessions<'_>,
    seen: &mut FxHashMap<usize, (OpId, OpId)>,
    own: usize,
    (read, source): (OpId, Option<OpId>),
) {
    if let Some(write) = source.filter(|write| sessions.ops[*write].session != own) {
        let session = sessions.ops[write].session;
        latest(
            sessions,
            seen.entry(session).or_insert((write, read)),
            write,
            read,
        );
    }
}

/// Keeps the later of two writes of one session.
pub(super) fn latest(sessions: &Sessions<'_>, kept: &mut (OpId, OpId), write: OpId, read: OpId) {
    if sessions.ops[write].place > sessions.ops[kept.0].place {
        *kept = (write, read);
    }
}

/// What is known of the order of versions.
pub(super) struct Versions<'s, 'a> {
    sessions: &'s Sessions<'a>,
    /// Operations, and after them nodes that only join others.
    pub(super) graph: Graph,
    found: Found<'a>,
    name: &'static str,
}

impl<'s, 'a> Versions<'s, 'a> {
    fn new(sessions: &'s Sessions<'a>, name: &'static str) -> Self {
        Self::with_joints(sessions, name, 0)
    }

    /// With so many nodes that only join others.
    pub(super) fn with_joints(
        sessions: &'s Sessions<'a>,
        name: &'static str,
        joints: usize,
    ) -> Self {
        let mut graph = Graph::new(sessions.ops.len() + joints);
        for line in sessions.lines.iter().flatten() {
            for pair in line.writes.windows(2) {
                graph.add(pair[0], pair[1], Why::Session);
            }
        }
        Self {
            sessions,
            graph,
            found: Found::default(),
            name,
        }
    }

    /// About what the edges take, each with its path.
    pub(super) const fn bytes(&self) -> u64 {
        const EDGE_BYTES: u64 = 160;
        self.graph.len() as u64 * EDGE_BYTES
    }

    /// The write was behind the last of the path, a read of that source; the path shows why.
    pub(super) fn behind(&mut self, write: OpId, path: &[OpId], source: Option<OpId>) {
        let Some(&by) = path.last() else { return };
        match source {
            Some(source) if source == write => {}
            Some(source) => {
                let mut path = path.to_vec();
                path.dedup();
                self.graph.add(write, source, Why::Inferred { by, path });
            }
            None => {
                let (sessions, graph) = (self.sessions, &self.graph);
                let name = self.name;
                self.found.add(|| {
                    let mut witness = Witness::new(sessions, graph);
                    witness.walk(path);
                    witness.nothing(write, by);
                    witness.end(name, witness::unseen(sessions, write, by), by)
                });
            }
        }
    }

    /// A version that a session had read is before the one that it wrote then.
    pub(super) fn follow_reads(&mut self) {
        for session in &self.sessions.sessions {
            let mut read: FxHashMap<usize, Vec<(OpId, OpId)>> = FxHashMap::default();
            for &op in session {
                let key = self.sessions.ops[op].key;
                match self.sessions.ops[op].role {
                    Role::Read(Some(source)) => read.entry(key).or_default().push((op, source)),
                    Role::Read(None) => {}
                    Role::Write => {
                        for (by, source) in read.remove(&key).unwrap_or_default() {
                            if source != op {
                                self.graph.add(source, op, Why::Follows(by));
                            }
                        }
                    }
                }
            }
        }
    }

    /// What was found, with a cycle if there is one.
    ///
    /// # Errors
    /// If the budget runs out.
    pub(super) fn end(mut self, meter: &mut Meter) -> Result<Found<'a>, Exhausted> {
        meter.spend(self.graph.len() + self.sessions.ops.len())?;
        let order = self.graph.topological();
        if let Some(cycle) = self.graph.cycle(&order) {
            let cycle = self.plain(cycle);
            let (sessions, graph, name) = (self.sessions, &self.graph, self.name);
            self.found
                .add(|| witness::cycle(sessions, graph, &cycle, name));
        }
        Ok(self.found)
    }

    /// The cycle without joints: each way through some becomes one edge, which the read at its end
    /// shows.
    fn plain(&mut self, mut cycle: Vec<usize>) -> Vec<usize> {
        let is_op = |op: OpId| op < self.sessions.ops.len();
        let start = cycle
            .iter()
            .position(|edge| is_op(self.graph.edge(*edge).from));
        cycle.rotate_left(start.unwrap_or(0));
        let (mut plain, mut entered) = (Vec::new(), None);
        for number in cycle {
            let Edge { from, to, why } = self.graph.edge(number).clone();
            match (is_op(from), is_op(to), why) {
                (true, true, _) => plain.push(number),
                (true, false, Why::Follows(first)) => entered = Some((from, first)),
                (false, true, Why::Inferred { by, path }) => {
                    let Some((write, first)) = entered.take() else {
                        continue;
                    };
                    let mut path = [&[write, first], path.as_slice()].concat();
                    path.dedup();
                    plain.push(self.graph.len());
                    self.graph.add(write, to, Why::Inferred { by, path });
                }
                _ => {}
            }
        }
        plain
    }
}
