//! Transactions as checkers see them, and the verdict on them.

mod collect;
mod tell;

use std::borrow::Cow;
use std::collections::BTreeSet;

use tribunal_results::{
    Anomaly, Answer, Call, History, Micro, Operation, Outcome, Scalar, Seen, Verdict,
};

use crate::graph::{self, Cycle, Graph, Interval, Why};
use crate::{Budget, explain};

pub(crate) use collect::Collected;
pub(crate) use tell::{Told, anomaly, name};

/// The most edges that one key gives for versions whose order nobody saw.
pub(crate) const UNORDERED_EDGES_MAX: usize = 1 << 16;

/// A call as a transaction.
#[derive(Debug)]
pub(crate) struct Txn<'a> {
    pub(crate) call: &'a Call,
    /// Its steps; what reads saw counts only if it is known to have taken effect.
    pub(crate) micros: Cow<'a, [Micro]>,
    /// Whether it took effect: for certain, or because another saw that it did.
    pub(crate) happened: bool,
}

/// The calls as transactions, in the order of invocation; single operations as those of one step.
pub(crate) fn of(history: &History) -> Vec<Txn<'_>> {
    let txn = |call| {
        Some(Txn {
            micros: micros(call)?,
            happened: call.is_ok(),
            call,
        })
    };
    history.calls().iter().filter_map(txn).collect()
}

fn micros(call: &Call) -> Option<Cow<'_, [Micro]>> {
    let one = |micro| Some(Cow::Owned(vec![micro]));
    match (&call.operation, &call.outcome) {
        (Operation::Txn { .. }, Outcome::Ok(Answer::Txn(micros)))
        | (Operation::Txn { micros }, _) => Some(Cow::Borrowed(micros)),
        (Operation::Append { key, value }, _) => one(Micro::Append {
            key: key.clone(),
            value: value.clone(),
        }),
        (Operation::Write { key, value }, _) => one(Micro::Write {
            key: key.clone(),
            value: value.clone(),
        }),
        (Operation::Read { key }, Outcome::Ok(Answer::Value(value))) => one(Micro::Read {
            key: key.clone(),
            seen: value.clone().map_or(Seen::Nothing, Seen::Value),
        }),
        (Operation::Cas { key, from, to }, outcome) => {
            let mut micros = Vec::new();
            if matches!(outcome, Outcome::Ok(_)) {
                micros.push(Micro::Read {
                    key: key.clone(),
                    seen: Seen::Value(from.clone()),
                });
            }
            micros.push(Micro::Write {
                key: key.clone(),
                value: to.clone(),
            });
            Some(Cow::Owned(micros))
        }
        _ => None,
    }
}

/// The call of a transaction.
pub(crate) fn call<'a>(txns: &[Txn<'a>], at: u32) -> Option<&'a Call> {
    txns.get(at as usize).map(|txn| txn.call)
}

/// Whether a transaction took effect.
pub(crate) fn happened(txns: &[Txn<'_>], at: u32) -> bool {
    txns.get(at as usize).is_some_and(|txn| txn.happened)
}

/// Whether a transaction has a step on the object.
pub(crate) fn works_on(txns: &[Txn<'_>], at: u32, key: &Scalar) -> bool {
    let txn = txns.get(at as usize);
    txn.is_some_and(|txn| txn.micros.iter().any(|micro| micro.key() == key))
}

/// Whether one of the edges leads so, for one of the reasons.
pub(crate) fn leads(edges: &[(u32, u32, Why)], from: u32, to: u32, why: Why) -> bool {
    let mut edges = edges.iter();
    edges.any(|edge| (edge.0, edge.1) == (from, to) && edge.2.meets(why))
}

/// Who wrote an element or a value: transactions and the place of the step in each.
pub(crate) type Writers = smallvec::SmallVec<[(u32, u32); 1]>;

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
    txns: &[Txn<'_>],
    mut inferred: Inferred<'_>,
    budget: Budget,
    names: &[&'static str],
    why: impl Fn(u32, u32, Why) -> Option<Because>,
) -> Verdict {
    let intervals: Vec<Option<Interval>> = txns.iter().map(interval).collect();
    let mut edges = std::mem::take(&mut inferred.edges);
    let nodes = graph::add_orders(&intervals, &mut edges);
    let graph = Graph::new(txns.len() as u32, nodes, edges);
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
    let transactions = txns.iter().filter(|txn| txn.happened).count();
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
    txns: &[Txn<'_>],
    steps: u64,
    budget: Budget,
) -> Option<Verdict> {
    /// Memory for a step of a transaction or an element read: places in tables and edges.
    const BYTES_EACH: u64 = 400;
    let micros: u64 = txns.iter().map(|txn| txn.micros.len() as u64).sum();
    let bytes = micros.saturating_mul(BYTES_EACH);
    let over = steps > budget.steps || bytes > budget.bytes;
    over.then(|| {
        let count = explain::count(txns.len(), "transaction");
        let text = format!("the budget ran out before {count} could be compared");
        Verdict::unknown(checker, "budget", text).figure("transactions", txns.len())
    })
}

fn interval(txn: &Txn<'_>) -> Option<Interval> {
    txn.happened.then(|| Interval {
        process: txn.call.process,
        call: txn.call.invoked.index,
        ret: txn.call.returned(),
    })
}

fn tell_cycle(
    txns: &[Txn<'_>],
    cycle: &Cycle,
    why: &impl Fn(u32, u32, Why) -> Option<Because>,
) -> Anomaly {
    let call = |node: u32| txns.get(node as usize).map(|txn| txn.call);
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
fn witnesses(txns: &[Txn<'_>], named: &[u32]) -> Vec<u32> {
    let txn = |node: u32| txns.get(node as usize);
    let saw = |reader: &Txn<'_>, writer: &Txn<'_>| {
        let mut reads = reader.micros.iter();
        reader.call.is_ok() && reads.any(|read| writer.micros.iter().any(|w| shows(read, w)))
    };
    let mut more: Vec<u32> = Vec::new();
    for writer in named.iter().filter_map(|node| txn(*node)) {
        let mut known = named.iter().chain(&more).filter_map(|node| txn(*node));
        if writer.call.is_info() && !known.any(|reader| saw(reader, writer)) {
            let reader = (0_u32..).zip(txns).find(|(_, reader)| saw(reader, writer));
            more.extend(reader.map(|(node, _)| node));
        }
    }
    more
}

/// Whether a step read what another wrote or appended.
fn shows(read: &Micro, write: &Micro) -> bool {
    match (read, write) {
        (Micro::Read { key, seen }, Micro::Append { key: of, value }) => {
            key == of && matches!(seen, Seen::List(list) if list.contains(value))
        }
        (Micro::Read { key, seen }, Micro::Write { key: of, value }) => {
            key == of && matches!(seen, Seen::Value(seen) if seen == value)
        }
        _ => false,
    }
}
