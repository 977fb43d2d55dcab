//! Permits of semaphores, taken, held for a while and given back.
//!
//! Groups of neighbouring threads, so that each spans nodes, crowd a semaphore each; a semaphore is
//! given up after some hundred operations, so that what was lost for one (a holder whose end is
//! unknown) does not blind the rest of the run. Each thread takes one permit or several, and gives
//! them back at once or bit by bit; now and then it never does, or gives back what is another's.
//! At the end one thread takes the permits of the last semaphores one by one until it is refused,
//! and gives them all back: whether any are missing is told by how many it got.
//!
//! How many permits there are is the target's to say, and need not be known here.

mod probe;
mod rounds;

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, TimeRange, decode};
use tribunal_results::{Kind, Scalar};

use crate::generator::{
    Deferred, EachThread, Generator, PerKey, RecentKeys, Seed, Sequence, Stagger, TimeLimit,
};
use crate::{FINALE_MAX, Program, Setting, Workload};
use probe::Probe;
use rounds::{Rounds, Shape};

/// More permits than this are never taken at once.
const PERMITS_MAX: u32 = 1_000;

/// More operations on one semaphore than this are not worth judging.
const OPERATIONS_PER_KEY_MAX: u64 = 100_000;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// How many threads crowd one semaphore.
    group: Option<usize>,
    /// About how many operations each semaphore gets.
    operations_per_key: u64,
    /// The most permits that are taken at once.
    permits_at_once: u32,
    /// How long permits are held.
    hold: TimeRange,
    /// The share of holds of several permits that are given back bit by bit.
    split_share: f64,
    /// The share of rounds in which a thread gives back what is another's.
    stranger_share: f64,
    /// The share of holds that are never given back: they lapse with their lease.
    abandon_share: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            group: None,
            operations_per_key: 120,
            permits_at_once: 2,
            hold: TimeRange::millis(5, 60),
            split_share: 0.3,
            stranger_share: 0.05,
            abandon_share: 0.01,
        }
    }
}

impl Options {
    fn checked(options: &Json, clients: usize) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        if options
            .group
            .is_some_and(|group| group == 0 || group > clients)
        {
            let text = format!("must be between 1 and the number of clients, which is {clients}");
            return Err(OptionError::new("group", text));
        }
        if !(1..=OPERATIONS_PER_KEY_MAX).contains(&options.operations_per_key) {
            let text = format!("must be between 1 and {OPERATIONS_PER_KEY_MAX}");
            return Err(OptionError::new("operations_per_key", text));
        }
        if !(1..=PERMITS_MAX).contains(&options.permits_at_once) {
            let text = format!("must be between 1 and {PERMITS_MAX}");
            return Err(OptionError::new("permits_at_once", text));
        }
        crate::check_share("split_share", options.split_share)?;
        crate::check_share("stranger_share", options.stranger_share)?;
        crate::check_share("abandon_share", options.abandon_share)?;
        Ok(options)
    }

    fn groups(&self, clients: usize) -> usize {
        (clients / self.group.unwrap_or_else(|| clients.clamp(1, 6))).max(1)
    }

    const fn shape(&self) -> Shape {
        Shape {
            permits_at_once: self.permits_at_once,
            hold: self.hold,
            split_share: self.split_share,
            stranger_share: self.stranger_share,
            abandon_share: self.abandon_share,
        }
    }
}

/// The semaphore workload.
pub struct Semaphore;

impl Workload for Semaphore {
    fn name(&self) -> &'static str {
        "semaphore"
    }

    fn about(&self) -> &'static str {
        "permits of crowded semaphores, one or several at once, given back at once or bit by bit"
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::AcquirePermits, Kind::ReleasePermits]
    }

    fn uses(&self) -> &'static [Kind] {
        &[]
    }

    fn checkers(&self) -> &'static [&'static str] {
        &["semaphore", "wakeup"]
    }

    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError> {
        let options = Options::checked(options, setting.clients)?;
        let seed = Seed::new(setting.seed).named("semaphore");
        let shape = options.shape();
        let keys = PerKey::new(
            seed.named("groups"),
            setting.clients,
            options.groups(setting.clients),
            options.operations_per_key,
            move |turn| {
                let name = name_of(turn.key);
                Box::new(Rounds::new(turn.seed, turn.threads, name, shape.clone()))
            },
        );
        let finale = Stagger::new(
            seed.named("finale"),
            setting.rate,
            take_all(keys.recent(), setting.clients),
        );
        let staggered = Stagger::new(seed.named("rate"), setting.rate, keys);
        Ok(Program {
            main: Box::new(TimeLimit::new(setting.time_limit, staggered)),
            finale: Box::new(TimeLimit::new(FINALE_MAX, finale)),
        })
    }
}

fn name_of(key: u64) -> Scalar {
    format!("s{key}").into()
}

/// The permits of the semaphores that were worked on last, by threads in turn.
fn take_all(recent: RecentKeys, clients: usize) -> impl Generator {
    Deferred::new(move || {
        let keys = recent.keys();
        Box::new(EachThread::new(clients, |thread| {
            let mine = keys.iter().skip(thread).step_by(clients);
            let probes = mine.map(|key| Box::new(Probe::new(name_of(*key))) as _);
            Box::new(Sequence::new(probes.collect()))
        }))
    })
}
