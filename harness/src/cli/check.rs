//! `tribunal check`: judges what lies on disk. And the judging process itself.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use tribunal_checkers::{Budget, Checker};
use tribunal_results::journal::{self, Journal};
use tribunal_results::run::{RunDir, RunInfo};
use tribunal_results::{Record, ResultClass, Validity, Verdict};

use super::{Done, Failure, exit, output};
use crate::judge::{self, child};
use crate::plan::Plan;
use crate::run::Ending;
use crate::show;
use crate::suite::{self, Catalogue, Overrides, Source};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tribunal check results/runs/demo/latest           a run: every checker of its plan
  tribunal check history.jsonl                      a history: the checkers that apply
  tribunal check history.jsonl --model linearizable
  cat history.jsonl | tribunal check -              from standard input

The format of histories is documented in results/FORMAT.md.")]
pub(super) struct Check {
    /// A run directory, a history file, or - for standard input
    record: PathBuf,
    /// Only this checker; may be given several times (see `tribunal list checkers`)
    #[arg(long = "model", value_name = "CHECKER")]
    models: Vec<String>,
    /// Print the verdicts as JSON
    #[arg(long)]
    json: bool,
}

/// Judges a run directory or a history.
pub(super) fn check(args: &Check) -> Done {
    if args.record.is_dir() {
        return check_run(args);
    }
    let journal = if args.record == Path::new("-") {
        journal::read(std::io::stdin().lock()).context("standard input is not a history")
    } else {
        child::history(&args.record)
    };
    let journal = journal.map_err(Failure::usage)?;
    let verdicts = judge_history(journal, &args.models)?;
    print_verdicts(&verdicts, args.json)?;
    let classes = verdicts.iter().map(|verdict| match verdict.validity {
        Validity::Valid => ResultClass::Pass,
        Validity::Unknown => ResultClass::Inconclusive,
        Validity::Invalid => ResultClass::Violation,
    });
    Ok(ResultClass::combine(classes).map_or(exit::INSUFFICIENT, ResultClass::exit_code))
}

fn judge_history(journal: Journal, models: &[String]) -> Result<Vec<Verdict>, Failure> {
    let record = Record {
        history: journal.history,
        ..Record::default()
    };
    let checkers: Vec<&dyn Checker> = if models.is_empty() {
        tribunal_checkers::applicable(&record.history)
    } else {
        models
            .iter()
            .map(|name| checker(name))
            .collect::<Result<_, _>>()?
    };
    if journal.truncated {
        anstream::eprintln!("the last line is cut off and left out");
    }
    Ok(checkers
        .iter()
        .map(|checker| checker.check(&record, Budget::default()))
        .collect())
}

fn checker(name: &str) -> Result<&'static dyn Checker, Failure> {
    tribunal_checkers::find(name).ok_or_else(|| {
        let names: Vec<&str> = tribunal_checkers::ALL.iter().map(|c| c.name()).collect();
        Failure::usage(anyhow::anyhow!(
            "no checker is called {name}; there are {}",
            names.join(", ")
        ))
    })
}

/// Judges a run as its plan says, and writes verdict and reports anew.
fn check_run(args: &Check) -> Done {
    let dir = RunDir::at(&args.record);
    let plan = plan_of(&dir)?;
    let mut info: RunInfo = show::read_json(&dir.info()).map_err(Failure::usage)?;
    let history = child::history(&dir.history()).map_err(Failure::usage)?;
    if !args.models.is_empty() {
        let verdicts = judge_history(history, &args.models)?;
        print_verdicts(&verdicts, args.json)?;
        let worst = verdicts.iter().map(|v| v.validity).max();
        return Ok(match worst {
            Some(Validity::Valid) => exit::PASS,
            Some(Validity::Invalid) => ResultClass::Violation.exit_code(),
            Some(Validity::Unknown) | None => ResultClass::Inconclusive.exit_code(),
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let judgement = runtime.block_on(judge::in_child(&dir, &plan));
    // A run that was killed still says `interrupted`, as does one that its user stopped.
    let interrupted = info.class == ResultClass::Interrupted;
    let ending = Ending {
        error: info.error.clone(),
        interrupted,
    };
    let verdict = judge::conclude(&plan, &judgement, &ending);
    if !interrupted {
        info.class = verdict.class;
    }
    show::write_all(&dir, &info, &verdict, &plan)?;
    if args.json {
        anstream::println!("{}", serde_json::to_string(&verdict).context("no JSON")?);
    } else {
        output::print_verdict(&info, &verdict);
        print_verdicts(&verdict.verdicts, false)?;
        anstream::println!("report  {}", dir.report().display());
    }
    Ok(verdict.class.exit_code())
}

fn print_verdicts(verdicts: &[Verdict], json: bool) -> anyhow::Result<()> {
    if verdicts.is_empty() {
        anstream::println!("no checker applies: the history has no operation that one knows");
    }
    for verdict in verdicts {
        if json {
            anstream::println!("{}", serde_json::to_string(verdict)?);
            continue;
        }
        let (style, word) = match verdict.validity {
            Validity::Valid => (output::GOOD, "valid"),
            Validity::Unknown => (output::UNSURE, "unknown"),
            Validity::Invalid => (output::BAD, "invalid"),
        };
        let checker = &verdict.checker;
        anstream::println!(
            "{style}{word:<8}{style:#} {checker:<17} {}",
            verdict.summary
        );
        if let Some(anomaly) = verdict.anomalies.first() {
            for fact in &anomaly.facts {
                anstream::println!("  · {fact}");
            }
            let more = verdict.anomalies_total.saturating_sub(1);
            if more > 0 {
                anstream::println!("  and {more} more of {checker}");
            }
        }
    }
    Ok(())
}

/// The plan of a recorded run.
pub(super) fn plan_of(dir: &RunDir) -> Result<Plan, Failure> {
    let source = Source::File(dir.plan());
    let plans = suite::load(&source, &Catalogue::built_in(), &Overrides::default())
        .map_err(|e| Failure::usage(anyhow::anyhow!("{e}")))?;
    plans
        .into_iter()
        .next()
        .ok_or_else(|| Failure::usage(anyhow::anyhow!("{} holds no plan", dir.plan().display())))
}

#[derive(Debug, Args)]
pub(super) struct Judge {
    /// A run directory
    run: PathBuf,
    /// The most memory to use, in MiB
    #[arg(long, value_name = "MIB", env = judge::MEMORY_VARIABLE)]
    memory: Option<u64>,
}

/// The judging process.
pub(super) fn judge(args: &Judge) -> Done {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    // Without its controller nobody listens, nor bounds its time.
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)
        .context("cannot tie the judging process to its controller")?;
    if let Some(mib) = args.memory {
        let (_, most) = getrlimit(Resource::RLIMIT_AS).context("cannot limit memory")?;
        let bytes = mib.saturating_mul(1 << 20).min(most);
        setrlimit(Resource::RLIMIT_AS, bytes, bytes).context("cannot limit memory")?;
    }
    let dir = RunDir::at(&args.run);
    let plan = plan_of(&dir)?;
    let mut output = std::io::stdout().lock();
    child::judge(&dir, &plan, &mut output)?;
    output.flush().context("cannot write findings")?;
    Ok(exit::PASS)
}
