//! `--fail-fast`: at the first contradiction everything stands still, to be looked at.

use std::io::IsTerminal as _;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tribunal_nemesis::Field;
use tribunal_results::{NodeId, NodeState, Verdict};

use crate::judge::Watch;

/// What a frozen run shows: the contradiction, and the nodes with their processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// The contradiction in one sentence.
    pub finding: String,
    /// Each node that stands still, with its process id.
    pub nodes: Vec<(String, u32)>,
}

/// Watches a run for its first contradiction.
pub(super) struct Freezer {
    task: JoinHandle<Option<Frozen>>,
    halted: watch::Receiver<bool>,
}

impl Freezer {
    /// Starts watching. At a contradiction the nemesis is broken off as it is, every node is
    /// stopped (SIGSTOP), and clients are told to ask nothing more, as they are when `stop` turns
    /// true.
    pub(super) fn start(
        mut watch: Watch,
        field: Field,
        nemesis: AbortHandle,
        mut stop: watch::Receiver<bool>,
    ) -> Self {
        let (halt, halted) = watch::channel(false);
        let task = tokio::spawn(async move {
            let found = tokio::select! {
                biased;
                Ok(_) = stop.wait_for(|stopped| *stopped) => None,
                verdict = watch.contradiction() => Some(verdict),
                // Nobody asks any more: the workload is over.
                () = halt.closed() => None,
            };
            let frozen = match found {
                Some(verdict) => {
                    nemesis.abort();
                    Some(freeze(&field, &verdict).await)
                }
                None => None,
            };
            halt.send_replace(true);
            frozen
        });
        Self { task, halted }
    }

    /// Turns true when clients have to stop.
    pub(super) fn halted(&self) -> watch::Receiver<bool> {
        self.halted.clone()
    }

    /// What it came to, when clients have stopped.
    pub(super) async fn end(self) -> Option<Frozen> {
        let Self { task, halted } = self;
        drop(halted);
        task.await.unwrap_or_else(|e| {
            tracing::error!("the watch failed: {e}");
            None
        })
    }
}

async fn freeze(field: &Field, verdict: &Verdict) -> Frozen {
    let mut pauses = tokio::task::JoinSet::new();
    for node in &field.nodes {
        let (node, processes) = (node.clone(), Arc::clone(&field.processes));
        pauses.spawn(async move {
            // A node that does not run has nothing to stop.
            if processes.state(&node) != NodeState::Paused
                && let Err(e) = processes.pause(&node).await
            {
                tracing::warn!("{node} is not stopped: {e}");
            }
        });
    }
    pauses.join_all().await;
    let pid = |node: &NodeId| Some((node.to_string(), field.processes.pid(node)?));
    Frozen {
        finding: verdict.summary.clone(),
        nodes: field.nodes.iter().filter_map(pid).collect(),
    }
}

/// Leaves the frozen nodes to whoever sits at the terminal, until they stop the run. Where nobody
/// does, the run goes on to its end at once.
pub(super) async fn inspect(frozen: &Frozen, stop: &mut watch::Receiver<bool>) {
    let list: Vec<String> = frozen
        .nodes
        .iter()
        .map(|(node, pid)| format!("{node} (pid {pid})"))
        .collect();
    anstream::eprintln!("frozen at the first contradiction: {}", frozen.finding);
    anstream::eprintln!("stopped with SIGSTOP: {}", list.join(", "));
    if !std::io::stdin().is_terminal() {
        return;
    }
    anstream::eprintln!("look at them as long as you like; Ctrl-C ends the run and judges it");
    // If the sender is gone, nobody can say so any more.
    let _gone = stop.wait_for(|stopped| *stopped).await;
}
