//! Judging while the run is on: a child process follows the history and says what it finds.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tribunal_results::Verdict;
use tribunal_results::run::RunDir;

use super::{Finding, checkers_of};
use crate::follow::{Choice, Follower, Growth};
use crate::plan::Plan;

/// The child's side: follows the history of a run and prints the first contradiction. Ends with
/// it, or with the run.
///
/// # Errors
/// If the history cannot be followed, or nobody listens any more.
pub async fn follow(dir: &RunDir, plan: &Plan, output: &mut impl Write) -> anyhow::Result<()> {
    let path = dir.history();
    let mut growth = Growth::of(&path)?;
    let named = checkers_of(plan);
    let checkers = named.iter().filter_map(|name| plan.parts.checker(name));
    let choice = Choice::Named(checkers.collect());
    let mut follower = Follower::open(&path, choice, super::child::budget(plan))?;
    let mut told = 0;
    loop {
        let over = dir.verdict().exists();
        if let Some(verdict) = follower.advance()?.into_iter().next() {
            return super::child::say(output, &Finding::Verdict(Box::new(verdict)));
        }
        if over {
            return Ok(());
        }
        let followed = follower.history().calls().len() as u64;
        if followed > told {
            told = followed;
            super::child::say(output, &Finding::Followed(followed))?;
        }
        growth.next().await?;
    }
}

/// The controller's side.
pub struct Watch {
    child: Child,
    followed: Arc<AtomicU64>,
}

impl Watch {
    /// Starts the child. Its history file must exist.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(dir: &Path) -> std::io::Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .args(["judge", "--follow"])
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .process_group(0)
            .spawn()?;
        let followed = Arc::default();
        Ok(Self { child, followed })
    }

    /// Of how many operations the checkers have been told, as long as
    /// [`contradiction`](Self::contradiction) is waited for.
    pub fn followed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.followed)
    }

    /// Waits for the first contradiction; for ever if there is none.
    pub async fn contradiction(&mut self) -> Verdict {
        if let Some(output) = self.child.stdout.take() {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                match serde_json::from_str(&line) {
                    Ok(Finding::Verdict(verdict)) => return *verdict,
                    Ok(Finding::Followed(count)) => {
                        self.followed.store(count, Ordering::Relaxed);
                    }
                    _ => {}
                }
            }
        }
        tracing::warn!("the process that follows the run has ended without a finding");
        std::future::pending().await
    }
}
