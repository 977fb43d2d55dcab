//! The clocks of some nodes run fast or slow, and are right again at once when it is over.

use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, TimeRange, decode};

use crate::aim::Aim;
use crate::clock_jump::some_clock;
use crate::skew::{ClockKind, Move, Skew, choose, cure, move_clocks, signed};
use crate::{Fault, Field, Healed, Injected, Injection, Need, Pending};

/// The fault `clock-drift`.
#[derive(Debug)]
pub struct ClockDrift;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Whose clocks.
    nodes: Aim,
    /// By how much in each second, and which way; drawn for each node.
    rate: Move,
    /// Which of their clocks.
    clocks: Vec<ClockKind>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: Aim::default(),
            rate: Move {
                by: TimeRange::millis(10, 500),
                ahead: None,
            },
            clocks: vec![ClockKind::Realtime],
        }
    }
}

impl Fault for ClockDrift {
    fn name(&self) -> &'static str {
        "clock-drift"
    }

    fn about(&self) -> &'static str {
        "makes the clocks that nodes read run fast or slow, each process by itself"
    }

    fn colour(&self) -> &'static str {
        "#6ec6bf"
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        let options: Options = decode(options)?;
        if options.rate.ahead != Some(true) && options.rate.by.to.0 >= Duration::from_secs(1) {
            return Err(OptionError::new(
                "rate",
                "a clock that loses a second or more in each stands still or runs back; write \
                 ±10ms..500ms",
            ));
        }
        some_clock(&options.clocks)
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Clocks)
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        let options: Options = decode(options).ok()?;
        choose(self.name(), &options.nodes, field, rng, |_, rng| {
            let drift_ppb = options.rate.draw_ns(rng.random(), rng.random());
            let skew = Skew {
                clocks: options.clocks.clone(),
                drift_ppb,
                ..Skew::default()
            };
            (skew, format!("by {} a second", signed(drift_ppb)))
        })
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(move_clocks(injection, field))
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(cure(injection, field))
    }
}
