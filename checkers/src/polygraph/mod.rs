//! Serializability and snapshot isolation of transactions on registers, decided exactly.
//!
//! What a read saw tells who wrote it, but not which of two writes came first: each pair of
//! writes of a register may go either way, and each way has consequences (a *polygraph*:
//! Papadimitriou, *The serializability of concurrent database updates*, 1979). The question is
//! NP-complete, and easy on the histories of real stores:
//!
//! 1. [`normal`] numbers transactions, versions and reads; [`chains`] joins versions whose order
//!    is known, because the writer of one had read the other.
//! 2. [`schedule`] guesses an order by running the transactions again as they ended. If that
//!    works out, it is the proof.
//! 3. [`saturate`] decides all pairs of which one way closes a cycle.
//! 4. [`settle`] decides the rest one by one, which mostly works out.
//! 5. [`solve`] searches otherwise, learning from each cycle, with [`sat`].
//! 6. [`witness`] cuts a contradiction down to the transactions that it needs, and tells it.

mod chains;
mod checker;
mod digraph;
mod known;
mod normal;
mod reach;
mod sat;
mod saturate;
mod schedule;
mod settle;
mod solve;
mod witness;

use tribunal_results::{Micro, Operation, Record, Verdict};

use crate::normal::Transactions;
use crate::transactions;
use crate::{Budget, explain};
use chains::Chains;
pub(crate) use checker::Level;
use normal::Normal;
use solve::{Decided, Problem};

/// How far transactions are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Each takes effect at one point in time.
    Serializable,
    /// Each reads as of one point and writes at a later one; of two that write the same register
    /// the second starts after the first committed.
    Snapshot,
}

/// Which order has to be kept besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    /// None.
    Any,
    /// That of each client's transactions.
    Session,
    /// What had ended before another was invoked comes before it.
    RealTime,
}

impl Level {
    /// Judges a record.
    pub(crate) fn judge(self, record: &Record, budget: Budget) -> Verdict {
        if let Some(verdict) = self.unsupported(record) {
            return verdict;
        }
        let txns = Transactions::of(&record.history);
        let work = txns.size() as u64;
        if let Some(verdict) = transactions::too_large(self.name, &txns, work, budget) {
            return verdict;
        }
        let mut parsed = normal::parse(&txns);
        let mut anomalies = std::mem::take(&mut parsed.anomalies);
        let normal = &parsed.normal;
        let chains = Chains::new(normal);
        anomalies.extend(witness::lost_updates(&txns, normal, &chains));
        let mut steps = budget.steps.saturating_sub(work);
        let result = if anomalies.is_empty() {
            self.decide(normal, &chains, budget.bytes, &mut steps)
        } else {
            Outcome::Contradicted
        };
        let verdict = match result {
            Outcome::Contradicted => {
                let total = anomalies.len() as u64;
                anomalies.sort_by_key(|a| (a.calls.len(), a.span.1, a.calls.first().copied()));
                Verdict::invalid(self.name, anomalies, total)
            }
            Outcome::Impossible(support) => {
                let anomaly = witness::anomaly(self, &txns, normal, &support, &mut steps);
                Verdict::invalid(self.name, vec![anomaly], 1)
            }
            _ if parsed.observations == 0 => {
                let text = "no read returned a written value, so there is nothing to judge";
                Verdict::unknown(self.name, "vacuous", text)
            }
            Outcome::Unknown => self.exhausted(normal),
            Outcome::Possible(how) => match parsed.ambiguous {
                Some((key, value)) => {
                    let text = format!(
                        "{value} was written to {key} more than once, so nobody knows which write \
                         a read saw"
                    );
                    Verdict::unknown(self.name, "not-unique", text)
                }
                None => self.valid(&txns, normal, how),
            },
        };
        verdict
            .figure("transactions", normal.len())
            .figure("observations", parsed.observations)
            .figure("steps", budget.steps - steps)
    }

