//! Nodes are killed, started, and killed again before they are ready.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use tokio::time::sleep;
use tribunal_results::NodeState;
use tribunal_results::options::{OptionError, Time, TimeRange};

use crate::aim::Aim;
use crate::process::{Hit, ProcessFault};

/// The most starts of one node.
const TIMES_MAX: usize = 10;

/// The fault `kill-starting`.
#[derive(Debug)]
pub struct KillStarting;

/// Whom to kill, and when.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    nodes: Aim,
    /// How long after its start a node is killed.
    after: TimeRange,
    /// How many times in a row.
    times: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: Aim::default(),
            after: TimeRange::millis(0, 10),
            times: 3,
        }
    }
}

impl AsRef<Aim> for Options {
    fn as_ref(&self) -> &Aim {
        &self.nodes
    }
}

impl ProcessFault for KillStarting {
    const NAME: &'static str = "kill-starting";
    const ABOUT: &'static str =
        "kills nodes while they start, several times; heals by starting them";
    const COLOUR: &'static str = "#b5545c";
    type Options = Options;

    fn check(options: &Options) -> Result<(), OptionError> {
        if (1..=TIMES_MAX).contains(&options.times) {
            return Ok(());
        }
        let message = format!("from 1 to {TIMES_MAX}");
        Err(OptionError::new("times", message))
    }

    fn draw(options: &Options, rng: &mut Pcg64Mcg) -> Map<String, Json> {
        let draw = |_| Time(options.after.at(rng.random()));
        let after: Vec<Time> = (0..options.times).map(draw).collect();
        Map::from_iter([("after".to_owned(), json!(after))])
    }

    async fn hit(hit: Hit) -> Result<Json, String> {
        let (processes, node) = (&hit.processes, &hit.node);
        let old = processes.pid(node);
        let status = processes.kill(node).await?;
        let mut starts = Vec::new();
        for after in hit.drawn::<Vec<Time>>("after")? {
            let pid = processes.start(node).await?;
            sleep(after.0).await;
            let state = processes.state(node);
            let status = processes.kill(node).await?;
            starts.push(json!({ "pid": pid, "state": state, "status": status }));
        }
        let caught = |start: &&Json| start["state"] == json!(NodeState::Starting);
        match starts.iter().filter(caught).count() {
            0 => {
                Err("it was ready each time before it was killed; choose a shorter `after`".into())
            }
            caught => Ok(json!({
                "old_pid": old,
                "status": status,
                "killed_while_starting": caught,
                "starts": starts,
            })),
        }
    }
}
