//! Transactions that write registers and read them.
//!
//! See [`crate::transactions`] for the load. The answers are judged by `rw-register`, at the level
//! that the target claims; with the option `level` at that one, and also by the checker that decides it.

use serde_json::Value as Json;
use tribunal_results::options::OptionError;
use tribunal_results::{Assumptions, Kind};

use crate::transactions::{self, Level, Options, Style, program};
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
        let options = Options::read(options).ok();
        let level = options.and_then(|options| options.level);
        level.map_or(&["rw-register"], |level| level.judges)
    }

    fn assume(&self, options: &Json, assume: &mut Assumptions) {
        transactions::assume(options, assume);
    }

    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError> {
        let options = Options::read(options)?;
        Ok(program(&options, Style::Registers, self.name(), setting))
    }
}
