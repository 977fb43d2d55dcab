//! Commands that are run to ask or tell a node something: short, and gone when they are done.

use std::io;
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Command;

/// How much of what a command prints is kept, in bytes.
const KEPT_MAX: usize = 64 << 10;
/// How much of it an error shows, in characters.
const SHOWN_MAX: usize = 300;

/// The group of a command under way: killed if nobody waits for it any more.
struct Group(Option<i32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // If it is gone already, that is what was wanted.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

/// Runs a command and returns what it prints. Whoever calls bounds the time: dropped, it is
/// killed.
///
/// # Errors
/// If it cannot be started, or ends with another exit code than 0; with what it printed.
pub(super) async fn run(words: &[String], env: &[(String, String)]) -> io::Result<String> {
    let (program, args) = words
        .split_first()
        .ok_or_else(|| io::Error::other("a command needs a program"))?;
    let mut command = Command::new(program);
    command
        .args(args)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let child = command
        .spawn()
        .map_err(|e| io::Error::new(e.kind(), format!("cannot start {program}: {e}")))?;
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()));
    let output = child.wait_with_output().await?;
    group.0 = None;
    let text = |bytes: &[u8]| {
        let kept = bytes.get(..KEPT_MAX).unwrap_or(bytes);
        String::from_utf8_lossy(kept).trim().to_owned()
    };
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = match text(&output.stderr) {
        said if said.is_empty() => text(&output.stdout),
        said => said,
    };
    let said: String = said.chars().take(SHOWN_MAX).collect();
    let status = output.status;
    Err(io::Error::other(format!(
        "{program} ended with {status}: {said}"
    )))
}
