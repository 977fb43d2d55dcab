//! `tribunal prove`: how surely every planted bug, or every published finding, is found.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tribunal_results::options::Time;
use tribunal_results::proof::{Control, Proof};
use tribunal_results::{ResultClass, report};

use super::{Done, Out, exit, output, run, select, stop};
use crate::prove::{Ask, Proven, has_something_to_find, prove};
use crate::suite::Overrides;

/// Digits of a share in the table's columns are cut here.
const WIDTH: usize = 34;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tribunal prove                     every planted bug with 3 seeds, and the targets without them
  tribunal prove --seeds 20          the whole proof: about an hour on two processors
  tribunal prove --only stale-read   one bug
  tribunal prove my-suite.yaml       the planted bugs of your own suite
  tribunal prove findings --skip-missing --within 60s --at-least 0.8 --markdown record.md
                                     what was published about other systems, as far as those are
                                     installed; beside it the runs in which nothing may be found

A green run of a checker that finds nothing proves nothing. This shows, bug by bug, how often the
defect is found, how fast, and that nothing is found where nothing is wrong. Of trials that come to
what is expected, what the nodes wrote to disk is not kept. Exit codes: 0 proven ·
1 a bug was missed, or something was found that is not there · 3 nothing selected · 70 a trial came
to no verdict · 130 interrupted.")]
pub(super) struct Prove {
    /// A YAML file, or the name of a built-in suite; only its runs with planted bugs are tried, or,
    /// if it has findings, those and their controls
    #[arg(default_value = "planted")]
    suite: String,
    /// Only the bugs of runs whose name contains this, or matches it if it has a *
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Seeds that each is tried with
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// Leave out, and say so, the runs of systems that are not installed here
    #[arg(long)]
    skip_missing: bool,
    /// Don't try the targets without their bugs, nor the controls of findings
    #[arg(long)]
    bugs_only: bool,
    /// Trials at once; by default one for each processor
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// What is found later in its run than this does not count
    #[arg(long, value_parser = Time::parse, default_value = "10s")]
    within: Time,
    /// The least share of its trials in which each bug must be found
    #[arg(long, default_value_t = 0.95)]
    at_least: f64,
    #[command(flatten)]
    out: Out,
    /// Write the proof as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the proof as a page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the proof as Markdown tables: a track record
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// Proves the checkers.
pub(super) fn run(args: &Prove) -> Done {
    let mut plans = select::plans(
        &args.suite,
        &Overrides {
            only: args.only.clone(),
            ..Overrides::default()
        },
    )?;
    let has_findings = plans.iter().any(|(_, plan)| plan.finding.is_some());
    plans.retain(|(_, plan)| {
        let tried = plan.target.bug.is_some() || has_findings;
        tried && (!args.skip_missing || select::is_here(plan))
    });
    if !plans.iter().any(|(_, plan)| has_something_to_find(plan)) {
        anstream::eprintln!("{} has no run with a planted bug or finding", args.suite);
        return Ok(exit::INSUFFICIENT);
    }
    run::writable(&args.out.out)?;
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let ask = Ask {
        plans,
        seeds: args.seeds,
        controls: !args.bugs_only,
        jobs: args.jobs.map_or(processors, NonZeroUsize::get),
        within: args.within.0,
        out: args.out.out.clone(),
    };
    let mut proof = Proof {
        version: crate::run::version(),
        started: jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string(),
        suite: args.suite.clone(),
        seeds: args.seeds,
        within_s: args.within.0.as_secs_f64(),
        at_least: args.at_least,
        took_s: 0.0,
        detections: Vec::new(),
        controls: Vec::new(),
    };
    let interrupted = try_all(&ask, &mut proof)?;
    anstream::println!("{}", report::proof::headline(&proof));
    write(args, &proof)?;
    let class = match (interrupted, proof.holds(), proof.broken()) {
        (_, false, _) => ResultClass::Violation,
        (true, ..) => ResultClass::Interrupted,
        (_, true, 0) => ResultClass::Pass,
        (_, true, _) => ResultClass::HarnessError,
    };
    Ok(class.exit_code())
}

/// Tries everything and prints each line as it is known; whether it was interrupted.
fn try_all(ask: &Ask, proof: &mut Proof) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let clock = crate::clock::Clock::start();
    runtime.block_on(async {
        let stop = stop::on_signal("ending the trials under way (again to quit at once)")
            .context("cannot wait for signals")?;
        let faint = output::FAINT;
        anstream::println!(
            "{faint}{:<WIDTH$} {:>9} {:>10} {:>8} {:>8} {:>7}  found as{faint:#}",
            "planted bug or finding",
            "found",
            "95 %",
            "median",
            "slowest",
            "ops",
        );
        prove(ask, &stop, |proven, done, of| {
            print(proof, &proven, done, of);
            match proven {
                Proven::Detection(detection) => proof.detections.push(detection),
                Proven::Control(control) => proof.controls.push(control),
            }
        })
        .await;
        proof.took_s = clock.now() as f64 / 1e9;
        Ok(*stop.borrow())
    })
}

fn print(proof: &Proof, proven: &Proven, done: usize, of: usize) {
    let faint = output::FAINT;
    let (missed, broken) = match proven {
        Proven::Detection(detection) => {
            let row = report::proof::detection_row(proof, detection);
            let style = if proof.is_found(detection) {
                output::GOOD
            } else {
                output::BAD
            };
            anstream::println!(
                "{:<WIDTH$} {style}{:>9}{style:#} {:>10} {:>8} {:>8} {:>7}  {} {faint}{done}/{of}{faint:#}",
                format!("{} {}", row.target, row.bug),
                row.rate,
                row.interval,
                row.median,
                row.slowest,
                row.operations,
                row.anomalies,
            );
            (&detection.missed, &detection.broken)
        }
        Proven::Control(control) => {
            let row = report::proof::control_row(control);
            let style = if control.alarms.hits == 0 {
                output::GOOD
            } else {
                output::BAD
            };
            anstream::println!(
                "{:<WIDTH$} {style}{:>9}{style:#} {:>10}  false alarms, under {} {faint}{done}/{of}{faint:#}",
                control_name(control),
                row.rate,
                row.interval,
                row.run,
            );
            (&control.false_alarms, &control.broken)
        }
    };
    for (what, misses) in [("", missed), ("no verdict: ", broken)] {
        for miss in misses {
            anstream::println!("    seed {}: {what}{}", miss.seed, miss.why);
            anstream::println!("    {faint}{}{faint:#}", miss.reproduce);
        }
    }
}

fn control_name(control: &Control) -> String {
    format!("{} where nothing is wrong", control.target)
}

fn write(args: &Prove, proof: &Proof) -> anyhow::Result<()> {
    let save = |path: &PathBuf, text: String| {
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    if let Some(path) = &args.json {
        save(path, serde_json::to_string_pretty(proof)?)?;
    }
    if let Some(path) = &args.markdown {
        save(path, report::proof::markdown(proof))?;
    }
    if let Some(path) = &args.html {
        save(
            path,
            report::proof::render(proof).context("cannot draw the page")?,
        )?;
    }
    Ok(())
}
