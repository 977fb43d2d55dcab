//! Write everywhere, settle, read everywhere: do the replicas come to agree?
//!
//! Registers, sets and counters, as far as the target has them, are updated and read through all
//! nodes, a few at a time, while some threads only read. Every other set and counter only grows,
//! so that a replica that goes back is seen. At the end nothing is asked for a while, and then
//! every object is read at every node.

pub(crate) mod objects;

use serde_json::Value as Json;
use tribunal_results::options::OptionError;
use tribunal_results::{Assumptions, Kind};

use self::objects::{Family, Objects, Options, has};
use crate::generator::Seed;
use crate::{Program, Setting, Workload};

/// The convergence workload.
pub struct Convergence;

impl Workload for Convergence {
    fn name(&self) -> &'static str {
        "convergence"
    }

    fn about(&self) -> &'static str {
        "updates of registers, sets and counters at all nodes; when all is settled, reads of each \
         at each node"
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Read, Kind::Write]
    }

    fn uses(&self) -> &'static [Kind] {
        &[
            Kind::Add,
            Kind::Remove,
            Kind::Members,
            Kind::Increment,
            Kind::Count,
        ]
    }

    fn checkers(&self) -> &'static [&'static str] {
        &["convergence", "staleness"]
    }

    fn assume(&self, options: &Json, assume: &mut Assumptions) {
        assume_settled(options, assume);
    }

    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError> {
        let options = Options::checked(options)?;
        let mut families = vec![Family::Register];
        if has(setting, Kind::Add) && has(setting, Kind::Members) {
            let removes = has(setting, Kind::Remove);
            families.push(Family::Set { removes });
        }
        if has(setting, Kind::Increment) && has(setting, Kind::Count) {
            families.push(Family::Counter { falls: true });
        }
        let seed = Seed::new(setting.seed).named("convergence");
        Ok(Objects::program(families, seed, &options, setting))
    }
}

/// Replicas have as long to agree as the workload rests before its final reads.
pub(crate) fn assume_settled(options: &Json, assume: &mut Assumptions) {
    if let Ok(options) = Options::checked(options) {
        assume.settle_ms = options.settle_ms();
    }
}
