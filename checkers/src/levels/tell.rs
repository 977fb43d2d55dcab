//! Contradictions of weak levels in words.

use std::collections::BTreeSet;

use tribunal_results::{Anomaly, Call};

use super::order::{Order, Step, Why};
use super::saturate::Before;
use super::sessions::{NONE, Odd, Read, Sessions};
use crate::normal::Did;
use crate::transactions::{Told, anomaly, name};

/// The weakest level whose axiom gives a pair of the commit order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Axiom {
    /// None: sessions and reads alone.
    Given,
    Committed,
    Atomic,
    Causal,
}

impl Axiom {
    const fn broken(self) -> &'static str {
        match self {
            Self::Given => "cyclic-causality",
            Self::Committed => "non-monotonic-read",
            Self::Atomic => "fractured-read",
            Self::Causal => "causality-violation",
        }
    }
}

/// The steps with those that stay in one session as one.
fn drawn_together(steps: &[Step]) -> Vec<Step> {
    let mut drawn: Vec<Step> = Vec::new();
    // A cycle begins anew with a step that leaves a session, if it has one.
    let cut = match (steps.first(), steps.last()) {
        (Some(first), Some(last)) if first.0 == last.1 => {
            let leaves = |step: &Step| step.2 != Why::Session;
            steps.iter().position(leaves).unwrap_or(0)
        }
        _ => 0,
    };
    for step in steps.iter().cycle().skip(cut).take(steps.len()) {
        match drawn.last_mut() {
            Some(last) if last.2 == Why::Session && step.2 == Why::Session => last.1 = step.1,
            _ => drawn.push(*step),
        }
    }
    drawn
}

/// Tells contradictions.
pub(crate) struct Teller<'s, 'a> {
    pub(crate) sessions: &'s Sessions<'s, 'a>,
    /// Sessions and reads from writes.
    pub(crate) given: &'s Order,
}

/// What is collected of one contradiction.
#[derive(Default)]
struct Case {
    facts: Vec<String>,
    calls: BTreeSet<u32>,
    key: Option<u32>,
}

impl Case {
    fn say(&mut self, fact: String) {
        if !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
    }
}

