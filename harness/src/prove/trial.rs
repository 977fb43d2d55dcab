//! One run in a process of its own, and what it came to.

use std::ffi::OsString;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use tokio::process::Command;
use tokio::sync::watch;
use tribunal_results::run::{RunDir, RunInfo};
use tribunal_results::{Nanos, ResultClass, RunVerdict, journal};

/// A run to try.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The suite, as it is named or its file.
    pub suite: String,
    /// The run of the suite.
    pub run: String,
    /// The seed.
    pub seed: u64,
    /// Whether the target is to be right.
    pub without_bug: bool,
    /// Where its directory goes.
    pub out: PathBuf,
}

/// What a trial came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// What had to be found was.
    Found {
        /// The anomaly.
        anomaly: String,
        /// When it was complete, in nanoseconds since the run's beginning.
        at: Nanos,
        /// How many operations had ended by then.
        operations: u64,
    },
    /// Every checker is content.
    Nothing,
    /// Something was found that had no business there.
    Other(String),
    /// The checkers could not tell, or too little happened.
    Undecided(String),
    /// There is no verdict, and why.
    Broken(String),
}

/// What `tribunal run --format json` says of a run.
#[derive(Clone, Debug, Deserialize)]
pub struct Told {
    /// What was run.
    pub run: RunInfo,
    /// What it came to.
    pub verdict: RunVerdict,
    /// Where it lies.
    pub directory: PathBuf,
}

/// Calls this program for one run, in a process of its own.
/// When `stop` turns true the run is asked to end; dropped, it is killed, and its guard ends its
/// nodes.
///
/// # Errors
/// Why there is no verdict, in words.
pub async fn tribunal(
    args: impl IntoIterator<Item = OsString>,
    out: &Path,
    stop: Option<watch::Receiver<bool>>,
) -> Result<Told, String> {
    let program = std::env::current_exe();
    let program = program.map_err(|e| format!("cannot find this program: {e}"))?;
    let mut command = Command::new(program);
    command.args(args);
    command.args(["--format", "json", "--quiet", "--out"]);
    command.arg(out);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).process_group(0);
    command.kill_on_drop(true);
    let child = command.spawn();
    let child = child.map_err(|e| format!("cannot start the run: {e}"))?;
    let pid = child.id();
    let output = child.wait_with_output();
    tokio::pin!(output);
    let output = tokio::select! {
        output = &mut output => output,
        () = told_to_stop(stop) => {
            if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) {
                // It may have ended meanwhile.
                let _gone = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
            output.await
        }
    };
    let output = output.map_err(|e| format!("cannot wait for the run: {e}"))?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        last.unwrap_or("the run said nothing").to_owned()
    })
}

impl Trial {
    /// The arguments of this program that do the run.
    pub fn arguments(&self) -> Vec<String> {
        let mut args = vec!["run".to_owned(), self.suite.clone()];
        args.extend(["--only".into(), self.run.clone()]);
        args.extend(["--seed".into(), self.seed.to_string()]);
        if self.without_bug {
            args.push("--without-bug".into());
        }
        args
    }

    /// Does it, to its first contradiction. When `stop` turns true the run is asked to end.
    pub async fn run(&self, stop: watch::Receiver<bool>) -> Came {
        let args = self.arguments().into_iter().map(OsString::from);
        let args = args.chain([OsString::from("--fail-fast")]);
        match tribunal(args, &self.out, Some(stop)).await {
            Ok(told) => {
                if told.verdict.class == ResultClass::Pass {
                    forget_data(&told.directory);
                }
                came(&told)
            }
            Err(why) => Came::Broken(why),
        }
    }
}

/// Removes what the nodes of a run wrote, which can be gigabytes for a system of databases tried a
/// hundred times. Their output, the history and the report stay.
fn forget_data(directory: &Path) {
    let nodes = std::fs::read_dir(RunDir::at(directory).nodes());
    for node in nodes.into_iter().flatten().flatten() {
        // What cannot be removed is merely kept.
        let _kept = std::fs::remove_dir_all(node.path().join("data"));
    }
}

/// Ready when the value is true; never if it cannot become so any more.
async fn told_to_stop(stop: Option<watch::Receiver<bool>>) {
    let told = match stop {
        Some(mut stop) => stop.wait_for(|stopped| *stopped).await.is_ok(),
        None => false,
    };
    if !told {
        std::future::pending().await
    }
}

fn came(told: &Told) -> Came {
    let verdict = &told.verdict;
    match (verdict.class, &*verdict.reason) {
        (ResultClass::Pass, "expected-anomaly") => found(told),
        (ResultClass::Pass, _) => Came::Nothing,
        (ResultClass::Violation, "expected-anomaly-missing") if verdict.headline().is_none() => {
            Came::Nothing
        }
        (ResultClass::Violation, _) => Came::Other(verdict.claim.clone()),
        (ResultClass::Insufficient | ResultClass::Inconclusive, _) => {
            Came::Undecided(verdict.claim.clone())
        }
        (class, _) => Came::Broken(format!("{}: {}", class.name(), verdict.claim)),
    }
}

/// The expected anomaly that was complete first.
fn found(told: &Told) -> Came {
    let anomalies = told.verdict.verdicts.iter().flat_map(|v| &v.anomalies);
    let expected = anomalies.filter(|a| told.verdict.expected.contains(&a.name));
    let Some(first) = expected.min_by_key(|anomaly| anomaly.span.1) else {
        return Came::Broken(format!("{} lost what it found", told.run.plan));
    };
    Came::Found {
        anomaly: first.name.clone(),
        at: first.span.1,
        operations: ended_by(&told.directory, first.span.1),
    }
}

/// How many operations of a recorded run had ended at a time.
fn ended_by(directory: &Path, time: Nanos) -> u64 {
    let file = RunDir::at(directory).history();
    let Ok(file) = std::fs::File::open(file) else {
        return 0;
    };
    let Ok(journal) = journal::read(BufReader::new(file)) else {
        return 0;
    };
    let ends = journal.history.calls().iter();
    let ends = ends.filter_map(|call| call.completed.as_ref());
    ends.filter(|end| end.time <= time).count() as u64
}
