//! The clocks of some nodes jump, and jump back when it is over.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, TimeRange, decode};

use crate::aim::Aim;
use crate::skew::{ClockKind, Move, Skew, choose, cure, move_clocks, signed};
use crate::{Fault, Field, Healed, Injected, Injection, Need, Pending};

/// The fault `clock-jump`.
#[derive(Debug)]
pub struct ClockJump;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Whose clocks.
    nodes: Aim,
    /// How far, and which way; drawn for each node.
    by: Move,
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
            clocks: vec![ClockKind::Realtime],
        }
    }
}

impl Fault for ClockJump {
    fn name(&self) -> &'static str {
        "clock-jump"
    }

    fn about(&self) -> &'static str {
        "moves the clocks that nodes read, ahead or back, each process by itself"
    }

    fn colour(&self) -> &'static str {
        "#a0e9e3"
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        decode::<Options>(options).and_then(|it| some_clock(&it.clocks))
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Clocks)
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        let options: Options = decode(options).ok()?;
        choose(self.name(), &options.nodes, field, rng, |_, rng| {
            let offset_ns = options.by.draw_ns(rng.random(), rng.random());
            let skew = Skew {
                clocks: options.clocks.clone(),
                offset_ns,
                ..Skew::default()
            };
            (skew, format!("by {}", signed(offset_ns)))
        })
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(move_clocks(injection, field))
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(cure(injection, field))
    }
}

/// A clock fault must move something.
pub(crate) fn some_clock(clocks: &[ClockKind]) -> Result<(), OptionError> {
    if clocks.is_empty() {
        return Err(OptionError::new(
            "clocks",
            "no clock is named; write [realtime], [monotonic] or both",
        ));
    }
    Ok(())
}
