//! Faults that break the disks of nodes: all that they share.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json, json};
use tribunal_results::options::OptionError;

use super::{Rules, Tally};
use crate::aim::Aim;
use crate::process::{Answers, Hit, ProcessFault, revive};
use crate::{Field, Injection, Need};

/// How the layer between a process and its files is called on the record.
pub(crate) const TIER: &str = "FUSE layer over the data directory";

/// A fault that is a rule for the disks of some nodes.
pub trait DiskFault: Send + Sync + 'static {
    /// See [`crate::Fault::name`].
    const NAME: &'static str;
    /// See [`crate::Fault::about`].
    const ABOUT: &'static str;
    /// See [`crate::Fault::colour`].
    const COLOUR: &'static str;
    /// Its options: whom it is aimed at, and whatever else.
    type Options: DeserializeOwned + AsRef<Aim>;

    /// Checks what their form alone does not.
    ///
    /// # Errors
    /// The path and nature of the first wrong option.
    fn check(_options: &Self::Options) -> Result<(), OptionError> {
        Ok(())
    }

    /// What has to be kept, besides the nodes, to do the same again.
    fn keep(_options: &Self::Options) -> Map<String, Json> {
        Map::new()
    }

    /// The rule.
    ///
    /// # Errors
    /// The injection does not say what it was made with.
    fn rule(hit: &Hit) -> Result<impl FnOnce(&mut Rules) + Send, String>;

    /// Lifts it.
    fn lift(rules: &mut Rules);

    /// Of what a disk did under the rule, what shows that it bit.
    fn effect(did: &Tally) -> u64;
}

impl<F: DiskFault> ProcessFault for F {
    const NAME: &'static str = F::NAME;
    const ABOUT: &'static str = F::ABOUT;
    const COLOUR: &'static str = F::COLOUR;
    const NEEDS: Option<Need> = Some(Need::Disk);
    type Options = F::Options;

    fn check(options: &Self::Options) -> Result<(), OptionError> {
        F::check(options)
    }

    fn draw(options: &Self::Options, _: &mut rand_pcg::Pcg64Mcg) -> Map<String, Json> {
        F::keep(options)
    }

    async fn hit(hit: Hit) -> Result<Json, String> {
        let rule = F::rule(&hit)?;
        let disk = hit.processes.disk(&hit.node)?;
        disk.begin(F::NAME, rule);
        Ok(json!({ "tier": TIER, "rules": disk.rules() }))
    }

    /// Starts the node, too, if it ended by itself meanwhile: to stop is a right answer to a disk
    /// that fails.
    async fn mend(hit: Hit) -> Result<Json, String> {
        let disk = hit.processes.disk(&hit.node)?;
        disk.change(F::lift);
        let pid = revive(hit.processes, hit.node).await?;
        let affected = disk.since(F::NAME, F::effect);
        Ok(json!({ "tier": TIER, "calls_affected": affected, "rules": disk.rules(), "pid": pid }))
    }

    /// A process asked for something that was refused, failed or was late.
    fn bit(_: &Injection, _: &Field, mended: &Answers<Json>) -> bool {
        let affected = |proof: &Json| proof["calls_affected"].as_u64().unwrap_or(0) > 0;
        mended.values().flatten().any(affected)
    }
}
