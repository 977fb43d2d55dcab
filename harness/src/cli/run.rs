//! `tribunal run`: a suite, run by run.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tokio::sync::watch;
use tribunal_nemesis::fabric::Kind;
use tribunal_nemesis::fabric::switch::{self, Private};
use tribunal_results::options::Time;
use tribunal_results::run::RunInfo;
use tribunal_results::{ResultClass, RunVerdict, report};

use super::campaign::Campaign;
use super::known::{self, KnownIssues};
use super::select::{self, DEFAULT_SUITE};
use super::{Done, Failure, Out, campaign, exit, files, github, output, profile, quoted, stop};
use crate::campaign::Ask;
use crate::campaign::shard::Part;
use crate::corpus::Corpus;
use crate::plan::Plan;
use crate::run::{Circumstances, Finished, Threads, execute};
use crate::status::Status;
use crate::suite::known::KnownIssue;
use crate::suite::{self, Overrides};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tribunal run                              the demo
  tribunal run planted --only double-grant  one run of a suite
  tribunal run lock --seed 7 --time 30s     other choices, longer
  tribunal run my-suite.yaml --dry-run      check the suite; print what would run
  tribunal run my-suite.yaml --claim 1%     as often as shows that fewer than 1 % of runs fail
  tribunal run my-suite.yaml --for 20m --jobs 4 --until-fail
                                            look for a failure, four runs at a time

Each run ends with its report's path and the command that repeats it. Exit codes: tribunal --help.")]
pub(super) struct Run {
    /// A YAML file, or the name of a built-in suite (see `tribunal list suites`), or `all` of those
    #[arg(default_value = DEFAULT_SUITE)]
    suite: String,
    /// Only the run of this name; if there is none, those whose name contains this, or matches it
    /// if it has a *
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Seed of every random choice, the same for all runs; otherwise each run has its own, made
    /// of its name
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// How long each run asks new operations, such as 30s
    #[arg(long, value_parser = Time::parse)]
    time: Option<Time>,
    /// Nodes of each cluster
    #[arg(long)]
    nodes: Option<usize>,
    /// Concurrent clients
    #[arg(long)]
    clients: Option<usize>,
    /// Operations a second, of all clients together
    #[arg(long)]
    rate: Option<f64>,
    /// Take the options that are not given from a profile of the nearest .tribunal.yaml (see
    /// `tribunal config show --resolved`)
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The profile to record, whose options are given already: what a campaign tells its runs
    #[arg(long, hide = true, value_name = "NAME")]
    of_profile: Option<String>,
    #[command(flatten)]
    campaign: Campaign,
    #[command(flatten)]
    out: Out,
    /// Directory of failing runs: those of this suite are done first, and what fails now is added
    #[arg(long, value_name = "DIR", conflicts_with_all = campaign::OPTIONS)]
    seed_corpus: Option<PathBuf>,
    #[command(flatten)]
    known: KnownIssues,
    /// Stop all nodes (SIGSTOP) at the first contradiction, expected or not; on a terminal they
    /// stay so, to be looked at, until Ctrl-C. After a violation no other run is done
    #[arg(long)]
    fail_fast: bool,
    /// Run targets with planted bugs without them: then nothing may be found
    #[arg(long)]
    without_bug: bool,
    /// Leave out, and say so, the runs of systems that are not installed here
    #[arg(long)]
    skip_missing: bool,
    /// Print the plans and run nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print results only
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// How to print results
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Also write the results of all runs as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also write the results of all runs as Markdown
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Text for people
    Human,
    /// One JSON object a run
    Json,
}

impl Run {
    /// What `tribunal` alone means.
    pub(super) fn demo() -> Self {
        let out = Out {
            out: std::env::var_os("TRIBUNAL_OUT")
                .map_or_else(|| PathBuf::from("results/runs"), PathBuf::from),
        };
        Self::of(DEFAULT_SUITE.into(), out)
    }

