//! Nodes are frozen by SIGSTOP and thawed by SIGCONT.

use rand_pcg::Pcg64Mcg;
use serde_json::{Value as Json, json};
use tribunal_results::NodeState;
use tribunal_results::options::{OptionError, decode};

use crate::process::{Options, choose, injected, on_each, proof_of};
use crate::{Fault, Field, Healed, Injected, Injection, Pending};

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

impl Fault for Pause {
    fn name(&self) -> &'static str {
        "pause"
    }

    fn about(&self) -> &'static str {
        "freezes nodes by SIGSTOP; heals by SIGCONT"
    }

    fn colour(&self) -> &'static str {
        "#7a9ee0"
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        decode::<Options>(options).map(drop)
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        choose(self.name(), &decode(options).ok()?, field, rng)
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(async move {
            let answers = on_each(&injection.nodes, field, |processes, node| async move {
                let pid = processes.pid(&node);
                processes.pause(&node).await?;
                Ok(json!({ "pid": pid, "kernel_state": kernel_state(pid) }))
            });
            injected(answers.await)
        })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(async move {
            let answers = on_each(&injection.nodes, field, |processes, node| async move {
                let pid = processes.pid(&node);
                let before = kernel_state(pid);
                // Where the kernel can't be asked, the word of whoever paused it counts.
                let was_stopped = match before {
                    Some(letter) => letter == 'T',
                    None => processes.state(&node) == NodeState::Paused,
                };
                processes.resume(&node).await?;
                let after = kernel_state(pid);
                Ok(json!({
                    "pid": pid,
                    "was_stopped": was_stopped,
                    "kernel_state_before": before,
                    "kernel_state": after,
                }))
            })
            .await;
            let was_stopped = |answer: &Result<Json, String>| {
                answer
                    .as_ref()
                    .is_ok_and(|proof| proof["was_stopped"] == true)
            };
            Healed {
                bit: answers.values().any(was_stopped),
                proof: proof_of(answers),
            }
        })
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
