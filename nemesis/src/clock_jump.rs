//! The clocks of some nodes jump, and jump back when it is over.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use tribunal_results::options::{OptionError, TimeRange};

use crate::skew::{ClockFault, Move, Skew, signed};

/// The fault `clock-jump`.
#[derive(Debug)]
pub struct ClockJump;

/// How its clocks are moved.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How far, and which way; drawn for each node.
    by: Move,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            by: Move {
                by: TimeRange::millis(100, 60_000),
                ahead: None,
            },
        }
    }
}

impl ClockFault for ClockJump {
    const NAME: &'static str = "clock-jump";
    const ABOUT: &'static str =
        "moves the clocks that nodes read, ahead or back, each process by itself";
    const COLOUR: &'static str = "#a0e9e3";
    type Options = Options;

    fn check(_: &Options) -> Result<(), OptionError> {
        Ok(())
    }

    fn draw(options: &Options, rng: &mut Pcg64Mcg) -> (Skew, String) {
        let offset_ns = options.by.draw_ns(rng.random(), rng.random());
        let skew = Skew {
            offset_ns,
            ..Skew::default()
        };
        (skew, format!("by {}", signed(offset_ns)))
    }
}
