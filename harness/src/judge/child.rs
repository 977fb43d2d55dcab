//! The judging process: reads a record, runs its checkers, prints what each concludes.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::Context as _;
use tribunal_checkers::{Budget, Checker, evidence};
use tribunal_results::journal::{self, Journal};
use tribunal_results::run::RunDir;
use tribunal_results::{Messages, NodeLog, Record, message};

use super::Finding;
use crate::plan::Plan;

/// The last bytes of a node's output that are looked at.
const LOG_BYTES_MAX: u64 = 1 << 20;

/// Judges a run directory and prints findings, one line each.
///
/// # Errors
/// If the output is closed. What is wrong with the record is a finding, too.
pub fn judge(dir: &RunDir, plan: &Plan, output: &mut impl Write) -> anyhow::Result<()> {
    find(dir, plan, |finding| say(output, &finding))
}

/// Judges a run directory and tells what it finds, until nobody listens.
pub(super) fn find(
    dir: &RunDir,
    plan: &Plan,
    mut tell: impl FnMut(Finding) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let record = match read(dir, plan) {
        Ok(record) => record,
        Err(e) => return tell(Finding::Error(format!("{e:#}"))),
    };
    tell(Finding::Evidence(Box::new(evidence::gather(&record))))?;
    for name in super::checkers_of(plan) {
        tell(match plan.parts.checker(name) {
            Some(checker) => run(checker, &record, budget(plan)),
            None => Finding::Error(format!("there is no checker {name}")),
        })?;
    }
    Ok(())
}

/// Runs one checker; if it panics, that is an error of ours and no verdict.
fn run(checker: &'static dyn Checker, record: &Record, budget: Budget) -> Finding {
    match catch_unwind(AssertUnwindSafe(|| checker.check(record, budget))) {
        Ok(verdict) => Finding::Verdict(Box::new(verdict)),
        Err(_) => Finding::Error(format!("checker {} panicked", checker.name())),
    }
}

pub(super) fn budget(plan: &Plan) -> Budget {
    // Half of the process's memory: the record itself needs room, too.
    Budget {
        bytes: plan.judge.memory_mib << 19,
        ..Budget::default()
    }
}

pub(super) fn say(output: &mut impl Write, finding: &Finding) -> anyhow::Result<()> {
    let line = serde_json::to_string(finding)?;
    writeln!(output, "{line}")?;
    output.flush()?;
    Ok(())
}

/// The record of a run as the checkers see it.
fn read(dir: &RunDir, plan: &Plan) -> anyhow::Result<Record> {
    let journal = history(&dir.history())?;
    let logs = journal
        .header
        .nodes
        .iter()
        .map(|node| log(dir, node))
        .collect();
    Ok(Record {
        history: journal.history,
        assume: journal.header.assume,
        logs,
        messages: messages_of(dir)?,
        floor: plan.evidence.clone(),
        faults: plan.nemesis.kinds().map(str::to_owned).collect(),
        recovery: u64::try_from(plan.recovery.0.as_nanos()).ok(),
        is_run: true,
    })
}

/// Reads a history file.
///
/// # Errors
/// If it cannot be opened, or is not a history: then the line and the reason.
pub fn history(path: &Path) -> anyhow::Result<Journal> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    journal::read(BufReader::with_capacity(1 << 18, file))
        .with_context(|| format!("{} is not a history", path.display()))
}

/// Reads the message journal of a run; an empty one if it has none.
///
/// # Errors
/// As [`messages`], but that there is none.
pub fn messages_of(dir: &RunDir) -> anyhow::Result<Messages> {
    let path = dir.messages();
    match path.try_exists() {
        Ok(false) => Ok(Messages::default()),
        _ => messages(&path),
    }
}

/// Reads a message journal.
///
/// # Errors
/// If it cannot be opened, or is not a message journal: then the line and the reason.
pub fn messages(path: &Path) -> anyhow::Result<Messages> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    message::read(BufReader::with_capacity(1 << 18, file))
        .with_context(|| format!("{} is not a message journal", path.display()))
}

/// The last lines of what a node wrote.
pub fn log(dir: &RunDir, node: &str) -> NodeLog {
    let mut lines = Vec::new();
    for name in ["stderr", "stdout"] {
        if let Ok(text) = tail(&dir.node(node).join(name)) {
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    NodeLog {
        node: node.into(),
        lines,
    }
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES_MAX)))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
