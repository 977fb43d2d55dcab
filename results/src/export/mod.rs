//! A history written in the formats of others, and as a trace to look at.
//!
//! A [`Format`] is a row of [`FORMATS`]. Everything is written as it is gone over: besides the
//! history itself no more is kept than what is outstanding. Where a format cannot express an
//! operation, nothing is written, and the error names the operation.
//!
//! | format | for |
//! |---|---|
//! | `trace` | Perfetto, `chrome://tracing`: operations, faults, states of nodes |
//! | `jepsen-edn` | Jepsen, Elle, Knossos |
//! | `elle-json` | elle-cli, and whatever reads the same as JSON |
//! | `jsonl` | Tribunal itself: also histories that came from elsewhere |

mod jepsen;
mod jsonl;
mod moments;
mod render;
mod trace;
mod words;

use std::io::{self, Write};

use crate::journal::Header;
use crate::{Call, History};

pub use moments::{Moment, Moments};

/// A way to write a history.
#[derive(Debug)]
pub struct Format {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    write: fn(&mut dyn Write, &Exported<'_>) -> Result<(), ExportError>,
}

/// Every format.
pub static FORMATS: [&Format; 4] = [&trace::FORMAT, &jepsen::EDN, &jepsen::JSON, &jsonl::FORMAT];

/// The format of that name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.into_iter().find(|format| format.name == name)
}

/// What is written.
#[derive(Clone, Copy, Debug)]
pub struct Exported<'a> {
    /// What the history file says at its beginning.
    pub header: &'a Header,
    /// What happened.
    pub history: &'a History,
    /// How many clients there were at once, if that is known: client *n* goes on as *n* plus this
    /// after an unknown outcome.
    pub clients: Option<u64>,
}

/// Why a history cannot be written in a format.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Nobody takes it.
    #[error("cannot write: {0}")]
    Io(#[from] io::Error),
    /// The format has no form for an operation, or for its answer.
    #[error("the operation of event {index} ({operation}) cannot be written as {format}: {reason}")]
    Inexpressible {
        /// Index of its invocation.
        index: u64,
        /// The operation.
        operation: String,
        /// The format.
        format: &'static str,
        /// What it cannot say.
        reason: String,
    },
}

impl ExportError {
    fn of(call: &Call, format: &'static str, reason: impl Into<String>) -> Self {
        Self::Inexpressible {
            index: call.invoked.index,
            operation: call.operation.to_string(),
            format,
            reason: reason.into(),
        }
    }
}

impl From<serde_json::Error> for ExportError {
    fn from(error: serde_json::Error) -> Self {
        Self::Io(error.into())
    }
}

/// Writes a history. Whoever calls buffers and flushes.
///
/// # Errors
/// If an operation has no form in that format (then nothing was written), or the output fails.
pub fn write(
    format: &Format,
    output: &mut dyn Write,
    exported: &Exported<'_>,
) -> Result<(), ExportError> {
    (format.write)(output, exported)
}
