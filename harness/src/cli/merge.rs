//! `tribunal report merge`: the results of several directories as one.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tribunal_results::report;
use tribunal_results::run::RunInfo;
use tribunal_results::{ResultClass, RunVerdict};

use super::campaign::share;
use super::known::{self, KnownIssues};
use super::{Done, Failure, exit, github, output};
use crate::campaign::Tally;
use crate::campaign::shard::Part;
use crate::recorded::{self, Recorded};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tribunal report merge shard-1 shard-2 shard-3 --junit junit.xml --summary summary.md
  tribunal report merge results/runs --claim 1%

Nothing is run or judged again. The exit code is that of all runs together; it is 3 if a shard is
missing or was cut off, and nothing worse happened.")]
pub(super) struct Merge {
    /// Directories with runs in them, at any depth up to six
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Write the results of all runs as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the results of all runs as Markdown
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// All runs together must show, at 95 % confidence, that fewer than this share of them fail
    #[arg(long, value_name = "SHARE", value_parser = share)]
    claim: Option<f64>,
    #[command(flatten)]
    known: KnownIssues,
}

/// Puts the results of several directories together.
pub(super) fn merge(args: &Merge) -> Done {
    let issues = args.known.read()?;
    let found = recorded::find(&args.folders).map_err(Failure::usage)?;
    if found.runs.is_empty() {
        anstream::eprintln!("there is no run in these directories");
        return Ok(exit::INSUFFICIENT);
    }
    print_failing(&found.runs);
    output::print_counts(found.runs.iter().map(Recorded::class), 0);
    let mut runs = found.runs;
    let mut verdicts: Vec<RunVerdict> = runs.iter().map(verdict).collect();
    let infos: Vec<&RunInfo> = runs.iter().map(|run| &run.info).collect();
    let mut marked: Vec<&mut RunVerdict> = verdicts.iter_mut().collect();
    known::mark(&issues, &infos, &mut marked, false);
    let mut tally = Tally::default();
    for verdict in &verdicts {
        tally.count(verdict.class, !verdict.known.is_empty());
    }
    super::campaign::print_rate(&tally);
    let mut classes = known::counted(&verdicts);
    for (run, verdict) in runs.iter_mut().zip(verdicts) {
        run.verdict = Some(verdict);
    }
    for missing in Part::missing(&found.parts) {
        let unsure = output::UNSURE;
        anstream::println!("{unsure}incomplete{unsure:#}  {missing}");
        classes.push(ResultClass::Insufficient);
    }
    if let Some(claim) = args.claim {
        let held = super::campaign::print_claim(&tally, claim);
        classes.extend((!held).then_some(ResultClass::Insufficient));
    }
    write(args, &runs)?;
    Ok(ResultClass::combine(classes).map_or(exit::INSUFFICIENT, ResultClass::exit_code))
}

/// Runs that are listed; the files have all.
const LISTED_MAX: usize = 20;

fn print_failing(runs: &[Recorded]) {
    let failing: Vec<&Recorded> = runs
        .iter()
        .filter(|run| run.class() != ResultClass::Pass)
        .collect();
    for run in failing.iter().take(LISTED_MAX) {
        let (faint, style) = (output::FAINT, output::style_of(run.class()));
        let class = run.class().name().to_uppercase();
        let claim = run.verdict.as_ref().map_or("it was cut off", |v| &v.claim);
        anstream::println!("{style}{class}{style:#} {}  {claim}", run.info.plan);
        anstream::println!("  {faint}{}{faint:#}", run.dir.path().display());
    }
    let more = failing.len().saturating_sub(LISTED_MAX);
    if more > 0 {
        anstream::println!("and {more} more that did not pass");
    }
}

fn write(args: &Merge, runs: &[Recorded]) -> anyhow::Result<()> {
    let cut_off: Vec<RunVerdict> = runs.iter().map(verdict).collect();
    let pairs = runs.iter().zip(&cut_off);
    let pairs: Vec<(&RunInfo, &RunVerdict)> =
        pairs.map(|(run, verdict)| (&run.info, verdict)).collect();
    let save = |path: &PathBuf, text: String| {
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    if let Some(path) = &args.junit {
        let junit = report::junit::render(&pairs).context("cannot write JUnit")?;
        save(path, junit)?;
    }
    if let Some(path) = &args.summary {
        save(path, report::markdown::render(&pairs))?;
    }
    github::conclude(&pairs)
}

/// What a run came to, or that it was cut off.
fn verdict(run: &Recorded) -> RunVerdict {
    run.verdict.clone().unwrap_or_else(|| RunVerdict {
        class: ResultClass::Interrupted,
        reason: "cut-off".into(),
        claim: "it was cut off; `tribunal check` judges what there is".into(),
        ..RunVerdict::default()
    })
}