impl<'a> Teller<'_, 'a> {
    fn call(&self, txn: u32) -> Option<&'a Call> {
        self.sessions.txns.call(txn)
    }

    fn name(&self, txn: u32) -> String {
        self.call(txn).map(name).unwrap_or_default()
    }

    fn key(&self, key: u32) -> String {
        let key = self.sessions.txns.key(key);
        key.map(ToString::to_string).unwrap_or_default()
    }

    /// What the transaction wrote last to a register.
    fn value(&self, txn: u32, key: u32) -> String {
        let txns = self.sessions.txns;
        let mut steps = txns.steps(txn).rev();
        let write = steps.find(|step| step.did == Did::Wrote && step.key == key);
        let value = write.and_then(|write| txns.value(write.value));
        value.map_or_else(|| "nothing".to_owned(), ToString::to_string)
    }

    /// `r x → 3`.
    fn read(&self, read: Read) -> String {
        format!(
            "{} → {}",
            self.key(read.key),
            self.value(read.from, read.key)
        )
    }

    fn told(&self, of: &str, sentence: String, case: Case) -> Anomaly {
        let calls: Vec<&Call> = case.calls.iter().filter_map(|t| self.call(*t)).collect();
        let key = case.key.and_then(|key| self.sessions.txns.key(key));
        anomaly(Told {
            name: of,
            key,
            sentence,
            facts: case.facts,
            calls: &calls,
        })
    }

    /// A read that no level allows.
    pub(crate) fn odd(&self, odd: &Odd) -> Option<Anomaly> {
        let step = self.sessions.txns.step(odd.step)?;
        let micro = self.sessions.txns.micro(odd.step)?;
        let reader = self.name(odd.txn);
        let why = match odd.name {
            "thin-air-read" => "which nobody wrote",
            "aborted-read" => "of a transaction that failed",
            "intermediate-read" => "which its writer overwrote in the same transaction",
            "future-read" => "which it wrote only afterwards",
            "not-last-own-write" => "which it had overwritten itself",
            _ => "which is not what it had written itself before",
        };
        let case = Case {
            facts: vec![format!("The step is {micro}, {why}.")],
            calls: odd.writer.into_iter().chain([odd.txn]).collect(),
            key: Some(step.key),
        };
        let sentence = format!("{reader} had the step {micro}, {why}");
        Some(self.told(odd.name, sentence, case))
    }

    /// Two reads of one register that differ.
    pub(crate) fn unrepeatable(&self, txn: u32, one: Read, other: Read) -> Anomaly {
        let (first, second) = (self.read(one), self.read(other));
        let writers = [one.from, other.from].into_iter().filter(|w| *w != NONE);
        let case = Case {
            facts: vec![format!(
                "{} read {first} and then {second}: all that it reads must be of one state.",
                self.name(txn)
            )],
            calls: writers.chain([txn]).collect(),
            key: Some(one.key),
        };
        let sentence = format!("{} read {first} and then {second}", self.name(txn));
        self.told("non-repeatable-read", sentence, case)
    }

    /// Transactions that cannot be committed in any order.
    pub(crate) fn cycle(&self, steps: &[Step]) -> Anomaly {
        let mut case = Case::default();
        let mut axiom = Axiom::Given;
        let steps = drawn_together(steps);
        for &(from, to, why) in &steps {
            case.calls.extend([from, to]);
            match why {
                Why::Seen(by) => {
                    axiom = axiom.max(self.pair(Before { from, to, by }, &mut case));
                }
                given => self.given(from, to, given, &mut case),
            }
        }
        let first = steps.first().map(|step| step.0);
        let chain = steps.iter().map(|step| step.0).chain(first);
        let chain: Vec<String> = chain.map(|txn| self.name(txn)).collect();
        let sentence = format!("no order to commit in: {}", chain.join(" comes before "));
        self.told(axiom.broken(), sentence, case)
    }

    /// A read of absence after something was written.
    pub(crate) fn initial(&self, pair: Before) -> Anomaly {
        let mut case = Case::default();
        case.calls.insert(pair.from);
        let axiom = self.pair(pair, &mut case);
        let key = case.key.map(|key| self.key(key)).unwrap_or_default();
        let sentence = format!(
            "{} found nothing in {key}, although {} had written it",
            self.name(pair.by),
            self.name(pair.from)
        );
        self.told(axiom.broken(), sentence, case)
    }

    /// Why one comes before the other without any axiom.
    fn given(&self, from: u32, to: u32, why: Why, case: &mut Case) {
        case.calls.extend([from, to]);
        let (one, next) = (self.name(from), self.name(to));
        if why == Why::Session {
            case.say(format!(
                "{one} comes before {next}, because its client called it first."
            ));
            return;
        }
        let mut reads = self.sessions.reads.row(to).iter();
        if let Some(read) = reads.find(|read| read.from == from) {
            let what = self.read(*read);
            case.say(format!(
                "{one} comes before {next}, which read {what} from it."
            ));
        }
    }

    /// Why an axiom puts one before the other, by the weakest level that does.
    fn pair(&self, pair: Before, case: &mut Case) -> Axiom {
        let Before { from, to, by } = pair;
        let reads = self.sessions.reads.row(by);
        let overwrote = |read: &&Read| read.from == to && self.sessions.wrote(from, read.key);
        let source = reads.iter().position(|read| read.from == from);
        let later = source.map_or(&[][..], |at| reads.get(at + 1..).unwrap_or(&[]));
        let monotone = later.iter().find(overwrote);
        let Some(read) = monotone.or_else(|| reads.iter().find(overwrote)) else {
            return Axiom::Given;
        };
        case.calls.insert(by);
        case.key = case.key.or(Some(read.key));
        let (old, new) = (self.name(from), self.name(by));
        let (axiom, saw) = if let (Some(source), Some(_)) = (source, monotone) {
            let source = reads.get(source).map(|read| self.read(*read));
            let source = source.unwrap_or_default();
            (
                Axiom::Committed,
                format!("{new} read {source} from it and afterwards"),
            )
        } else if source.is_some() {
            (Axiom::Atomic, format!("{new} read from it and yet read"))
        } else if self.sessions.in_session(from, by) {
            (
                Axiom::Atomic,
                format!("{new} followed it in its session and yet read"),
            )
        } else {
            let path = self.given.path(from, by).unwrap_or_default();
            for (one, next, why) in drawn_together(&path) {
                self.given(one, next, why, case);
            }
            (Axiom::Causal, format!("{new} came after it and yet read"))
        };
        let (what, key) = (self.read(*read), self.key(read.key));
        let than = if to == NONE {
            "the initial state".to_owned()
        } else {
            case.calls.insert(to);
            self.name(to)
        };
        case.say(format!(
            "{old} comes before {than}, because {saw} {what}, although {old} wrote {key} too."
        ));
        axiom
    }
}
