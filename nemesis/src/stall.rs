//! Messages stop in their middle for a while, and then go on.

use serde::{Deserialize, Serialize};
use tribunal_results::options::{OptionError, Time};

use crate::fabric::{self, Counters, Rule};
use crate::network::{LinkFault, check_probability};

/// The fault `stall`.
#[derive(Debug)]
pub struct Stall;

/// Its own options.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How likely what is sent at once stops in its middle.
    probability: f64,
    /// For how long.
    time: Time,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            probability: 0.1,
            time: Time::millis(50),
        }
    }
}

impl LinkFault for Stall {
    type Options = Options;

    const NAME: &'static str = "stall";
    const ABOUT: &'static str = "stops messages in their middle for a while";
    const COLOUR: &'static str = "#b8a86a";

    fn check(options: &Options) -> Result<(), OptionError> {
        check_probability("probability", options.probability)?;
        if options.time.0.is_zero() {
            let text = "a stall for nothing; write 50ms";
            return Err(OptionError::new("time", text));
        }
        Ok(())
    }

    fn what(options: &Options) -> String {
        format!("stall for {}", options.time)
    }

    fn rule(options: &Options) -> Rule {
        Rule {
            stall: Some(fabric::Stall {
                probability: options.probability,
                time: options.time.0,
            }),
            ..Rule::default()
        }
    }

    fn effect(did: &Counters) -> u64 {
        did.stalls
    }
}
