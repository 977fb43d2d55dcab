//! Single messages arrive twice.

use serde::{Deserialize, Serialize};
use tribunal_results::options::{OptionError, Time};

use crate::fabric::{Counters, Messages, Rule};
use crate::network::{LinkFault, check_probability};

/// The fault `duplication`.
#[derive(Debug)]
pub struct Duplication;

/// Its own options.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How likely each message arrives twice.
    probability: f64,
    /// How much later the second copy comes at most; others pass it meanwhile.
    by: Time,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            probability: 0.05,
            by: Time::millis(20),
        }
    }
}

impl LinkFault for Duplication {
    type Options = Options;

    const NAME: &'static str = "duplication";
    const ABOUT: &'static str = "delivers single messages twice";
    const COLOUR: &'static str = "#6fb0d2";
    const IS_FRAMED: bool = true;

    fn check(options: &Options) -> Result<(), OptionError> {
        check_probability("probability", options.probability)
    }

    fn what(options: &Options) -> String {
        format!("double 1 message in {:.0}", 1.0 / options.probability)
    }

    fn rule(options: &Options) -> Rule {
        Rule::messages(Messages {
            duplication: options.probability,
            hold: options.by.0,
            ..Messages::default()
        })
    }

    fn effect(did: &Counters) -> u64 {
        did.duplicated
    }
}
