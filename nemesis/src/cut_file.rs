//! Files of nodes lose some of their end.

use rand_pcg::Pcg64Mcg;
use serde_json::Value as Json;
use tribunal_results::options::OptionError;

use crate::bit_flip::{check, heal, inject, resolve};
use crate::disk::damage::Damage;
use crate::{Fault, Field, Healed, Injected, Injection, Pending};

/// The fault `cut-file`.
#[derive(Debug)]
pub struct CutFile;

impl Fault for CutFile {
    fn name(&self) -> &'static str {
        "cut-file"
    }

    fn about(&self) -> &'static str {
        "cuts off the end of a file of each node, for good; the node is down meanwhile unless asked"
    }

    fn colour(&self) -> &'static str {
        "#b05fb0"
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        check(options)
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        resolve(self.name(), options, field, rng)
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(inject(injection, field, Damage::Cut))
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(heal(injection, field))
    }
}
