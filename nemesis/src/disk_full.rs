//! The disks of some nodes have no space left.

use crate::disk::{DiskFault, Rules, Tally};
use crate::process::{Hit, Nodes};

/// The fault `disk-full`.
#[derive(Debug)]
pub struct DiskFull;

impl DiskFault for DiskFull {
    const NAME: &'static str = "disk-full";
    const ABOUT: &'static str = "refuses whatever takes space on the disks of nodes (ENOSPC)";
    const COLOUR: &'static str = "#b5a642";
    type Options = Nodes;

    fn rule(_: &Hit) -> Result<impl FnOnce(&mut Rules) + Send, String> {
        Ok(|rules: &mut Rules| rules.full = true)
    }

    fn lift(rules: &mut Rules) {
        rules.full = false;
    }

    fn effect(did: &Tally) -> u64 {
        did.refused
    }
}
