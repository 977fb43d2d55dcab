//! Every anomaly in plain words, with the history that shows it.
//!
//! An entry says what was seen, what it means for those who use the system, and which mistakes
//! lead to it. Its example is one of the hand-written histories that the checkers are tested
//! with: what is shown to readers is judged in each test run.
//!
//! | module | anomalies of |
//! |---|---|
//! | `values` | registers, sessions and causal order |
//! | `objects` | queues, sets, lists, counters, identifiers, caches |
//! | `transactions` | isolation levels |
//! | `exclusion` | locks, leases, fencing tokens, semaphores |
//! | `replicas` | replicas, clocks, messages, and nodes themselves |

mod exclusion;
mod objects;
mod replicas;
mod transactions;
mod values;

use tribunal_results::journal::{self, ReadError};
use tribunal_results::{Nanos, NodeLog, Record, message};

use crate::{ALL, Checker, graph};

/// An anomaly.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name, as in verdicts and `expect:`.
    pub name: &'static str,
    /// What was seen, and what that means.
    pub what: &'static str,
    /// Mistakes that lead to it.
    pub cause: &'static str,
    /// The smallest history that shows it.
    pub example: Example,
}

/// A history that one checker finds an anomaly in, and what is judged with it.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// The checker's name.
    pub checker: &'static str,
    /// The history, in the format of `history.jsonl`.
    pub history: &'static str,
    /// The message journal, in the format of `messages.jsonl`, if there is one.
    pub messages: Option<&'static str>,
    /// The log of the first node, if there is one.
    pub log: Option<&'static str>,
}

impl Example {
    /// The record that is judged.
    ///
    /// # Errors
    /// If it is not in the format that it should have.
    pub fn record(&self) -> Result<Record, ReadError> {
        let journal = journal::read(self.history.as_bytes())?;
        let messages = self.messages.map(|text| message::read(text.as_bytes()));
        let first = journal.header.nodes.first().cloned();
        let log = |text: &str| NodeLog {
            node: first.unwrap_or_default().into(),
            lines: text.lines().map(str::to_owned).collect(),
        };
        Ok(Record {
            history: journal.history,
            assume: journal.header.assume,
            messages: messages.transpose()?.unwrap_or_default(),
            logs: self.log.map(log).into_iter().collect(),
            recovery: Some(RECOVERY),
            is_run: true,
            ..Record::default()
        })
    }
}

/// The hand-written history of that name that a checker is tested with, and a file beside it.
macro_rules! example {
    ($checker:literal, $name:literal) => {
        example!($checker, $name, None, None)
    };
    ($checker:literal, $name:literal, messages) => {
        example!($checker, $name, Some(example!(@$checker, $name, ".messages")), None)
    };
    ($checker:literal, $name:literal, log) => {
        example!($checker, $name, None, Some(example!(@$checker, $name, ".n1.log")))
    };
    ($checker:literal, $name:literal, $messages:expr, $log:expr) => {
        $crate::glossary::Example {
            checker: $checker,
            history: example!(@$checker, $name, ".jsonl"),
            messages: $messages,
            log: $log,
        }
    };
    (@$checker:literal, $name:literal, $end:literal) => {
        include_str!(concat!("../../tests/histories/", $checker, "/invalid/", $name, $end))
    };
}
use example;

/// Which order an anomaly of transactions rests on, besides what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// None.
    Data,
    /// The order of each client's own transactions (`…-process`).
    Sessions,
    /// That one transaction was answered before another was invoked (`…-realtime`).
    RealTime,
}

/// Every entry.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    let all = [
        values::ENTRIES,
        objects::ENTRIES,
        transactions::ENTRIES,
        exclusion::ENTRIES,
        replicas::ENTRIES,
    ];
    all.into_iter().flatten()
}

/// How long after everything is healed a system of the examples may take to serve again.
const RECOVERY: Nanos = 10_000_000_000;

/// What is said of an anomaly, and which order it rests on.
pub fn find(name: &str) -> Option<(&'static Entry, Order)> {
    let of = |name: &str| entries().find(|entry| entry.name == name);
    let ending = [
        ("-process", Order::Sessions),
        ("-realtime", Order::RealTime),
    ];
    let rests = |(end, order)| Some((of(name.strip_suffix(end)?)?, order));
    let exactly = of(name).map(|entry| (entry, Order::Data));
    exactly.or_else(|| ending.into_iter().find_map(rests))
}

/// The checkers that find an anomaly.
pub fn finders(name: &str) -> impl Iterator<Item = &'static dyn Checker> {
    let finds = move |checker: &&&dyn Checker| checker.anomalies().contains(&name);
    ALL.iter().filter(finds).copied()
}

/// The weakest models of transactions that forbid an anomaly; none for those of single objects.
pub fn forbidden_by(name: &str) -> Vec<String> {
    graph::weakest_that_forbid(name)
}
