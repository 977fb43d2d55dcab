//! Writes follow reads, in time that grows with reads and sessions.
//!
//! What a session had read of a key before one of its writes is a beginning of what it ever read of
//! it. Whoever saw that write has the whole beginning behind it. So the beginnings are nodes of
//! their own, each after the one before and after the write that it adds.

use rustc_hash::{FxHashMap, FxHashSet};

use super::graph::{Graph, Why};
use super::guarantee::{Versions, latest, reads_of};
use super::verdict::{Exhausted, Found, Meter};
use super::{OpId, Sessions};

/// The bad patterns of writes follow reads.
///
/// # Errors
/// If the budget runs out.
pub(crate) fn writes_follow_reads<'a>(
    sessions: &Sessions<'a>,
    meter: &mut Meter,
) -> Result<Found<'a>, Exhausted> {
    let known = Known::new(sessions);
    let name = "writes-not-following-reads";
    let mut versions = Versions::with_joints(sessions, name, known.nodes);
    versions.follow_reads();
    known.join(&mut versions.graph);
    let mut told: Told = FxHashMap::default();
    for own in 0..sessions.sessions.len() {
        let mut seen = Seen::default();
        for (read, source) in reads_of(sessions, own) {
            let key = sessions.ops[read].key;
            meter.spend(known.of_key(key).len() + 1)?;
            meter.hold(versions.bytes())?;
            for reads in known.of_key(key) {
                if let Some(&(latest, by)) = seen.any.get(&reads.session) {
                    let trail = [latest, by, read];
                    reads.behind(sessions, &mut versions, &trail, source, &mut told, meter)?;
                    if let Some(&(newer, by)) = seen.of_key.get(&(reads.session, key)) {
                        reads.newer(sessions, &mut versions, (newer, by, read), source);
                    }
                }
            }
            if let Some(write) = source {
                seen.note(sessions, own, write, read);
            }
        }
    }
    versions.end(meter)
}

/// How much of what a session had read of a key was put before a version already.
type Told = FxHashMap<(usize, OpId), usize>;

/// The latest write of each other session that was read, and its read; also key by key.
#[derive(Default)]
struct Seen {
    any: FxHashMap<usize, (OpId, OpId)>,
    of_key: FxHashMap<(usize, usize), (OpId, OpId)>,
}

impl Seen {
    fn note(&mut self, sessions: &Sessions<'_>, own: usize, write: OpId, read: OpId) {
        let op = &sessions.ops[write];
        if op.session != own {
            let any = self.any.entry(op.session).or_insert((write, read));
            latest(sessions, any, write, read);
            let of_key = self.of_key.entry((op.session, op.key));
            latest(sessions, of_key.or_insert((write, read)), write, read);
        }
    }
}

/// What one session read of a key: the first read of each write, in the session's order.
#[derive(Default)]
struct Reads {
    session: usize,
    firsts: Vec<(OpId, OpId)>,
    /// The place of each write among them.
    place: FxHashMap<OpId, usize>,
    /// The node of the beginning of one read; the others follow.
    base: usize,
}

impl Reads {
    /// How many of them the session had done before that write of its own.
    fn before(&self, sessions: &Sessions<'_>, write: OpId) -> usize {
        let place = sessions.ops[write].place;
        let earlier = |(first, _): &(OpId, OpId)| sessions.ops[*first].place < place;
        self.firsts.partition_point(earlier)
    }

    /// All that the session had read before the write at the head of the trail is behind the read
    /// at its end.
    fn behind<'a>(
        &self,
        sessions: &Sessions<'a>,
        versions: &mut Versions<'_, 'a>,
        trail: &[OpId; 3],
        source: Option<OpId>,
        told: &mut Told,
        meter: &mut Meter,
    ) -> Result<(), Exhausted> {
        let [latest, by, read] = *trail;
        let before = self.before(sessions, latest);
        let path = |at: usize| {
            let (first, write) = self.firsts[at];
            (write, [write, first, latest, by, read])
        };
        let Some(source) = source else {
            if before > 0 {
                let (write, path) = path(0);
                versions.behind(write, &path, None);
            }
            return Ok(());
        };
        let until = told.entry((self.base, source)).or_default();
        let since = std::mem::replace(until, before.max(*until));
        if before <= since {
            return Ok(());
        }
        let own = self.place.get(&source).copied();
        let whole = own.map_or(before, |own| own.min(before));
        if whole > since {
            let path = trail.to_vec();
            let why = Why::Inferred { by: read, path };
            versions.graph.add(self.base + whole - 1, source, why);
        }
        // Behind itself a version is not, but what was read after it is.
        let rest = since.max(whole + 1)..before;
        meter.spend(rest.len())?;
        for at in rest {
            let (write, path) = path(at);
            versions.behind(write, &path, Some(source));
        }
        Ok(())
    }

    /// Where the session had read the source and then wrote what was seen here before, the latter
    /// is behind the read.
    fn newer<'a>(
        &self,
        sessions: &Sessions<'a>,
        versions: &mut Versions<'_, 'a>,
        (newer, by, read): (OpId, OpId, OpId),
        source: Option<OpId>,
    ) {
        let Some(place) = source.and_then(|source| self.place.get(&source)) else {
            return;
        };
        let (first, older) = self.firsts[*place];
        if sessions.ops[first].place < sessions.ops[newer].place {
            versions.behind(newer, &[older, first, newer, by, read], source);
        }
    }
}

/// What every session read, key by key.
struct Known {
    keys: Vec<Vec<Reads>>,
    /// How many beginnings there are.
    nodes: usize,
}

impl Known {
    fn new(sessions: &Sessions<'_>) -> Self {
        let mut keys: Vec<Vec<Reads>> = Vec::new();
        keys.resize_with(sessions.lines.len(), Vec::new);
        for session in 0..sessions.sessions.len() {
            let mut known: FxHashSet<OpId> = FxHashSet::default();
            for (read, source) in reads_of(sessions, session) {
                let Some(write) = source.filter(|write| known.insert(*write)) else {
                    continue;
                };
                let all = &mut keys[sessions.ops[read].key];
                if all.last().is_none_or(|reads| reads.session != session) {
                    all.push(Reads {
                        session,
                        ..Reads::default()
                    });
                }
                if let Some(reads) = all.last_mut() {
                    reads.place.insert(write, reads.firsts.len());
                    reads.firsts.push((read, write));
                }
            }
        }
        let mut nodes = 0;
        for reads in keys.iter_mut().flatten() {
            reads.base = sessions.ops.len() + nodes;
            nodes += reads.firsts.len();
        }
        Self { keys, nodes }
    }

    fn of_key(&self, key: usize) -> &[Reads] {
        self.keys.get(key).map_or(&[], Vec::as_slice)
    }

    /// Each write before the beginnings that contain it.
    fn join(&self, graph: &mut Graph) {
        for reads in self.keys.iter().flatten() {
            for (at, &(first, write)) in reads.firsts.iter().enumerate() {
                let node = reads.base + at;
                graph.add(write, node, Why::Follows(first));
                if at > 0 {
                    graph.add(node - 1, node, Why::Session);
                }
            }
        }
    }
}
