//! Violations on disk, grouped by what they have in common.

use std::collections::BTreeMap;

use tribunal_results::rate::Rate;
use tribunal_results::report::markdown::{cell, code};
use tribunal_results::{Anomaly, Nanos, Signature};

use crate::campaign::failed;
use crate::recorded::Recorded;

/// The longest that a text for an issue gets, in bytes; trackers take 65,536 characters.
const ISSUE_BYTES_MAX: usize = 60_000;
/// Facts of a finding in a text for an issue.
const FACTS_MAX: usize = 12;
/// Runs of a group that are listed there.
const RUNS_MAX: usize = 20;

/// Runs that show the same.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// What they have in common.
    pub signature: Signature,
    /// How many of the runs that could have shown it did; only those count that came to a verdict.
    pub rate: Rate,
    /// The runs, the earliest first; never empty.
    runs: Vec<&'a Recorded>,
    /// The run in which it was complete first after its beginning.
    pub fastest: &'a Recorded,
    /// When it was, in nanoseconds since that run's origin; none if no operation is to blame.
    pub after: Option<Nanos>,
}

/// Groups the violations, those first that are seen most often.
pub fn groups(runs: &[Recorded]) -> Vec<Group<'_>> {
    let mut by_signature: BTreeMap<Signature, Vec<&Recorded>> = BTreeMap::new();
    for run in runs {
        let found = run.verdict.as_ref();
        let found = found.map(|verdict| Signature::of_run(&run.info, verdict));
        for signature in found.unwrap_or_default() {
            by_signature.entry(signature).or_default().push(run);
        }
    }
    let each = by_signature.into_iter();
    let mut groups: Vec<Group<'_>> = each
        .filter_map(|(signature, these)| group(runs, signature, these))
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.runs.len()));
    groups
}

fn group<'a>(
    runs: &'a [Recorded],
    signature: Signature,
    mut these: Vec<&'a Recorded>,
) -> Option<Group<'a>> {
    these.sort_by(|a, b| a.info.started.cmp(&b.info.started));
    let after = |run: &&&Recorded| shown(run, &signature).map_or(Nanos::MAX, |a| a.span.1);
    let fastest = these.iter().min_by_key(after).copied()?;
    let could = runs
        .iter()
        .filter(|run| signature.concerns(&run.info) && failed(run.class()).is_some());
    Some(Group {
        rate: Rate::of(these.len() as u64, could.count() as u64),
        after: shown(fastest, &signature).map(|anomaly| anomaly.span.1),
        runs: these,
        fastest,
        signature,
    })
}

/// The first anomaly of a run that has the signature.
fn shown<'a>(run: &'a Recorded, signature: &Signature) -> Option<&'a Anomaly> {
    let verdicts = run.verdict.iter().flat_map(|verdict| &verdict.verdicts);
    let of = verdicts.filter(|verdict| verdict.checker == signature.checker);
    of.flat_map(|verdict| &verdict.anomalies)
        .filter(|anomaly| anomaly.name == signature.anomaly)
        .min_by_key(|anomaly| anomaly.span.1)
}

