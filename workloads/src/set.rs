//! Additions to sets, and reads of all their elements: does every acknowledged element stay?
//!
//! Each element is added once. At the end, after a rest, every set is read at every node.

use serde_json::Value as Json;
use tribunal_results::options::OptionError;
use tribunal_results::{Assumptions, Kind};

use crate::convergence::assume_settled;
use crate::convergence::objects::{Family, Objects, Options};
use crate::generator::Seed;
use crate::{Program, Setting, Workload};

/// The set workload.
pub struct Set;

impl Workload for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn about(&self) -> &'static str {
        "additions of unique elements to sets, and reads of all elements"
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Add, Kind::Members]
    }

    fn uses(&self) -> &'static [Kind] {
        &[]
    }

    fn checkers(&self) -> &'static [&'static str] {
        &["set", "set-full", "convergence"]
    }

    fn assume(&self, options: &Json, assume: &mut Assumptions) {
        assume_settled(options, assume);
    }

    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError> {
        let options = Options::checked(options)?;
        let seed = Seed::new(setting.seed).named("set");
        let families = vec![Family::Set { removes: false }];
        Ok(Objects::program(families, seed, &options, setting))
    }
}
