//! `tribunal adapter test`: does a client in another language do what it must?

use std::time::Duration;

use clap::{Args, Subcommand};
use tribunal_results::options::Time;
use tribunal_targets::adapter::exam::{Check, Exam, Mark};
use tribunal_targets::program;

use super::{Done, Failure, exit, output};

/// What `--help` says at its end.
const AFTER_HELP: &str = "\
An adapter reads requests from standard input and writes one answer each to standard output:

  {\"id\":1,\"type\":\"open\",\"process\":3,\"node\":\"n1\",\"addr\":\"127.64.0.1:21001\",\"host\":…,\"port\":…,\"timeout_ms\":640}
  {\"id\":2,\"type\":\"invoke\",\"f\":\"write\",\"key\":\"k1\",\"value\":5}
  {\"id\":3,\"type\":\"close\"}

  {\"id\":2,\"type\":\"ok\"}   or fail (certainly no effect) or info (nobody knows), with \"value\" or \"error\"

Example:
  tribunal adapter test -- python3 docs/adapters/client.py

Exit codes: 0 nothing is wrong · 1 something is · 64 the adapter cannot be started.";

#[derive(Debug, Args)]
pub(super) struct AdapterArgs {
    #[command(subcommand)]
    command: AdapterCommand,
}

#[derive(Debug, Subcommand)]
enum AdapterCommand {
    /// Examine an adapter against servers that are silent, hang up and answer nonsense
    #[command(after_help = AFTER_HELP)]
    Test(Test),
}

#[derive(Debug, Args)]
struct Test {
    /// How long an operation may take, as the `timeout` of a suite
    #[arg(long, value_name = "TIME", default_value = "800ms", value_parser = Time::parse)]
    timeout: Time,
    /// The adapter: a program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<String>,
}

/// Examines an adapter.
pub(super) fn adapter(args: &AdapterArgs) -> Done {
    let AdapterCommand::Test(test) = &args.command;
    if let Some(first) = test.program.first() {
        program::find(first).map_err(|why| Failure::usage(anyhow::anyhow!(why)))?;
    }
    let exam = Exam {
        command: test.program.clone(),
        patience: test.timeout.0.max(Duration::from_millis(50)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::new)?;
    let checks = runtime
        .block_on(exam.hold(say))
        .map_err(|e| Failure::usage(anyhow::Error::new(e)))?;
    let count = |is: fn(&Mark) -> bool| checks.iter().filter(|check| is(&check.mark)).count();
    let faults = count(|mark| matches!(mark, Mark::Fault(_)));
    let warnings = count(|mark| matches!(mark, Mark::Warn(_)));
    anstream::println!(
        "{} checks: {faults} wrong, {warnings} to look at",
        checks.len()
    );
    Ok(match faults {
        0 => exit::PASS,
        _ => exit::VIOLATION,
    })
}

fn say(check: &Check) {
    let (style, sign, text) = match &check.mark {
        Mark::Pass(text) => (output::GOOD, "✓", text),
        Mark::Warn(text) => (output::UNSURE, "–", text),
        Mark::Fault(text) => (output::BAD, "✗", text),
    };
    let name = check.name;
    anstream::println!("{style}{sign}{style:#} {name:<50} {text}");
}
