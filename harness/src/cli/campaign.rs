//! `tribunal run` with `--repeat`, `--for`, `--until-fail`, `--claim`, `--jobs` or `--shard`.

use std::ffi::OsString;
use std::num::{NonZeroU64, NonZeroUsize};

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tribunal_results::ResultClass;
use tribunal_results::options::Time;
use tribunal_results::report::claim;
use tribunal_results::report::text::{counted, small_percent, visible};
use tribunal_results::run::RunDir;

use super::run::{Ended, Run, print_json};
use super::{Done, exit, output, stop};
use crate::campaign::{Ask, Ran, Shard, Tally};
use crate::plan::Plan;
use crate::run::Finished;

/// The options that make a campaign of a suite.
pub(super) const OPTIONS: [&str; 6] = ["repeat", "for", "until_fail", "claim", "jobs", "retries"];

#[derive(Debug, Clone, Args)]
pub(super) struct Campaign {
    /// Do all runs so often, with new seeds each time (with --seed: always with that one)
    #[arg(long, value_name = "N")]
    repeat: Option<NonZeroU64>,
    /// Repeat the runs; begin none any more after so long, such as 20m
    #[arg(long = "for", id = "for", value_name = "TIME", value_parser = Time::parse)]
    lasts: Option<Time>,
    /// Repeat the runs until one fails; those under way are dropped. One that shows known issues
    /// only is told, and the search goes on
    #[arg(long)]
    until_fail: bool,
    /// Repeat the runs until they show, at 95 % confidence, that fewer than this share of them
    /// fail, such as 1% (299 runs without a failure); or until one fails. One that shows known
    /// issues only counts neither way
    #[arg(long, value_name = "SHARE", value_parser = share)]
    claim: Option<f64>,
    /// Runs at once, each in a process and on addresses of its own
    #[arg(long, value_name = "J")]
    jobs: Option<NonZeroUsize>,
    /// Try a run again so often if it is Tribunal that failed, never otherwise; counted and told
    #[arg(long, value_name = "N")]
    retries: Option<u32>,
    /// Do only the i-th of n parts of the runs, such as 2/4; `tribunal report merge` puts the
    /// results of all parts together
    #[arg(long, value_name = "I/N", default_value_t = Shard::WHOLE)]
    pub(super) shard: Shard,
}

impl Default for Campaign {
    fn default() -> Self {
        Self {
            repeat: None,
            lasts: None,
            until_fail: false,
            claim: None,
            jobs: None,
            retries: None,
            shard: Shard::WHOLE,
        }
    }
}

/// A share above nothing and below everything: `1%` or `0.01`.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let wrong = || format!("{text:?} is no share between 0 and 1; write 1% or 0.01");
    let (number, scale) = match text.strip_suffix('%') {
        Some(percent) => (percent, 100.0),
        None => (text, 1.0),
    };
    let share = number.trim().parse::<f64>().map_err(|_| wrong())? / scale;
    (share > 0.0 && share < 1.0)
        .then_some(share)
        .ok_or_else(wrong)
}

impl Campaign {
    /// Whether runs need processes of their own.
    pub(super) const fn asked(&self) -> bool {
        self.repeat.is_some()
            || self.lasts.is_some()
            || self.until_fail
            || self.claim.is_some()
            || self.jobs.is_some()
            || self.retries.is_some()
    }

    /// What is asked of the campaign of these plans.
    pub(super) fn ask(
        &self,
        plans: Vec<(String, Plan)>,
        arguments: Vec<OsString>,
        run: &Run,
    ) -> Ask {
        // Without a number of rounds, whatever else ends it decides; nothing: one round.
        let endless = self.lasts.is_some() || self.until_fail || self.claim.is_some();
        let rounds = self.repeat.map(NonZeroU64::get);
        Ask {
            plans,
            rounds: rounds.or((!endless).then_some(1)),
            lasts: self.lasts.map(|time| time.0),
            until_fail: self.until_fail,
            claim: self.claim,
            jobs: self.jobs.map_or(1, NonZeroUsize::get),
            retries: self.retries.unwrap_or(0),
            same_seeds: run.one_seed(),
            shard: self.shard,
            known: Vec::new(),
            arguments,
            out: run.out().to_owned(),
        }
    }
}

/// A shard without runs: nothing is selected.
pub(super) fn nothing(shard: Shard) -> Done {
    anstream::eprintln!("there is no run for the shard {shard}; ask for fewer shards");
    Ok(exit::INSUFFICIENT)
}

/// Runs a campaign; the runs that came to a verdict go to `runs`.
pub(super) fn run(args: &Run, ask: &Ask, runs: &mut Vec<Finished>) -> anyhow::Result<Ended> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let shown = Shown::of(args, ask);
    let mut broken = 0;
    let (tally, stopped) = runtime.block_on(async {
        let says =
            "the runs under way heal, stop their nodes and are judged (again to quit at once)";
        let stop = stop::on_signal(says).context("cannot wait for signals")?;
        let tell = |ran: Ran, tally: &Tally| {
            let finished = finished(&ran);
            shown.run(&ran, finished.as_ref(), tally);
            match finished {
                Some(finished) => runs.push(finished),
                None => broken += 1,
            }
        };
        let tally = ask.run(&stop, tell).await;
        let stopped = *stop.borrow();
        anyhow::Ok((tally, stopped))
    })?;
    shown.end(&tally, ask);
    let mut ended = Ended {
        stopped,
        classes: vec![ResultClass::HarnessError; broken],
        ..Ended::default()
    };
    if stopped {
        ended.classes.push(ResultClass::Interrupted);
    }
    if ask.claim.is_some_and(|claim| !tally.excludes(claim)) {
        ended.classes.push(ResultClass::Insufficient);
    }
    Ok(ended)
}

