//! The clocks of some nodes run fast or slow, and are right again at once when it is over.

use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use tribunal_results::options::{OptionError, TimeRange};

use crate::skew::{ClockFault, Move, Skew, signed};

/// The fault `clock-drift`.
#[derive(Debug)]
pub struct ClockDrift;

/// How its clocks are moved.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// By how much in each second, and which way; drawn for each node.
    rate: Move,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rate: Move {
                by: TimeRange::millis(10, 500),
                ahead: None,
            },
        }
    }
}

impl ClockFault for ClockDrift {
    const NAME: &'static str = "clock-drift";
    const ABOUT: &'static str =
        "makes the clocks that nodes read run fast or slow, each process by itself";
    const COLOUR: &'static str = "#6ec6bf";
    type Options = Options;

    fn check(options: &Options) -> Result<(), OptionError> {
        if options.rate.ahead != Some(true) && options.rate.by.to.0 >= Duration::from_secs(1) {
            return Err(OptionError::new(
                "rate",
                "a clock that loses a second or more in each stands still or runs back; write \
                 ±10ms..500ms",
            ));
        }
        Ok(())
    }

    fn draw(options: &Options, rng: &mut Pcg64Mcg) -> (Skew, String) {
        let drift_ppb = options.rate.draw_ns(rng.random(), rng.random());
        let skew = Skew {
            drift_ppb,
            ..Skew::default()
        };
        (skew, format!("by {} a second", signed(drift_ppb)))
    }
}
