//! Transactions that append to lists and read them.
//!
//! A list tells the order of all its versions, so next to nothing about the order of transactions
//! is left to guess; see [`crate::transactions`] for the load. The option `level` says by which
//! isolation level the answers are judged; otherwise they are by the one that the target claims.

use serde_json::Value as Json;
use tribunal_results::options::OptionError;
use tribunal_results::{Assumptions, Kind};

use crate::transactions::{self, Options, Style, program};
use crate::{Program, Setting, Workload};

/// The workload.
pub struct ListAppend;

impl Workload for ListAppend {
    fn name(&self) -> &'static str {
        "list-append"
    }

    fn about(&self) -> &'static str {
        "transactions that append unique values to lists and read them (Elle's list-append)"
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Txn]
    }

    fn uses(&self) -> &'static [Kind] {
        &[]
    }

    fn checkers(&self) -> &'static [&'static str] {
        &["list-append"]
    }

    fn assume(&self, options: &Json, assume: &mut Assumptions) {
        transactions::assume(options, assume);
    }

    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError> {
        let options = Options::read(options)?;
        Ok(program(&options, Style::Lists, self.name(), setting))
    }
}
