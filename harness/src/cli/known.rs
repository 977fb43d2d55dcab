//! `--known-issues`: violations that somebody works on do not fail a command by themselves.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tribunal_results::report::text::{small_percent, visible};
use tribunal_results::run::RunInfo;
use tribunal_results::{ResultClass, RunVerdict, Signature};

use super::{Failure, exit, output};
use crate::known::{self, Standing, State};
use crate::suite::known::{KnownIssue, nearest, read};

/// Findings beside known ones that are listed.
const LISTED_MAX: usize = 20;

#[derive(Debug, Clone, Default, Args)]
pub(super) struct KnownIssues {
    /// Violations that are known, with ticket, owner and expiry: told and counted, but the command
    /// does not fail by them [default: known-issues.yaml beside .tribunal.yaml, if there is one]
    #[arg(long, value_name = "FILE")]
    known_issues: Option<PathBuf>,
}

impl KnownIssues {
    /// Reads them; before anything runs.
    pub(super) fn read(&self) -> Result<Vec<KnownIssue>, Failure> {
        let here = std::env::current_dir().context("cannot find this directory")?;
        let Some(file) = self.known_issues.clone().or_else(|| nearest(&here)) else {
            return Ok(Vec::new());
        };
        read(&file).map_err(|error| Failure {
            code: exit::USAGE,
            error: anyhow::anyhow!(error.render(true)),
            rendered: true,
        })
    }
}

fn today() -> jiff::civil::Date {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    now.date()
}

/// The issues whose time is not over.
pub(super) fn unexpired(issues: &[KnownIssue]) -> Vec<KnownIssue> {
    known::unexpired(issues, today())
}

/// Marks the violations that are known, and says how each issue stands: a line for each that was
/// seen. Lines for people go where results do not.
pub(super) fn mark(
    issues: &[KnownIssue],
    infos: &[&RunInfo],
    verdicts: &mut [&mut RunVerdict],
    in_json: bool,
) {
    let pairs: Vec<(&RunInfo, &RunVerdict)> = infos
        .iter()
        .zip(verdicts.iter())
        .map(|(info, verdict)| (*info, &**verdict))
        .collect();
    let standings = known::standings(issues, &pairs, today());
    let mut lines: Vec<String> = standings.iter().filter_map(line).collect();
    lines.extend(news(&standings, &pairs));
    let tickets: Vec<Vec<String>> = pairs
        .iter()
        .map(|(info, verdict)| known::tickets(&standings, info, verdict))
        .collect();
    for (verdict, tickets) in verdicts.iter_mut().zip(tickets) {
        verdict.known = tickets;
    }
    for line in lines {
        match in_json {
            true => anstream::eprintln!("{line}"),
            false => anstream::println!("{line}"),
        }
    }
}

fn line(standing: &Standing<'_>) -> Option<String> {
    let Standing { issue, rate, state } = standing;
    let style = match state {
        State::Unseen => return None,
        State::Known => output::UNSURE,
        State::Expired | State::Risen => output::BAD,
    };
    let why = match (state, issue.max_rate) {
        (State::Expired, _) => format!("it expired on {} and counts again", issue.expires),
        (State::Risen, Some(most)) => format!(
            "it counts again, as more than {} of runs show it",
            small_percent(most)
        ),
        _ => format!("known until {}", issue.expires),
    };
    let (low, high) = (small_percent(rate.low), small_percent(rate.high));
    let (ticket, owner) = (visible(&issue.ticket), visible(&issue.owner));
    Some(format!(
        "{style}known issue{style:#} {ticket} ({owner}): {} in {} of {} runs (95 % interval {low} to \
         {high}); {why}",
        issue.signature, rate.hits, rate.trials
    ))
}

/// What was found in the same run as a known issue, and is not known.
fn news(standings: &[Standing<'_>], runs: &[(&RunInfo, &RunVerdict)]) -> Vec<String> {
    let of = |wanted: &Signature| standings.iter().find(|one| one.issue.signature == *wanted);
    let one = |(info, verdict): &(&RunInfo, &RunVerdict)| {
        let found = Signature::of_run(info, verdict);
        let beside = found.iter().any(|signature| of(signature).is_some());
        let new = found.iter().filter(|signature| of(signature).is_none());
        let mut lines: Vec<String> = new
            .map(|new| format!("not known, in {} @ {}: {new}", info.plan, info.seed))
            .collect();
        let listed = known::tickets(standings, info, verdict).is_empty() && lines.is_empty();
        let live = found
            .iter()
            .all(|one| of(one).is_some_and(|one| one.state == State::Known));
        if listed && live && beside {
            lines.push(format!(
                "not known, in {} @ {}: there are more contradictions than are listed, and some may \
                 be others",
                info.plan, info.seed
            ));
        }
        lines.into_iter().filter(move |_| beside)
    };
    runs.iter().flat_map(one).take(LISTED_MAX).collect()
}

/// What runs count as, after [`mark`].
pub(super) fn counted<'a>(verdicts: impl IntoIterator<Item = &'a RunVerdict>) -> Vec<ResultClass> {
    verdicts.into_iter().map(known::counted).collect()
}
