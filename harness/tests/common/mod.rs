//! What tests of the binary share: a folder of their own, and a look at the processes in it.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::unistd::Pid;

/// The longest that a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the binary to its end.
pub(crate) fn tribunal(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tribunal"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("TRIBUNAL_OUT");
    command
}

/// Everything that a process printed.
pub(crate) fn text_of(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// A folder for one test's runs.
pub(crate) struct Run {
    folder: tempfile::TempDir,
}

impl Run {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where run directories go.
    pub(crate) fn out(&self) -> String {
        self.folder().join("runs").display().to_string()
    }

    /// The latest run of a suite.
    pub(crate) fn latest(&self, suite: &str) -> PathBuf {
        self.folder().join("runs").join(suite).join("latest")
    }

    /// The only run of a suite, linked as latest or not.
    pub(crate) fn only_run(&self, suite: &str) -> PathBuf {
        let entries = std::fs::read_dir(self.folder().join("runs").join(suite)).unwrap();
        let mut runs = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.is_symlink());
        let run = runs.next().unwrap();
        assert_eq!(runs.next(), None);
        run
    }

    /// Bytes of history that the only run of a suite has written so far.
    pub(crate) fn recorded(&self, suite: &str) -> u64 {
        let folder = self.folder().join("runs").join(suite);
        let Ok(entries) = std::fs::read_dir(folder) else {
            return 0;
        };
        entries
            .filter_map(|entry| std::fs::metadata(entry.ok()?.path().join("history.jsonl")).ok())
            .map(|file| file.len())
            .max()
            .unwrap_or(0)
    }

    /// Starts the binary.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }
}

/// The command lines of all processes that have this test's folder in theirs.
pub(crate) fn processes_of(run: &Run) -> Vec<String> {
    processes(run).into_iter().map(|(_, line)| line).collect()
}

/// The nodes of this test's runs.
pub(crate) fn nodes_of(run: &Run) -> Vec<Pid> {
    let mut all = processes(run);
    all.retain(|(_, line)| line.contains(" node ") && line.contains(" --id "));
    all.into_iter().map(|(pid, _)| pid).collect()
}

fn processes(run: &Run) -> Vec<(Pid, String)> {
    let folder = run.folder().display().to_string();
    let entries = std::fs::read_dir("/proc").unwrap();
    let lines = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        Some((Pid::from_raw(pid), line))
    });
    lines.filter(|(_, line)| line.contains(&folder)).collect()
}

/// Waits until something is so; fails the test if it does not become so.
#[expect(
    clippy::disallowed_methods,
    reason = "a test watches another process from outside"
)]
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let step = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    while !so() {
        assert!(waited < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(step);
        waited += step;
    }
}
