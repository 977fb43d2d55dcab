//! `tribunal triage`: violations on disk, grouped.

use std::path::PathBuf;

use clap::Args;
use tribunal_results::Signature;
use tribunal_results::report::text::{counted, visible};

use super::{Done, Failure, exit, output};
use crate::recorded;
use crate::triage::{Group, groups, issue};

/// Groups that are printed for people; the other formats have all.
const LISTED_MAX: usize = 50;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tribunal triage results/runs
  tribunal triage results/runs --format issue-md > issue.md
  tribunal triage results/runs --only linearizable/stale-read/register/my-store --format json

Violations are the same finding if they have the same signature: checker/anomaly/workload/target, and
/bug if one is planted. Nothing is run or judged again.

Exit codes: 0 no violation, 1 violations, 3 there is no run.")]
pub(super) struct Triage {
    /// Directories with runs in them, at any depth up to six
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Only this signature
    #[arg(long, value_name = "SIGNATURE")]
    only: Option<Signature>,
    /// How to print the groups
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Text for people
    Human,
    /// One JSON object a group, a line each
    Json,
    /// Markdown for an issue, below 60 kB
    IssueMd,
}

/// Groups the violations in directories.
pub(super) fn triage(args: &Triage) -> Done {
    let found = recorded::find(&args.folders).map_err(Failure::usage)?;
    if found.runs.is_empty() {
        anstream::eprintln!("there is no run in these directories");
        return Ok(exit::INSUFFICIENT);
    }
    let mut all = groups(&found.runs);
    if let Some(only) = &args.only {
        all.retain(|group| group.signature == *only);
        if all.is_empty() {
            anstream::eprintln!("no run here has the signature {only}");
            return Ok(exit::INSUFFICIENT);
        }
    }
    match args.format {
        Format::Human => people(&all, found.runs.len()),
        Format::Json => {
            for group in &all {
                anstream::println!("{}", group.json());
            }
        }
        Format::IssueMd => anstream::print!("{}", issue(&all)),
    }
    match all.is_empty() {
        true => Ok(exit::PASS),
        false => Ok(exit::VIOLATION),
    }
}

fn people(groups: &[Group<'_>], runs: usize) {
    let (bad, faint) = (output::BAD, output::FAINT);
    for group in groups.iter().take(LISTED_MAX) {
        anstream::println!("{bad}{}{bad:#}  {}", group.signature, group.how_often());
        anstream::println!("  {}", visible(group.sentence()));
        let (first, last) = (group.first_seen(), group.last_seen());
        anstream::println!("  {faint}seen      {faint:#} first {first}, last {last}");
        let (after, directory) = (group.how_fast(), group.fastest.dir.path().display());
        anstream::println!("  {faint}fastest   {faint:#} after {after}: {directory}");
        let reproduce = visible(&group.fastest.info.reproduce);
        anstream::println!("  {faint}reproduce {faint:#} {reproduce}");
    }
    let more = groups.len().saturating_sub(LISTED_MAX);
    if more > 0 {
        anstream::println!("and {more} more, rarer groups");
    }
    let (runs, groups) = (counted(runs as u64, "run"), groups.len() as u64);
    let groups = counted(groups, "group");
    anstream::println!("{runs}, {groups} of violations");
}
