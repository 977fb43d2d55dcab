//! The clocks of some nodes jump to and fro, many times a second.

use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use tribunal_results::options::{OptionError, Time, TimeRange};

use crate::skew::{ClockFault, Move, Skew, signed};

/// The fault `clock-strobe`.
#[derive(Debug)]
pub struct ClockStrobe;

/// How its clocks are moved.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How far, and which way; drawn for each node.
    by: Move,
    /// How long each jump, and the right time after it, last together.
    period: TimeRange,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            by: Move {
                by: TimeRange::millis(100, 60_000),
                ahead: None,
            },
            period: TimeRange::millis(2, 200),
        }
    }
}

impl ClockFault for ClockStrobe {
    const NAME: &'static str = "clock-strobe";
    const ABOUT: &'static str =
        "makes the clocks that nodes read jump to and fro, each process by itself";
    const COLOUR: &'static str = "#3fa39c";
    type Options = Options;

    fn check(options: &Options) -> Result<(), OptionError> {
        if options.period.from.0.is_zero() {
            return Err(OptionError::new(
                "period",
                "a period of nothing; write 2ms..200ms",
            ));
        }
        Ok(())
    }

    fn draw(options: &Options, rng: &mut Pcg64Mcg) -> (Skew, String) {
        let offset_ns = options.by.draw_ns(rng.random(), rng.random());
        let period = options.period.at(rng.random());
        let half_period_ns = u64::try_from(period.as_micros() / 2).unwrap_or(1).max(1) * 1_000;
        let skew = Skew {
            offset_ns,
            half_period_ns,
            ..Skew::default()
        };
        let period = Time(Duration::from_nanos(2 * half_period_ns));
        (skew, format!("by {} every {period}", signed(offset_ns)))
    }
}