impl Group<'_> {
    /// When the earliest of its runs began, in UTC.
    pub fn first_seen(&self) -> &str {
        self.runs.first().map_or("", |run| &run.info.started)
    }

    /// When the latest of its runs began, in UTC.
    pub fn last_seen(&self) -> &str {
        self.runs.last().map_or("", |run| &run.info.started)
    }

    /// What happened, in a sentence, where it was found fastest.
    pub fn sentence(&self) -> &str {
        let claim = || self.fastest.verdict.as_ref().map(|v| v.claim.as_str());
        shown(self.fastest, &self.signature)
            .map(|anomaly| anomaly.sentence.as_str())
            .or_else(claim)
            .unwrap_or_default()
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        let directories = self.runs.iter().map(|run| run.dir.path());
        serde_json::json!({
            "signature": self.signature.to_string(),
            "sentence": self.sentence(),
            "count": self.rate.hits,
            "runs": self.rate.trials,
            "rate": self.rate.share(),
            "rate_low": self.rate.low,
            "rate_high": self.rate.high,
            "first_seen": self.first_seen(),
            "last_seen": self.last_seen(),
            "fastest": {
                "seconds": self.after.map(|after| after as f64 / 1e9),
                "seed": self.fastest.info.seed,
                "directory": self.fastest.dir.path(),
                "reproduce": self.fastest.info.reproduce,
                "replay": self.replay(),
            },
            "directories": directories.collect::<Vec<_>>(),
        })
    }

    /// The command that does the fastest again, with the faults that were executed.
    pub fn replay(&self) -> String {
        let directory = self.fastest.dir.path().display().to_string();
        format!(
            "tribunal replay {} --until-fail 20",
            crate::cli::quoted(&directory)
        )
    }

    /// How often, and how surely: `3 of 12 runs (25 %, 95 % interval 5 % to 57 %)`.
    pub fn how_often(&self) -> String {
        let percent = tribunal_results::report::text::small_percent;
        let Rate {
            hits,
            trials,
            low,
            high,
        } = self.rate;
        let (share, low, high) = (percent(self.rate.share()), percent(low), percent(high));
        format!("{hits} of {trials} runs ({share}, 95 % interval {low} to {high})")
    }

    /// How long the fastest took: `2.31 s`.
    pub fn how_fast(&self) -> String {
        let seconds = |after| format!("{:.2} s", after as f64 / 1e9);
        self.after.map_or("the end of the run".into(), seconds)
    }

    fn issue(&self) -> String {
        let anomaly = shown(self.fastest, &self.signature);
        let (name, sentence) = (cell(&self.signature.anomaly), cell(self.sentence()));
        let mut out = format!("## {name}: {sentence}\n\n");
        let facts = anomaly.map_or(&[][..], |anomaly| &anomaly.facts);
        for fact in facts.iter().take(FACTS_MAX) {
            out.push_str(&format!("- {}\n", cell(fact)));
        }
        let info = &self.fastest.info;
        out.push_str(&format!(
            "\n| | |\n|---|---|\n| signature | {} |\n| seen | {} |\n| first | {} |\n| last | {} |\n\
             | target | {} |\n| workload | {} |\n| faults | {} |\n| nodes, clients | {}, {} |\n\
             | version | {} |\n\n",
            cell(&self.signature.to_string()),
            self.how_often(),
            cell(self.first_seen()),
            cell(self.last_seen()),
            cell(&info.target),
            cell(&info.workload),
            cell(&info.faults.join(", ")),
            info.nodes.len(),
            info.clients,
            cell(&info.version),
        ));
        out.push_str(&format!(
            "Fastest reproducer (found after {}):\n\n- the same choices again: {}\n- the faults that \
             were executed again: {}\n\nRuns:\n\n",
            self.how_fast(),
            code(&info.reproduce),
            code(&self.replay()),
        ));
        for run in self.runs.iter().take(RUNS_MAX) {
            let directory = run.dir.path().display().to_string();
            out.push_str(&format!("- seed {}: {}\n", run.info.seed, code(&directory)));
        }
        let more = self.runs.len().saturating_sub(RUNS_MAX);
        if more > 0 {
            out.push_str(&format!("- and {more} more\n"));
        }
        out.push('\n');
        out
    }
}

/// A text to be pasted into an issue: below 60 kB however many groups there are; it says how many
/// were left out.
pub fn issue(groups: &[Group<'_>]) -> String {
    const RESERVE: usize = 200;
    let mut out = String::new();
    for (at, group) in groups.iter().enumerate() {
        let text = group.issue();
        if out.len() + text.len() + RESERVE > ISSUE_BYTES_MAX {
            out.push_str(&format!("… and {} more groups\n", groups.len() - at));
            break;
        }
        out.push_str(&text);
    }
    out
}
