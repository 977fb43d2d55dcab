//! Connections close in slow motion.
//!
//! Those that exist are closed at the end of whoever sends, and the receiver is told only a while
//! later: until then it holds on to a connection whose other end may have come back on a new one.
//! So it is with closes and resets that come by themselves while the fault lasts.

use serde::{Deserialize, Serialize};
use tribunal_results::options::{OptionError, Time};

use crate::fabric::{Counters, Rule};
use crate::network::LinkFault;

/// The fault `slow-close`.
#[derive(Debug)]
pub struct SlowClose;

/// Its own options.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How much later the other end is told.
    by: Time,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            by: Time::millis(200),
        }
    }
}

impl LinkFault for SlowClose {
    type Options = Options;

    const NAME: &'static str = "slow-close";
    const ABOUT: &'static str = "closes connections at one end, and tells the other late";
    const COLOUR: &'static str = "#a58fd0";

    fn check(options: &Options) -> Result<(), OptionError> {
        if options.by.0.is_zero() {
            let text = "later by nothing is not slow; write 200ms";
            return Err(OptionError::new("by", text));
        }
        Ok(())
    }

    fn what(options: &Options) -> String {
        format!("close slowly, by {},", options.by)
    }

    fn rule(options: &Options) -> Rule {
        Rule {
            slow_close: Some(options.by.0),
            ..Rule::default()
        }
    }

    fn effect(did: &Counters) -> u64 {
        did.slowly_closed
    }
}
