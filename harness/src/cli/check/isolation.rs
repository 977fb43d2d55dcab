//! `--isolation`: verdicts on transactions at one level.
//!
//! The checkers `list-append` and `rw-register` judge against strict serializability and name
//! what they find. Which of that a level forbids is a table of the checkers; where a level has a
//! checker of its own, it judges too.

use tribunal_checkers::{Budget, Checker, find, forbids, levels};
use tribunal_results::{Micro, Operation, Record, Validity, Verdict};

use super::super::Failure;

/// A level that people call otherwise, and its name in the table.
const ALSO: [(&str, &str); 1] = [("causal", "transactional-causal")];
/// What a level may respect besides: nothing, the order of sessions, that of real time.
const STRENGTHS: [&str; 3] = ["", "strong-session-", "strong-"];

/// A level that a user asks for.
#[derive(Debug)]
pub(in crate::cli) struct Level {
    name: String,
    checker: Option<&'static str>,
    /// What the table calls it.
    tabled: String,
}

/// The names of all levels.
pub(super) fn names() -> Vec<String> {
    let also = ALSO.iter().map(|(name, _)| (*name).to_owned());
    levels().chain(also).collect()
}

/// The level of the table that a checker judges: the weakest of this name that forbids all that
/// the checker finds. Some respect the order of sessions, though their name does not say so.
fn judged_by(checker: &dyn Checker) -> Option<String> {
    let forbids_all = |level: &String| {
        let mut anomalies = checker.anomalies().iter();
        anomalies.all(|anomaly| forbids(level, anomaly) != Some(false))
    };
    let strengths = STRENGTHS.iter();
    let stronger = strengths.map(|strength| format!("{strength}{}", checker.name()));
    let mut known = stronger.filter(|name| levels().any(|level| level == *name));
    known.find(forbids_all)
}

impl Level {
    /// The level of that name.
    pub(super) fn of(name: &str) -> Result<Self, Failure> {
        let also = ALSO.iter().find(|(other, _)| *other == name);
        let tabled = also.map_or(name, |(_, tabled)| tabled);
        if !levels().any(|level| level == tabled) {
            return Err(Failure::usage(anyhow::anyhow!(
                "no isolation level is called {name}; there are {}",
                names().join(", ")
            )));
        }
        let own = find(tabled);
        Ok(Self {
            name: name.to_owned(),
            checker: own.map(Checker::name),
            tabled: own.and_then(judged_by).unwrap_or_else(|| tabled.to_owned()),
        })
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
            .partition(|anomaly| forbids(&self.tabled, &anomaly.name) == Some(false));
        // Types are all there, even where only some anomalies are listed.
        let types = types_of(&verdict);
        let forbidden = |name: &String| forbids(&self.tabled, name) != Some(false);
        let against: Vec<String> = types
            .iter()
            .filter(|name| forbidden(name))
            .cloned()
            .collect();
        let checker = verdict.checker.clone();
        let figures = std::mem::take(&mut verdict.figures);
        let mut judged = if !against.is_empty() {
            let total = verdict.anomalies_total.saturating_sub(allowed.len() as u64);
            let mut judged = Verdict::invalid(&checker, rest, total);
            if judged.anomalies.is_empty() {
                judged.summary = format!("{level} forbids {}", against.join(", "));
            }
            judged
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::{Level, names};

    #[test]
    fn every_level_is_judged_by_the_checker_of_its_name_and_by_what_that_respects() {
        for name in names() {
            assert_eq!(Level::of(&name).unwrap().name, name);
        }
        for (name, checker, tabled) in [
            ("read-uncommitted", None, "read-uncommitted"),
            (
                "read-committed",
                Some("read-committed"),
                "strong-session-read-committed",
            ),
            (
                "read-atomic",
                Some("read-atomic"),
                "strong-session-read-atomic",
            ),
            (
                "causal",
                Some("transactional-causal"),
                "strong-session-transactional-causal",
            ),
            (
                "snapshot-isolation",
                Some("snapshot-isolation"),
                "snapshot-isolation",
            ),
            ("serializable", Some("serializable"), "serializable"),
            (
                "strict-serializable",
                Some("strict-serializable"),
                "strict-serializable",
            ),
            (
                "strong-session-serializable",
                Some("strong-session-serializable"),
                "strong-session-serializable",
            ),
        ] {
            let level = Level::of(name).unwrap();
            assert_eq!((level.checker, &*level.tabled), (checker, tabled), "{name}");
        }
    }
}
