//! Nodes end by SIGKILL and are started again to heal.

use serde_json::{Value as Json, json};

use crate::process::{Hit, Nodes, ProcessFault};

/// The fault `kill`.
#[derive(Debug)]
pub struct Kill;

impl ProcessFault for Kill {
    const NAME: &'static str = "kill";
    const ABOUT: &'static str = "ends nodes by SIGKILL; heals by starting them again";
    const COLOUR: &'static str = "#e07a7a";
    type Options = Nodes;

    async fn hit(hit: Hit) -> Result<Json, String> {
        let pid = hit.processes.pid(&hit.node);
        let status = hit.processes.kill(&hit.node).await?;
        Ok(json!({ "pid": pid, "status": status }))
    }
}
