//! `tribunal maelstrom test`: Maelstrom's command line, made into a suite of one run.

mod plan;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use tribunal_targets::maelstrom::Dialect;

use super::run::{self, Run};
use super::{Done, Failure, Out};

/// What `--help` says at its end.
const AFTER_HELP: &str = "\
Any node written for Maelstrom runs as it is: swap the program name.

Examples:
  tribunal maelstrom test -w echo --bin ./echo.py
  tribunal maelstrom test -w broadcast --bin ./node --node-count 25 --latency 100 \\
      --topology tree4 --nemesis partition --time-limit 20 --rate 100
  tribunal maelstrom test -w lin-kv --bin ./raft.py --concurrency 4n --nemesis kill,partition
  tribunal maelstrom test -w txn-rw-register --bin node --consistency-models read-committed \\
      --node-cwd . -- server.js --verbose

The line writes an ordinary suite into the results' directory, and runs it; `--dry-run` prints the
plan. `tribunal run THAT_FILE` does it again, and so does the line that a run ends with. What is
stricter than Maelstrom: docs/maelstrom.md.
Exit codes: those of `tribunal run`.";

#[derive(Debug, Args)]
pub(super) struct MaelstromArgs {
    #[command(subcommand)]
    command: MaelstromCommand,
}

#[derive(Debug, Subcommand)]
enum MaelstromCommand {
    /// Test a node binary written for Maelstrom, unmodified
    #[command(after_help = AFTER_HELP)]
    Test(Box<Test>),
}

/// How latencies are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Spread {
    /// All the same
    Constant,
    /// From nothing to twice the mean
    Uniform,
    /// Most short, a few long
    Exponential,
}

#[derive(Debug, Args)]
struct Test {
    /// What is asked, and by what it is judged: echo, unique-ids, broadcast, g-set, g-counter,
    /// pn-counter, lin-kv, txn-list-append, txn-rw-register or kafka
    #[arg(short, long, value_parser = dialect)]
    workload: Dialect,
    /// The program of a node
    #[arg(long, value_name = "FILE")]
    bin: String,
    /// How many nodes: n0, n1, …; otherwise five, n1 to n5
    #[arg(long, value_name = "N")]
    node_count: Option<usize>,
    /// How long new operations are asked, in seconds
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    time_limit: f64,
    /// About how many operations are asked each second, of all clients together
    #[arg(long, value_name = "R", default_value_t = 50.0)]
    rate: f64,
    /// How many clients: a number, or a number for each node such as 4n
    #[arg(long, value_name = "C", default_value = "2n", value_parser = concurrency)]
    concurrency: Concurrency,
    /// How long messages between nodes (and services) take on average, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    latency: f64,
    /// How that is spread
    #[arg(long, value_enum, default_value = "constant")]
    latency_dist: Spread,
    /// Faults, such as partition, kill, pause (`tribunal list faults`)
    #[arg(long, value_name = "FAULTS", value_delimiter = ',')]
    nemesis: Vec<String>,
    /// How long each fault lasts, and how long it is quiet between them, in seconds; less where
    /// the time limit would not see two
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    nemesis_interval: f64,
    /// What nodes that broadcast are told of their neighbours: grid, line, total, tree2, tree3 or
    /// tree4
    #[arg(long, default_value = "grid")]
    topology: String,
    /// `total`, or the least share of operations that must not fail nor stay without an answer;
    /// missing it is a regression (exit code 4)
    #[arg(long, value_parser = availability)]
    availability: Option<f64>,
    /// The isolation level by which transactions are judged
    #[arg(long, value_name = "LEVEL", default_value = "strict-serializable")]
    consistency_models: String,
    /// Print what the nodes wrote to stderr, when they have ended
    #[arg(long)]
    log_stderr: bool,
    /// How long broadcasts, sets and counters are left alone, in seconds, after all is healed and
    /// before they are read for the last time
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    settle: f64,
    /// Run every node in this directory, not each in one of its own
    #[arg(long, value_name = "DIR")]
    node_cwd: Option<PathBuf>,
    /// Let messages on a link keep their order
    #[arg(long)]
    fifo: bool,
    /// Take what a node does against the protocol for a violation
    #[arg(long)]
    strict_protocol: bool,
    /// Seed of every random choice
    #[arg(long)]
    seed: Option<u64>,
    /// Print the plan and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Print results only
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    out: Out,
    /// Arguments of the program
    #[arg(last = true)]
    args: Vec<String>,
}

fn dialect(name: &str) -> Result<Dialect, String> {
    let found = Dialect::ALL.into_iter().find(|known| known.name() == name);
    found.ok_or_else(|| {
        let names = Dialect::ALL.map(Dialect::name).join(", ");
        format!("no workload is called {name:?}; there are {names}")
    })
}

/// How many clients there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Concurrency {
    InAll(usize),
    ForEachNode(usize),
}

fn concurrency(text: &str) -> Result<Concurrency, String> {
    let wrong = || format!("{text:?} is neither a number (10) nor one for each node (2n)");
    let number = |digits: &str| match digits.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(wrong()),
    };
    match text.strip_suffix('n') {
        Some("") => Ok(Concurrency::ForEachNode(1)),
        Some(each) => number(each).map(Concurrency::ForEachNode),
        None => number(text).map(Concurrency::InAll),
    }
}

fn availability(text: &str) -> Result<f64, String> {
    match (text, text.parse()) {
        ("total", _) => Ok(1.0),
        (_, Ok(share)) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!(
            "{text:?} is neither `total` nor a share from 0 to 1"
        )),
    }
}

/// Writes the suite, and runs it.
pub(super) fn maelstrom(args: &MaelstromArgs) -> Done {
    let MaelstromCommand::Test(test) = &args.command;
    run::writable(&test.out.out)?;
    let text = plan::suite(test).map_err(|why| Failure::usage(anyhow::anyhow!(why)))?;
    let name = format!(
        "maelstrom-{}-{:08x}.yaml",
        test.workload.name(),
        plan::fingerprint(&text)
    );
    let path = test.out.out.join(name);
    std::fs::write(&path, text)
        .with_context(|| format!("cannot write {}", path.display()))
        .map_err(Failure::usage)?;
    let mut run = Run::of(path.display().to_string(), test.out.clone());
    (run.seed, run.dry_run, run.quiet) = (test.seed, test.dry_run, test.quiet);
    let code = run::run(run)?;
    if test.log_stderr && !test.dry_run {
        let latest = test.out.out.join(plan::SUITE).join("latest");
        show_stderr(&latest.join("nodes")).context("cannot show what nodes wrote")?;
    }
    Ok(code)
}

/// Prints what each node wrote to stderr.
fn show_stderr(nodes: &Path) -> anyhow::Result<()> {
    let folders = std::fs::read_dir(nodes)?.collect::<Result<Vec<_>, _>>()?;
    let mut folders: Vec<PathBuf> = folders.iter().map(std::fs::DirEntry::path).collect();
    folders.sort();
    for folder in folders {
        let node = folder.file_name().unwrap_or_default().to_string_lossy();
        let file = std::fs::File::open(folder.join("stderr"))?;
        for line in BufReader::new(file).split(b'\n') {
            anstream::eprintln!("{node}: {}", String::from_utf8_lossy(&line?));
        }
    }
    Ok(())
}