    /// A suite as it is.
    pub(super) fn of(suite: String, out: Out) -> Self {
        Self {
            suite,
            only: None,
            seed: None,
            time: None,
            nodes: None,
            clients: None,
            rate: None,
            profile: None,
            of_profile: None,
            campaign: Campaign::default(),
            out,
            seed_corpus: None,
            known: KnownIssues::default(),
            fail_fast: false,
            without_bug: false,
            skip_missing: false,
            dry_run: false,
            quiet: false,
            format: Format::Human,
            junit: None,
            summary: None,
        }
    }

    fn overrides(&self) -> Overrides {
        Overrides {
            seed: self.seed,
            time: self.time,
            only: self.only.clone(),
            nodes: self.nodes,
            clients: self.clients,
            rate: self.rate,
        }
    }

    /// The command that repeats one plan.
    fn reproduce(&self, plan: &Plan) -> String {
        // As it was called, so that the line works where the program is not on the path.
        let program = std::env::args().next().unwrap_or_else(|| "tribunal".into());
        let mut command = vec![
            quoted(&program),
            "run".into(),
            quoted(select::suite_of(plan, &self.suite)),
        ];
        command.push(format!(
            "--only {} --seed {}",
            quoted(&plan.name),
            plan.seed
        ));
        command.extend(self.otherwise());
        command.join(" ")
    }

    /// The arguments that change what a plan is, besides its seed.
    fn otherwise(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        words.extend(self.without_bug.then(|| "--without-bug".into()));
        let mut add = |flag: &str, value: Option<String>| {
            words.extend(
                value
                    .into_iter()
                    .flat_map(|value| [format!("--{flag}"), value]),
            );
        };
        add("time", self.time.map(|time| time.to_string()));
        add("nodes", self.nodes.map(|nodes| nodes.to_string()));
        add("clients", self.clients.map(|clients| clients.to_string()));
        add("rate", self.rate.map(|rate| rate.to_string()));
        words
    }

    /// What is asked of the campaign of these plans.
    pub(super) fn ask(&self, plans: Vec<(String, Plan)>) -> Ask {
        let mut arguments: Vec<OsString> = self.otherwise().into_iter().map(Into::into).collect();
        arguments.extend(self.fail_fast.then(|| "--fail-fast".into()));
        let profile = self.of_profile.iter();
        arguments.extend(profile.map(|name| format!("--of-profile={name}").into()));
        self.campaign.ask(plans, arguments, self)
    }

    /// Where run directories go.
    pub(super) fn out(&self) -> &std::path::Path {
        &self.out.out
    }

    /// Whether all runs were given the same seed.
    pub(super) const fn one_seed(&self) -> bool {
        self.seed.is_some()
    }

    /// Whether whoever reads the output is a program.
    pub(super) fn in_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether only results are printed.
    pub(super) const fn quiet(&self) -> bool {
        self.quiet
    }
}

/// Runs a suite.
pub(super) fn run(mut args: Run) -> Done {
    if let Some(name) = args.profile.take() {
        args = profile::apply(&name, std::env::args_os().skip(2).collect())?;
        args.of_profile = Some(name);
    }
    let mut named = load(&args)?;
    if args.skip_missing {
        named.retain(|(_, plan)| select::is_here(plan));
        if named.is_empty() {
            anstream::eprintln!("nothing is left to run: `tribunal doctor` says what to install");
            return Ok(exit::INSUFFICIENT);
        }
    }
    let known = args.known.read()?;
    if args.dry_run || !args.campaign.asked() {
        return here(
            &args,
            named.into_iter().map(|(_, plan)| plan).collect(),
            &known,
        );
    }
    let mut ask = args.ask(named);
    ask.known = known::unexpired(&known);
    if ask.total() == Some(0) {
        return campaign::nothing(ask.shard);
    }
    writable(&args.out.out)?;
    let part = Part::begin(ask.shard, &args.suite);
    part.iter().try_for_each(|part| part.write(args.out()))?;
    let mut runs = Vec::new();
    let ended = campaign::run(&args, &ask, &mut runs)?;
    conclude(&args, runs, ended, part, &known)
}

/// How the runs came to their end together.
#[derive(Default)]
pub(super) struct Ended {
    /// Runs that were never begun.
    pub(super) not_run: usize,
    /// Whether the user stopped them.
    pub(super) stopped: bool,
    /// What failed of ours.
    pub(super) failed: Option<anyhow::Error>,
    /// What counts besides the runs.
    pub(super) classes: Vec<ResultClass>,
}

