//! Levels of isolation below snapshot isolation, decided exactly for transactions on registers
//! whose values are unique: read committed, read atomic and transactional causal consistency.
//!
//! The axioms are those of Biswas & Enea (*On the Complexity of Checking Transactional
//! Consistency*, 2019), the algorithms those of *AWDIT* (Møldrup & Pavlogiannis, 2025), without
//! recursion. Sessions are processes; their order counts at every level.

mod order;
mod rows;
mod saturate;
mod sessions;
mod tell;

use tribunal_results::verdict::ANOMALIES_LISTED_MAX;
use tribunal_results::{Anomaly, Record, Verdict};

use crate::normal::Transactions;
use crate::{Budget, Checker, explain, graph};
use order::Order;
use saturate::Saturated;
use sessions::{NONE, Sessions};
use tell::Teller;

/// A level; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Reads see committed transactions, each later one no less of them.
    ReadCommitted,
    /// A transaction is seen as a whole or not at all.
    ReadAtomic,
    /// What is seen includes all that came before it.
    TransactionalCausal,
}

impl Level {
    const fn claim(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read committed",
            Self::ReadAtomic => "read atomic",
            Self::TransactionalCausal => "transactional causal consistency",
        }
    }
}

/// What contradicts a level.
#[derive(Default)]
struct Found {
    anomalies: Vec<Anomaly>,
    total: u64,
    /// Pairs of the commit order.
    pairs: usize,
    steps: u64,
    exhausted: bool,
}

impl Found {
    fn add(&mut self, anomaly: impl FnOnce() -> Anomaly) {
        self.total += 1;
        if self.anomalies.len() < 2 * ANOMALIES_LISTED_MAX {
            self.anomalies.push(anomaly());
        }
    }
}

/// A level as a checker.
#[derive(Debug)]
pub(crate) struct Weak {
    /// Its name in suites and verdicts.
    pub(crate) name: &'static str,
    /// What it checks, in one line, with its source.
    pub(crate) about: &'static str,
    /// What it cannot find.
    pub(crate) blind_to: &'static str,
    pub(crate) level: Level,
    /// The clearest first.
    pub(crate) anomalies: &'static [&'static str],
}

impl Checker for Weak {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn anomalies(&self) -> &'static [&'static str] {
        self.anomalies
    }

    fn blind_to(&self) -> &'static str {
        self.blind_to
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let txns = Transactions::of(&record.history);
        if let Some(verdict) = too_large(self.name, &txns, budget) {
            return verdict;
        }
        let sessions = sessions::sessions(&txns);
        let mut found = find(&sessions, self.level, budget);
        let rank = |anomaly: &Anomaly| self.anomalies.iter().position(|n| *n == anomaly.name);
        found
            .anomalies
            .sort_by_key(|a| (rank(a), a.calls.len(), a.span.1, a.calls.first().copied()));
        let verdict = if found.anomalies.is_empty() {
            clean(self.name, self.level, &sessions, found.exhausted)
        } else {
            let left = graph::models_left(found.anomalies.iter().map(|a| a.name.as_str()));
            let verdict = Verdict::invalid(self.name, found.anomalies, found.total);
            verdict.figure("models-not-ruled-out", left)
        };
        verdict
            .figure("transactions", sessions.sessions.items().len())
            .figure("sessions", sessions.sessions.len())
            .figure("observations", sessions.observations)
            .figure("edges", found.pairs)
            .figure("steps", found.steps)
    }
}

fn clean(checker: &str, level: Level, sessions: &Sessions<'_, '_>, exhausted: bool) -> Verdict {
    let count = explain::count(sessions.sessions.items().len(), "transaction");
    if sessions.observations == 0 {
        let text = "no read returned a written value, so there is nothing to judge";
        Verdict::unknown(checker, "vacuous", text)
    } else if exhausted {
        let text = format!("the budget ran out before {count} could be compared");
        Verdict::unknown(checker, "budget", text)
    } else if let Some((key, value)) = sessions.txns.written_twice() {
        let text = format!(
            "{value} was written to {key} more than once, so nobody knows which write a read saw"
        );
        Verdict::unknown(checker, "not-unique", text)
    } else {
        let sessions = explain::count(sessions.sessions.len() as usize, "session");
        let claim = level.claim();
        Verdict::valid(checker, format!("{count} of {sessions} satisfy {claim}"))
    }
}

