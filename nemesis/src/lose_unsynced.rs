//! The power of some nodes fails: they end at once, and what they had not synced is lost.

use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use serde_json::{Map, Value as Json, json};
use tribunal_results::options::{OptionError, decode};

use crate::disk_error::TIER;
use crate::process::{Nodes, choose, injected, on_each, proof_of, replaced, revive};
use crate::{Fault, Field, Healed, Injected, Injection, Need, Pending};

/// How long the kernel may take to let go of the files of a process that has ended.
const RELEASED_WITHIN: Duration = Duration::from_secs(5);

/// The fault `lose-unsynced`.
#[derive(Debug)]
pub struct LoseUnsynced;

impl Fault for LoseUnsynced {
    fn name(&self) -> &'static str {
        "lose-unsynced"
    }

    fn about(&self) -> &'static str {
        "kills nodes and takes back what they wrote but did not fsync; heals by starting them"
    }

    fn colour(&self) -> &'static str {
        "#6b4f3a"
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        decode::<Nodes>(options).map(drop)
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Disk)
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        let options: Nodes = decode(options).ok()?;
        choose(self.name(), options.as_ref(), Map::new(), field, rng)
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(async move {
            let answers = on_each(&injection.nodes, field, |processes, node| async move {
                // First of all, so that no node is killed of which nothing could be lost.
                let disk = processes.disk(&node)?;
                let exit = processes.kill(&node).await?;
                if !disk.idle(RELEASED_WITHIN).await {
                    return Err(format!(
                        "its files are in use {RELEASED_WITHIN:?} after its end"
                    ));
                }
                let lost = disk.lose_unsynced().map_err(|e| e.to_string())?;
                Ok(json!({ "tier": TIER, "exit": exit, "lost": lost, "disk": disk.tally() }))
            });
            injected(answers.await)
        })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(async move {
            let answers = on_each(&injection.nodes, field, |processes, node| async move {
                let pid = revive(processes, node).await?;
                Ok(json!({ "pid": pid }))
            })
            .await;
            Healed {
                bit: replaced(injection, field),
                proof: proof_of(answers),
            }
        })
    }
}
