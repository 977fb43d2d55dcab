//! Bad patterns in words: each step with its reason.

use std::collections::BTreeSet;

use tribunal_results::{Call, Scalar};

use super::graph::{Edge, Graph, Why};
use super::{OpId, Role, Sessions};
use crate::explain::{done, ended, seconds, whose};
use crate::register::Contradiction;

/// More facts than this are no explanation: the rest is left out, and the last fact says so.
const FACTS_MAX: usize = 24;

/// Collects the facts and the calls of one contradiction.
pub(crate) struct Witness<'s, 'a> {
    sessions: &'s Sessions<'a>,
    graph: &'s Graph,
    facts: Vec<String>,
    calls: BTreeSet<OpId>,
    told: BTreeSet<usize>,
}

impl<'s, 'a> Witness<'s, 'a> {
    /// Without facts.
    pub(crate) const fn new(sessions: &'s Sessions<'a>, graph: &'s Graph) -> Self {
        Self {
            sessions,
            graph,
            facts: Vec::new(),
            calls: BTreeSet::new(),
            told: BTreeSet::new(),
        }
    }

    fn call(&self, op: OpId) -> &'a Call {
        self.sessions.ops[op].call
    }

    /// The call with its answer; a read with its time too, for it may have been asked again.
    fn whose(&self, op: OpId) -> String {
        let call = self.call(op);
        match self.sessions.ops[op].role {
            Role::Read(_) => format!("{} ({})", whose(call), seconds(ended(call))),
            Role::Write => whose(call),
        }
    }

    fn say(&mut self, ops: &[OpId], fact: String) {
        self.calls.extend(ops);
        if !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
    }

    /// Tells why each operation came before the next, over edges of the graph.
    pub(crate) fn follow(&mut self, path: &[usize]) {
        let mut at = 0;
        while let Some(&first) = path.get(at) {
            let edge = self.graph.edge(first);
            if edge.why == Why::Session {
                let is_session = |edge: &&usize| self.graph.edge(**edge).why == Why::Session;
                let run = path[at..].iter().take_while(is_session).count();
                let to = path.get(at + run - 1).map(|last| self.graph.edge(*last).to);
                self.in_session(edge.from, to.unwrap_or(edge.to));
                at += run;
            } else {
                self.edge(first, &edge.clone());
                at += 1;
            }
        }
    }

    /// Tells a path by its operations: each step is in one session, or from a write to its reader.
    pub(crate) fn walk(&mut self, path: &[OpId]) {
        for step in path.windows(2) {
            if self.sessions.ops[step[1]].role == Role::Read(Some(step[0])) {
                self.reads_from(step[0], step[1]);
            } else {
                self.in_session(step[0], step[1]);
            }
        }
    }

    fn edge(&mut self, number: usize, edge: &Edge) {
        match &edge.why {
            Why::Session => self.in_session(edge.from, edge.to),
            Why::ReadsFrom => self.reads_from(edge.from, edge.to),
            Why::Follows(read) => {
                self.reads_from(edge.from, *read);
                self.in_session(*read, edge.to);
            }
            Why::Inferred { by, path } => {
                // An inference tells its own premises first, once.
                if self.told.len() >= FACTS_MAX || !self.told.insert(number) {
                    return;
                }
                if path.is_empty() {
                    if let Some(path) = self.graph.path(edge.from, *by, number) {
                        self.follow(&path);
                    }
                } else {
                    self.walk(path);
                }
                self.inferred(edge, *by);
            }
        }
    }

    fn in_session(&mut self, from: OpId, to: OpId) {
        let fact = format!(
            "{} came before {}: one session did both, in this order.",
            self.whose(from),
            self.whose(to)
        );
        self.say(&[from, to], fact);
    }

    fn reads_from(&mut self, write: OpId, read: OpId) {
        let fact = format!(
            "{} returned what {} wrote.",
            self.whose(read),
            self.whose(write)
        );
        self.say(&[write, read], fact);
    }

    fn inferred(&mut self, edge: &Edge, by: OpId) {
        let (from, to) = (self.whose(edge.from), self.whose(edge.to));
        let fact = format!(
            "{} came after {from} and yet returned what {to} wrote, hence {from} came before {to}.",
            self.whose(by)
        );
        self.say(&[edge.from, edge.to, by], fact);
    }

    /// Tells that the read returned nothing though the write was behind it.
    pub(crate) fn nothing(&mut self, write: OpId, read: OpId) {
        let fact = format!(
            "So {} came before {}, which yet returned nothing.",
            self.whose(write),
            self.whose(read)
        );
        self.say(&[write, read], fact);
    }

    /// Tells that the read returned an overwritten value.
    pub(crate) fn overwritten(&mut self, old: OpId, new: OpId, read: OpId) {
        let fact = format!(
            "So {} came before {}, and had overwritten {}.",
            self.whose(new),
            self.whose(read),
            self.whose(old)
        );
        self.say(&[old, new, read], fact);
    }

    /// The contradiction, of the key of `about`.
    pub(crate) fn end(
        mut self,
        name: &'static str,
        sentence: String,
        about: OpId,
    ) -> (Option<Scalar>, Contradiction<'a>) {
        if self.facts.len() > FACTS_MAX {
            let more = self.facts.len() - FACTS_MAX;
            self.facts.truncate(FACTS_MAX);
            self.facts.push(format!("And {more} steps more."));
        }
        let contradiction = Contradiction {
            name,
            sentence,
            calls: self.calls.iter().map(|op| self.call(*op)).collect(),
            facts: self.facts,
        };
        (key_of(self.sessions, about), contradiction)
    }
}

