//! `tribunal report`: draws the reports of a recorded run again.

use std::path::PathBuf;

use clap::Args;
use tribunal_results::run::RunDir;

use super::{Done, Failure, check, exit, output};
use crate::show;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// A run directory, such as results/runs/demo/latest
    run: PathBuf,
}

/// Draws reports from `run.json`, `verdict.json` and the history; judges nothing.
pub(super) fn report(args: &ReportArgs) -> Done {
    let dir = RunDir::at(&args.run);
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
