//! The guard: a small process that ends every node when the controller is gone, however it went.
//!
//! The controller holds the write end of a pipe that is the guard's stdin. When that end closes
//! without a farewell, the guard kills every process group that it was told of, and every process
//! whose environment carries the run's marker (so also those that left their group or session),
//! until none is left. Its stdout is the lock of the run's [`Block`](super::Block): nobody can
//! take the block before it is done. It leads a session of its own and ignores the signals that a
//! terminal sends.
//!
//! Lines on the pipe: `run MARKER` first, then `+GROUP` and `-GROUP`, at last `done`.
//! What escapes is a process that leaves its group *and* clears its environment by an exec.

use std::collections::BTreeSet;
use std::io::{self, BufRead, PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, kill, killpg, signal};
use nix::unistd::{Pid, setsid};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{ClusterError, procfs};

/// What the guard says on its stderr when it watches.
const WATCHING: &str = "watching";
/// How long it may take to come up, and to go.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks for what is left, and how long it waits in between: three seconds in all.
const ROUNDS: usize = 150;
const PAUSE_MS: u16 = 20;

/// The controller's side.
#[derive(Debug)]
pub(super) struct Guard {
    pipe: Mutex<Option<PipeWriter>>,
    process: Mutex<Option<Child>>,
}

impl Guard {
    /// Starts `program guard`, which holds `lock` from now on, and waits until it watches.
    pub(super) async fn spawn(
        program: &Path,
        marker: &str,
        lock: OwnedFd,
    ) -> Result<Self, ClusterError> {
        let failed = |reason: String| ClusterError::Guard {
            program: program.to_owned(),
            reason,
        };
        let (mut process, mut pipe) =
            launch(program, lock).map_err(|error| failed(error.to_string()))?;
        let said = match timeout(PATIENCE, first_words(&mut process)).await {
            Ok(said) => said,
            Err(_) => format!("it says nothing within {PATIENCE:?}"),
        };
        if said != WATCHING {
            let _ = process.start_kill();
            return Err(failed(said));
        }
        writeln!(pipe, "run {marker}").map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            pipe: Mutex::new(Some(pipe)),
            process: Mutex::new(Some(process)),
        })
    }

    /// Tells it of a process group to end.
    pub(super) fn watch(&self, group: u32) {
        self.tell(&format!("+{group}\n"));
    }

    /// Tells it that a process group is gone: its number may be another's soon.
    pub(super) fn forget(&self, group: u32) {
        self.tell(&format!("-{group}\n"));
    }

    /// Leaves it to end whatever is left.
    pub(super) fn abandon(&self) {
        drop(take(&self.pipe));
    }

    /// Sends it home, all nodes being gone; returns what was wrong with it, if anything.
    pub(super) async fn dismiss(&self) -> Option<String> {
        self.tell("done\n");
        self.abandon();
        let mut process = take(&self.process)?;
        match timeout(PATIENCE, process.wait()).await {
            Ok(Ok(status)) if status.success() => None,
            Ok(Ok(status)) => Some(format!("the guard process had ended early: {status}")),
            Ok(Err(error)) => Some(format!("the guard process cannot be awaited: {error}")),
            Err(_) => {
                let _ = process.kill().await;
                Some(format!(
                    "the guard process did not end within {PATIENCE:?} and was killed"
                ))
            }
        }
    }

    /// A guard that is gone is noticed when it is dismissed.
    fn tell(&self, line: &str) {
        let mut pipe = self
            .pipe
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(Err(error)) = pipe.as_mut().map(|pipe| pipe.write_all(line.as_bytes())) {
            tracing::warn!("cannot tell the guard process {line:?}: {error}");
        }
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .take()
}

