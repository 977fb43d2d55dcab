//! What must have come before what, and why.

use std::collections::VecDeque;

use super::{OpId, Role, Sessions};

/// Why one operation came before another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// A session did both, in this order.
    Session,
    /// The second returned what the first wrote.
    ReadsFrom,
    /// The first was behind the read `by`, which yet returned what the second wrote.
    Inferred {
        /// The read.
        by: OpId,
        /// The operations that show it, if they are known; else any path over earlier edges.
        path: Vec<OpId>,
    },
    /// The session of the second had read the first, by this read, before it wrote the second.
    Follows(OpId),
}

/// That `from` came before `to`.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    /// The earlier.
    pub(crate) from: OpId,
    /// The later.
    pub(crate) to: OpId,
    /// The reason.
    pub(crate) why: Why,
}

/// Edges between operations; an edge may rest on those that were added before it.
#[derive(Debug)]
pub(crate) struct Graph {
    edges: Vec<Edge>,
    out: Vec<Vec<usize>>,
}

impl Graph {
    /// Without edges.
    pub(crate) fn new(ops: usize) -> Self {
        Self {
            edges: Vec::new(),
            out: vec![Vec::new(); ops],
        }
    }

    /// With the order of every session.
    pub(crate) fn of_sessions(sessions: &Sessions<'_>) -> Self {
        let mut graph = Self::new(sessions.ops.len());
        for session in &sessions.sessions {
            for pair in session.windows(2) {
                graph.add(pair[0], pair[1], Why::Session);
            }
        }
        graph
    }

    /// With the order of every session, and every write before its readers.
    pub(crate) fn causal(sessions: &Sessions<'_>) -> Self {
        let mut graph = Self::of_sessions(sessions);
        for (id, _, source) in sessions.reads() {
            if let Some(source) = source {
                graph.add(source, id, Why::ReadsFrom);
            }
        }
        graph
    }

    /// Adds an edge.
    pub(crate) fn add(&mut self, from: OpId, to: OpId, why: Why) {
        self.out[from].push(self.edges.len());
        self.edges.push(Edge { from, to, why });
    }

    /// How many edges there are.
    pub(crate) const fn len(&self) -> usize {
        self.edges.len()
    }

    /// Takes back all edges but the first so many.
    pub(crate) fn truncate(&mut self, len: usize) {
        while self.edges.len() > len {
            if let Some(edge) = self.edges.pop() {
                self.out[edge.from].pop();
            }
        }
    }

    /// The edge of that number.
    pub(crate) fn edge(&self, edge: usize) -> &Edge {
        &self.edges[edge]
    }

    /// What comes after the operation at once.
    pub(crate) fn after(&self, op: OpId) -> impl Iterator<Item = OpId> {
        self.out[op].iter().map(|edge| self.edges[*edge].to)
    }

    /// All operations, each after those before it (Kahn 1962); if there is a cycle, not all.
    pub(crate) fn topological(&self) -> Vec<OpId> {
        let mut waits = vec![0_u32; self.out.len()];
        for edge in &self.edges {
            waits[edge.to] += 1;
        }
        let mut order: Vec<OpId> = (0..waits.len()).filter(|op| waits[*op] == 0).collect();
        let mut next = 0;
        while let Some(&op) = order.get(next) {
            next += 1;
            for to in self.after(op) {
                waits[to] -= 1;
                if waits[to] == 0 {
                    order.push(to);
                }
            }
        }
        order
    }

    /// A cycle with few edges between sessions, if `order`, the topological order, is not whole.
    pub(crate) fn cycle(&self, order: &[OpId]) -> Option<Vec<usize>> {
        /// From how many edges a shorter cycle is looked for.
        const STARTS_MAX: usize = 16;
        let any = self.any_cycle(order)?;
        let crosses = |edge: &&usize| self.edges[**edge].why != Why::Session;
        let through = |&start: &usize| {
            let Edge { from, to, .. } = self.edges[start];
            let mut path = self.path(to, from, usize::MAX)?;
            path.insert(0, start);
            Some(path)
        };
        let starts = any.iter().filter(crosses).take(STARTS_MAX);
        let best = starts.filter_map(through).min_by_key(|c| self.cost(c));
        best.or(Some(any))
    }

