//! Transactions that write registers and read them.
//!
//! See [`crate::transactions`] for the load. The option `level` says by which isolation level the
//! answers are judged: by `rw-register`, which names what it finds, and by the checker that decides
//! that level.

use serde_json::Value as Json;
use tribunal_results::options::OptionError;
use tribunal_results::{Assumptions, Kind};

use crate::transactions::{Level, Options, Style, program};
use crate::{Program, Setting, Workload};

/// The workload.
pub struct RwRegister;

impl Workload for RwRegister {
    fn name(&self) -> &'static str {
        "rw-register"
    }

    fn about(&self) -> &'static str {
        "transactions that write unique values to registers and read them (Elle's rw-register)"
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Txn]
    }

    fn uses(&self) -> &'static [Kind] {
        &[]
    }

    fn checkers(&self) -> &'static [&'static str] {
        &Level::JUDGES
    }

    fn judges(&self, options: &Json) -> &'static [&'static str] {
        let level = Options::read(options).map(|options| options.level);
        level.unwrap_or(Level::STRICTEST).judges
    }

    fn assume(&self, options: &Json, assume: &mut Assumptions) {
        if let Ok(options) = Options::read(options) {
            assume.isolation = Some(options.level.name.to_owned());
        }
    }

    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError> {
        let options = Options::read(options)?;
        Ok(program(&options, Style::Registers, self.name(), setting))
    }
}
