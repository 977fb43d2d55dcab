//! The disks of some nodes have no space left.

use rand_pcg::Pcg64Mcg;
use serde_json::{Map, Value as Json};
use tribunal_results::options::{OptionError, decode};

use crate::disk::Rules;
use crate::disk_error::{break_disks, mend_disks};
use crate::process::{Nodes, choose};
use crate::{Fault, Field, Healed, Injected, Injection, Need, Pending};

/// The fault `disk-full`.
#[derive(Debug)]
pub struct DiskFull;

impl Fault for DiskFull {
    fn name(&self) -> &'static str {
        "disk-full"
    }

    fn about(&self) -> &'static str {
        "refuses whatever takes space on the disks of nodes (ENOSPC)"
    }

    fn colour(&self) -> &'static str {
        "#b5a642"
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
        let full = |rules: &mut Rules| rules.full = true;
        Box::pin(async move { break_disks(injection, field, full) })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        let space = |rules: &mut Rules| rules.full = false;
        Box::pin(mend_disks(injection, field, space, |did| did.refused))
    }
}
