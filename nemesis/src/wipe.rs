//! Nodes lose all their data: they are killed, their directory is emptied, and they are started
//! again to heal. What was lost stays lost.

use serde_json::{Value as Json, json};

use crate::process::{Hit, Nodes, ProcessFault, files};

/// The fault `wipe`.
#[derive(Debug)]
pub struct Wipe;

impl ProcessFault for Wipe {
    const NAME: &'static str = "wipe";
    const ABOUT: &'static str = "kills nodes and empties their directory; heals by starting them";
    const COLOUR: &'static str = "#9c6b4f";
    type Options = Nodes;

    async fn hit(hit: Hit) -> Result<Json, String> {
        let data = hit.data()?;
        let pid = hit.processes.pid(&hit.node);
        let status = hit.processes.kill(&hit.node).await?;
        let before = files::content(&data)?;
        files::empty(&data)?;
        let after = files::content(&data)?;
        if before.files == 0 {
            return Err("its directory was empty: there was nothing to wipe".into());
        }
        Ok(json!({ "pid": pid, "status": status, "before": before, "after": after }))
    }
}