    /// What the order leaves out has each something before it that is left out too: so going
    /// back leads round a cycle.
    fn any_cycle(&self, order: &[OpId]) -> Option<Vec<usize>> {
        let mut left = vec![true; self.out.len()];
        for op in order {
            left[*op] = false;
        }
        let mut into: Vec<Option<usize>> = vec![None; left.len()];
        for (number, edge) in self.edges.iter().enumerate() {
            if left[edge.from] && left[edge.to] {
                into[edge.to] = Some(number);
            }
        }
        let mut at = left.iter().position(|left| *left)?;
        let mut been = vec![false; left.len()];
        while !been[at] {
            been[at] = true;
            at = self.edges[into[at]?].from;
        }
        let (end, mut cycle) = (at, Vec::new());
        loop {
            let edge = into[at]?;
            cycle.push(edge);
            at = self.edges[edge].from;
            if at == end {
                cycle.reverse();
                return Some(cycle);
            }
        }
    }

    fn cost(&self, path: &[usize]) -> (usize, usize) {
        let crosses = |edge: &&usize| self.edges[**edge].why != Why::Session;
        (path.iter().filter(crosses).count(), path.len())
    }

    /// The path with the fewest edges between sessions, over the first `limit` edges.
    pub(crate) fn path(&self, from: OpId, to: OpId, limit: usize) -> Option<Vec<usize>> {
        let mut came: Vec<Option<usize>> = vec![None; self.out.len()];
        let mut far = vec![u32::MAX; self.out.len()];
        far[from] = 0;
        let mut queue = VecDeque::from([from]);
        while let Some(op) = queue.pop_front() {
            for &edge in self.out[op].iter().filter(|edge| **edge < limit) {
                let Edge { to, ref why, .. } = self.edges[edge];
                let step = u32::from(*why != Why::Session);
                if far[op] + step < far[to] {
                    far[to] = far[op] + step;
                    came[to] = Some(edge);
                    if step == 0 {
                        queue.push_front(to);
                    } else {
                        queue.push_back(to);
                    }
                }
            }
        }
        let mut path = Vec::new();
        let mut at = to;
        while at != from {
            let edge = came[at]?;
            path.push(edge);
            at = self.edges[edge].from;
        }
        path.reverse();
        Some(path)
    }
}

/// How much of each session lies behind each operation: vector clocks.
#[derive(Debug)]
pub(crate) struct Clocks {
    width: usize,
    counts: Vec<u32>,
}

impl Clocks {
    /// The bytes that the clocks of so many operations take.
    pub(crate) fn bytes(sessions: &Sessions<'_>) -> u64 {
        (sessions.ops.len() * sessions.sessions.len()) as u64 * 4
    }

    /// By a topological order of the whole graph.
    pub(crate) fn new(sessions: &Sessions<'_>, graph: &Graph, order: &[OpId]) -> Self {
        let width = sessions.sessions.len();
        let mut counts = vec![0_u32; sessions.ops.len() * width];
        for &op in order {
            let own = &sessions.ops[op];
            counts[op * width + own.session] = own.place as u32 + 1;
            for to in graph.after(op) {
                for session in 0..width {
                    let behind = counts[op * width + session];
                    let count = &mut counts[to * width + session];
                    *count = behind.max(*count);
                }
            }
        }
        Self { width, counts }
    }

    /// How many operations of the session lie behind the operation, itself included.
    pub(crate) fn behind(&self, op: OpId, session: usize) -> usize {
        self.counts[op * self.width + session] as usize
    }

    /// Whether `earlier` lies behind `later`.
    pub(crate) fn precedes(&self, sessions: &Sessions<'_>, earlier: OpId, later: OpId) -> bool {
        let op = &sessions.ops[earlier];
        earlier != later && self.behind(later, op.session) > op.place
    }

    /// The last write of each session to the read's key that lies behind the read.
    pub(crate) fn last_writes<'s>(
        &'s self,
        sessions: &'s Sessions<'_>,
        read: OpId,
    ) -> impl Iterator<Item = OpId> + 's {
        debug_assert!(matches!(sessions.ops[read].role, Role::Read(_)));
        let lines = sessions.lines_of(sessions.ops[read].key);
        lines.iter().filter_map(move |line| {
            let behind = self.behind(read, line.session);
            let count = line
                .writes
                .partition_point(|write| sessions.ops[*write].place < behind);
            line.writes.get(count.checked_sub(1)?).copied()
        })
    }
}
