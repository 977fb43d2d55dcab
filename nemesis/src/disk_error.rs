//! Calls to the disks of some nodes fail.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use tribunal_results::options::OptionError;

use crate::aim::Aim;
use crate::disk::{Call, DiskFault, Rules, Tally};
use crate::process::Hit;

/// The fault `disk-error`.
#[derive(Debug)]
pub struct DiskError;

/// Its options.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whose disks.
    nodes: Aim,
    /// What fails.
    calls: Vec<Call>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: Aim::default(),
            calls: vec![Call::Write, Call::Fsync],
        }
    }
}

impl AsRef<Aim> for Options {
    fn as_ref(&self) -> &Aim {
        &self.nodes
    }
}

impl DiskFault for DiskError {
    const NAME: &'static str = "disk-error";
    const ABOUT: &'static str = "fails writes, fsyncs or reads of nodes (EIO)";
    const COLOUR: &'static str = "#a0522d";
    type Options = Options;

    fn check(options: &Options) -> Result<(), OptionError> {
        if options.calls.is_empty() {
            let text = "nothing fails; write some of [read, write, fsync]";
            return Err(OptionError::new("calls", text));
        }
        Ok(())
    }

    fn keep(options: &Options) -> Map<String, Json> {
        Map::from_iter([("calls".to_owned(), json!(options.calls))])
    }

    fn rule(hit: &Hit) -> Result<impl FnOnce(&mut Rules) + Send, String> {
        let calls = hit.drawn("calls")?;
        Ok(|rules: &mut Rules| rules.failing = calls)
    }

    fn lift(rules: &mut Rules) {
        rules.failing.clear();
    }

    fn effect(did: &Tally) -> u64 {
        did.failed
    }
}
