//! Accounting for what became of things: objects apart, findings ranked and bounded, lists that
//! say how much more there is.

mod elements;
mod follow;
mod lists;
mod registers;

pub(crate) use elements::{Added, Set};
pub(crate) use follow::{Watch, Watching};
pub(crate) use lists::{Listing, bounded, quantiles};
pub(crate) use registers::{GroupRead, Registers};
use rustc_hash::FxHashMap;
use tribunal_results::verdict::ANOMALIES_LISTED_MAX;
use tribunal_results::{Anomaly, Answer, Call, History, Kind, Outcome, Scalar, Verdict};

use crate::{Budget, explain};

/// Memory for an operation, or for an element that one returned: places in tables and lists.
const BYTES_EACH: u64 = 160;

/// An object and the calls on it.
pub(crate) type Object<'a> = (&'a Scalar, Vec<&'a Call>);

/// The calls of these kinds, for each object in the order of its first one; `None` if the budget
/// is too small to account for them.
pub(crate) fn by_key<'a>(
    history: &'a History,
    kinds: &[Kind],
    budget: Budget,
) -> Option<Vec<Object<'a>>> {
    let mut left = budget.steps.min(budget.bytes / BYTES_EACH);
    let mut places: FxHashMap<&Scalar, usize> = FxHashMap::default();
    let mut objects: Vec<Object<'a>> = Vec::new();
    let mut last = 0;
    for call in history.calls() {
        let Some(key) = call.operation.key() else {
            continue;
        };
        if !kinds.contains(&call.operation.kind()) {
            continue;
        }
        left = left.checked_sub(size(call))?;
        if objects.get(last).is_none_or(|(before, _)| *before != key) {
            last = *places.entry(key).or_insert_with(|| {
                objects.push((key, Vec::new()));
                objects.len() - 1
            });
        }
        if let Some((_, calls)) = objects.get_mut(last) {
            calls.push(call);
        }
    }
    Some(objects)
}

/// An operation, and what it returned.
fn size(call: &Call) -> u64 {
    1 + match &call.outcome {
        Outcome::Ok(Answer::Values(values)) => values.len() as u64,
        Outcome::Ok(Answer::Rows(rows)) => rows.len() as u64,
        Outcome::Ok(Answer::Balances(balances)) => balances.len() as u64,
        _ => 0,
    }
}

/// That the budget is too small.
pub(crate) fn exhausted(checker: &str, history: &History) -> Verdict {
    let count = explain::count(history.calls().len(), "operation");
    let text = format!("the budget ran out before {count} could be accounted for");
    Verdict::unknown(checker, "budget", text)
}

/// Index of the event after which a call can no longer take effect; the end of time if nobody
/// knows.
pub(crate) fn end(call: &Call) -> u64 {
    call.returned().unwrap_or(u64::MAX)
}

/// That somebody read a whole object, without what it saw, which may be much: `p4 read s at
/// 0.070 s (n2)`.
pub(crate) fn read(call: &Call) -> String {
    let object = call.operation.key().map(|key| format!(" {key}"));
    format!(
        "p{} read{} at {}{}",
        call.process,
        object.unwrap_or_default(),
        explain::seconds(explain::ended(call)),
        explain::place(call)
    )
}

/// That a call was refused: `p2's add 2 to s was refused at 0.040 s (n3)`.
pub(crate) fn refused(call: &Call) -> String {
    let when = explain::seconds(explain::ended(call));
    format!(
        "p{}'s {} was refused at {when}{}",
        call.process,
        call.operation,
        explain::place(call)
    )
}

/// A sentence of its own.
pub(crate) fn fact(text: impl Into<String>) -> String {
    let text = text.into();
    match text.strip_prefix("nobody") {
        Some(rest) => format!("Nobody{rest}."),
        None => text + ".",
    }
}

/// What was found, of each kind the first ones in full.
pub(crate) struct Findings {
    names: &'static [&'static str],
    counts: Vec<u64>,
    listed: Vec<(usize, Anomaly)>,
}

impl Findings {
    /// Nothing yet. The names come with the clearest kind first.
    pub(crate) fn new(names: &'static [&'static str]) -> Self {
        Self {
            names,
            counts: vec![0; names.len()],
            listed: Vec::new(),
        }
    }

    /// Counts one more, which is told only if not enough of its kind were.
    pub(crate) fn add<'c>(&mut self, name: &'static str, tell: impl FnOnce() -> Finding<'c>) {
        let rank = self.names.iter().position(|known| *known == name);
        let rank = rank.unwrap_or_default();
        let Some(count) = self.counts.get_mut(rank) else {
            return;
        };
        *count += 1;
        if *count <= ANOMALIES_LISTED_MAX as u64 {
            let finding = tell();
            let (calls, span) = explain::extent(&finding.calls);
            let anomaly = Anomaly {
                name: name.to_owned(),
                sentence: finding.sentence,
                key: finding.key.cloned(),
                calls,
                facts: finding.facts,
                span,
            };
            self.listed.push((rank, anomaly));
        }
    }

    /// How many of that kind were found.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let at = self.names.iter().position(|known| *known == name);
        at.and_then(|at| self.counts.get(at)).copied().unwrap_or(0)
    }

    /// Invalid if anything was found, else what else there is to say.
    pub(crate) fn verdict(self, checker: &str, otherwise: impl FnOnce() -> Verdict) -> Verdict {
        let total = self.counts.iter().sum();
        if total == 0 {
            return otherwise();
        }
        let mut listed = self.listed;
        listed.sort_by_key(|(rank, _)| *rank);
        let anomalies = listed.into_iter().map(|(_, anomaly)| anomaly).collect();
        Verdict::invalid(checker, anomalies, total)
    }
}

/// One contradiction in words.
pub(crate) struct Finding<'a> {
    pub(crate) key: Option<&'a Scalar>,
    pub(crate) sentence: String,
    pub(crate) calls: Vec<&'a Call>,
    pub(crate) facts: Vec<String>,
}
