//! The verdict on transactions whose dependencies are known.

mod collect;
mod tell;

use std::collections::BTreeSet;

use tribunal_results::{Anomaly, Call, Scalar, Verdict};

use crate::graph::{self, Cycle, Graph, Interval, Why};
use crate::normal::{Did, Ended, OPEN, Step, Transactions};
use crate::{Budget, explain};

pub(crate) use collect::Collected;
pub(crate) use tell::{Told, anomaly, name};

/// The most edges that one key gives for versions whose order nobody saw.
pub(crate) const UNORDERED_EDGES_MAX: usize = 1 << 16;

/// Whether a transaction has a step on the object.
pub(crate) fn works_on(txns: &Transactions<'_>, at: u32, key: u32) -> bool {
    txns.steps(at).any(|step| step.key == key)
}

/// Whether one of the edges leads so, for one of the reasons.
pub(crate) fn leads(edges: &[(u32, u32, Why)], from: u32, to: u32, why: Why) -> bool {
    let mut edges = edges.iter();
    edges.any(|edge| (edge.0, edge.1) == (from, to) && edge.2.meets(why))
}

/// What a checker of transactions worked out.
pub(crate) struct Inferred<'a> {
    pub(crate) checker: &'static str,
    /// Contradictions that need no cycle.
    pub(crate) anomalies: Collected,
    pub(crate) edges: Vec<(u32, u32, Why)>,
    /// Reads that returned something written.
    pub(crate) observations: usize,
    /// Values written more than once, of which nobody knows which write a read saw.
    pub(crate) ambiguous: Option<(&'a Scalar, &'a Scalar)>,
    /// Steps that this took.
    pub(crate) steps: u64,
    /// The level by which they are judged; strict serializability if none is given.
    pub(crate) level: Option<&'a str>,
}

impl Inferred<'_> {
    /// Whether the level permits what has that name. A level that nobody knows permits nothing.
    fn permits(&self, anomaly: &str) -> bool {
        let forbidden = self.level.and_then(|level| graph::forbids(level, anomaly));
        forbidden == Some(false)
    }
}

/// Why one transaction comes before another, because of a key.
pub(crate) struct Because {
    pub(crate) text: String,
    /// Transactions without whose answers nobody would know.
    pub(crate) shown_by: Vec<u32>,
}