/// The key of an operation.
pub(crate) fn key_of(sessions: &Sessions<'_>, op: OpId) -> Option<Scalar> {
    use tribunal_results::Operation;
    match &sessions.ops[op].call.operation {
        Operation::Read { key } | Operation::Write { key, .. } => Some(key.clone()),
        _ => None,
    }
}

/// The cycle, told from its edges. The sentence is made of an operation that would have come
/// before itself.
pub(crate) fn cycle<'a>(
    sessions: &Sessions<'a>,
    graph: &Graph,
    cycle: &[usize],
    name: &'static str,
) -> (Option<Scalar>, Contradiction<'a>) {
    let mut witness = Witness::new(sessions, graph);
    witness.follow(cycle);
    let ends = |edge: &usize| graph.edge(*edge).from;
    let writes = |op: &OpId| sessions.ops[*op].role == Role::Write;
    let first = cycle.iter().map(ends).find(writes);
    let about = first.or_else(|| cycle.first().map(ends)).unwrap_or(0);
    // An inference shows best what a client saw.
    let seen = cycle.iter().rev().find_map(|edge| {
        let edge = graph.edge(*edge);
        match edge.why {
            Why::Inferred { by, .. } => Some((by, Some(edge.from))),
            Why::ReadsFrom => Some((edge.to, None)),
            _ => None,
        }
    });
    let sentence = match seen {
        Some((read, Some(newer))) => format!(
            "{}, although {} came before that and was newer",
            done(witness.call(read)),
            witness.whose(newer)
        ),
        Some((read, None)) => format!(
            "{}, although that write came after the read",
            done(witness.call(read))
        ),
        None => format!("{} came before itself", witness.whose(about)),
    };
    witness.end(name, sentence, about)
}

/// A read that returned nothing, although a write was behind it by that path.
pub(crate) fn nothing<'a>(
    sessions: &Sessions<'a>,
    graph: &Graph,
    path: &[usize],
    (write, read): (OpId, OpId),
    name: &'static str,
) -> (Option<Scalar>, Contradiction<'a>) {
    let mut witness = Witness::new(sessions, graph);
    witness.follow(path);
    witness.nothing(write, read);
    let sentence = unseen(sessions, write, read);
    witness.end(name, sentence, read)
}

/// That a read returned nothing, although a write was behind it.
pub(crate) fn unseen(sessions: &Sessions<'_>, write: OpId, read: OpId) -> String {
    format!(
        "{}, although {} came before that",
        done(sessions.ops[read].call),
        whose(sessions.ops[write].call)
    )
}
