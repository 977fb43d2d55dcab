//! Messages overtake each other.

use serde::{Deserialize, Serialize};
use tribunal_results::options::{OptionError, Time};

use crate::fabric::{Counters, Messages, Rule};
use crate::network::{LinkFault, check_probability};

/// The fault `reordering`.
#[derive(Debug)]
pub struct Reordering;

/// Its own options.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How likely each message is held back, so that those behind it pass.
    probability: f64,
    /// For how long at most.
    by: Time,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            probability: 0.2,
            by: Time::millis(40),
        }
    }
}

impl LinkFault for Reordering {
    type Options = Options;

    const NAME: &'static str = "reordering";
    const ABOUT: &'static str = "lets messages overtake each other";
    const COLOUR: &'static str = "#9fc46a";
    const IS_FRAMED: bool = true;

    fn check(options: &Options) -> Result<(), OptionError> {
        if options.by.0.is_zero() {
            let text = "held back for nothing, none is overtaken; write 40ms";
            return Err(OptionError::new("by", text));
        }
        check_probability("probability", options.probability)
    }

    fn what(options: &Options) -> String {
        format!("reorder by up to {}", options.by)
    }

    fn rule(options: &Options) -> Rule {
        Rule::messages(Messages {
            reordering: options.probability,
            hold: options.by.0,
            ..Messages::default()
        })
    }

    fn effect(did: &Counters) -> u64 {
        did.overtook
    }
}