/// Runs plans in this process, one after the other.
fn here(args: &Run, mut plans: Vec<Plan>, known: &[KnownIssue]) -> Done {
    let corpus = args.seed_corpus.as_deref().map(Corpus::at).transpose();
    let corpus = corpus.map_err(Failure::usage)?;
    if let Some(corpus) = &corpus {
        let mut kept = corpus.like(&plans).map_err(Failure::usage)?;
        kept.iter_mut()
            .filter(|_| args.without_bug)
            .for_each(without_bug);
        plans.retain(|plan| !kept.contains(plan));
        plans.splice(0..0, kept);
    }
    let plans: Vec<Plan> = args.campaign.shard.of(plans.into_iter()).collect();
    if plans.is_empty() {
        return campaign::nothing(args.campaign.shard);
    }
    if args.dry_run {
        for plan in &plans {
            let yaml = suite::plan_to_yaml(plan).context("cannot put the plan into YAML")?;
            anstream::println!("# {}\n{yaml}", plan.name);
        }
        return Ok(exit::PASS);
    }
    writable(&args.out.out)?;
    let part = Part::begin(args.campaign.shard, &args.suite);
    part.iter().try_for_each(|part| part.write(args.out()))?;
    // Before any other thread is there, as it would be left behind.
    let private = private(&plans);
    crate::logging::start();
    files::enough(&plans)?;
    let Threads { fabric, scheduler } = Threads::start()?;
    // Signals are waited for on a thread that nothing keeps busy.
    let stop = {
        let _entered = fabric.enter();
        stop::on_signal("healing, stopping nodes, judging what there is (again to quit at once)")
            .context("cannot wait for signals")?
    };
    let mut runs = Vec::with_capacity(plans.len());
    let around = Around {
        fabric: fabric.handle(),
        stop: &stop,
        private,
        corpus: corpus.as_ref(),
    };
    let played = scheduler.block_on(run_all(args, &plans, around, &mut runs));
    let ended = Ended {
        not_run: plans.len() - runs.len(),
        stopped: *stop.borrow(),
        failed: played.err(),
        classes: Vec::new(),
    };
    conclude(args, runs, ended, part, known)
}

/// Says what the runs came to together, and which exit code that is.
fn conclude(
    args: &Run,
    mut runs: Vec<Finished>,
    ended: Ended,
    part: Option<Part>,
    issues: &[KnownIssue],
) -> Done {
    if args.format == Format::Human {
        output::print_parted(&runs);
        output::print_totals(&runs, ended.not_run);
    }
    let pairs = runs.iter_mut().map(|run| (&run.info, &mut run.verdict));
    let (infos, mut verdicts): (Vec<_>, Vec<_>) = pairs.unzip();
    known::mark(issues, &infos, &mut verdicts, args.in_json());
    // Whatever failed, what the other runs found is told and counts.
    let written = write_combined(args, &runs).and_then(|()| match part {
        Some(part) if !ended.stopped => Part {
            ended: true,
            ..part
        }
        .write(args.out()),
        _ => Ok(()),
    });
    let failed = ended.failed.or(written.err());
    let mut classes = known::counted(runs.iter().map(|run| &run.verdict));
    classes.extend(ended.classes);
    classes.extend((ended.not_run > 0 && ended.stopped).then_some(ResultClass::Interrupted));
    classes.extend(failed.as_ref().map(|_| ResultClass::HarnessError));
    let code = ResultClass::combine(classes).map_or(exit::INSUFFICIENT, ResultClass::exit_code);
    match failed {
        None => Ok(code),
        Some(error) => Err(Failure {
            code,
            error,
            rendered: false,
        }),
    }
}

/// What all runs share.
struct Around<'a> {
    fabric: &'a tokio::runtime::Handle,
    stop: &'a watch::Receiver<bool>,
    private: Result<Private, String>,
    /// Where failing runs are kept.
    corpus: Option<&'a Corpus>,
}