/// The verdict where there is more to do than the budget allows; `None` if there is not.
fn too_large(checker: &str, txns: &Transactions<'_>, budget: Budget) -> Option<Verdict> {
    /// Memory for a step of a transaction: places in tables and pairs of the order.
    const BYTES_EACH: u64 = 100;
    let steps = txns.size() as u64;
    let over = steps > budget.steps || steps.saturating_mul(BYTES_EACH) > budget.bytes;
    over.then(|| {
        let count = explain::count(txns.len() as usize, "transaction");
        let text = format!("the budget ran out before {count} could be compared");
        Verdict::unknown(checker, "budget", text).figure("transactions", txns.len())
    })
}

fn find(sessions: &Sessions<'_, '_>, level: Level, budget: Budget) -> Found {
    let mut found = Found::default();
    let topological = match level {
        Level::TransactionalCausal => order::topological(sessions),
        _ => None,
    };
    let saturated = match (level, &topological) {
        (Level::ReadCommitted, _) => saturate::committed(sessions, budget),
        (Level::ReadAtomic, _) => saturate::atomic(sessions, budget),
        (Level::TransactionalCausal, Some(order)) => saturate::causal(sessions, order, budget),
        (Level::TransactionalCausal, None) => Saturated::default(),
    };
    let order = Order::new(sessions, &saturated.pairs);
    let (cycles, steps) = order.cycles(budget.steps.saturating_sub(saturated.steps));
    found.pairs = order.size();
    found.steps = saturated.steps + steps;
    found.exhausted = saturated.exhausted;
    drop(order);
    let mut initial: Vec<_> = saturated.pairs;
    initial.retain(|pair| pair.to == NONE);
    let repeats = if level >= Level::ReadAtomic {
        unrepeatable(sessions)
    } else {
        Vec::new()
    };
    if cycles.is_empty() && initial.is_empty() && repeats.is_empty() && sessions.odd.is_empty() {
        return found;
    }
    let given = Order::new(sessions, &[]);
    let teller = Teller {
        sessions,
        given: &given,
    };
    found
        .anomalies
        .extend(sessions.odd.iter().filter_map(|odd| teller.odd(odd)));
    found.total = sessions.odd_total;
    for (txn, one, other) in repeats {
        found.add(|| teller.unrepeatable(txn, one, other));
    }
    // Sessions and reads that already go round are clearer without what follows from them.
    let (bare, _) = given.cycles(budget.steps);
    let cycles = if bare.is_empty() { cycles } else { bare };
    for cycle in &cycles {
        found.add(|| teller.cycle(cycle));
    }
    initial.dedup_by_key(|pair| pair.by);
    for pair in initial {
        found.add(|| teller.initial(pair));
    }
    found
}

/// Transactions that read a register twice and differently, with the first two such reads.
fn unrepeatable(sessions: &Sessions<'_, '_>) -> Vec<(u32, sessions::Read, sessions::Read)> {
    let mut found = Vec::new();
    // Of each register, who read it last and from whom.
    let mut last = vec![(NONE, NONE); sessions.txns.keys() as usize];
    for txn in 0..sessions.len() {
        let mut told = false;
        for read in sessions.reads.row(txn) {
            let Some(last) = last.get_mut(read.key as usize) else {
                continue;
            };
            if last.0 == txn && last.1 != read.from && !told {
                let one = sessions::Read {
                    key: read.key,
                    from: last.1,
                };
                found.push((txn, one, *read));
                told = true;
            }
            *last = (txn, read.from);
        }
    }
    found
}
