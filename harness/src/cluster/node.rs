//! One node: its process from start to end, and what faults may do to it.
//!
//! What the node is doing ([`Now`]) lives in a watch channel; every change of state is reported
//! while that is locked, so events come in the order in which things were found out. A task per
//! process waits for its end. Whatever starts, ends or pauses the process holds `turn`.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use tokio::process::Child;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{sleep, timeout};
use tribunal_nemesis::Need;
use tribunal_nemesis::disk::{Disk, Tally};
use tribunal_nemesis::skew::{Skew, View};
use tribunal_results::{NodeEvent, NodeId, NodeState};
use tribunal_targets::{NodeSpec, Stop, System};

use super::error::ClusterError;
use super::guard::{Guard, kill_group, kill_one, send, signal_one};
use super::logs::{Logs, Mark};
use super::place::Place;
use super::spawn::{self, Clocks, Started};
use super::vdso::Lever;
use super::{MARKER, exit, owners, procfs};

/// How long a node may take to end by SIGTERM before it is killed.
const TERMINATE_WITHIN: Duration = Duration::from_secs(3);
/// How long the kernel may take to do what a signal says.
const KERNEL_WITHIN: Duration = Duration::from_secs(5);
/// How long the address of a node that has ended may take to become free.
const FREE_WITHIN: Duration = Duration::from_secs(1);
/// How often `/proc` is asked whether a signal has been obeyed.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What all nodes of a run share.
pub(super) struct Shared {
    pub(super) target: System,
    pub(super) stamps: bool,
    pub(super) needs: Vec<Need>,
    pub(super) program: std::path::PathBuf,
    /// Its id: the value of the marker variable.
    pub(super) run: String,
    /// What holds the addresses of its run.
    pub(super) block: std::net::SocketAddr,
    pub(super) guard: Guard,
    pub(super) events: mpsc::UnboundedSender<NodeEvent>,
}

/// Why a process was asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// SIGKILL, by a fault.
    Kill,
    /// SIGTERM, by a fault.
    Terminate,
    /// SIGTERM, as the run is over.
    Stop,
}

/// What a node is doing.
#[derive(Clone, Debug)]
pub(super) struct Now {
    pub(super) state: NodeState,
    /// Its process and group, until it has been reaped.
    pub(super) pid: Option<u32>,
    /// Whether this process has answered its probe.
    pub(super) ready: bool,
    /// Whether it was asked to end.
    asked: Option<Ask>,
    /// How it is told that the run is over.
    stop: Stop,
    /// How its last process ended.
    pub(super) exit: String,
    /// The last lines of a process that died, or what the last probe came to.
    pub(super) detail: String,
    /// Who listens at the node's address in its place.
    pub(super) foreign: Option<String>,
}

impl Now {
    fn of(state: NodeState, pid: Option<u32>) -> Self {
        Self {
            state,
            pid,
            ready: false,
            asked: None,
            stop: Stop::default(),
            exit: String::new(),
            detail: String::new(),
            foreign: None,
        }
    }

