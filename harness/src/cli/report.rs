//! `tribunal report`: draws the reports of a recorded run again, or puts several runs together.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tribunal_results::run::RunDir;

use super::artifacts::{self, Artifacts};
use super::merge::{self, Merge};
use super::{Done, Failure, check, exit, output};
use crate::show;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct ReportArgs {
    /// A run directory, such as results/runs/demo/latest
    #[arg(required = true)]
    run: Option<PathBuf>,
    #[command(subcommand)]
    several: Option<Several>,
}

#[derive(Debug, Subcommand)]
enum Several {
    /// Put the results of several directories together: of shards, of machines, of days
    Merge(Merge),
    /// Copy what a pipeline keeps: what is small always, whole runs that failed up to a budget
    Artifacts(Artifacts),
}

/// Draws reports from `run.json`, `verdict.json` and the history; judges nothing.
pub(super) fn report(args: &ReportArgs) -> Done {
    match &args.several {
        Some(Several::Merge(merge)) => return merge::merge(merge),
        Some(Several::Artifacts(kept)) => return artifacts::artifacts(kept),
        None => {}
    }
    let Some(run) = &args.run else {
        return Err(Failure::usage(anyhow::anyhow!("which run?")));
    };
    let dir = RunDir::at(run);
    let plan = check::plan_of(&dir)?;
    let (info, verdict) = show::read(&dir).map_err(|e| {
        let advice = "if the run was cut off, `tribunal check` judges what there is";
        Failure::usage(e.context(advice))
    })?;
    show::write_all(&dir, &info, &verdict, &plan)?;
    output::print_verdict(&info, &verdict);
    anstream::println!("report  {}", dir.report().display());
    Ok(exit::PASS)
}
