//! Tells the nemesis what its steps wait for: operations, log lines, who leads.

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
use tribunal_results::{NodeId, NodeState};
use tribunal_targets::System;

use crate::follow::Growth;
use crate::recorder::Recorder;

/// How often nodes are asked for their status.
const ASK_EVERY: Duration = Duration::from_millis(20);
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
    /// Posts those that are needed for what is waited for.
    pub(super) fn post(
        cues: &Arc<Cues>,
        recorder: &Recorder,
        target: &System,
        field: &Field,
        dir: &RunDir,
        listeners: &[(NodeId, SocketAddr)],
    ) -> anyhow::Result<Self> {
        let mut tasks = JoinSet::new();
        if cues.want_operations() {
            recorder.tell(Arc::clone(cues));
        }
        for (node, address) in listeners.iter().filter(|_| cues.want_status()) {
            let asked = ask(
                target.clone(),
                node.clone(),
                *address,
                field.clone(),
                Arc::clone(cues),
            );
            tasks.spawn(asked);
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

/// Asks a node for its status again and again, and tells what has changed.
async fn ask(target: System, node: NodeId, address: SocketAddr, field: Field, cues: Arc<Cues>) {
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut led, mut last) = (false, String::new());
    loop {
        ticks.tick().await;
        // Whoever does not run leads nobody.
        let status = match field.processes.state(&node) {
            NodeState::Ready | NodeState::Starting => {
                let answer = timeout(ANSWER_WITHIN, target.status_of(&node, address)).await;
                answer.ok().and_then(Result::ok).unwrap_or_default()
            }
            _ => tribunal_targets::Status::default(),
        };
        let leads = status.role == "leader" || status.leader.as_ref() == Some(&node);
        if leads && !led {
            cues.saw(&Sight::Leader(&node));
        }
        led = leads;
        let text = format!("{}: {}", status.role, status.detail);
        if text != last {
            cues.saw(&Sight::Status(&node, &text));
        }
        last = text;
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