/// Moves this process to a network of its own if any plan needs a switch.
fn private(plans: &[Plan]) -> Result<Private, String> {
    if !plans.iter().any(|plan| plan.fabric == Kind::Switch) {
        return Err("no plan asked for a network switch when the process began".into());
    }
    switch::enter().map_err(|refusal| refusal.to_string())
}

async fn run_all(
    args: &Run,
    plans: &[Plan],
    around: Around<'_>,
    runs: &mut Vec<Finished>,
) -> anyhow::Result<()> {
    let Around {
        fabric,
        stop,
        private,
        corpus,
    } = around;
    for plan in plans {
        if *stop.borrow() {
            break;
        }
        let circumstances = Circumstances {
            out: args.out.out.clone(),
            command: std::env::args().collect(),
            reproduce: args.reproduce(plan),
            profile: args.of_profile.clone(),
            stop: stop.clone(),
            fail_fast: args.fail_fast,
            fabric: fabric.clone(),
            private: private.clone(),
        };
        let status = Status::new(&plan.name, args.quiet);
        let talks = args.format == Format::Human;
        if talks {
            github::begin_group(&plan.name);
        }
        if !args.quiet && talks {
            announce(plan);
        }
        let finished = execute(plan, &circumstances, &status).await;
        drop(status);
        if talks {
            github::end_group();
        }
        let finished = finished?;
        match args.format {
            Format::Human => output::print_run(&finished),
            Format::Json => print_json(&finished)?,
        }
        if let (Some(corpus), ResultClass::Violation) = (corpus, finished.verdict.class) {
            corpus.keep(plan, &finished.verdict)?;
        }
        let failed = finished.frozen && finished.verdict.class != ResultClass::Pass;
        runs.push(finished);
        if failed {
            break;
        }
    }
    Ok(())
}

fn announce(plan: &Plan) {
    let faint = output::FAINT;
    let bug = plan
        .target
        .bug
        .as_ref()
        .map(|bug| format!(" with bug {bug}"))
        .unwrap_or_default();
    let faults: Vec<&str> = plan.nemesis.kinds().collect();
    let faults = if faults.is_empty() {
        "no faults".into()
    } else {
        faults.join(", ")
    };
    anstream::println!(
        "{faint}{}  seed {}: {}{bug}, {} nodes, workload {}, {faults}, {}{faint:#}",
        plan.name,
        plan.seed,
        plan.target.target,
        plan.nodes,
        plan.workload.workload,
        plan.time,
    );
}

fn load(args: &Run) -> Result<Vec<(String, Plan)>, Failure> {
    let mut plans = select::plans(&args.suite, &args.overrides())?;
    for (_, plan) in plans.iter_mut().filter(|_| args.without_bug) {
        without_bug(plan);
    }
    Ok(plans)
}

fn without_bug(plan: &mut Plan) {
    plan.target.bug = None;
    plan.expect.clear();
}

/// Finds out before anything starts whether results can be written.
pub(super) fn writable(out: &std::path::Path) -> Result<(), Failure> {
    std::fs::create_dir_all(out)
        .and_then(|()| tempfile::tempfile_in(out))
        .map(drop)
        .with_context(|| {
            format!(
                "cannot write to {}; choose another directory with --out",
                out.display()
            )
        })
        .map_err(Failure::usage)
}

pub(super) fn print_json(run: &Finished) -> anyhow::Result<()> {
    let object = serde_json::json!({
        "run": run.info,
        "verdict": run.verdict,
        "directory": run.dir.path(),
        "report": run.dir.report(),
    });
    anstream::println!("{}", serde_json::to_string(&object)?);
    Ok(())
}

fn write_combined(args: &Run, runs: &[Finished]) -> anyhow::Result<()> {
    let runs: Vec<(&RunInfo, &RunVerdict)> =
        runs.iter().map(|run| (&run.info, &run.verdict)).collect();
    if let Some(path) = &args.junit {
        let junit = report::junit::render(&runs).context("cannot write JUnit")?;
        std::fs::write(path, junit).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &args.summary {
        let markdown = report::markdown::render(&runs);
        std::fs::write(path, markdown)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    match args.format {
        Format::Human => github::conclude(&runs),
        // Whoever reads the objects says what is to be said.
        Format::Json => Ok(()),
    }
}
