//! The option that says how long a hold lasts.

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, decode};

use crate::node::{MILLISECOND, Nanos};

/// The longest lease, in milliseconds: a day.
const LEASE_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// The options of a target whose locks have leases and which has nothing else to choose.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LeaseOptions {
    /// How long a hold lasts unless it is renewed, in milliseconds.
    lease_ms: u64,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        Self { lease_ms: 1_500 }
    }
}

impl LeaseOptions {
    /// Reads them.
    ///
    /// # Errors
    /// The path and nature of the first wrong option.
    pub(crate) fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        match options.lease_ms {
            1..=LEASE_MS_MAX => Ok(options),
            wrong => Err(OptionError::new(
                "lease_ms",
                format!("{wrong} is no lease; it lasts from 1 to {LEASE_MS_MAX} ms"),
            )),
        }
    }

    /// How long a hold lasts.
    pub(crate) const fn lease(&self) -> Nanos {
        self.lease_ms * MILLISECOND
    }
}