#[expect(
    unsafe_code,
    reason = "a session and signals can only be set between fork and exec"
)]
fn launch(program: &Path, lock: OwnedFd) -> io::Result<(Child, PipeWriter)> {
    let (stdin, pipe) = io::pipe()?;
    let mut command = Command::new(program);
    command.arg("guard").current_dir("/");
    command
        .stdin(stdin)
        .stdout(Stdio::from(lock))
        .stderr(Stdio::piped());
    // SAFETY: only async-signal-safe calls (setsid, sigaction) on constants, and no allocation.
    unsafe {
        command.pre_exec(|| {
            setsid()?;
            for each in [
                Signal::SIGINT,
                Signal::SIGTERM,
                Signal::SIGHUP,
                Signal::SIGQUIT,
            ] {
                signal(each, SigHandler::SigIgn)?;
            }
            Ok(())
        });
    }
    Ok((command.spawn()?, pipe))
}

async fn first_words(process: &mut Child) -> String {
    let Some(stderr) = process.stderr.take() else {
        return String::new();
    };
    let mut line = String::new();
    let mut stderr = BufReader::new(stderr.take(4096));
    match stderr.read_line(&mut line).await {
        Ok(0) => "it ended without a word".into(),
        Ok(_) => line.trim_end().into(),
        Err(error) => error.to_string(),
    }
}

/// The guard process: `tribunal guard`. To be called before any thread is started.
pub fn guard_main() -> ExitCode {
    if writeln!(io::stderr(), "{WATCHING}").is_err() {
        return ExitCode::FAILURE;
    }
    let mut watched = Watched::default();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        if line == "done" {
            return ExitCode::SUCCESS;
        }
        watched.take(&line);
    }
    watched.end()
}

/// What the guard is to end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Watched {
    marker: Option<String>,
    groups: BTreeSet<u32>,
}

impl Watched {
    /// Takes note of one line. Groups 0 and 1 mean one's own and everybody: never taken.
    fn take(&mut self, line: &str) {
        let group = |text: &str| text.parse().ok().filter(|&group| group > 1);
        if let Some(marker) = line.strip_prefix("run ") {
            self.marker = Some(marker.to_owned());
        } else if let Some(group) = line.strip_prefix('+').and_then(group) {
            self.groups.insert(group);
        } else if let Some(group) = line.strip_prefix('-').and_then(group) {
            self.groups.remove(&group);
        }
    }

    /// Kills until two looks in a row find nothing.
    fn end(self) -> ExitCode {
        let mut clean = 0;
        for _ in 0..ROUNDS {
            clean = if self.strike() { clean + 1 } else { 0 };
            if clean == 2 {
                return ExitCode::SUCCESS;
            }
            let _ = nix::poll::poll(&mut [], PAUSE_MS);
        }
        ExitCode::FAILURE
    }

    /// Kills whatever is there; returns whether nothing was.
    fn strike(&self) -> bool {
        for &group in &self.groups {
            kill_group(group);
        }
        let marked = self
            .marker
            .as_deref()
            .map(procfs::marked)
            .unwrap_or_default();
        for &pid in &marked {
            kill_one(pid);
        }
        marked.is_empty()
            && self
                .groups
                .iter()
                .all(|&group| procfs::group(group).is_empty())
    }
}

/// SIGKILL to a process group; nothing if it is gone.
pub(super) fn kill_group(group: u32) {
    let _ = send(group, Signal::SIGKILL);
}

/// SIGKILL to one process; nothing if it is gone.
pub(super) fn kill_one(pid: u32) {
    signal_one(pid, Signal::SIGKILL);
}

/// A signal to one process; nothing if it is gone.
pub(super) fn signal_one(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// A signal to a process group; never to one's own (0) or to everybody (1).
pub(super) fn send(group: u32, signal: Signal) -> Result<(), Errno> {
    let group = i32::try_from(group).ok().filter(|&group| group > 1);
    let group = group.ok_or(Errno::EINVAL)?;
    killpg(Pid::from_raw(group), signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_watched_until_they_are_gone() {
        let mut watched = Watched::default();
        for line in ["run X=1", "+20", "+30", "-20"] {
            watched.take(line);
        }
        assert_eq!(watched.marker.as_deref(), Some("X=1"));
        assert_eq!(watched.groups, BTreeSet::from([30]));
    }

    #[test]
    fn lines_that_would_hit_others_are_not_taken() {
        let mut watched = Watched::default();
        for line in ["+0", "+1", "+-1", "+", "", "7"] {
            watched.take(line);
        }
        assert_eq!(watched, Watched::default());
    }
}