fn finished(ran: &Ran) -> Option<Finished> {
    let told = ran.told.as_ref().ok()?;
    Some(Finished {
        dir: RunDir::at(&told.directory),
        info: told.run.clone(),
        verdict: told.verdict.clone(),
        frozen: false,
    })
}

/// What people see of a campaign: a line for each run, and a live one on a terminal.
struct Shown {
    bar: ProgressBar,
    total: Option<u64>,
    json: bool,
    quiet: bool,
}

impl Shown {
    fn of(args: &Run, ask: &Ask) -> Self {
        let quiet = args.quiet() || args.in_json();
        let target = match quiet {
            true => ProgressDrawTarget::hidden(),
            // Hidden too where there is no terminal.
            false => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise}  {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        let total = ask.total();
        let runs = total.map_or("runs".into(), |total| format!("{total} runs"));
        if !quiet {
            let faint = output::FAINT;
            let (jobs, shard) = (ask.jobs, ask.shard);
            let part = match shard == Shard::WHOLE {
                true => String::new(),
                false => format!(", shard {shard}"),
            };
            anstream::println!("{faint}{runs}, {jobs} at a time{part}{faint:#}");
        }
        bar.set_message(runs);
        Self {
            bar,
            total,
            json: args.in_json(),
            quiet: args.quiet(),
        }
    }

    fn run(&self, ran: &Ran, finished: Option<&Finished>, tally: &Tally) {
        self.bar.suspend(|| match (self.json, finished) {
            (true, Some(run)) => {
                if let Err(e) = print_json(run) {
                    anstream::eprintln!("error: cannot print a run: {e:#}");
                }
            }
            (true, None) => self.line(ran, tally),
            (false, Some(run)) if run.verdict.class != ResultClass::Pass => {
                self.line(ran, tally);
                output::print_run(run);
            }
            (false, _) if self.quiet && finished.is_some() => {}
            (false, _) => self.line(ran, tally),
        });
        self.bar.set_message(format!(
            "{} done, {} failed{}, {} undecided",
            tally.total(),
            tally.failed,
            match tally.known {
                0 => String::new(),
                known => format!(", {known} known"),
            },
            tally.undecided
        ));
    }

    /// One line about one run.
    fn line(&self, ran: &Ran, tally: &Tally) {
        let (faint, class) = (output::FAINT, ran.class());
        let style = output::style_of(class);
        let of = self
            .total
            .map(|total| format!("/{total}"))
            .unwrap_or_default();
        let (done, name) = (tally.total(), class.name().to_uppercase());
        let again = match ran.retried {
            0 => String::new(),
            n => format!("  tried again {n} times, as the harness had failed"),
        };
        let (what, seed) = (&ran.name, ran.seed);
        let known = match ran.known.as_slice() {
            [] => String::new(),
            tickets => format!("  known: {}", visible(&tickets.join(", "))),
        };
        let line = format!(
            "{done:>5}{of} {style}{name}{style:#} {what}  {faint}seed {seed}{known}{again}{faint:#}"
        );
        match (&ran.told, self.json) {
            (Err(why), true) => anstream::eprintln!("{line}  no verdict: {why}"),
            (Err(why), false) => anstream::println!("{line}  no verdict: {why}"),
            (Ok(_), _) => anstream::println!("{line}"),
        }
    }

    /// What the runs let one claim.
    fn end(&self, tally: &Tally, ask: &Ask) {
        self.bar.finish_and_clear();
        if self.json {
            return;
        }
        print_rate(tally);
        if tally.undecided > 0 {
            anstream::println!(
                "  {} more came to no verdict, and count for nothing",
                tally.undecided
            );
        }
        if tally.retried > 0 {
            anstream::println!(
                "  {} were tried again, as the harness had failed",
                tally.retried
            );
        }
        if let Some(share) = ask.claim {
            print_claim(tally, share);
        }
    }
}

/// Says how many runs failed, and what that lets one claim; known issues apart.
pub(super) fn print_rate(tally: &Tally) {
    anstream::println!("{}", claim::of_runs(tally.rate()));
    if tally.known > 0 {
        let runs = counted(tally.known, "more run");
        anstream::println!("  {runs} showed known issues only, and count neither way");
    }
}

/// Says whether fewer than a share of runs fail, as far as these show; whether they do.
pub(super) fn print_claim(tally: &Tally, share: f64) -> bool {
    let (claimed, holds) = (small_percent(share), tally.excludes(share));
    let besides = match tally.known {
        0 => "",
        _ => ", those with known issues apart",
    };
    match (holds, tally.failed) {
        (true, _) => {
            anstream::println!("the claim holds: fewer than {claimed} of runs fail{besides}");
        }
        (false, 0) => anstream::println!(
            "the claim is not shown: {} more runs without a failure would show that fewer than {claimed} fail",
            tally.lacks(share)
        ),
        (false, _) => anstream::println!(
            "the claim is not shown that fewer than {claimed} of runs fail: one did"
        ),
    }
    holds
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn a_share_is_written_in_percent_or_as_a_number() {
        assert_eq!(share("1%"), Ok(0.01));
        assert_eq!(share("0.5 %"), Ok(0.005));
        assert_eq!(share("0.02"), Ok(0.02));
        for wrong in ["0", "100%", "1", "-1%", "x", "%"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