/// Looks for cycles and judges. `why` tells why one transaction comes before another.
pub(crate) fn judge(
    txns: &Transactions<'_>,
    mut inferred: Inferred<'_>,
    budget: Budget,
    names: &[&'static str],
    why: impl Fn(u32, u32, Why) -> Option<Because>,
) -> Verdict {
    let intervals: Vec<Option<Interval>> = (0..txns.len()).map(|txn| interval(txns, txn)).collect();
    let mut edges = std::mem::take(&mut inferred.edges);
    let nodes = graph::add_orders(&intervals, &mut edges);
    let graph = Graph::new(txns.len(), nodes, edges);
    let steps_max = budget.steps.saturating_sub(inferred.steps);
    let found = graph::search(&graph, steps_max);
    let Collected { kept, dropped } = std::mem::take(&mut inferred.anomalies);
    let mut anomalies = kept;
    for cycle in &found.cycles {
        anomalies.push(tell_cycle(txns, cycle, &why));
    }
    let rank = |anomaly: &Anomaly| names.iter().position(|name| *name == anomaly.name);
    anomalies.sort_by_key(|a| (rank(a), a.calls.len(), a.span.1, a.calls.first().copied()));
    let types: BTreeSet<String> = anomalies.iter().map(|a| a.name.clone()).collect();
    let left = graph::models_left(types.iter().map(String::as_str));
    anomalies.retain(|anomaly| !inferred.permits(&anomaly.name));
    let transactions = intervals.iter().flatten().count();
    let verdict = if anomalies.is_empty() {
        clean(&inferred, transactions)
    } else {
        let total = anomalies.len() as u64 + dropped;
        Verdict::invalid(inferred.checker, anomalies, total)
    };
    let verdict = if types.is_empty() {
        verdict
    } else {
        verdict
            .figure("anomaly-types", types.into_iter().collect::<Vec<_>>())
            .figure("models-not-ruled-out", left)
    };
    verdict
        .figure("transactions", transactions)
        .figure("edges", graph.size())
        .figure("observations", inferred.observations)
        .figure("search-complete", !found.exhausted)
        .figure("steps", inferred.steps + found.steps)
}

/// The verdict where nothing contradicts anything.
fn clean(inferred: &Inferred<'_>, transactions: usize) -> Verdict {
    let checker = inferred.checker;
    if inferred.observations == 0 {
        let text = "no read returned a written value, so there is nothing to judge";
        Verdict::unknown(checker, "vacuous", text)
    } else if let Some((key, value)) = inferred.ambiguous {
        let text = format!(
            "{value} was written to {key} more than once, so nobody knows which write a read saw"
        );
        Verdict::unknown(checker, "not-unique", text)
    } else {
        let count = explain::count(transactions, "transaction");
        Verdict::valid(
            checker,
            match inferred.level {
                None | Some("strict-serializable") => {
                    format!("{count}: nothing contradicts strict serializability")
                }
                Some(level) => format!("{count}: nothing that {level} forbids"),
            },
        )
    }
}

/// The verdict where there is more to do than the budget allows; `None` if there is not.
pub(crate) fn too_large(
    checker: &str,
    txns: &Transactions<'_>,
    steps: u64,
    budget: Budget,
) -> Option<Verdict> {
    /// Memory for a step of a transaction or an element read: places in tables and edges.
    const BYTES_EACH: u64 = 400;
    let bytes = (txns.size() as u64).saturating_mul(BYTES_EACH);
    let over = steps > budget.steps || bytes > budget.bytes;
    over.then(|| {
        let count = explain::count(txns.len() as usize, "transaction");
        let text = format!("the budget ran out before {count} could be compared");
        Verdict::unknown(checker, "budget", text).figure("transactions", txns.len())
    })
}

fn interval(txns: &Transactions<'_>, txn: u32) -> Option<Interval> {
    let (call, ret) = txns.interval(txn);
    txns.happened(txn).then(|| Interval {
        process: txns.process(txn).into(),
        call: call.into(),
        ret: (ret != OPEN).then_some(ret.into()),
    })
}

fn tell_cycle(
    txns: &Transactions<'_>,
    cycle: &Cycle,
    why: &impl Fn(u32, u32, Why) -> Option<Because>,
) -> Anomaly {
    let call = |node: u32| txns.call(node);
    let mut named: Vec<u32> = cycle.steps.iter().map(|step| step.0).collect();
    let calls: Vec<&Call> = named.iter().filter_map(|node| call(*node)).collect();
    let mut facts = Vec::new();
    for &(from, to, reason) in &cycle.steps {
        let (Some(one), Some(next)) = (call(from), call(to)) else {
            continue;
        };
        let because = tell::order(one, next, reason).unwrap_or_else(|| {
            let because = why(from, to, reason);
            let shown_by = because.iter().flat_map(|because| &because.shown_by);
            named.extend(shown_by);
            because.map_or_else(|| "of the order of versions".to_owned(), |b| b.text)
        });
        facts.push(format!(
            "{} comes before {}, because {because}.",
            name(one),
            name(next)
        ));
    }
    let chain: Vec<String> = calls.iter().chain(calls.first()).map(|c| name(c)).collect();
    let sentence = format!(
        "{} cannot be put in any order: {}",
        explain::count(calls.len(), "transaction"),
        chain.join(" comes before "),
    );
    named.extend(witnesses(txns, &named));
    let mut met = BTreeSet::new();
    named.retain(|node| met.insert(*node));
    let calls: Vec<&Call> = named.iter().filter_map(|node| call(*node)).collect();
    anomaly(Told {
        name: cycle.name,
        key: None,
        sentence,
        facts,
        calls: &calls,
    })
}

/// Of each transaction whose end is unknown, one that saw that it took effect, unless another of
/// these did.
fn witnesses(txns: &Transactions<'_>, named: &[u32]) -> Vec<u32> {
    let saw = |reader: u32, writer: u32| {
        let mut reads = txns.steps(reader);
        txns.ended(reader) == Ended::Ok
            && reads.any(|read| txns.steps(writer).any(|write| shows(txns, read, write)))
    };
    let mut more: Vec<u32> = Vec::new();
    for &writer in named {
        let mut known = named.iter().chain(&more);
        if txns.ended(writer) == Ended::Unknown && !known.any(|reader| saw(*reader, writer)) {
            more.extend((0..txns.len()).find(|reader| saw(*reader, writer)));
        }
    }
    more
}

/// Whether a step read what another wrote or appended.
fn shows(txns: &Transactions<'_>, read: Step, write: Step) -> bool {
    let value = write.value;
    read.key == write.key
        && match write.did {
            Did::Wrote => read.saw() == Some(Some(value)),
            Did::Appended => txns.elements(read).contains(&value),
            _ => false,
        }
}
