//! Nodes are asked to end by SIGTERM and started again to heal.

use serde_json::{Value as Json, json};

use crate::process::{Hit, Nodes, ProcessFault};

/// The fault `terminate`.
#[derive(Debug)]
pub struct Terminate;

impl ProcessFault for Terminate {
    const NAME: &'static str = "terminate";
    const ABOUT: &'static str = "ends nodes by SIGTERM; heals by starting them again";
    const COLOUR: &'static str = "#c98a6b";
    type Options = Nodes;

    async fn hit(hit: Hit) -> Result<Json, String> {
        let pid = hit.processes.pid(&hit.node);
        let status = hit.processes.terminate(&hit.node).await?;
        Ok(json!({ "pid": pid, "status": status }))
    }
}
