//! The one clock of a run: monotonic nanoseconds since its origin.
//!
//! No other module reads a clock for the record; recorded times are therefore comparable.

use std::time::{Duration, Instant};

use tribunal_results::Nanos;

/// Counts from the moment it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock whose origin is now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that the others must use"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the origin.
    pub fn now(&self) -> Nanos {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The moment of this clock's time `at`, for timers.
    pub fn moment(&self, at: Nanos) -> Instant {
        self.0 + Duration::from_nanos(at)
    }
}

/// A length of time as the record counts it.
pub fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
