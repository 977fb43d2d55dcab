//! `tribunal replay`: a recorded run again, and how often it shows the same thing.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tokio::sync::watch;
use tribunal_results::ResultClass;
use tribunal_results::proof::Rate;
use tribunal_results::run::RunDir;

use super::check::plan_of;
use super::{Done, Failure, Out, output, run, stop};
use crate::replay::batch::Tried;
use crate::replay::{Batch, Case, Shown};
use crate::shrink;

/// The name of the plan that does the same again, in the directory of the run.
const FILE: &str = "replay.yaml";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tribunal replay results/runs/planted/latest            ten times, two at once
  tribunal replay results/runs/planted/latest --until-fail 50
                                                         until it fails again, at most 50 times

The faults that were executed are injected again, at the same times into the same nodes and links;
clients ask the same operations. Timing is the machine's, so how often it fails again is a rate.
Each trial ends at its contradiction and leaves a run directory of its own; the plan that does it
again is written into the run as replay.yaml, a suite that `tribunal run` takes.

Exit codes: 1 it failed again · 0 it never did · 70 no trial came to a verdict · 130 interrupted.")]
pub(super) struct Replay {
    /// The directory of a run
    run: PathBuf,
    /// How often
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    times: u64,
    /// At most so often, and only until it fails again
    #[arg(long, value_name = "N", conflicts_with = "times",
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    until_fail: Option<u64>,
    /// Trials at once; by default one for each processor
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    out: Out,
}

/// What the trials came to together.
#[derive(Default)]
struct Tally {
    same: u64,
    other: u64,
    nothing: u64,
    broken: u64,
}

impl Tally {
    fn add(&mut self, shown: &Shown) {
        let count = match shown {
            Shown::Same(..) => &mut self.same,
            Shown::Other(_) => &mut self.other,
            Shown::Nothing => &mut self.nothing,
            Shown::Broken(_) => &mut self.broken,
        };
        *count += 1;
    }

    /// How often it was the same, of the trials that came to a verdict.
    fn rate(&self) -> Rate {
        Rate::of(self.same, self.same + self.other + self.nothing)
    }
}

/// Runs a recorded run again.
pub(super) fn replay(args: &Replay) -> Done {
    let case = read(&args.run)?;
    run::writable(&args.out.out)?;
    let file = case.dir.path().join(FILE);
    shrink::write(&file, &case.again()).map_err(Failure::usage)?;
    let batch = Batch {
        file,
        out: args.out.out.clone(),
        sought: case.sought.clone(),
        jobs: jobs(args.jobs),
        forget: false,
    };
    announce(&case);
    let most = args.until_fail.unwrap_or(args.times);
    let mut tally = Tally::default();
    let interrupted = block_on("ending the trials", async |stop| {
        batch
            .run(most, stop, |tried| {
                tally.add(&tried.shown);
                print(&tally, &tried);
                args.until_fail.is_none() || tally.same == 0
            })
            .await;
    })?;
    conclude(&case, &tally);
    let class = match (tally.same + tally.other, tally.rate().trials, interrupted) {
        (1.., ..) => ResultClass::Violation,
        (_, _, true) => ResultClass::Interrupted,
        (_, 0, _) => ResultClass::HarnessError,
        _ => ResultClass::Pass,
    };
    Ok(class.exit_code())
}

/// The run that lies there.
pub(super) fn read(path: &std::path::Path) -> Result<Case, Failure> {
    let path = path
        .canonicalize()
        .with_context(|| format!("there is no run at {}", path.display()))
        .map_err(Failure::usage)?;
    let dir = RunDir::at(path);
    let plan = plan_of(&dir)?;
    Case::read(dir, plan).map_err(Failure::usage)
}

/// So many trials at once.
pub(super) fn jobs(given: Option<NonZeroUsize>) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    given.map_or(processors, NonZeroUsize::get)
}

/// Does the work, which is told when the user wants to stop; whether they did.
pub(super) fn block_on(
    says: &'static str,
    work: impl AsyncFnOnce(&mut watch::Receiver<bool>),
) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut stop = stop::on_signal(says).context("cannot wait for signals")?;
        work(&mut stop).await;
        Ok(*stop.borrow())
    })
}

fn announce(case: &Case) {
    let (faint, info) = (output::FAINT, &case.info);
    let bug = info.bug.as_ref();
    let bug = bug
        .map(|bug| format!(" with bug {bug}"))
        .unwrap_or_default();
    anstream::println!(
        "{faint}{}  seed {}: {}{bug}, {} faults as they were executed; looking for {}{faint:#}",
        info.plan,
        info.seed,
        info.target,
        case.executed.len(),
        case.sought,
    );
}

fn print(tally: &Tally, tried: &Tried) {
    let (faint, number) = (output::FAINT, tally.rate().trials + tally.broken);
    let (style, words) = match &tried.shown {
        Shown::Same(name, at) => (output::BAD, format!("{name} at {:.3} s", at.as_secs_f64())),
        Shown::Other(name) => (output::UNSURE, format!("{name}, which is something else")),
        Shown::Nothing => (output::GOOD, "nothing".into()),
        Shown::Broken(why) => (output::UNSURE, format!("no verdict: {why}")),
    };
    let directory = tried.directory.as_ref();
    let directory = directory
        .map(|d| d.display().to_string())
        .unwrap_or_default();
    anstream::println!("{number:>4}  {style}{words}{style:#}  {faint}{directory}{faint:#}");
}

fn conclude(case: &Case, tally: &Tally) {
    anstream::println!("{} showed again in {}", case.sought, rate(tally.rate()));
    if tally.other > 0 {
        anstream::println!("  something else was found in {} of them", tally.other);
    }
    if tally.broken > 0 {
        anstream::println!("  {} more came to no verdict", tally.broken);
    }
}

/// A rate in words.
pub(super) fn rate(rate: Rate) -> String {
    let share = rate.hits as f64 / rate.trials.max(1) as f64;
    let percent = |share: f64| format!("{:.0}", 100.0 * share);
    format!(
        "{} of {} trials ({} %, 95 % interval {}–{} %)",
        rate.hits,
        rate.trials,
        percent(share),
        percent(rate.low),
        percent(rate.high)
    )
}
