//! The command line: one subcommand a file.
//!
//! Exit codes are decided here and nowhere else; they are documented in [`exit`].

mod adapter;
mod artifacts;
mod campaign;
mod check;
mod compare;
mod completions;
mod doctor;
pub mod exit;
mod explain;
mod export;
mod files;
mod follow;
mod github;
mod init;
mod known;
mod list;
mod maelstrom;
mod merge;
mod node;
mod output;
mod profile;
mod prove;
mod replay;
mod report;
mod run;
mod schema;
mod select;
#[cfg(feature = "serve")]
mod serve;
mod shrink;
mod stop;
mod triage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::cluster::guard;

/// What `--help` says at its end.
const AFTER_HELP: &str = "\
Examples:
  tribunal                          run the built-in demo: a pass and a found bug, in 20 s
  tribunal run lock                 every fault against the lock manager
  tribunal init                     begin a test of your own system
  tribunal run my-suite.yaml        your own suite; `tribunal list` says what it can name
  tribunal run my-suite.yaml --dry-run
                                    check a suite and print what would run
  tribunal check results/runs/demo/latest
                                    judge a recorded run again

Exit codes:
  0 pass · 1 violation · 2 inconclusive · 3 insufficient evidence, or nothing selected ·
  4 regression: nothing is wrong, but a figure misses a gate of the suite, or a baseline ·
  64 usage or suite error · 70 harness error · 130 interrupted.
  Of several runs the first of 1, 70, 130, 3, 2, 4, 0 that occurs.";

/// Break a distributed system on one machine, record what its clients see, and judge the record.
///
/// Tribunal starts real node processes on loopback addresses, kills, pauses and cuts them off
/// while clients use them, and checks the recorded history: linearizability, mutual exclusion,
/// fencing, order. It needs no root, no SSH, no JVM and no containers.
#[derive(Debug, Parser)]
#[command(name = "tribunal", version = crate::run::version(), after_help = AFTER_HELP)]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Begin a test of your own system: a suite, an adapter, a CI file
    Init(init::Init),
    /// Run a suite: a YAML file, or a built-in one by name
    Run(Box<run::Run>),
    /// Try every planted bug with several seeds: how surely, and how fast, is it found?
    Prove(prove::Prove),
    /// Do a recorded run again, with the faults that were executed: how often does it fail again?
    Replay(replay::Replay),
    /// Make a small suite of a failing run: fewer faults, shorter, that still show the same
    Shrink(shrink::Shrink),
    /// Judge a recorded run or a history file again
    Check(check::Check),
    /// Draw the reports of a recorded run again
    Report(report::ReportArgs),
    /// Group the violations of many runs: how often, and how to see them again fastest
    Triage(triage::Triage),
    /// Compare the figures of runs with a saved baseline, or save one
    Compare(compare::Compare),
    /// Write a history for others: a trace to look at, Jepsen's EDN, elle-cli's JSON
    Export(export::Export),
    /// Print the JSON schemas of verdicts, histories and what else a run leaves
    Schema(schema::Schema),
    /// Browse runs in a browser: list, operations, trends, comparisons, a run going on
    #[cfg(feature = "serve")]
    Serve(serve::Serve),
    /// List what suites can name: targets, bugs, workloads, faults, checkers, suites
    List(list::List),
    /// Explain an anomaly in plain words, with a history that shows it
    Explain(explain::Explain),
    /// Show the profiles of .tribunal.yaml
    Config(profile::Config),
    /// Say what this machine can do, and what to change if it can't
    Doctor(doctor::Doctor),
    /// Print what a shell needs to complete commands and options
    Completions(completions::Completions),
    /// Print the manual, or write its pages
    Man(completions::Man),
    /// Try whether an adapter (a client in any language) does what it must
    Adapter(adapter::AdapterArgs),
    /// Test a node binary written for Maelstrom, unmodified
    Maelstrom(maelstrom::MaelstromArgs),
    /// Run one reference node (what the controller starts; useful to try one by hand)
    Node(node::Node),
    /// Kill what a controller leaves behind (internal)
    #[command(hide = true)]
    Guard,
    /// Judge a run directory and print findings (internal)
    #[command(hide = true)]
    Judge(check::Judge),
}

/// Where results go.
#[derive(Debug, Clone, Args)]
struct Out {
    /// Directory for run directories; made if missing
    #[arg(
        long,
        value_name = "DIR",
        default_value = "results/runs",
        env = "TRIBUNAL_OUT"
    )]
    out: std::path::PathBuf,
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let code = if e.use_stderr() {
                exit::USAGE
            } else {
                exit::PASS
            };
            // Nothing can be said if even the terminal is gone.
            let _closed = e.print();
            return ExitCode::from(code);
        }
    };
    // The panic itself has been printed by then.
    catch_unwind(AssertUnwindSafe(|| obey(cli.command))).unwrap_or_else(|_| {
        let bad = output::BAD;
        anstream::eprintln!(
            "{bad}error: {bad:#}this is a bug of Tribunal; please report it with the lines above"
        );
        ExitCode::from(exit::HARNESS_ERROR)
    })
}

fn obey(command: Option<Command>) -> ExitCode {
    let done = match command {
        None => run::run(run::Run::demo()),
        Some(Command::Init(args)) => init::init(&args),
        Some(Command::Run(args)) => run::run(*args),
        Some(Command::Prove(args)) => prove::run(&args),
        Some(Command::Replay(args)) => replay::replay(&args),
        Some(Command::Shrink(args)) => shrink::run(&args),
        Some(Command::Check(args)) => check::check(&args),
        Some(Command::Report(args)) => report::report(&args),
        Some(Command::Triage(args)) => triage::triage(&args),
        Some(Command::Compare(args)) => compare::compare(&args),
        Some(Command::Export(args)) => export::export(&args),
        Some(Command::Schema(args)) => schema::schema(&args),
        #[cfg(feature = "serve")]
        Some(Command::Serve(args)) => serve::serve(&args),
        Some(Command::List(args)) => list::list(&args),
        Some(Command::Explain(args)) => explain::explain(&args),
        Some(Command::Config(args)) => profile::config(&args),
        Some(Command::Doctor(args)) => doctor::doctor(&args),
        Some(Command::Completions(args)) => completions::completions(&args),
        Some(Command::Man(args)) => completions::man(&args),
        Some(Command::Adapter(args)) => adapter::adapter(&args),
        Some(Command::Maelstrom(args)) => maelstrom::maelstrom(&args),
        Some(Command::Node(args)) => node::node(args),
        Some(Command::Guard) => return guard::guard_main(),
        Some(Command::Judge(args)) => check::judge(&args),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => ExitCode::from(failure.say()),
    }
}

/// A command that could not do its work, with its exit code.
#[derive(Debug)]
struct Failure {
    code: u8,
    error: anyhow::Error,
    /// The message says itself that it is an error, with the place.
    rendered: bool,
}

impl Failure {
    /// The user can mend it: wrong arguments, a wrong file.
    fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self {
            code: exit::USAGE,
            error: error.into(),
            rendered: false,
        }
    }

    /// Prints it; its exit code.
    fn say(&self) -> u8 {
        let (bad, label) = (output::BAD, if self.rendered { "" } else { "error: " });
        anstream::eprintln!("{bad}{label}{bad:#}{:#}", self.error);
        self.code
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            code: exit::HARNESS_ERROR,
            error,
            rendered: false,
        }
    }
}

/// Quotes a word for a shell if it needs it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+,:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What a command returns: its exit code, or why it could not work.
type Done = Result<u8, Failure>;
