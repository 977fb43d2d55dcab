//! The disks of some nodes take long to make durable what was written.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use tribunal_results::options::{OptionError, TimeRange};

use crate::aim::Aim;
use crate::disk::{DiskFault, Rules, Tally};
use crate::process::Hit;

/// The fault `slow-fsync`.
#[derive(Debug)]
pub struct SlowFsync;

/// Its options.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whose disks.
    nodes: Aim,
    /// How long an fsync takes, besides what it takes.
    by: TimeRange,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: Aim::default(),
            by: TimeRange::millis(50, 200),
        }
    }
}

impl AsRef<Aim> for Options {
    fn as_ref(&self) -> &Aim {
        &self.nodes
    }
}

impl DiskFault for SlowFsync {
    const NAME: &'static str = "slow-fsync";
    const ABOUT: &'static str = "makes fsyncs of nodes take long";
    const COLOUR: &'static str = "#d2a679";
    type Options = Options;

    fn check(options: &Options) -> Result<(), OptionError> {
        if options.by.to.0.is_zero() {
            let text = "an fsync that takes no longer; write 50ms..200ms";
            return Err(OptionError::new("by", text));
        }
        Ok(())
    }

    fn keep(options: &Options) -> Map<String, Json> {
        Map::from_iter([("by".to_owned(), json!(options.by))])
    }

    fn rule(hit: &Hit) -> Result<impl FnOnce(&mut Rules) + Send, String> {
        let by = hit.drawn("by")?;
        Ok(move |rules: &mut Rules| rules.fsync_takes = Some(by))
    }

    fn lift(rules: &mut Rules) {
        rules.fsync_takes = None;
    }

    fn effect(did: &Tally) -> u64 {
        did.slowed
    }
}
