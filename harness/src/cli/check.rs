//! `tribunal check`: judges what lies on disk. And the judging process itself.

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use tribunal_checkers::{Budget, Checker};
use tribunal_results::import::{self, Imported};
use tribunal_results::run::{RunDir, RunInfo};
use tribunal_results::{Assumptions, History, Record, ResultClass, Validity, Verdict};

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
  tribunal check store/*/history.edn                histories of Jepsen, a verdict for each
  tribunal check etcd.txt --format porcupine        if the format is not told by itself
  cat history.jsonl | tribunal check -              from standard input

Formats: jsonl (Tribunal's own), jepsen-edn, jepsen-json, porcupine (Jepsen's text log), plume
(AWDIT's and Plume's text). They are documented in results/FORMAT.md. What is left out of a history is said.

Of several records the exit code is the first of 1, 70, 64, 130, 3, 2, 0 that occurs.")]
pub(super) struct Check {
    /// Run directories, history files, or - for standard input
    #[arg(required = true, value_name = "RECORD")]
    records: Vec<PathBuf>,
    /// Only this checker; may be given several times (see `tribunal list checkers`)
    #[arg(long = "model", value_name = "CHECKER")]
    models: Vec<String>,
    /// The format of history files; without it, each file's content and name tell
    #[arg(long, value_parser = formats())]
    format: Option<String>,
    /// Print the verdicts as JSON, one a line; with several records each names its `record`
    #[arg(long)]
    json: bool,
}

/// The names of formats, with what they are for `--help`.
fn formats() -> PossibleValuesParser {
    import::FORMATS
        .map(|format| PossibleValue::new(format.name).help(format.about))
        .into()
}

/// Exit codes of single records, from the one that decides to the one that decides least. A
/// contradiction stands whatever else could not be read.
const BY_WEIGHT: [u8; 7] = [
    1,
    exit::HARNESS_ERROR,
    exit::USAGE,
    exit::INTERRUPTED,
    exit::INSUFFICIENT,
    2,
    exit::PASS,
];

/// Judges run directories and histories.
pub(super) fn check(args: &Check) -> Done {
    if let [record] = args.records.as_slice() {
        return check_record(args, record);
    }
    let mut codes = Vec::new();
    for record in &args.records {
        // One that cannot be read does not keep the others from being judged.
        codes.push(check_record(args, record).unwrap_or_else(|failure| failure.say()));
    }
    let code = BY_WEIGHT.into_iter().find(|code| codes.contains(code));
    Ok(code.unwrap_or(exit::INSUFFICIENT))
}

fn check_record(args: &Check, record: &Path) -> Done {
    if record.is_dir() {
        return check_run(args, record);
    }
    let imported = import(args, record).map_err(Failure::usage)?;
    for note in &imported.notes {
        anstream::eprintln!("{}: {note}", name_of(record));
    }
    let verdicts = judge_history(imported.history, imported.assume, &args.models)?;
    print_verdicts(&verdicts, args, record)?;
    let classes = verdicts.iter().map(|verdict| match verdict.validity {
        Validity::Valid => ResultClass::Pass,
        Validity::Unknown => ResultClass::Inconclusive,
        Validity::Invalid => ResultClass::Violation,
    });
    Ok(ResultClass::combine(classes).map_or(exit::INSUFFICIENT, ResultClass::exit_code))
}

fn import(args: &Check, record: &Path) -> anyhow::Result<Imported> {
    let format = args.format.as_deref().and_then(import::find);
    if record == Path::new("-") {
        return import::read(std::io::stdin().lock(), None, format)
            .context("standard input is not a history");
    }
    let name = record.file_name().and_then(std::ffi::OsStr::to_str);
    let file = File::open(record).with_context(|| format!("cannot open {}", record.display()))?;
    import::read(BufReader::with_capacity(1 << 18, file), name, format)
        .with_context(|| format!("{} is not a history", record.display()))
}

/// How messages name a record.
fn name_of(record: &Path) -> String {
    if record == Path::new("-") {
        "standard input".into()
    } else {
        record.display().to_string()
    }
}

fn judge_history(
    history: History,
    assume: Assumptions,
    models: &[String],
) -> Result<Vec<Verdict>, Failure> {
    let record = Record {
        history,
        assume,
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
fn check_run(args: &Check, record: &Path) -> Done {
    let dir = RunDir::at(record);
    let plan = plan_of(&dir)?;
    let mut info: RunInfo = show::read_json(&dir.info()).map_err(Failure::usage)?;
    let journal = child::history(&dir.history()).map_err(Failure::usage)?;
    if journal.truncated {
        anstream::eprintln!("the last line is cut off and left out");
    }
    if !args.models.is_empty() {
        let verdicts = judge_history(journal.history, journal.header.assume, &args.models)?;
        print_verdicts(&verdicts, args, record)?;
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
        print_json(&verdict, args, record)?;
    } else {
        output::print_verdict(&info, &verdict);
        print_verdicts(&verdict.verdicts, args, record)?;
        anstream::println!("report  {}", dir.report().display());
    }
    Ok(verdict.class.exit_code())
}

/// A verdict with the record that it is of.
#[derive(serde::Serialize)]
struct Judged<'a, T> {
    record: &'a str,
    #[serde(flatten)]
    verdict: &'a T,
}

/// Prints a verdict as one line of JSON, which names its record if there are several.
fn print_json(verdict: &impl serde::Serialize, args: &Check, record: &Path) -> anyhow::Result<()> {
    let name = name_of(record);
    let line = match args.records.len() {
        1 => serde_json::to_string(verdict),
        _ => serde_json::to_string(&Judged {
            record: &name,
            verdict,
        }),
    };
    anstream::println!("{}", line.context("no JSON")?);
    Ok(())
}

fn print_verdicts(verdicts: &[Verdict], args: &Check, record: &Path) -> anyhow::Result<()> {
    let of = match args.records.len() {
        1 => String::new(),
        _ => format!("{}: ", name_of(record)),
    };
    if verdicts.is_empty() {
        anstream::eprintln!("{of}no checker applies: the history has no operation that one knows");
    }
    for verdict in verdicts {
        if args.json {
            print_json(verdict, args, record)?;
        } else {
            print_verdict(verdict, &of);
        }
    }
    Ok(())
}

fn print_verdict(verdict: &Verdict, of: &str) {
    let (style, word) = match verdict.validity {
        Validity::Valid => (output::GOOD, "valid"),
        Validity::Unknown => (output::UNSURE, "unknown"),
        Validity::Invalid => (output::BAD, "invalid"),
    };
    let checker = &verdict.checker;
    anstream::println!(
        "{style}{word:<8}{style:#} {checker:<17} {of}{}",
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
