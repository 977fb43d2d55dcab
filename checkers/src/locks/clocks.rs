//! What clocks may differ by: the one notion of it that all checkers of locks share.

use tribunal_results::{Assumptions, Nanos};

/// What a lease may lose or gain by being told in whole milliseconds, in nanoseconds.
const ROUNDING: u128 = 1_000_000;
const NANOS_PER_MS: u128 = 1_000_000;

/// How far the clock that counts a lease may be from the clock of the history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    drift_ppm: u64,
}

impl Clocks {
    pub(crate) fn new(assume: &Assumptions) -> Self {
        Self {
            drift_ppm: assume.clock_drift_ppm.into(),
        }
    }

    /// The earliest end of a lease granted in answer to a call: it began no earlier than the call
    /// was invoked, and the clock that counts it may be fast.
    pub(crate) fn earliest_end(self, invoked: Nanos, lease_ms: u64) -> Nanos {
        let end = u128::from(invoked) + nanos(lease_ms);
        saturated(end.saturating_sub(self.margin(lease_ms)))
    }

    /// The latest end of a lease granted in answer to a call: it began no later than the call
    /// returned, and the clock that counts it may be slow.
    pub(crate) fn latest_end(self, returned: Nanos, lease_ms: u64) -> Nanos {
        saturated(u128::from(returned) + nanos(lease_ms) + self.margin(lease_ms))
    }

    /// One part per million of a millisecond is a nanosecond.
    fn margin(self, lease_ms: u64) -> u128 {
        u128::from(lease_ms) * u128::from(self.drift_ppm) + ROUNDING
    }
}

/// A lease in nanoseconds. That of a lease without end is beyond 64 bits.
fn nanos(lease_ms: u64) -> u128 {
    u128::from(lease_ms) * NANOS_PER_MS
}

fn saturated(time: u128) -> Nanos {
    Nanos::try_from(time).unwrap_or(Nanos::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_shortened_and_lengthened_by_drift_and_rounding() {
        let clocks = Clocks::new(&Assumptions {
            clock_drift_ppm: 1_000,
            ..Assumptions::default()
        });
        let second = 1_000_000_000;
        assert_eq!(clocks.earliest_end(second, 2_000), 2_997_000_000);
        assert_eq!(clocks.latest_end(second, 2_000), 3_003_000_000);
        assert_eq!(clocks.latest_end(second, u64::MAX), u64::MAX);
        assert_eq!(clocks.earliest_end(second, u64::MAX), u64::MAX);
    }
}
