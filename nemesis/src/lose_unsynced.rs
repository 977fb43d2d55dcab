//! The power of some nodes fails: they end at once, and what they had not synced is lost.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::Need;
use crate::disk::TIER;
use crate::process::{Hit, Nodes, ProcessFault};

/// How long the kernel may take to let go of the files of a process that has ended.
const RELEASED_WITHIN: Duration = Duration::from_secs(5);

/// The fault `lose-unsynced`.
#[derive(Debug)]
pub struct LoseUnsynced;

impl ProcessFault for LoseUnsynced {
    const NAME: &'static str = "lose-unsynced";
    const ABOUT: &'static str =
        "kills nodes and takes back what they wrote but did not fsync; heals by starting them";
    const COLOUR: &'static str = "#6b4f3a";
    const NEEDS: Option<Need> = Some(Need::Disk);
    type Options = Nodes;

    async fn hit(hit: Hit) -> Result<Json, String> {
        // First of all, so that no node is killed of which nothing could be lost.
        let disk = hit.processes.disk(&hit.node)?;
        let exit = hit.processes.kill(&hit.node).await?;
        if !disk.idle(RELEASED_WITHIN).await {
            return Err(format!(
                "its files are in use {RELEASED_WITHIN:?} after its end"
            ));
        }
        let lost = disk.lose_unsynced().map_err(|e| e.to_string())?;
        Ok(json!({ "tier": TIER, "exit": exit, "lost": lost, "disk": disk.tally() }))
    }
}
