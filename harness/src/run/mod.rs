//! One run from its plan to its report: cluster → drive → break → settle → judge → show.

mod directory;
mod field;
mod freeze;
mod load;
mod lookout;
mod machine;
mod phases;
mod reserve;
mod threads;
mod wiring;

use std::path::PathBuf;

use anyhow::Context as _;
use tokio::sync::watch;
use tribunal_nemesis::fabric::switch::Private;
use tribunal_results::run::{RunDir, RunInfo};
use tribunal_results::{ResultClass, RunVerdict};

pub use self::field::Ending;
pub use self::freeze::Frozen;
pub use self::load::program;
pub use self::machine::version;
use self::phases::Phases;
use self::reserve::Reserve;
pub use self::threads::Threads;
use crate::clock::Clock;
use crate::leftovers::Leftovers;
use crate::plan::Plan;
use crate::status::Status;
use crate::{judge, show, suite};

/// What a run is given besides its plan.
pub struct Circumstances {
    /// Where run directories go: `<out>/<suite>/<run>`.
    pub out: PathBuf,
    /// The command line, for the record.
    pub command: Vec<String>,
    /// The command that repeats a plan.
    pub reproduce: String,
    /// The profile whose options were taken, if any.
    pub profile: Option<String>,
    /// Turns true when the user wants to stop.
    pub stop: watch::Receiver<bool>,
    /// Whether everything is to stand still at the first contradiction.
    pub fail_fast: bool,
    /// Carries the bytes between nodes, apart from the thread that stamps.
    pub fabric: tokio::runtime::Handle,
    /// Whether this process has a network of its own, as a switch needs it, or why not.
    pub private: Result<Private, String>,
}

/// A run that came to its end, whatever that was.
#[derive(Debug)]
pub struct Finished {
    /// Where everything lies.
    pub dir: RunDir,
    /// What was run, and how it ended.
    pub info: RunInfo,
    /// What it came to.
    pub verdict: RunVerdict,
    /// Whether it was frozen at its first contradiction.
    pub frozen: bool,
}

/// Runs a plan. Whatever happens after the run directory exists is part of the result.
///
/// # Errors
/// If the run directory cannot be made or written to.
pub async fn execute(
    plan: &Plan,
    circumstances: &Circumstances,
    status: &Status,
) -> anyhow::Result<Finished> {
    let clock = Clock::start();
    let (dir, started) = directory::create(&circumstances.out, plan)?;
    let mut info = describe(plan, circumstances, started, &dir);
    let yaml = suite::plan_to_yaml(plan).context("cannot put the plan into YAML")?;
    dir.write(&dir.plan(), yaml.as_bytes())
        .context("cannot write the plan")?;
    show::write_info(&dir, &info)?;
    let reserve = Reserve::take(&dir);
    let leftovers = Leftovers::begin(&dir).context("cannot begin the list of leftovers")?;
    crate::logging::to_file(&dir.log());
    let mut phases = Phases::new(clock);
    let ending = field::run(plan, &dir, circumstances, status, &mut phases).await;
    drop(reserve);
    status.phase("judging");
    let judgement = phases.during("judge", judge::in_child(&dir, plan)).await;
    let mut verdict = judge::conclude(plan, &judgement, &ending);
    info.class = verdict.class;
    // What failed in judging is not kept here: the record can be judged again.
    info.error.clone_from(&ending.error);
    info.finding = finding(plan, &info, &verdict);
    status.phase("writing the report");
    phases.finish(&mut info, plan.time.0);
    if let Err(e) = show::write_all(&dir, &info, &verdict, plan) {
        not_written(&e, &mut info, &mut verdict);
    }
    directory::link_latest(&dir);
    if let Err(e) = leftovers.end() {
        tracing::warn!("cannot remove the list of leftovers: {e}");
    }
    crate::logging::to_nowhere();
    status.phase("done");
    Ok(Finished {
        dir,
        info,
        verdict,
        frozen: ending.frozen.is_some(),
    })
}

/// What was found of what was looked for, as the suite puts it.
fn finding(plan: &Plan, info: &RunInfo, verdict: &RunVerdict) -> Option<String> {
    let looked_for = !plan.expect.is_empty() && verdict.class == ResultClass::Pass;
    let finding = plan.finding.as_ref().filter(|_| looked_for)?;
    let version = info.machine.get(machine::TESTED).unwrap_or(&info.target);
    Some(finding.says_of(version))
}

/// A result that could not be written is a failure of ours, unless a violation was found.
fn not_written(error: &anyhow::Error, info: &mut RunInfo, verdict: &mut RunVerdict) {
    tracing::error!("{error:#}");
    let text = format!("{error:#}; free some space and run again");
    let text = match info.error.take() {
        Some(cause) => format!("{cause}; {text}"),
        None => text,
    };
    if verdict.class != ResultClass::Violation {
        verdict.class = ResultClass::HarnessError;
        verdict.reason = "harness-error".into();
        verdict.claim.clone_from(&text);
        info.class = verdict.class;
    }
    info.error = Some(text);
}

fn describe(plan: &Plan, circumstances: &Circumstances, started: String, dir: &RunDir) -> RunInfo {
    RunInfo {
        class: ResultClass::Interrupted,
        suite: plan.suite.clone(),
        profile: circumstances.profile.clone(),
        plan: plan.name.clone(),
        target: plan.target.target.clone(),
        bug: plan.target.bug.clone(),
        workload: plan.workload.workload.clone(),
        faults: plan.nemesis.kinds().map(str::to_owned).collect(),
        seed: plan.seed,
        nodes: node_names(plan),
        clients: plan.clients,
        time_ms: u64::try_from(plan.time.0.as_millis()).ok(),
        rate: Some(plan.rate),
        started,
        command: circumstances.command.clone(),
        reproduce: circumstances.reproduce.clone(),
        version: version(),
        machine: machine::facts(plan),
        phases: Vec::new(),
        overhead_ms: 0.0,
        directory: dir.path().display().to_string(),
        finding: None,
        error: None,
    }
}

/// `n1`, `n2`, …; from `n0` on if the target says so.
pub fn node_names(plan: &Plan) -> Vec<String> {
    let target = plan.parts.target(&plan.target.target);
    let first = target.map_or(1, |target| target.first_node(&plan.target.options));
    (first..first + plan.nodes)
        .map(|i| format!("n{i}"))
        .collect()
}
