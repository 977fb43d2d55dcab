//! When a node is ready: the target's probe says so, and it is our node that answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tribunal_results::NodeState;
use tribunal_targets::Status;

use super::error::{ClusterError, Unready};
use super::node::{Node, Now};
use super::procfs;

/// The most that one probe may take.
const PROBE_WITHIN: Duration = Duration::from_secs(1);
/// Time between probes: short at first, longer for nodes that take long.
const PROBE_EVERY: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

impl Node {
    /// Probes a new process until it is ready (then that is reported) or has ended.
    pub(super) async fn watch_readiness(self: Arc<Self>, pid: u32) {
        let mut now = self.now.subscribe();
        tokio::select! {
            _ = now.wait_for(|now| now.pid != Some(pid)) => {}
            () = self.probe_until_ready(pid) => {}
        }
    }

    async fn probe_until_ready(&self, pid: u32) {
        self.probe_until(pid).await;
        let foreign = self.foreign_listener(pid);
        self.change(pid, |now| {
            now.foreign = foreign;
            now.ready = now.foreign.is_none();
            if now.ready && now.state == NodeState::Starting {
                now.state = NodeState::Ready;
            }
        });
    }

    /// Asks until the answer is yes; notes in [`Now::detail`] why it isn't.
    async fn probe_until(&self, pid: u32) {
        let mut now = self.now.subscribe();
        let mut every = PROBE_EVERY.0;
        loop {
            // A paused node is not asked; if the channel is closed, nobody waits for an answer.
            let _ = now.wait_for(|now| now.state != NodeState::Paused).await;
            let (ready, detail) = match timeout(PROBE_WITHIN, self.ask()).await {
                Ok(Ok(status)) if status.ready || !status.detail.is_empty() => {
                    (status.ready, status.detail)
                }
                Ok(Ok(_)) => (false, "it answers that it is not ready".into()),
                Ok(Err(error)) => (false, error.to_string()),
                Err(_) => (false, format!("no answer within {PROBE_WITHIN:?}")),
            };
            self.change(pid, |now| now.detail = detail);
            if ready {
                return;
            }
            sleep(every).await;
            every = (every * 2).min(PROBE_EVERY.1);
        }
    }

    /// What it says of itself now.
    pub(super) async fn ask(&self) -> std::io::Result<Status> {
        let target = &self.shared.target;
        target.status_of(self.id(), self.place.probe).await
    }

    /// Who listens at the node's address, if it is not in the node's group. A target whose nodes
    /// have no socket of their own has nothing to check.
    fn foreign_listener(&self, pid: u32) -> Option<String> {
        let inode = self.place.listener()?;
        let ours = procfs::group(pid)
            .into_iter()
            .any(|member| procfs::holds(member, inode));
        (!ours).then(|| self.place.holder())
    }

    /// Returns when it is ready now: an answer of the past is not enough, because a node that is
    /// cut off may have been ready once.
    pub(super) async fn confirm_ready(&self) -> Result<(), ClusterError> {
        let mut now = self.now.subscribe();
        let settled = |now: &Now| now.pid.is_none() || now.ready || now.foreign.is_some();
        let _ = now.wait_for(settled).await;
        let seen = now.borrow_and_update().clone();
        let pid = self.running(&seen)?;
        tokio::select! {
            _ = now.wait_for(|now| now.pid != Some(pid)) => {}
            () = self.probe_until(pid) => {}
        }
        self.change(pid, |now| {
            if now.state == NodeState::Unresponsive {
                now.state = NodeState::Ready;
            }
        });
        let seen = self.now.borrow().clone();
        self.running(&seen).map(drop)
    }

    /// Its process, or why it cannot become ready.
    fn running(&self, now: &Now) -> Result<u32, ClusterError> {
        let node = self.id().clone();
        match (now.pid, &now.foreign) {
            (Some(_), Some(by)) => Err(ClusterError::AddressTaken {
                node,
                address: self.spec.listen,
                by: by.clone(),
            }),
            (Some(pid), None) => Ok(pid),
            (None, _) if now.state == NodeState::Died => Err(ClusterError::Died {
                node,
                exit: now.exit.clone(),
                last: now.detail.clone(),
                log: self.logs.stderr().to_owned(),
            }),
            (None, _) => Err(ClusterError::NotRunning {
                node,
                state: now.state,
            }),
        }
    }

    /// What to say of it when it was waited for in vain.
    pub(super) fn unready(&self) -> Unready {
        let now = self.now.borrow();
        let detail = match now.state {
            NodeState::Paused => "it is paused".into(),
            _ => now.detail.clone(),
        };
        Unready {
            node: self.id().clone(),
            detail,
            log: self.logs.stderr().to_owned(),
        }
    }
}
