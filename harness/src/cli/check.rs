//! `tribunal check`: judges what lies on disk. And the judging process itself.

pub(super) mod assume;
mod isolation;
pub(super) mod progress;

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use tribunal_checkers::{Budget, Checker, ModelVerdict, Standing};
use tribunal_results::import::{self, Imported};
use tribunal_results::report::text::visible;
use tribunal_results::run::{RunDir, RunInfo};
use tribunal_results::{History, Kind, Messages, Record, ResultClass, Validity, Verdict};

use super::{Done, Failure, exit, follow, output};
use crate::judge::{self, child};
use crate::plan::Plan;
use crate::run::Ending;
use crate::show;
use crate::suite::{self, Catalogue, Overrides, Source};
use isolation::Level;
use progress::Progress;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tribunal check results/runs/demo/latest           a run: every checker of its plan
  tribunal check history.jsonl                      a history: the checkers that apply
  tribunal check history.jsonl --model linearizable
  tribunal check store/*/history.edn                histories of Jepsen, a verdict for each
  tribunal check elle.json --isolation snapshot-isolation
                                                    transactions, at the level that they claim
  tribunal check history.edn --strongest            which consistency models a history satisfies
  tribunal check bank.edn --assume bank_total=100 --assume overdraft=true
                                                    what a history does not say itself
  tribunal check adds.edn --object counter          :add and :read of counters, not of sets
  tribunal check history.jsonl --messages messages.jsonl --model vector-clocks
                                                    what nodes sent each other, by their clocks
  tribunal check etcd.txt --format porcupine        if the format is not told by itself
  cat history.jsonl | tribunal check -              from standard input

Formats are told by a file's first bytes or its name, and documented in results/FORMAT.md, as is
what their operations are taken for. What is left out of a history is said.

Exit codes: 0 valid, 1 invalid, 2 unknown, 3 nothing to judge, 64 no history. Of several records
the exit code is the first of 1, 70, 64, 130, 3, 2, 0 that occurs.")]
pub(super) struct Check {
    /// Run directories, history files, or - for standard input
    #[arg(required = true, value_name = "RECORD")]
    records: Vec<PathBuf>,
    /// Only this checker; may be given several times (see `tribunal list checkers`)
    #[arg(long = "model", value_name = "CHECKER")]
    pub(super) models: Vec<String>,
    /// The format of history files; without it, each file's content and name tell
    #[arg(long, value_parser = formats())]
    format: Option<String>,
    /// Judge transactions at this isolation level: what it allows is told, but is no violation
    #[arg(long, value_name = "LEVEL", conflicts_with = "models")]
    isolation: Option<String>,
    /// Say of every consistency model of registers, or isolation level of transactions, whether the
    /// history satisfies it
    #[arg(long, conflicts_with_all = ["models", "isolation"])]
    strongest: bool,
    /// Take something for granted, as `permits=3`; may be given several times
    #[arg(long = "assume", value_name = "FIELD=VALUE")]
    pub(super) assume: Vec<String>,
    /// What the operations of an outside history work on, if they leave that open
    #[arg(long, value_parser = objects())]
    object: Option<String>,
    /// The message journal beside the history: what nodes sent each other and what their clocks
    /// showed. That of a run directory is found by itself
    #[arg(long, value_name = "FILE", conflicts_with_all = ["isolation", "strongest"])]
    pub(super) messages: Option<PathBuf>,
    /// Judge although operations that are not known were left out: they change nothing
    #[arg(long)]
    ignore_unknown: bool,
    /// Print the verdicts as JSON, one a line; with several records each names its `record`
    #[arg(long)]
    pub(super) json: bool,
    /// Follow a run or a history that is still being written, until it ends or Ctrl-C
    #[arg(long)]
    follow: bool,
    /// With --follow: end at the first contradiction
    #[arg(long, requires = "follow")]
    pub(super) fail_fast: bool,
}

/// The names of formats, with what they are for `--help`.
fn formats() -> PossibleValuesParser {
    import::FORMATS
        .map(|format| PossibleValue::new(format.name).help(format.about))
        .into()
}

fn objects() -> PossibleValuesParser {
    import::Object::ALL.map(|object| object.name()).into()
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
    if args.follow && args.records.len() > 1 {
        let error = anyhow::anyhow!("--follow takes one record");
        return Err(Failure::usage(error));
    }
    if args.messages.is_some() && args.records.len() > 1 {
        let error = anyhow::anyhow!("--messages takes one record");
        return Err(Failure::usage(error));
    }
    if let [record] = args.records.as_slice() {
        if args.follow {
            return follow::follow(args, record);
        }
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
    let progress = Progress::of("reading");
    let imported = import(args, record, &progress).map_err(Failure::usage)?;
    for note in &imported.notes {
        anstream::eprintln!("{}: {note}", name_of(record));
    }
    let ways = Ways::of(args, imported.timed)?;
    let doubt = imported.partial && !args.ignore_unknown;
    let judged = Record {
        assume: assume::with(imported.assume, &args.assume)?,
        history: imported.history,
        messages: messages(args, None)?,
        ..Record::default()
    };
    judge_history(args, record, &ways, &judged, doubt, &progress)
}

/// The message journal that the user names, or that of the run.
pub(super) fn messages(args: &Check, run: Option<&RunDir>) -> Result<Messages, Failure> {
    let read = match (&args.messages, run) {
        (Some(path), _) => child::messages(path),
        (None, Some(dir)) => child::messages_of(dir),
        (None, None) => return Ok(Messages::default()),
    };
    read.map_err(Failure::usage)
}

/// How a history is judged.
pub(super) enum Ways {
    /// By the checkers that apply to it.
    Applicable,
    /// By these.
    Models(Vec<&'static dyn Checker>),
    /// As transactions, at a level.
    Isolation(Level),
    /// By all models.
    Strongest,
}

impl Ways {
    /// As the user says. Of a history without times, only what needs none is judged.
    pub(super) fn of(args: &Check, timed: bool) -> Result<Self, Failure> {
        if args.strongest {
            return Ok(Self::Strongest);
        }
        if let Some(level) = &args.isolation {
            return Level::of(level).map(Self::Isolation);
        }
        if !args.models.is_empty() {
            let checkers = args.models.iter().map(|name| checker(name));
            return Ok(Self::Models(checkers.collect::<Result<_, _>>()?));
        }
        match timed {
            true => Ok(Self::Applicable),
            false => Level::of("serializable").map(Self::Isolation),
        }
    }

    /// Whether nothing is asked for.
    pub(super) const fn are_usual(&self) -> bool {
        matches!(self, Self::Applicable)
    }
}

fn import(args: &Check, record: &Path, progress: &Progress) -> anyhow::Result<Imported> {
    let format = args.format.as_deref().and_then(import::find);
    let object = args.object.as_deref().and_then(import::Object::find);
    if record == Path::new("-") {
        let input = progress.counting(std::io::stdin().lock(), None);
        return import::read_as(input, None, format, object)
            .context("standard input is not a history");
    }
    let name = record.file_name().and_then(std::ffi::OsStr::to_str);
    let file = File::open(record).with_context(|| format!("cannot open {}", record.display()))?;
    let length = file.metadata().map(|metadata| metadata.len()).ok();
    let input = progress.counting(BufReader::with_capacity(1 << 18, file), length);
    import::read_as(input, name, format, object)
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

pub(super) fn judge_history(
    args: &Check,
    of: &Path,
    ways: &Ways,
    record: &Record,
    doubt: bool,
    progress: &Progress,
) -> Done {
    let by = |checkers: &[&dyn Checker]| {
        let judge = |checker: &&dyn Checker| {
            progress.now(&format!("judging: {}", checker.name()));
            checker.check(record, Budget::default())
        };
        checkers.iter().map(judge).collect::<Vec<_>>()
    };
    let verdicts = match ways {
        Ways::Applicable => {
            let mut checkers = tribunal_checkers::applicable(&record.history);
            checkers.extend(tribunal_checkers::of_messages(&record.messages));
            by(&checkers)
        }
        Ways::Models(checkers) => by(checkers),
        Ways::Isolation(level) => {
            progress.now("judging the transactions");
            level.judge(record, Budget::default())
        }
        Ways::Strongest => {
            progress.now("judging every model");
            let strongest = match is_transactional(&record.history) {
                true => tribunal_checkers::strongest_isolation,
                false => tribunal_checkers::strongest,
            };
            let mut models = strongest(&record.history, Budget::default());
            for model in models.iter_mut().filter(|_| doubt) {
                model.standing = Standing::Unknown;
                model.why = "operations that are not known were left out; --ignore-unknown takes \
                             them to change nothing"
                    .into();
            }
            return print_models(&models, args, of);
        }
    };
    let verdicts: Vec<Verdict> = match doubt {
        true => verdicts.into_iter().map(doubted).collect(),
        false => verdicts,
    };
    print_verdicts(&verdicts, args, of)?;
    let classes = verdicts.iter().map(|verdict| match verdict.validity {
        Validity::Valid => ResultClass::Pass,
        Validity::Unknown => ResultClass::Inconclusive,
        Validity::Invalid => ResultClass::Violation,
    });
    Ok(ResultClass::combine(classes).map_or(exit::INSUFFICIENT, ResultClass::exit_code))
}

/// What a verdict is worth if nobody knows what some operations did.
fn doubted(verdict: Verdict) -> Verdict {
    let word = match verdict.validity {
        Validity::Valid => "valid",
        Validity::Invalid => "invalid",
        Validity::Unknown => return verdict,
    };
    let text = format!(
        "{word} if the operations that are not known change nothing, as --ignore-unknown takes it: {}",
        verdict.summary
    );
    Verdict::unknown(&verdict.checker, "partial", text)
}

/// Whether levels of isolation are asked for, rather than models of single operations.
fn is_transactional(history: &History) -> bool {
    let mut calls = history.calls().iter();
    calls.any(|call| matches!(call.operation.kind(), Kind::Txn | Kind::Append))
}

pub(super) fn checker(name: &str) -> Result<&'static dyn Checker, Failure> {
    tribunal_checkers::find(name).ok_or_else(|| {
        let names: Vec<&str> = tribunal_checkers::ALL.iter().map(|c| c.name()).collect();
        Failure::usage(anyhow::anyhow!(
            "no checker is called {name}; there are {}",
            names.join(", ")
        ))
    })
}

/// Judges a run as its plan says, and writes verdict and reports anew.
pub(super) fn check_run(args: &Check, record: &Path) -> Done {
    let dir = RunDir::at(record);
    let plan = plan_of(&dir)?;
    let mut info: RunInfo = show::read_json(&dir.info()).map_err(Failure::usage)?;
    let journal = child::history(&dir.history()).map_err(Failure::usage)?;
    if journal.truncated {
        anstream::eprintln!("the last line is cut off and left out");
    }
    let ways = Ways::of(args, true)?;
    if !ways.are_usual() {
        let judged = Record {
            assume: assume::with(journal.header.assume, &args.assume)?,
            history: journal.history,
            messages: messages(args, Some(&dir))?,
            ..Record::default()
        };
        let progress = Progress::of("judging");
        return judge_history(args, record, &ways, &judged, false, &progress);
    }
    let given = [
        ("--assume", !args.assume.is_empty()),
        ("--messages", args.messages.is_some()),
    ];
    if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
        return Err(Failure::usage(anyhow::anyhow!(
            "a run is judged as its plan says; with {option}, say by --model how"
        )));
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
        frozen: None,
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

pub(super) fn print_verdicts(
    verdicts: &[Verdict],
    args: &Check,
    record: &Path,
) -> anyhow::Result<()> {
    let of = match args.records.len() {
        1 => String::new(),
        _ => format!("{}: ", name_of(record)),
    };
    if verdicts.is_empty() {
        anstream::eprintln!(
            "{of}no checker applies by itself: name one with --model (`tribunal list checkers` has them)"
        );
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

/// Prints what is known of every model. A report of it is complete if each holds or is violated.
fn print_models(models: &[ModelVerdict], args: &Check, record: &Path) -> Done {
    let standing = |standing: Standing| match standing {
        Standing::Holds => (output::GOOD, "holds"),
        Standing::Unknown => (output::UNSURE, "unknown"),
        Standing::Violated => (output::BAD, "violated"),
    };
    if args.json {
        let model = |m: &ModelVerdict| {
            let (_, word) = standing(m.standing);
            serde_json::json!({ "model": m.model, "standing": word, "why": m.why })
        };
        let models: Vec<_> = models.iter().map(model).collect();
        print_json(&serde_json::json!({ "models": models }), args, record)?;
    } else {
        if args.records.len() > 1 {
            anstream::println!("{}:", name_of(record));
        }
        let width = models.iter().map(|m| m.model.len()).max().unwrap_or(0);
        for m in models {
            let (style, word) = standing(m.standing);
            anstream::println!("{style}{word:<8}{style:#} {:<width$} {}", m.model, m.why);
        }
    }
    let unknown = models.iter().any(|m| m.standing == Standing::Unknown);
    Ok(if unknown {
        ResultClass::Inconclusive.exit_code()
    } else {
        exit::PASS
    })
}

pub(super) fn print_verdict(verdict: &Verdict, of: &str) {
    let (style, word) = match verdict.validity {
        Validity::Valid => (output::GOOD, "valid"),
        Validity::Unknown => (output::UNSURE, "unknown"),
        Validity::Invalid => (output::BAD, "invalid"),
    };
    let checker = &verdict.checker;
    anstream::println!(
        "{style}{word:<8}{style:#} {checker:<17} {of}{}",
        visible(&verdict.summary)
    );
    if let Some(anomaly) = verdict.anomalies.first() {
        for fact in &anomaly.facts {
            anstream::println!("  · {}", visible(fact));
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
    /// Follow the run, and end with its first contradiction
    #[arg(long)]
    follow: bool,
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
    if args.follow {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        runtime.block_on(judge::follow(&dir, &plan, &mut output))?;
    } else {
        child::judge(&dir, &plan, &mut output)?;
    }
    output.flush().context("cannot write findings")?;
    Ok(exit::PASS)
}
