//! Processes of runs whose controller is gone.
//!
//! Every process of a run carries the run's id in its environment (see [`super::MARKER`]), and the
//! id names the controller. The guard ends all of them when the controller is killed; what is
//! found here has lost the guard too.

use std::time::Duration;

use super::{MARKER, guard, procfs};

/// How long a process may take to die of SIGKILL: so many looks, so far apart.
const LOOKS: usize = 100;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process that belongs to nobody any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Its id.
    pub pid: u32,
    /// The name of its program.
    pub name: String,
    /// Whether it is stopped.
    pub stopped: bool,
    started: u64,
}

/// When the process was started, in clock ticks since the machine was; `None` if it is gone.
pub fn started(pid: u32) -> Option<u64> {
    procfs::started(pid)
}

/// Whether that process runs and is the one that was started then.
pub fn is_running(pid: u32, started: u64) -> bool {
    procfs::started(pid) == Some(started) && procfs::is_alive(pid)
}

/// Every process of a run whose controller is gone.
pub fn orphans() -> Vec<Orphan> {
    let marked = procfs::values_of(MARKER).into_iter();
    let is_orphan = |(pid, run): &(u32, String)| {
        let node = procfs::started(*pid);
        let controller = controller_of(run).and_then(procfs::started);
        // A process that was started after the node only has the controller's number.
        node.is_some() && controller.is_none_or(|controller| Some(controller) > node)
    };
    marked
        .filter(is_orphan)
        .filter_map(|(pid, _)| Orphan::known(pid, procfs::started(pid)?))
        .collect()
}

/// The controller's process id in a run's id: the last part but one.
fn controller_of(run: &str) -> Option<u32> {
    run.rsplit('-').nth(1)?.parse().ok()
}

impl Orphan {
    /// That process, if it runs and is the one that was started then.
    pub fn known(pid: u32, started: u64) -> Option<Self> {
        is_running(pid, started).then(|| Self {
            pid,
            name: procfs::name(pid),
            stopped: procfs::is_stopped(pid),
            started,
        })
    }

    /// Kills it, and waits until it is gone.
    ///
    /// # Errors
    /// That it does not die, in words.
    #[expect(
        clippy::disallowed_methods,
        reason = "the kernel tells nobody but the parent that a process has died"
    )]
    pub fn end(&self) -> Result<(), String> {
        for _ in 0..LOOKS {
            if !is_running(self.pid, self.started) {
                return Ok(());
            }
            guard::kill_one(self.pid);
            std::thread::sleep(LOOK_EVERY);
        }
        Err(format!(
            "process {} ({}) does not die of SIGKILL; end it as the user that it belongs to",
            self.pid, self.name
        ))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    fn sleeper(run: &str) -> std::io::Result<Child> {
        Command::new("sleep").arg("1000").env(MARKER, run).spawn()
    }

    fn find(pid: u32) -> Option<Orphan> {
        orphans().into_iter().find(|orphan| orphan.pid == pid)
    }

    #[test]
    fn a_process_is_an_orphan_when_its_controller_is_gone_and_is_ended_even_if_stopped() {
        let mut gone = Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let mut child = sleeper(&format!("/a-lock-{}-0", gone.id())).unwrap();
        let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
        while !procfs::is_stopped(child.id()) {
            std::thread::yield_now();
        }
        let orphan = find(child.id()).unwrap();
        assert!(orphan.stopped);
        assert_eq!(orphan.name, "sleep");
        assert_eq!(orphan.end(), Ok(()));
        assert_eq!(find(child.id()), None);
        assert_eq!(orphan.end(), Ok(()), "it is gone already");
        child.wait().unwrap();
    }

    #[test]
    fn a_process_whose_controller_runs_is_none() {
        let mut child = sleeper(&format!("/a-lock-{}-0", std::process::id())).unwrap();
        assert_eq!(find(child.id()), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
