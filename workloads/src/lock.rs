//! Critical sections under locks with leases and fencing tokens.
//!
//! Threads crowd a few locks. Each does round after round: request, acquire, write under the
//! fencing token, release; now and then renewing, entering again, trying without queueing,
//! holding beyond the first lease, letting the lease lapse, or releasing as a stranger. At the
//! end every lock is taken and given back once more, which shows that it still can be.
//!
//! Two other workloads, `mutex` and `fenced-mutex`, are this same load, judged by less.

mod live;
mod round;
mod rounds;

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, TimeRange, decode};
use tribunal_results::{Kind, Nanos, Scalar};

use crate::generator::{EachThread, Generator, Seed, Sequence, Stagger, TimeLimit};
use crate::{FINALE_MAX, Program, Setting, Workload};
use live::LiveCheck;
use round::Shape;
use rounds::Rounds;

/// As many as there are letters.
const LOCKS_MAX: usize = 26;

/// More writes in one critical section than this say nothing new.
const GUARDED_WRITES_MAX: usize = 100;

/// No new rounds begin in the last tenth of the time, and in no more than this many nanoseconds:
/// it is left for the rounds under way to release.
const WRAP_UP_MAX: Nanos = 500_000_000;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// How many locks there are.
    locks: usize,
    /// How long a critical section lasts, between acquire and release.
    hold: TimeRange,
    /// How long a thread leaves the locks alone after a critical section. Where locks are granted
    /// in any order, one that comes back at once may keep all others out.
    rest: TimeRange,
    /// How many guarded writes there are in each critical section.
    guarded_writes: usize,
    /// The share of critical sections in which the lease is renewed.
    renew_share: f64,
    /// The share of critical sections in which the lock is entered again.
    reenter_share: f64,
    /// The share of rounds that try instead of queueing, where the target has it.
    try_share: f64,
    /// The share of rounds in which a thread that holds nothing releases another's lock.
    stranger_share: f64,
    /// The share of holds of the last lock that go on beyond the first lease by renewals.
    long_share: f64,
    /// The share of holds that are never released: they lapse with their lease.
    abandon_share: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            locks: 3,
            hold: TimeRange::millis(5, 60),
            rest: TimeRange::millis(0, 0),
            guarded_writes: 2,
            renew_share: 0.15,
            reenter_share: 0.2,
            try_share: 0.15,
            stranger_share: 0.05,
            long_share: 0.25,
            abandon_share: 0.02,
        }
    }
}

impl Options {
    fn checked(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        if !(1..=LOCKS_MAX).contains(&options.locks) {
            let text = format!("must be between 1 and {LOCKS_MAX}");
            return Err(OptionError::new("locks", text));
        }
        if options.guarded_writes > GUARDED_WRITES_MAX {
            let text = format!("must be at most {GUARDED_WRITES_MAX}");
            return Err(OptionError::new("guarded_writes", text));
        }
        for (path, share) in [
            ("renew_share", options.renew_share),
            ("reenter_share", options.reenter_share),
            ("try_share", options.try_share),
            ("stranger_share", options.stranger_share),
            ("long_share", options.long_share),
            ("abandon_share", options.abandon_share),
        ] {
            crate::check_share(path, share)?;
        }
        Ok(options)
    }

    /// The rounds that these options describe, with what the target has.
    fn shape(&self, available: &[Kind]) -> Shape {
        let has = |kind| available.contains(&kind);
        Shape {
            locks: (b'a'..=b'z')
                .take(self.locks)
                .map(|letter| Scalar::from(char::from(letter).to_string()))
                .collect(),
            hold: self.hold,
            rest: self.rest,
            guarded_writes: match has(Kind::GuardedWrite) {
                true => self.guarded_writes,
                false => 0,
            },
            may_write: has(Kind::GuardedWrite),
            renew_share: self.renew_share,
            reenter_share: self.reenter_share,
            try_share: match has(Kind::TryAcquire) {
                true => self.try_share,
                false => 0.0,
            },
            stranger_share: self.stranger_share,
            long_share: self.long_share,
            abandon_share: self.abandon_share,
        }
    }
}

/// A workload of locks: the same load, judged by what the target promises.
pub struct Lock {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) checkers: &'static [&'static str],
}

/// Locks that are granted in the order of requests.
pub static LOCK: Lock = Lock {
    name: "lock",
    about: "critical sections under queued locks with leases, re-entry and fencing tokens",
    checkers: &["mutual-exclusion", "fencing", "fifo"],
};

impl Workload for Lock {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Request, Kind::Acquire, Kind::Renew, Kind::Release]
    }

    fn uses(&self) -> &'static [Kind] {
        &[Kind::TryAcquire, Kind::GuardedWrite]
    }

    fn checkers(&self) -> &'static [&'static str] {
        self.checkers
    }

    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError> {
        let shape = Options::checked(options)?.shape(&setting.available);
        let seed = Seed::new(setting.seed).named("lock");
        let finale = Stagger::new(
            seed.named("finale"),
            setting.rate,
            take_each_once(&shape.locks, setting.clients),
        );
        let limit = setting.time_limit;
        let rounds = Rounds::new(
            seed.named("rounds"),
            setting.clients,
            shape,
            limit - (limit / 10).min(WRAP_UP_MAX),
        );
        let staggered = Stagger::new(seed.named("rate"), setting.rate, rounds);
        Ok(Program {
            main: Box::new(TimeLimit::new(limit, staggered)),
            finale: Box::new(TimeLimit::new(FINALE_MAX, finale)),
        })
    }
}

/// Each lock taken and given back once, by threads in turn.
fn take_each_once(locks: &[Scalar], clients: usize) -> impl Generator + use<> {
    EachThread::new(clients, |thread| {
        let mine = locks.iter().skip(thread).step_by(clients);
        let checks = mine.map(|lock| Box::new(LiveCheck::new(lock.clone())) as _);
        Box::new(Sequence::new(checks.collect()))
    })
}
