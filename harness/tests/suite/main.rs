//! Suites from the outside: YAML in; plans, or messages that help, out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests throughout"
)]

mod catalogue;
mod golden;
mod plans;
mod properties;

use std::io::Write as _;

use tribunal::plan::Plan;
use tribunal::suite::{Overrides, Source, SuiteError, load};

/// Loads a text as a file would be loaded.
fn load_bytes(bytes: &[u8], overrides: &Overrides) -> Result<Vec<Plan>, SuiteError> {
    let mut file = tempfile::Builder::new()
        .prefix("suite-")
        .suffix(".yaml")
        .tempfile()
        .unwrap();
    file.write_all(bytes).unwrap();
    let source = Source::File(file.path().to_owned());
    load(&source, &catalogue::catalogue(), overrides)
}
