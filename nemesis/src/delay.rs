//! Bytes of some links arrive late.

use serde::{Deserialize, Serialize};
use tribunal_results::options::{OptionError, TimeRange};

use crate::fabric::{self, Counters, Distribution, Kind, Rule};
use crate::network::LinkFault;

/// The fault `delay`.
#[derive(Debug)]
pub struct Delay;

/// Its own options.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How late bytes arrive.
    by: TimeRange,
    /// How that is spread.
    distribution: Distribution,
    /// How much each delay is like the one before, from 0 to 1.
    correlation: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            by: TimeRange::millis(20, 80),
            distribution: Distribution::default(),
            correlation: 0.0,
        }
    }
}

impl LinkFault for Delay {
    type Options = Options;

    const NAME: &'static str = "delay";
    const ABOUT: &'static str = "delivers the bytes of some links late";
    const COLOUR: &'static str = "#8cc084";
    const WORKS_ON: &'static [Kind] = &[Kind::Proxy, Kind::Switch];

    fn check(options: &Options) -> Result<(), OptionError> {
        if options.by.to.0.is_zero() {
            let text = "a delay by nothing; write 20ms..80ms";
            return Err(OptionError::new("by", text));
        }
        if !(0.0..=1.0).contains(&options.correlation) {
            let text = format!("{} is not between 0 and 1", options.correlation);
            return Err(OptionError::new("correlation", text));
        }
        Ok(())
    }

    fn what(options: &Options) -> String {
        format!("delay by {}", options.by)
    }

    fn rule(options: &Options) -> Rule {
        let delay = fabric::Delay {
            base: options.by.from.0,
            jitter: options.by.to.0.saturating_sub(options.by.from.0),
            distribution: options.distribution,
            correlation: options.correlation,
        };
        Rule {
            delay,
            ..Rule::default()
        }
    }

    fn effect(did: &Counters) -> u64 {
        did.bytes_delayed
    }
}
