//! `tribunal shrink`: a failing run → a small suite that shows the same thing.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use tribunal_results::ResultClass;
use tribunal_results::options::Time;

use super::{Done, Failure, Out, exit, replay, run};
use crate::replay::Case;
use crate::shrink::{Ask, Shrunk, shrink};
use crate::suite;

/// The name of the smaller suite, in the directory of the run.
const FILE: &str = "shrunk.yaml";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tribunal shrink results/runs/mine/latest
  tribunal shrink results/runs/mine/latest --trials 10 --within 1h

Tries smaller and smaller schedules of faults (fewer, shorter, on fewer nodes), then a smaller load,
each several times, and keeps what shows the anomaly that the run found often enough. Ctrl-C keeps
the best so far. The smallest is written next to the run as shrunk.yaml, a suite that `tribunal run`
takes, with its rate as a comment.

Exit codes: 0 a suite was written · 3 the run found nothing · 70 it does not show again, or no trial
came to a verdict · 130 interrupted (what was best is written).")]
pub(super) struct Shrink {
    /// The directory of a run that found something
    run: PathBuf,
    /// Where to write the suite; by default into the run
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Trials of each smaller plan, at the most
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    trials: u64,
    /// Trials of what is kept at last
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    confirm: u64,
    /// The least share of trials that must show it
    #[arg(long, default_value_t = 0.8)]
    at_least: f64,
    /// How long to search for something smaller
    #[arg(long, value_parser = Time::parse, default_value = "12m")]
    within: Time,
    /// Trials at once; by default one for each processor
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    out: Out,
}

/// Makes a run smaller.
pub(super) fn run(args: &Shrink) -> Done {
    let case = replay::read(&args.run)?;
    if case.sought.is_empty() {
        anstream::eprintln!("{} found nothing to look for", case.dir.path().display());
        return Ok(exit::INSUFFICIENT);
    }
    run::writable(&args.out.out)?;
    let ask = Ask {
        trials: args.trials,
        confirm: args.confirm,
        at_least: args.at_least.clamp(0.0, 1.0),
        within: args.within.0,
        jobs: replay::jobs(args.jobs),
        out: args.out.out.clone(),
    };
    let mut came = None;
    let says = "keeping the best so far (again to quit at once)";
    let interrupted = replay::block_on(says, async |stop| {
        let tell = |line| anstream::println!("{line}");
        came = Some(shrink(&case, &ask, stop.clone(), tell).await);
    })?;
    let shrunk = came.context("nothing was tried")??;
    let file = args.to.clone();
    let file = file.unwrap_or_else(|| case.dir.path().join(FILE));
    write(&file, &case, &shrunk).map_err(Failure::usage)?;
    let class = match interrupted {
        true => ResultClass::Interrupted,
        false => ResultClass::Pass,
    };
    Ok(class.exit_code())
}

fn write(file: &Path, case: &Case, shrunk: &Shrunk) -> anyhow::Result<()> {
    let (from, to) = (case.executed.len(), shrunk.plan.nemesis.schedule.len());
    let seconds = shrunk.took.as_secs();
    let rate = replay::rate(shrunk.rate);
    let (what, trials) = (&case.sought, shrunk.trials);
    let yaml = suite::plan_to_yaml(&shrunk.plan).context("cannot put the plan into YAML")?;
    let text = format!(
        "# Made from {} by `tribunal shrink`: {from} faults → {to}, {} → {}.\n\
         # Shows {what} in {rate}; as it was executed: {}.\n{yaml}",
        case.dir.path().display(),
        case.plan.time,
        shrunk.plan.time,
        replay::rate(shrunk.whole),
    );
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    anstream::println!(
        "{from} faults → {to}, which show {what} in {rate}; {trials} trials in {}:{:02}",
        seconds / 60,
        seconds % 60
    );
    anstream::println!("{}", file.display());
    Ok(())
}
