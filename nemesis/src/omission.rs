//! Single messages are dropped.

use serde::{Deserialize, Serialize};
use tribunal_results::options::OptionError;

use crate::fabric::{Counters, Messages, Rule};
use crate::network::{LinkFault, check_probability};

/// The fault `omission`.
#[derive(Debug)]
pub struct Omission;

/// Its own options.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How likely each message is dropped.
    probability: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { probability: 0.05 }
    }
}

impl LinkFault for Omission {
    type Options = Options;

    const NAME: &'static str = "omission";
    const ABOUT: &'static str = "drops single messages";
    const COLOUR: &'static str = "#d98b5f";
    const IS_FRAMED: bool = true;

    fn check(options: &Options) -> Result<(), OptionError> {
        check_probability("probability", options.probability)
    }

    fn what(options: &Options) -> String {
        format!("drop 1 message in {:.0}", 1.0 / options.probability)
    }

    fn rule(options: &Options) -> Rule {
        Rule::messages(Messages {
            omission: options.probability,
            ..Messages::default()
        })
    }

    fn effect(did: &Counters) -> u64 {
        did.omitted
    }
}
