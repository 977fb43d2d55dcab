//! Links carry little at a time.

use serde::{Deserialize, Serialize};
use tribunal_results::options::{OptionError, Rate};

use crate::fabric::{Bandwidth, Counters, Kind, Rule};
use crate::network::LinkFault;

/// The fault `throttle`.
#[derive(Debug)]
pub struct Throttle;

/// Its own options.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What each link carries in the long run.
    rate: Rate,
    /// What passes at once after a silence, in bytes.
    burst: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rate: Rate(8_000),
            burst: 0,
        }
    }
}

impl LinkFault for Throttle {
    type Options = Options;

    const NAME: &'static str = "throttle";
    const ABOUT: &'static str = "lets some links carry only so many bytes per second";
    const COLOUR: &'static str = "#5f9e6e";
    const WORKS_ON: &'static [Kind] = &[Kind::Proxy, Kind::Switch];

    fn check(options: &Options) -> Result<(), OptionError> {
        if options.rate.0 == 0 {
            let text = "a link that carries nothing is a partition; write 8kB/s";
            return Err(OptionError::new("rate", text));
        }
        Ok(())
    }

    fn what(options: &Options) -> String {
        format!("throttle to {}", options.rate)
    }

    fn rule(options: &Options) -> Rule {
        Rule {
            bandwidth: Some(Bandwidth {
                rate: options.rate.0,
                burst: options.burst,
            }),
            ..Rule::default()
        }
    }

    fn effect(did: &Counters) -> u64 {
        did.bytes_throttled
    }
}