    /// What to say of the state: exit status and last words, or what the last probe came to.
    fn words(&self) -> String {
        if matches!(self.state, NodeState::Starting | NodeState::Paused) {
            return String::new();
        }
        let parts = [&self.exit, &self.detail].map(String::as_str);
        parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// One node.
pub(super) struct Node {
    pub(super) spec: NodeSpec,
    pub(super) place: Place,
    pub(super) logs: Logs,
    pub(super) shared: Arc<Shared>,
    /// Held by whatever starts, ends or pauses the process; false once nothing is started again.
    turn: Mutex<bool>,
    pub(super) now: watch::Sender<Now>,
    clocks: std::sync::Mutex<Movable>,
    /// What its files go through, or why there is nothing.
    pub(super) disk: Result<Arc<Disk>, String>,
}

/// The clocks of a node, whichever process it has.
struct Movable {
    /// What they are moved by.
    skew: Option<Skew>,
    /// The way into those of its last process, or why there is none.
    lever: Result<Arc<Lever>, String>,
}

impl Node {
    pub(super) fn new(
        spec: NodeSpec,
        place: Place,
        disk: Result<Arc<Disk>, String>,
        logs: Logs,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            spec,
            place,
            logs,
            disk,
            shared,
            turn: Mutex::new(true),
            now: watch::Sender::new(Now::of(NodeState::Stopped, None)),
            clocks: std::sync::Mutex::new(Movable {
                skew: None,
                lever: Err("it never ran".into()),
            }),
        }
    }

    pub(super) fn id(&self) -> &NodeId {
        &self.spec.id
    }

    /// Its process, or in words why there is none.
    fn pid(&self) -> Result<u32, String> {
        let now = self.now.borrow();
        now.pid
            .ok_or_else(|| format!("{} does not run ({:?})", self.id(), now.state))
    }

    /// Changes what the process `pid` is doing, and reports a new state; does nothing if that
    /// process has ended.
    pub(super) fn change(&self, pid: u32, change: impl FnOnce(&mut Now)) {
        self.now.send_if_modified(|now| {
            if now.pid != Some(pid) {
                return false;
            }
            let before = now.state;
            change(now);
            if now.state != before {
                self.report(now.state, pid, now.words());
            }
            true
        });
    }

    /// Nobody may listen any more when the run is over: then the event is lost on purpose.
    fn report(&self, state: NodeState, pid: u32, detail: String) {
        let _ = self.shared.events.send(NodeEvent {
            node: self.id().clone(),
            state,
            pid: Some(pid),
            detail,
        });
    }

    /// Starts it if it does not run; returns its process id.
    pub(super) async fn start(self: &Arc<Self>) -> Result<u32, ClusterError> {
        let turn = self.turn.lock().await;
        if !*turn {
            return Err(ClusterError::ShuttingDown(self.id().clone()));
        }
        if let Ok(pid) = self.pid() {
            return Ok(pid);
        }
        self.await_free_address().await?;
        let before = self.tally();
        let ((child, lever), mark, stop) = self.spawn().await?;
        self.clocks().lever = lever.map(Arc::new);
        let Some(pid) = child.id() else {
            return Err(ClusterError::NotRunning {
                node: self.id().clone(),
                state: NodeState::Died,
            });
        };
        self.shared.guard.watch(pid);
        self.now.send_modify(|now| {
            *now = Now::of(NodeState::Starting, Some(pid));
            now.stop = stop;
            self.report(NodeState::Starting, pid, String::new());
        });
        tokio::spawn(Arc::clone(self).reap(child, pid, mark, before));
        tokio::spawn(Arc::clone(self).watch_readiness(pid));
        Ok(pid)
    }

    async fn spawn(&self) -> Result<(Started, Mark, Stop), ClusterError> {
        let mut launch = self.shared.target.launch(&self.spec);
        if self.shared.stamps && launch.program.is_none() {
            launch.args.push("--stamp".into());
        }
        let (name, mark) = owners::mark(self.shared.block, self.id());
        let marks = [(MARKER, self.shared.run.as_str()), (name, mark.as_str())];
        let prepare = |cause| ClusterError::Prepare {
            path: self.spec.data.clone(),
            cause,
        };
        let program = spawn::program(&launch, &self.shared.program).map_err(prepare)?;
        let (mut command, mark) =
            spawn::command(&launch, &program, &self.spec, &self.logs, marks).map_err(prepare)?;
        #[cfg(target_os = "linux")]
        if let Ok(disk) = &self.disk {
            // What the last process had open is let go before another one has it.
            disk.idle(FREE_WITHIN).await;
            super::mount::lay_over(&mut command, disk).map_err(prepare)?;
        }
        let node = self.id().clone();
        let clocks = match self.shared.needs.contains(&Need::Clocks) {
            true => Clocks::Movable(self.clocks().skew.clone()),
            false => Clocks::Own,
        };
        match self.place.spawner.spawn(command, clocks).await {
            Ok(started) => Ok((started, mark, launch.stop)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(ClusterError::ProgramNotFound { node, program })
            }
            Err(cause) => Err(ClusterError::Spawn {
                node,
                program,
                cause,
            }),
        }
    }

    fn clocks(&self) -> std::sync::MutexGuard<'_, Movable> {
        let clocks = self.clocks.lock();
        clocks.unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What its process is told when it asks for the time.
    pub(super) fn clock(&self) -> Result<View, String> {
        let lever = self.clocks().lever.clone();
        lever?.view()
    }

    /// Moves its clocks, or (`None`) puts them right, in this process and later ones.
    pub(super) async fn skew(&self, skew: Option<&Skew>) -> Result<View, String> {
        let _turn = self.turn.lock().await;
        let lever = {
            let mut clocks = self.clocks();
            clocks.skew = skew.cloned();
            clocks.lever.clone()
        };
        self.pid()?;
        lever?.pull(skew)
    }

    /// A port is looked up, not tried: a trial socket could itself be in the node's way.
    async fn await_free_address(&self) -> Result<(), ClusterError> {
        let free = async {
            while self.place.listener().is_some() {
                sleep(LOOK_EVERY).await;
            }
        };
        if timeout(FREE_WITHIN, free).await.is_ok() {
            return Ok(());
        }
        Err(ClusterError::AddressTaken {
            node: self.id().clone(),
            address: self.spec.listen,
            by: self.place.holder(),
        })
    }

    /// Waits for the process to end, and ends the rest of its group.
    async fn reap(self: Arc<Self>, mut child: Child, pid: u32, mark: Mark, before: Tally) {
        let status = child.wait().await;
        self.sweep(pid).await;
        self.shared.guard.forget(pid);
        self.change(pid, |now| {
            now.pid = None;
            now.ready = false;
            match status {
                Ok(status) => {
                    now.state = ended(now.asked, &now.stop, status);
                    if now.state == NodeState::Died && self.disk_failed_since(before) {
                        now.state = NodeState::Killed;
                    }
                    now.exit = exit::words(status);
                }
                Err(error) => {
                    now.state = NodeState::Died;
                    now.exit = format!("its exit status is unknown: {error}");
                }
            }
            now.detail = match now.state {
                NodeState::Died => self.logs.last_lines(mark),
                _ => String::new(),
            };
        });
    }

    /// What its disk did until now.
    fn tally(&self) -> Tally {
        self.disk
            .as_ref()
            .map_or_else(|_| Tally::default(), |disk| disk.tally())
    }

    /// Whether its disk has failed it: then it is the fault that ended it, and to stop was right.
    fn disk_failed_since(&self, before: Tally) -> bool {
        let now = self.tally();
        now.refused > before.refused || now.failed > before.failed
    }

    /// Kills what is left of the group of a process that has ended.
    async fn sweep(&self, group: u32) {
        let empty = async {
            kill_group(group);
            while !procfs::group(group).is_empty() {
                sleep(LOOK_EVERY).await;
                kill_group(group);
            }
        };
        if timeout(KERNEL_WITHIN, empty).await.is_err() {
            tracing::warn!("{}: processes of group {group} do not die", self.id());
        }
    }

    /// Ends it for a fault; returns its exit status in words.
    pub(super) async fn end(&self, ask: Ask) -> Result<String, String> {
        let _turn = self.turn.lock().await;
        self.end_now(ask).await
    }

    /// Ends it for good.
    pub(super) async fn close(&self) -> Result<(), String> {
        let mut turn = self.turn.lock().await;
        *turn = false;
        match self.pid() {
            Ok(_) => self.end_now(Ask::Stop).await.map(drop),
            Err(_) => Ok(()),
        }
    }

    async fn end_now(&self, ask: Ask) -> Result<String, String> {
        let pid = self.pid()?;
        let mut now = self.now.subscribe();
        self.change(pid, |now| now.asked = Some(ask));
        if ask == Ask::Kill {
            kill_family(pid);
        } else {
            // A stopped process takes notice only when it goes on.
            let how = self.now.borrow().stop.clone();
            self.request_end(pid, ask, how).await?;
            self.signal(pid, Signal::SIGCONT)?;
            go_on(pid);
            let gone = now.wait_for(|now| now.pid != Some(pid));
            if timeout(TERMINATE_WITHIN, gone).await.is_err() {
                kill_family(pid);
            }
        }
        let gone = now.wait_for(|now| now.pid != Some(pid));
        match timeout(2 * KERNEL_WITHIN, gone).await {
            Ok(Ok(now)) => Ok(now.exit.clone()),
            _ => Err(format!("{} (pid {pid}) does not die of SIGKILL", self.id())),
        }
    }

    /// Asks it to end: by SIGTERM, or as it wants it when the run is over.
    async fn request_end(&self, pid: u32, ask: Ask, how: Stop) -> Result<(), String> {
        let signal = match how {
            Stop::Signal(number) if ask == Ask::Stop => {
                Signal::try_from(number).unwrap_or(Signal::SIGTERM)
            }
            Stop::Command(words) if ask == Ask::Stop => {
                let errand = spawn::errand(&words, &self.shared.run);
                let late = |_| Err("it takes too long".to_owned());
                let Err(why) = timeout(TERMINATE_WITHIN, errand).await.unwrap_or_else(late) else {
                    return Ok(());
                };
                tracing::warn!("{}: its stop command failed: {why}", self.id());
                Signal::SIGTERM
            }
            _ => Signal::SIGTERM,
        };
        self.signal(pid, signal)
    }

    /// Stops its process group and all that descends from it; returns when every thread of them is
    /// stopped.
    pub(super) async fn pause(&self) -> Result<(), String> {
        let _turn = self.turn.lock().await;
        let pid = self.pid()?;
        self.signal(pid, Signal::SIGSTOP)?;
        let stopped = || {
            let family = procfs::family(pid);
            let run = |one: &&u32| !procfs::is_stopped(**one);
            let running: Vec<&u32> = family.iter().filter(run).collect();
            running
                .iter()
                .for_each(|one| signal_one(**one, Signal::SIGSTOP));
            // One that was started while they were looked at is seen the second time.
            running.is_empty() && procfs::family(pid) == family
        };
        if let Err(why) = self.obeyed(pid, "stop", stopped).await {
            let _ = send(pid, Signal::SIGCONT);
            go_on(pid);
            return Err(why);
        }
        self.change(pid, |now| now.state = NodeState::Paused);
        Ok(())
    }

    /// Lets all of them go on; returns when no thread of them is stopped. The signal is sent
    /// even if no pause is on record: a pause may have been given up half way.
    pub(super) async fn resume(&self) -> Result<(), String> {
        let _turn = self.turn.lock().await;
        let Ok(pid) = self.pid() else { return Ok(()) };
        self.signal(pid, Signal::SIGCONT)?;
        let goes_on = || !go_on(pid);
        self.obeyed(pid, "go on", goes_on).await?;
        self.change(pid, |now| {
            if now.state == NodeState::Paused {
                now.state = if now.ready {
                    NodeState::Ready
                } else {
                    NodeState::Starting
                };
            }
        });
        Ok(())
    }

    /// Waits until `done`, unless the process ends first.
    async fn obeyed(&self, pid: u32, what: &str, done: impl Fn() -> bool) -> Result<(), String> {
        let look = async {
            while !done() {
                sleep(LOOK_EVERY).await;
            }
        };
        let in_time = timeout(KERNEL_WITHIN, look).await.is_ok();
        if self.pid() != Ok(pid) {
            return Err(format!("{} ended before it could {what}", self.id()));
        }
        if !in_time {
            return Err(format!(
                "{} (pid {pid}) did not {what} in {KERNEL_WITHIN:?}",
                self.id()
            ));
        }
        Ok(())
    }

    /// Signals its group. If that is gone, then its end is about to be found out.
    fn signal(&self, pid: u32, signal: Signal) -> Result<(), String> {
        match send(pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(format!(
                "cannot send {signal} to {} ({pid}): {error}",
                self.id()
            )),
        }
    }
}

/// SIGKILL to a process group and all that descends from it: who has left the group would be nobody's
/// afterwards.
fn kill_family(group: u32) {
    let family = procfs::family(group);
    kill_group(group);
    family.into_iter().for_each(kill_one);
}

/// SIGCONT to all of a process group and its descendants that are stopped; whether any was.
fn go_on(group: u32) -> bool {
    let family = procfs::family(group).into_iter();
    let stopped: Vec<u32> = family.filter(|&pid| procfs::is_any_stopped(pid)).collect();
    let any = !stopped.is_empty();
    stopped
        .into_iter()
        .for_each(|pid| signal_one(pid, Signal::SIGCONT));
    any
}

/// What became of a process that ended with that status. One that was to be killed but ended in
/// another way died by itself at the same moment; a crash on SIGTERM is a crash.
fn ended(asked: Option<Ask>, stop: &Stop, status: ExitStatus) -> NodeState {
    use std::os::unix::process::ExitStatusExt;
    let signal = status.signal();
    let killed = signal == Some(Signal::SIGKILL as i32);
    let terminated = killed || signal == Some(Signal::SIGTERM as i32) || signal.is_none();
    match asked {
        Some(Ask::Kill) if killed => NodeState::Killed,
        Some(Ask::Terminate) if terminated => NodeState::Killed,
        Some(Ask::Stop) if terminated || signal.is_some_and(|n| *stop == Stop::Signal(n)) => {
            NodeState::Stopped
        }
        _ => NodeState::Died,
    }
}
