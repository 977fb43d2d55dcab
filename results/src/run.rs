//! `run.json`, and where each file of a run lies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ResultClass;

/// `run.json`: what was run, on what, and how it ended. Written first as `interrupted`, so that
/// a run that was cut off says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(title = "Tribunal run")]
pub struct RunInfo {
    /// How the run ended.
    pub class: ResultClass,
    /// The suite.
    pub suite: String,
    /// The profile whose options were taken, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The plan's name within the suite.
    pub plan: String,
    /// The target.
    pub target: String,
    /// The planted bug, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bug: Option<String>,
    /// The workload.
    pub workload: String,
    /// The faults asked for.
    pub faults: Vec<String>,
    /// The seed of every choice.
    pub seed: u64,
    /// The nodes, in order.
    pub nodes: Vec<String>,
    /// The number of concurrent clients.
    pub clients: usize,
    /// How long new operations were to be asked, in milliseconds; missing in records of older
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
    /// How many operations a second were to be asked; missing in records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The directory of the run, where it was written; empty in records of older versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub directory: String,
    /// When the run began, in UTC, as ISO 8601.
    pub started: String,
    /// The command line.
    pub command: Vec<String>,
    /// The command that does the same run again.
    pub reproduce: String,
    /// Version of Tribunal, and its git revision where it is known.
    pub version: String,
    /// The machine: kernel, processor count, limits.
    pub machine: BTreeMap<String, String>,
    /// How long each phase took, in milliseconds, in order.
    pub phases: Vec<(String, f64)>,
    /// Milliseconds that the run spent while no client was asked to do anything: starting, settling,
    /// stopping, judging, drawing.
    #[serde(default)]
    pub overhead_ms: f64,
    /// What a published report would say of what was found, if the suite says so and it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// What failed, if the harness did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The directory of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// The run directory at that path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The plan, with every choice: written first.
    pub fn plan(&self) -> PathBuf {
        self.0.join("plan.yaml")
    }

    /// [`RunInfo`].
    pub fn info(&self) -> PathBuf {
        self.0.join("run.json")
    }

    /// The history.
    pub fn history(&self) -> PathBuf {
        self.0.join("history.jsonl")
    }

    /// The [message journal](crate::message), if there is one.
    pub fn messages(&self) -> PathBuf {
        self.0.join("messages.jsonl")
    }

    /// [`RunVerdict`](crate::RunVerdict).
    pub fn verdict(&self) -> PathBuf {
        self.0.join("verdict.json")
    }

    /// The report to look at.
    pub fn report(&self) -> PathBuf {
        self.0.join("report.html")
    }

    /// The JUnit file.
    pub fn junit(&self) -> PathBuf {
        self.0.join("junit.xml")
    }

    /// The Markdown summary.
    pub fn summary(&self) -> PathBuf {
        self.0.join("summary.md")
    }

    /// What the controller logged.
    pub fn log(&self) -> PathBuf {
        self.0.join("tribunal.log")
    }

    /// The directory of all nodes' directories.
    pub fn nodes(&self) -> PathBuf {
        self.0.join("nodes")
    }

    /// The directory of a node: `data`, `stdout`, `stderr`.
    pub fn node(&self, id: &str) -> PathBuf {
        self.nodes().join(id)
    }

    /// Writes a file whole or not at all.
    ///
    /// # Errors
    /// If the directory cannot be written to.
    pub fn write(&self, path: &Path, content: &[u8]) -> std::io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = path.with_file_name(name);
        std::fs::write(&part, content)?;
        std::fs::rename(&part, path)
    }
}
