//! Writes what a run came to: `verdict.json`, `run.json` and the reports.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use tribunal_results::report::{self, Report};
use tribunal_results::run::{RunDir, RunInfo};
use tribunal_results::{History, Messages, NodeLog, RunVerdict};

use crate::judge::child;
use crate::plan::Plan;
use crate::suite;

/// Log lines of each node in the report.
const LOG_LINES_MAX: usize = 4_000;

/// Writes `run.json`.
///
/// # Errors
/// If the file cannot be written.
pub fn write_info(dir: &RunDir, info: &RunInfo) -> anyhow::Result<()> {
    write_json(dir, &dir.info(), info)
}

/// Writes everything that is drawn from a record. A history that cannot be read gives a report
/// without one.
///
/// # Errors
/// If a file cannot be written.
pub fn write_all(
    dir: &RunDir,
    info: &RunInfo,
    verdict: &RunVerdict,
    plan: &Plan,
) -> anyhow::Result<()> {
    write_json(dir, &dir.verdict(), verdict)?;
    write_info(dir, info)?;
    let history = child::history(&dir.history()).map_or_else(
        |e| {
            tracing::warn!("the report shows no history: {e:#}");
            History::default()
        },
        |journal| journal.history,
    );
    let messages = child::messages_of(dir).unwrap_or_else(|e| {
        tracing::warn!("the report shows no messages: {e:#}");
        Messages::default()
    });
    let logs: Vec<NodeLog> = info
        .nodes
        .iter()
        .map(|node| last_lines(dir, node))
        .collect();
    let plan_yaml = suite::plan_to_yaml(plan).context("cannot put the plan into YAML")?;
    let mut colours = colours();
    let own = plan.parts.faults.iter();
    colours.extend(own.map(|fault| (fault.name().into(), fault.colour().into())));
    let report = Report {
        info,
        verdict,
        history: &history,
        messages: (!messages.events.is_empty()).then_some(&messages),
        logs: &logs,
        plan_yaml: &plan_yaml,
        colours: &colours,
    };
    let html = report::html::render(&report).context("cannot draw the report")?;
    write(dir, &dir.report(), html.as_bytes())?;
    let runs = [(info, verdict)];
    let junit = report::junit::render(&runs).context("cannot write JUnit")?;
    write(dir, &dir.junit(), junit.as_bytes())?;
    write(
        dir,
        &dir.summary(),
        report::markdown::render(&runs).as_bytes(),
    )
}

/// Reads `run.json` and `verdict.json`.
///
/// # Errors
/// If one of them cannot be read.
pub fn read(dir: &RunDir) -> anyhow::Result<(RunInfo, RunVerdict)> {
    Ok((read_json(&dir.info())?, read_json(&dir.verdict())?))
}

/// Reads a JSON file of a run.
///
/// # Errors
/// If it cannot be read, or is not what it should be.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("cannot understand {}", path.display()))
}

fn write_json(dir: &RunDir, path: &Path, value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    write(dir, path, &json)
}

fn write(dir: &RunDir, path: &Path, content: &[u8]) -> anyhow::Result<()> {
    dir.write(path, content)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The last lines that a node wrote.
pub fn last_lines(dir: &RunDir, node: &str) -> NodeLog {
    let mut log = child::log(dir, node);
    log.lines
        .drain(..log.lines.len().saturating_sub(LOG_LINES_MAX));
    log
}

/// The colour of each fault.
pub fn colours() -> BTreeMap<String, String> {
    tribunal_nemesis::ALL
        .iter()
        .map(|f| (f.name().into(), f.colour().into()))
        .collect()
}
