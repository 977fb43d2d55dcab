//! The controller's side: starts the judging process, bounds it, and takes what it says.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tribunal_results::Verdict;
use tribunal_results::run::RunDir;

use super::{Judgement, checkers_of};
use crate::plan::Plan;

/// The variable that tells the judging process how much memory it may use, in MiB.
pub const MEMORY_VARIABLE: &str = "TRIBUNAL_JUDGE_MEMORY_MIB";

/// Judges a run directory in a child process, within the plan's limits.
///
/// A checker that did not finish within them gets the verdict unknown.
pub async fn in_child(dir: &RunDir, plan: &Plan) -> Judgement {
    if plan.parts.judge_here() {
        return in_thread(dir, plan).await;
    }
    let mut judgement = Judgement::default();
    let mut child = match start(dir, plan) {
        Ok(child) => child,
        Err(e) => {
            judgement.error = Some(format!("cannot start the judging process: {e}"));
            return judgement;
        }
    };
    let limit = plan.judge.time.0;
    let ended = tokio::time::timeout(limit, listen(&mut child, &mut judgement)).await;
    let cause = match ended {
        Ok(Ok(status)) if status.success() => None,
        Ok(Ok(status)) if status.signal().is_some() => {
            Some(("budget-memory", over_memory(plan, &status)))
        }
        Ok(Ok(status)) => {
            judgement.fail(format!(
                "the judging process failed ({status}); what it said is on standard error"
            ));
            None
        }
        Ok(Err(e)) => {
            judgement.fail(format!("the judging process was lost: {e}"));
            None
        }
        Err(_) => {
            if let Err(e) = child.kill().await {
                tracing::warn!("cannot end the judging process: {e}");
            }
            Some(too_long(plan))
        }
    };
    if judgement.error.is_none() {
        mark_unfinished(&mut judgement, plan, cause);
    }
    judgement
}

fn too_long(plan: &Plan) -> (&'static str, String) {
    let shown = plan.judge.time;
    let text = format!("judging took longer than {shown} (`judge: time`)");
    ("budget-time", text)
}

/// Judges with checkers that only this process knows. A thread cannot be ended from outside: one
/// that takes too long goes on unheard.
async fn in_thread(dir: &RunDir, plan: &Plan) -> Judgement {
    let mut judgement = Judgement::default();
    let (findings, mut found) = tokio::sync::mpsc::unbounded_channel();
    let (of, by) = (dir.clone(), plan.clone());
    let judge = move || {
        let tell = |finding| Ok(findings.send(finding)?);
        // Only that nobody listens any more can fail.
        let _unheard = super::child::find(&of, &by, tell);
    };
    let thread = std::thread::Builder::new().name("judge".into());
    if let Err(e) = thread.spawn(judge) {
        judgement.fail(format!("cannot start the judging thread: {e}"));
        return judgement;
    }
    let listen = async {
        while let Some(finding) = found.recv().await {
            judgement.take(finding);
        }
    };
    let ended = tokio::time::timeout(plan.judge.time.0, listen).await;
    if judgement.error.is_none() {
        mark_unfinished(&mut judgement, plan, ended.err().map(|_| too_long(plan)));
    }
    judgement
}

fn start(dir: &RunDir, plan: &Plan) -> anyhow::Result<Child> {
    let child = Command::new(plan.parts.program()?)
        .arg("judge")
        .arg(dir.path())
        .env(MEMORY_VARIABLE, plan.judge.memory_mib.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        // Ctrl-C is for the controller, which still wants a verdict.
        .process_group(0)
        .spawn()?;
    Ok(child)
}

async fn listen(
    child: &mut Child,
    judgement: &mut Judgement,
) -> std::io::Result<std::process::ExitStatus> {
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await? {
            match serde_json::from_str(&line) {
                Ok(finding) => judgement.take(finding),
                Err(e) => judgement.fail(format!("the judging process said {line:?}: {e}")),
            }
        }
    }
    child.wait().await
}

fn over_memory(plan: &Plan, status: &std::process::ExitStatus) -> String {
    let limit = plan.judge.memory_mib;
    format!(
        "the judging process ended early ({status}), most likely at its memory limit of \
         {limit} MiB (`judge: memory_mib`)"
    )
}

/// Gives each checker that did not finish the verdict unknown.
fn mark_unfinished(judgement: &mut Judgement, plan: &Plan, cause: Option<(&str, String)>) {
    let (code, text) = cause.unwrap_or(("not-judged", "the checker said nothing".into()));
    for name in checkers_of(plan) {
        if !judgement
            .verdicts
            .iter()
            .any(|verdict| verdict.checker == name)
        {
            judgement
                .verdicts
                .push(Verdict::unknown(name, code, text.clone()));
        }
    }
}
