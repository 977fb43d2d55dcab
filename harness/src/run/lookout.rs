//! Asks nodes how they are and reads what they print: records who leads, and tells the nemesis what
//! its steps wait for.

use std::io::SeekFrom;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tribunal_nemesis::Field;
use tribunal_nemesis::schedule::{Cues, Sight};
use tribunal_results::run::RunDir;
use tribunal_results::{Body, LeaderEvent, NodeId, NodeState, Process};
use tribunal_targets::{Status, System};

use crate::follow::Growth;
use crate::recorder::Recorder;

/// How often nodes are asked for their status, where only the record wants it.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How often where a step of the nemesis waits for it.
const ASK_EVERY_FOR_CUES: Duration = Duration::from_millis(20);
/// How often at most where asking may cost a process: of a target that a suite describes.
const ASK_CONFIGURED_EVERY: Duration = Duration::from_millis(500);
/// The longest text of a status that is recorded, in characters.
const DETAIL_MAX: usize = 200;
/// How long they may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(200);
/// The longest line that is looked at, in bytes; the rest of a longer one is taken for the next.
const LINE_MAX: usize = 64 << 10;
/// How much of a log is read at once, in bytes.
const CHUNK: usize = 16 << 10;

/// Whoever looks out; dropped, nobody does any more.
pub(super) struct Lookouts {
    _tasks: JoinSet<()>,
}

impl Lookouts {
    /// Posts those that record who leads, and those that are needed for what is waited for.
    pub(super) fn post(
        cues: &Arc<Cues>,
        recorder: &Arc<Recorder>,
        target: &System,
        field: &Field,
        dir: &RunDir,
        listeners: &[(NodeId, SocketAddr)],
    ) -> anyhow::Result<Self> {
        let mut tasks = JoinSet::new();
        if cues.want_operations() {
            recorder.tell(Arc::clone(cues));
        }
        for (node, address) in listeners {
            let asked = Asked {
                target: target.clone(),
                node: node.clone(),
                address: *address,
                field: field.clone(),
                cues: cues.want_status().then(|| Arc::clone(cues)),
                recorder: Arc::clone(recorder),
            };
            tasks.spawn(asked.again_and_again());
        }
        for node in field.nodes.iter().filter(|_| cues.want_lines()) {
            for name in ["stdout", "stderr"] {
                let path = dir.node(node).join(name);
                let growth = Growth::of(&path)?;
                tasks.spawn(read(path, growth, node.clone(), Arc::clone(cues)));
            }
        }
        Ok(Self { _tasks: tasks })
    }
}

/// A node that is asked for its status.
struct Asked {
    target: System,
    node: NodeId,
    address: SocketAddr,
    field: Field,
    /// Who waits for what it says, if anybody does.
    cues: Option<Arc<Cues>>,
    recorder: Arc<Recorder>,
}

impl Asked {
    /// Asks again and again, and tells what has changed.
    async fn again_and_again(self) {
        let every = match (&self.target, &self.cues) {
            (System::Configured(_), _) => ASK_CONFIGURED_EVERY,
            (System::Registered(_), None) => ASK_EVERY,
            (System::Registered(_), Some(_)) => ASK_EVERY_FOR_CUES,
        };
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut recorded = false;
        let mut told = (false, String::new());
        loop {
            ticks.tick().await;
            let state = self.field.processes.state(&self.node);
            let answer = match state {
                NodeState::Ready | NodeState::Starting => {
                    timeout(
                        ANSWER_WITHIN,
                        self.target.status_of(&self.node, self.address),
                    )
                    .await
                }
                // Nobody answers.
                _ => Ok(Ok(Status::default())),
            };
            let answer = answer.ok().and_then(Result::ok);
            self.record(&mut recorded, state, answer.as_ref());
            if let Some(cues) = &self.cues {
                self.tell(cues, &mut told, answer.unwrap_or_default());
            }
        }
    }

    /// Records whether the node leads, if that has changed. What a node that is paused, or does not
    /// answer, said last stands; whoever does not run leads nobody.
    fn record(&self, leads: &mut bool, state: NodeState, answer: Option<&Status>) {
        let now = match (state, answer) {
            (NodeState::Paused, _) | (NodeState::Ready | NodeState::Unresponsive, None) => return,
            (NodeState::Ready | NodeState::Starting, Some(status)) => self.is_leader(status),
            _ => false,
        };
        if now == *leads {
            return;
        }
        *leads = now;
        let said = answer.map_or("", |status| status.detail.as_str());
        let event = LeaderEvent {
            node: self.node.clone(),
            leads: now,
            detail: said.chars().take(DETAIL_MAX).collect(),
        };
        self.recorder
            .record(Process::Nemesis, None, Body::Leader(event));
    }

    /// Tells what has changed for those who wait.
    fn tell(&self, cues: &Cues, told: &mut (bool, String), status: Status) {
        let leads = self.is_leader(&status);
        if leads && !told.0 {
            cues.saw(&Sight::Leader(&self.node));
        }
        let text = format!("{}: {}", status.role, status.detail);
        if text != told.1 {
            cues.saw(&Sight::Status(&self.node, &text));
        }
        *told = (leads, text);
    }

    fn is_leader(&self, status: &Status) -> bool {
        status.role == "leader" || status.leader.as_ref() == Some(&self.node)
    }
}

/// Reads what a node prints from now on, and tells each line.
async fn read(path: PathBuf, growth: Growth, node: NodeId, cues: Arc<Cues>) {
    if let Err(e) = follow(&path, growth, &node, &cues).await {
        tracing::warn!("cannot follow {}: {e}", path.display());
    }
}

async fn follow(
    path: &Path,
    mut growth: Growth,
    node: &NodeId,
    cues: &Cues,
) -> std::io::Result<()> {
    let mut file = File::open(path).await?;
    file.seek(SeekFrom::End(0)).await?;
    let (mut line, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    loop {
        let count = file.read(&mut chunk).await?;
        if count == 0 {
            growth.next().await?;
            continue;
        }
        for byte in chunk.iter().take(count) {
            if *byte != b'\n' && line.len() < LINE_MAX {
                line.push(*byte);
                continue;
            }
            cues.saw(&Sight::Line(node, &String::from_utf8_lossy(&line)));
            line.clear();
        }
    }
}
