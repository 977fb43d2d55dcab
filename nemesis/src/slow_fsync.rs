//! The disks of some nodes take long to make durable what was written.

use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use tribunal_results::options::{OptionError, TimeRange, decode};

use crate::aim::Aim;
use crate::disk::Rules;
use crate::disk_error::{break_disks, mend_disks};
use crate::process::choose;
use crate::{Fault, Field, Healed, Injected, Injection, Need, Pending};

/// The fault `slow-fsync`.
#[derive(Debug)]
pub struct SlowFsync;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
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

impl Fault for SlowFsync {
    fn name(&self) -> &'static str {
        "slow-fsync"
    }

    fn about(&self) -> &'static str {
        "makes fsyncs of nodes take long"
    }

    fn colour(&self) -> &'static str {
        "#d2a679"
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        if decode::<Options>(options)?.by.to.0.is_zero() {
            return Err(OptionError::new(
                "by",
                "an fsync that takes no longer; write 50ms..200ms",
            ));
        }
        Ok(())
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Disk)
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        let Options { nodes, by } = decode(options).ok()?;
        let mut injection = choose(self.name(), &nodes, Map::new(), field, rng)?;
        injection.detail["by"] = json!(by);
        injection.what = format!("{} by {by}", injection.what);
        Some(injection)
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(async move {
            match serde_json::from_value::<TimeRange>(injection.detail["by"].clone()) {
                Ok(by) => break_disks(injection, field, |rules| rules.fsync_takes = Some(by)),
                Err(e) => Injected::Skipped(format!("its detail does not say how slow: {e}")),
            }
        })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        let fast = |rules: &mut Rules| rules.fsync_takes = None;
        Box::pin(mend_disks(injection, field, fast, |did| did.slowed))
    }
}
