//! The clocks of some nodes jump to and fro, many times a second.

use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, Time, TimeRange, decode};

use crate::aim::Aim;
use crate::clock_jump::some_clock;
use crate::skew::{ClockKind, Move, Skew, choose, cure, move_clocks, signed};
use crate::{Fault, Field, Healed, Injected, Injection, Need, Pending};

/// The fault `clock-strobe`.
#[derive(Debug)]
pub struct ClockStrobe;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Whose clocks.
    nodes: Aim,
    /// How far, and which way; drawn for each node.
    by: Move,
    /// How long each jump, and the right time after it, last together.
    period: TimeRange,
    /// Which of their clocks.
    clocks: Vec<ClockKind>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: Aim::default(),
            by: Move {
                by: TimeRange::millis(100, 60_000),
                ahead: None,
            },
            period: TimeRange::millis(2, 200),
            clocks: vec![ClockKind::Realtime],
        }
    }
}

impl Fault for ClockStrobe {
    fn name(&self) -> &'static str {
        "clock-strobe"
    }

    fn about(&self) -> &'static str {
        "makes the clocks that nodes read jump to and fro, each process by itself"
    }

    fn colour(&self) -> &'static str {
        "#3fa39c"
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        let options: Options = decode(options)?;
        if options.period.from.0.is_zero() {
            return Err(OptionError::new(
                "period",
                "a period of nothing; write 2ms..200ms",
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
            let offset_ns = options.by.draw_ns(rng.random(), rng.random());
            let period = options.period.at(rng.random());
            let half_period_ns = u64::try_from(period.as_micros() / 2).unwrap_or(1).max(1) * 1_000;
            let skew = Skew {
                clocks: options.clocks.clone(),
                offset_ns,
                half_period_ns,
                ..Skew::default()
            };
            let period = Time(Duration::from_nanos(2 * half_period_ns));
            (skew, format!("by {} every {period}", signed(offset_ns)))
        })
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(move_clocks(injection, field))
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(cure(injection, field))
    }
}