    fn unsupported(self, record: &Record) -> Option<Verdict> {
        let is_other = |operation: &Operation| match operation {
            Operation::Append { .. } | Operation::Cas { .. } => true,
            Operation::Txn { micros } => micros.iter().any(|m| matches!(m, Micro::Append { .. })),
            _ => false,
        };
        let mut calls = record.history.calls().iter();
        let call = calls.find(|call| is_other(&call.operation))?;
        let text = format!(
            "only reads and writes of registers can be judged, but there is a {}",
            call.operation
        );
        Some(Verdict::unknown(self.name, "unsupported", text))
    }

    fn exhausted(self, normal: &Normal) -> Verdict {
        let count = explain::count(normal.txns.len(), "transaction");
        let text = format!("the budget ran out before an order of {count} was found or excluded");
        Verdict::unknown(self.name, "budget", text)
    }

    fn valid(self, txns: &Transactions<'_>, normal: &Normal, how: How) -> Verdict {
        let count = explain::count(normal.txns.len(), "transaction");
        let text = match self.isolation {
            Isolation::Serializable => "happened as if one at a time",
            Isolation::Snapshot => "each saw one snapshot, and no two overwrote each other",
        };
        let verdict = Verdict::valid(self.name, format!("{count}: {text}"));
        let (found_by, order) = match how {
            How::Guessed(order) => ("replay", order),
            How::Solved(order) => ("search", order),
        };
        let verdict = verdict.figure("found-by", found_by);
        if order.len() > ORDER_LISTED_MAX {
            return verdict;
        }
        let index = |txn: &u32| {
            let member = normal.txns.get(*txn as usize)?;
            Some(txns.call(member.call)?.invoked.index)
        };
        verdict.figure(
            "order",
            order.iter().filter_map(index).collect::<Vec<u64>>(),
        )
    }

    /// Whether the transactions can be put in order.
    fn decide(self, normal: &Normal, chains: &Chains, bytes_max: u64, steps: &mut u64) -> Outcome {
        let strict = known::known(normal, chains, Isolation::Serializable, Order::RealTime);
        let guess = schedule::guess(normal, chains, strict);
        if guess.is_serial {
            let order = guess.order.into_iter();
            let points = match self.isolation {
                Isolation::Serializable => order.collect(),
                Isolation::Snapshot => order.flat_map(|txn| [txn, txn]).collect(),
            };
            return Outcome::Possible(How::Guessed(points));
        }
        let mut places = vec![0; normal.txns.len()];
        for (at, txn) in (0..).zip(&guess.order) {
            if let Some(place) = places.get_mut(*txn as usize) {
                *place = at;
            }
        }
        match self
            .problem(normal, chains, places, bytes_max)
            .decide(steps)
        {
            Decided::Possible(points) => {
                let of = known::Points {
                    isolation: self.isolation,
                };
                Outcome::Possible(How::Solved(points.into_iter().map(|p| of.txn(p)).collect()))
            }
            Decided::Impossible(support) => Outcome::Impossible(support),
            Decided::Unknown => Outcome::Unknown,
        }
    }

    fn problem<'n>(
        self,
        normal: &'n Normal,
        chains: &'n Chains,
        places: Vec<u64>,
        bytes_max: u64,
    ) -> Problem<'n> {
        let mut known = known::known(normal, chains, self.isolation, self.order);
        known.initial(normal, chains);
        Problem {
            normal,
            chains,
            known,
            places,
            bytes_max,
        }
    }
}

/// The most entries of an order that a verdict lists.
const ORDER_LISTED_MAX: usize = 1_000;

enum Outcome {
    /// Something was found before.
    Contradicted,
    Impossible(Vec<u32>),
    Possible(How),
    Unknown,
}

/// An order of transactions, each once; under snapshot isolation each at its start and at its
/// commit.
enum How {
    Guessed(Vec<u32>),
    Solved(Vec<u32>),
}
