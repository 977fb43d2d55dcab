//! Starting node processes, all from one thread.
//!
//! A node dies with the thread that forked it (`PR_SET_PDEATHSIG` follows the thread, not the
//! process), so nodes are never started from a pool that retires idle threads. The thread lives
//! as long as any clone of its [`Spawner`], hence as long as the cluster and its nodes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use nix::errno::Errno;
use nix::unistd::{Pid, getpid};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tribunal_nemesis::fabric::switch::Home;
use tribunal_nemesis::skew::Skew;
use tribunal_targets::{Launch, NodeSpec};

use super::guard::kill_group;
use super::logs::{Logs, Mark};
use super::vdso::{self, Lever};

/// Commands that may wait for the thread.
const QUEUE_MAX: usize = 16;

/// What the clocks of a process are to be.
#[derive(Debug)]
pub(super) enum Clocks {
    /// Left alone.
    Own,
    /// Such that they can be moved, and are moved like this from the first instruction on.
    Movable(Option<Skew>),
}

/// A process that was started, and the way into its clocks, or why there is none.
pub(super) type Started = (Child, Result<Lever, String>);

struct Job {
    command: Command,
    clocks: Clocks,
    reply: oneshot::Sender<io::Result<Started>>,
}

/// The way to the thread that starts nodes.
#[derive(Clone, Debug)]
pub(super) struct Spawner(mpsc::Sender<Job>);

impl Spawner {
    /// Starts the thread. Exit statuses of its children belong to the current tokio runtime.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        let runtime = Handle::current();
        std::thread::Builder::new()
            .name("spawner".into())
            .spawn(move || work(queue, &runtime))?;
        Ok(Self(jobs))
    }

    /// Starts a thread in the network of a node; returns its number too.
    pub(super) fn start_in(home: &Home) -> io::Result<(Self, Pid)> {
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        let (runtime, namespace) = (Handle::current(), Arc::clone(&home.namespace));
        let (say, heard) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name("spawner".into())
            .spawn(move || {
                let entered = namespace.enter().map(|()| gettid());
                let is_there = entered.is_ok();
                // Whoever started this waits for it.
                let _ = say.send(entered);
                if is_there {
                    work(queue, &runtime);
                }
            })?;
        let gone = |_| io::Error::other("the thread that starts nodes has ended");
        let thread = heard.recv().map_err(gone)??;
        Ok((Self(jobs), thread))
    }

    /// Starts a process. If the caller stops waiting, the process is killed.
    pub(super) async fn spawn(&self, command: Command, clocks: Clocks) -> io::Result<Started> {
        let (reply, answer) = oneshot::channel();
        let gone = |_| io::Error::other("the thread that starts nodes has ended");
        let job = Job {
            command,
            clocks,
            reply,
        };
        self.0.send(job).await.map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))?
    }
}

fn work(mut queue: mpsc::Receiver<Job>, runtime: &Handle) {
    while let Some(mut job) = queue.blocking_recv() {
        if let Clocks::Movable(_) = job.clocks {
            be_traced(&mut job.command);
        }
        let child = {
            let _entered = runtime.enter();
            job.command.spawn()
        };
        let started = child.map(|child| {
            let lever = lay(&child, &job.clocks);
            (child, lever)
        });
        if let Err(Ok((unwanted, _))) = job.reply.send(started)
            && let Some(group) = unwanted.id()
        {
            kill_group(group);
        }
    }
}

/// Lays a way into the clocks of a process that was just started.
fn lay(child: &Child, clocks: &Clocks) -> Result<Lever, String> {
    match (clocks, child.id()) {
        (Clocks::Own, _) => Err("it was started with clocks that can't be moved".into()),
        (_, None) => Err("it has ended".into()),
        (Clocks::Movable(skew), Some(pid)) => vdso::lay(pid, skew.as_ref()),
    }
}

/// Has the process stop at its exec, for the thread that starts it.
#[expect(unsafe_code, reason = "only a process itself can ask to be traced")]
fn be_traced(command: &mut Command) {
    // SAFETY: only one system call (ptrace), and no allocation.
    unsafe {
        command.pre_exec(|| {
            vdso::ask_to_be_traced();
            Ok(())
        });
    }
}

/// The number of this thread in `/proc`.
#[cfg(target_os = "linux")]
fn gettid() -> Pid {
    nix::unistd::gettid()
}

/// Only where there is `/proc` is it looked at.
#[cfg(not(target_os = "linux"))]
fn gettid() -> Pid {
    getpid()
}

/// The program that a launch means: relative paths are the controller's, not the node's.
pub(super) fn program(launch: &Launch, own: &Path) -> io::Result<PathBuf> {
    match &launch.program {
        None => std::path::absolute(own),
        Some(path) if path.components().count() == 1 => Ok(path.clone()),
        Some(path) => std::path::absolute(path),
    }
}

/// The command of a node: its own process group, its own directory, its files, the marks of run and node.
pub(super) fn command(
    launch: &Launch,
    program: &Path,
    spec: &NodeSpec,
    logs: &Logs,
    marks: [(&str, &str); 2],
) -> io::Result<(Command, Mark)> {
    std::fs::create_dir_all(&spec.data)?;
    for (path, content) in &launch.files {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, content)?;
    }
    let (stdout, stderr, mark) = logs.open()?;
    let told =
        |path: &PathBuf, e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    let stdin = match &launch.stdin {
        Some(path) => File::open(path).map_err(|e| told(path, e))?.into(),
        None => Stdio::null(),
    };
    let stdout = match &launch.stdout {
        Some(path) => File::options()
            .write(true)
            .open(path)
            .map_err(|e| told(path, e))?,
        None => stdout,
    };
    let mut command = Command::new(program);
    command
        .args(&launch.args)
        .envs(launch.env.iter().map(|(name, value)| (name, value)))
        .envs(marks)
        .current_dir(launch.cwd.as_ref().unwrap_or(&spec.data))
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr)
        .process_group(0)
        .kill_on_drop(true);
    die_with_parent(&mut command);
    Ok((command, mark))
}

/// Runs a command to its end: one that is short, and belongs to the run.
///
/// # Errors
/// That it cannot be started, or ends with another exit code than 0.
pub(super) async fn errand(words: &[String], run: &str) -> Result<(), String> {
    let (program, args) = words.split_first().ok_or("it has no program")?;
    let mut command = Command::new(program);
    command
        .args(args)
        .env(super::MARKER, run)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let status = command
        .status()
        .await
        .map_err(|e| format!("{program}: {e}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{program} ended with {status}")),
    }
}

/// Has the kernel kill the process when the thread that starts it ends.
#[expect(
    unsafe_code,
    reason = "the death signal can only be set between fork and exec"
)]
fn die_with_parent(command: &mut Command) {
    let controller = getpid();
    // SAFETY: only async-signal-safe calls (prctl, getppid) on copied numbers, and no allocation.
    unsafe {
        command.pre_exec(move || {
            die_with(controller)?;
            Ok(())
        });
    }
}

#[cfg(target_os = "linux")]
fn die_with(controller: Pid) -> Result<(), Errno> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    // If the controller was gone before the line above, no signal will ever come.
    if nix::unistd::getppid() == controller {
        Ok(())
    } else {
        Err(Errno::ESRCH)
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_: Pid) -> Result<(), Errno> {
    Ok(())
}
