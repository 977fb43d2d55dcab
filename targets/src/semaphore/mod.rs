//! A counting semaphore (Dijkstra 1965): so many permits, handed out first come, first served.
//!
//! The first node coordinates, the others relay to it (a star, like the lock manager's). Who asks
//! for permits joins a first-in-first-out queue; as long as those asked for by its head are free,
//! the head gets them, under a token of their own and with a lease. Nobody passes the head, even if
//! fewer permits would do for the next, so that large requests do not starve. Whoever has waited
//! `wait_ms` in vain is taken out of the queue and refused.
//!
//! Permits and tokens that were granted survive a crash of the coordinator (they are in its log
//! before anybody is told) and get their full lease anew; the queue does not survive, and who was in
//! it is not answered. While the coordinator is down nothing is served.
//!
//! | module | what it holds |
//! |---|---|
//! | `pool` | the permits of one semaphore, as a value |
//! | `coordinator` | the machine of the first node; the others are relays |

mod coordinator;
mod pool;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::Kind;
use tribunal_results::options::{OptionError, decode};

use self::coordinator::Coordinator;
use self::pool::Rules;
use crate::locks::Relay;
use crate::node::{MILLISECOND, Machine, Reference};
use crate::{NodeSpec, PlantedBug, Shape};

/// The semaphore, as a row of the catalogue.
pub static TARGET: Reference = Reference {
    name: "semaphore",
    about: "counting semaphore with a coordinator, FIFO queue and leases",
    claims: "never more permits held than there are, first come first served, no lost signal; \
             serves while the first node does",
    operations: &[Kind::AcquirePermits, Kind::ReleasePermits],
    survives: &[
        "kill",
        "restart",
        "pause",
        "delay",
        "partition",
        "reset",
        "refuse",
    ],
    shape: Shape::Star,
    bugs: &[
        row(
            "over-grant",
            "there is one permit more than the semaphore should have",
            &["over-grant"],
        ),
        row(
            "lost-signal",
            "now and then a release wakes nobody, and the queue sleeps until the next one",
            &["lost-signal", "passed-over"],
        ),
        row(
            "lifo-wakeup",
            "a release wakes who came last",
            &["passed-over"],
        ),
    ],
    check_options: |options| Options::read(options).map(drop),
    assume: |options, assume| {
        if let Ok(options) = Options::read(options) {
            assume.permits = options.permits;
            assume.wait_ms = Some(options.wait_ms);
        }
    },
    machine,
    change_members: None,
};

const fn row(
    name: &'static str,
    about: &'static str,
    anomalies: &'static [&'static str],
) -> PlantedBug {
    PlantedBug {
        name,
        about,
        workload: "semaphore",
        faults: &[],
        anomalies,
    }
}

/// Which planted bug a node shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    OverGrant,
    LostSignal,
    LifoWakeup,
}

impl Bug {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "over-grant" => Some(Self::OverGrant),
            "lost-signal" => Some(Self::LostSignal),
            "lifo-wakeup" => Some(Self::LifoWakeup),
            _ => None,
        }
    }
}

/// The most permits that a semaphore has, and the longest lease and wait: a day.
const PERMITS_MAX: u32 = 1_000_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// How many permits each semaphore has.
    permits: u32,
    /// How long permits are held at most, in milliseconds.
    lease_ms: u64,
    /// How long a request waits in the queue, in milliseconds; less if its client says so.
    wait_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            permits: 3,
            lease_ms: 1_500,
            wait_ms: 200,
        }
    }
}

impl Options {
    fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        if !(1..=PERMITS_MAX).contains(&options.permits) {
            let text = format!("must be between 1 and {PERMITS_MAX}");
            return Err(OptionError::new("permits", text));
        }
        for (path, ms) in [("lease_ms", options.lease_ms), ("wait_ms", options.wait_ms)] {
            if !(1..=DAY_MS).contains(&ms) {
                let text = format!("must be between 1 and {DAY_MS}");
                return Err(OptionError::new(path, text));
            }
        }
        Ok(options)
    }
}

fn machine(spec: &NodeSpec) -> Result<Box<dyn Machine>, OptionError> {
    let options = Options::read(&spec.options)?;
    let rules = Rules {
        permits: options.permits,
        lease: options.lease_ms * MILLISECOND,
        wait: options.wait_ms * MILLISECOND,
        bug: spec.bug.as_deref().and_then(Bug::from_name),
    };
    let nodes = spec.nodes.clone();
    Ok(match nodes.first() {
        Some(first) if *first != spec.id => Box::new(Relay::new(nodes.clone(), first.clone())),
        _ => Box::new(Coordinator::new(spec.id.clone(), nodes, rules)),
    })
}
