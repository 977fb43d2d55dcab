//! Commands that are run to ask or tell a node something: short, and gone when they are done.

use std::io;
use std::process::Stdio;

use tokio::process::Command;

/// How much of what a command prints is kept, in bytes.
const KEPT_MAX: usize = 64 << 10;
/// How much of it an error shows, in characters.
const SHOWN_MAX: usize = 300;

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
        .kill_on_drop(true);
    let output = command
        .output()
        .await
        .map_err(|e| io::Error::new(e.kind(), format!("cannot start {program}: {e}")))?;
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
