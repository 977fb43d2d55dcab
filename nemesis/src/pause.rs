//! Nodes are frozen by SIGSTOP and thawed by SIGCONT.

use serde_json::{Value as Json, json};
use tribunal_results::NodeState;

use crate::process::{Answers, Hit, Nodes, ProcessFault};
use crate::{Field, Injection};

/// The fault `pause`.
#[derive(Debug)]
pub struct Pause;

/// The state letter that the kernel shows for a process (`T` is stopped by a signal), where there
/// is a `/proc` (man 5 proc, `/proc/pid/stat`).
fn kernel_state(pid: Option<u32>) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid?)).ok()?;
    // The name before it is in parentheses and may itself hold spaces and parentheses.
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

impl ProcessFault for Pause {
    const NAME: &'static str = "pause";
    const ABOUT: &'static str = "freezes nodes by SIGSTOP; heals by SIGCONT";
    const COLOUR: &'static str = "#7a9ee0";
    type Options = Nodes;

    async fn hit(hit: Hit) -> Result<Json, String> {
        let pid = hit.processes.pid(&hit.node);
        hit.processes.pause(&hit.node).await?;
        Ok(json!({ "pid": pid, "kernel_state": kernel_state(pid) }))
    }

    async fn mend(hit: Hit) -> Result<Json, String> {
        let pid = hit.processes.pid(&hit.node);
        let before = kernel_state(pid);
        // Where the kernel can't be asked, the word of whoever paused it counts.
        let was_stopped = match before {
            Some(letter) => letter == 'T',
            None => hit.processes.state(&hit.node) == NodeState::Paused,
        };
        hit.processes.resume(&hit.node).await?;
        Ok(json!({
            "pid": pid,
            "was_stopped": was_stopped,
            "kernel_state_before": before,
            "kernel_state": kernel_state(pid),
        }))
    }

    fn bit(_: &Injection, _: &Field, mended: &Answers<Json>) -> bool {
        let was_stopped = |answer: &Result<Json, String>| {
            answer
                .as_ref()
                .is_ok_and(|proof| proof["was_stopped"] == true)
        };
        mended.values().any(was_stopped)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal, kill};
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    use nix::unistd::Pid;

    #[test]
    fn the_kernel_shows_a_stopped_process_as_stopped_and_nothing_of_one_that_is_gone() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        kill(pid, Signal::SIGSTOP).unwrap();
        let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGSTOP));
        let seen = kernel_state(Some(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen, Some('T'));
        assert_eq!(kernel_state(Some(child.id())), None);
        assert_eq!(kernel_state(None), None);
    }
}
