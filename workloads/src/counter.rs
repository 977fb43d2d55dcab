//! Increments of counters, and reads of what they stand at: is each acknowledged increment counted
//! at once, and once?
//!
//! Every other counter is decremented too. At the end, after a rest, every counter is read at every
//! node. With the option `eventual` an increment need not be counted at once, only in the end.

use serde_json::Value as Json;
use tribunal_results::options::OptionError;
use tribunal_results::{Assumptions, Kind};

use crate::convergence::assume_settled;
use crate::convergence::objects::{Family, Objects, Options};
use crate::generator::Seed;
use crate::{Program, Setting, Workload};

/// The counter workload.
pub struct Counter;

impl Workload for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn about(&self) -> &'static str {
        "increments of counters, and reads of what they stand at"
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Increment, Kind::Count]
    }

    fn uses(&self) -> &'static [Kind] {
        &[]
    }

    fn checkers(&self) -> &'static [&'static str] {
        &["counter", "convergence"]
    }

    fn judges(&self, options: &Json) -> &'static [&'static str] {
        match Options::checked(options).is_ok_and(|options| options.eventual()) {
            true => &["convergence"],
            false => &["counter"],
        }
    }

    fn assume(&self, options: &Json, assume: &mut Assumptions) {
        assume_settled(options, assume);
    }

    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError> {
        let options = Options::checked(options)?;
        let seed = Seed::new(setting.seed).named("counter");
        let families = vec![Family::Counter { falls: true }];
        Ok(Objects::program(families, seed, &options, setting))
    }
}
