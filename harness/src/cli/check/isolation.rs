//! `--isolation`: verdicts on transactions at one level.
//!
//! The checkers `list-append` and `rw-register` judge against strict serializability and name
//! what they find. Which of that a level forbids is a table of the checkers; where a level has a
//! checker of its own, it judges too.

use tribunal_checkers::{Budget, Checker, find, forbids, levels};
use tribunal_results::{Micro, Operation, Record, Validity, Verdict};

use super::super::Failure;

/// Levels that other words or other checkers name.
struct Named {
    level: &'static str,
    /// Its own checker, used if there is one of that name.
    checker: &'static str,
    /// The level of the table that it is at least as strong as.
    at_least: &'static str,
    /// The level of the table that is at least as strong.
    at_most: &'static str,
}

/// Of an anomaly that `at_most` forbids and `at_least` allows, the table says nothing.
const NAMED: [Named; 6] = [
    Named {
        level: "read-committed",
        checker: "read-committed",
        at_least: "read-committed",
        at_most: "read-committed",
    },
    Named {
        level: "read-atomic",
        checker: "read-atomic",
        at_least: "read-committed",
        at_most: "snapshot-isolation",
    },
    Named {
        level: "causal",
        checker: "transactional-causal",
        at_least: "read-committed",
        at_most: "strong-session-snapshot-isolation",
    },
    Named {
        level: "snapshot-isolation",
        checker: "snapshot-isolation",
        at_least: "snapshot-isolation",
        at_most: "snapshot-isolation",
    },
    Named {
        level: "serializable",
        checker: "serializable",
        at_least: "serializable",
        at_most: "serializable",
    },
    Named {
        level: "strict-serializable",
        checker: "strict-serializable",
        at_least: "strict-serializable",
        at_most: "strict-serializable",
    },
];

/// A level that a user asks for.
#[derive(Debug)]
pub(in crate::cli) struct Level {
    name: String,
    checker: Option<&'static str>,
    at_least: String,
    at_most: String,
}

/// The names of all levels.
pub(super) fn names() -> Vec<String> {
    let mut names: Vec<String> = levels().collect();
    let more = NAMED.iter().map(|named| named.level.to_owned());
    names.extend(more.filter(|name| !levels().any(|level| level == *name)));
    names
}

impl Level {
    /// The level of that name.
    pub(super) fn of(name: &str) -> Result<Self, Failure> {
        if let Some(named) = NAMED.iter().find(|named| named.level == name) {
            return Ok(Self {
                name: name.to_owned(),
                checker: Some(named.checker),
                at_least: named.at_least.to_owned(),
                at_most: named.at_most.to_owned(),
            });
        }
        if levels().any(|level| level == name) {
            return Ok(Self {
                name: name.to_owned(),
                checker: None,
                at_least: name.to_owned(),
                at_most: name.to_owned(),
            });
        }
        Err(Failure::usage(anyhow::anyhow!(
            "no isolation level is called {name}; there are {}",
            names().join(", ")
        )))
    }

    /// The checkers that judge at this level.
    pub(super) fn checkers(&self, record: &Record) -> Vec<&'static dyn Checker> {
        let own = self.checker.and_then(find);
        let appends = |operation: &Operation| match operation {
            Operation::Append { .. } => true,
            Operation::Txn { micros } => micros.iter().any(|m| matches!(m, Micro::Append { .. })),
            _ => false,
        };
        let mut calls = record.history.calls().iter();
        let elle = match calls.any(|call| appends(&call.operation)) {
            true => "list-append",
            false => "rw-register",
        };
        own.into_iter().chain(find(elle)).collect()
    }

    /// The verdicts at this level. One that cannot tell gives way to one that can, unless it ran
    /// out of its budget.
    pub(super) fn judge(&self, record: &Record, budget: Budget) -> Vec<Verdict> {
        let verdicts: Vec<Verdict> = self
            .checkers(record)
            .into_iter()
            .map(|checker| {
                let verdict = checker.check(record, budget);
                match Some(checker.name()) == self.checker {
                    true => verdict,
                    false => self.at_level(verdict),
                }
            })
            .collect();
        let definite = verdicts.iter().any(|v| v.validity != Validity::Unknown);
        let kept = |verdict: &Verdict| {
            let code = verdict.unknown.as_ref().map(|reason| reason.code.as_str());
            !definite || code.is_none() || code == Some("budget")
        };
        verdicts.into_iter().filter(kept).collect()
    }

    /// What a verdict on strict serializability says at this level: anomalies that it allows are
    /// told, but contradict nothing.
    fn at_level(&self, mut verdict: Verdict) -> Verdict {
        let level = &self.name;
        if verdict.validity == Validity::Valid && self.name != "strict-serializable" {
            verdict.summary = format!("{} ({level} asks for no more)", verdict.summary);
        }
        if verdict.validity != Validity::Invalid {
            return verdict;
        }
        let (allowed, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut verdict.anomalies)
            .into_iter()
            .partition(|anomaly| forbids(&self.at_most, &anomaly.name) == Some(false));
        // Types are all there, even where only some anomalies are listed.
        let types = types_of(&verdict);
        let forbidden = |name: &String| forbids(&self.at_least, name) != Some(false);
        let against: Vec<String> = types
            .iter()
            .filter(|name| forbidden(name))
            .cloned()
            .collect();
        let open = |name: &&String| forbids(&self.at_most, name) != Some(false);
        let checker = verdict.checker.clone();
        let figures = std::mem::take(&mut verdict.figures);
        let mut judged = if !against.is_empty() {
            let (worst, listed): (Vec<_>, Vec<_>) = rest
                .into_iter()
                .partition(|anomaly| forbidden(&anomaly.name));
            let total = verdict.anomalies_total.saturating_sub(allowed.len() as u64);
            let mut judged = Verdict::invalid(&checker, [worst, listed].concat(), total);
            if judged.anomalies.is_empty() {
                judged.summary = format!("{level} forbids {}", against.join(", "));
            }
            judged
        } else if let Some(open) = types.iter().find(open) {
            let text =
                format!("{open} was found, of which nothing says whether {level} forbids it");
            Verdict::unknown(&checker, "undecided", text)
        } else if figures.get("search-complete") == Some(&false.into()) {
            let text = format!("the budget ran out before all that {level} forbids was looked for");
            Verdict::unknown(&checker, "budget", text)
        } else {
            let found = types.join(", ");
            Verdict::valid(
                &checker,
                format!("{level} allows all that was found: {found}"),
            )
        };
        judged.figures = figures;
        let told = types
            .into_iter()
            .filter(|name| !against.contains(name))
            .collect::<Vec<_>>();
        judged
            .figure("isolation", level.as_str())
            .figure("allowed-anomalies", told)
    }
}

fn types_of(verdict: &Verdict) -> Vec<String> {
    let listed = verdict
        .figures
        .get("anomaly-types")
        .and_then(|types| types.as_array());
    let name = |name: &serde_json::Value| name.as_str().map(str::to_owned);
    listed.map_or_else(Vec::new, |types| types.iter().filter_map(name).collect())
}
