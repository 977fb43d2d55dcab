//! What clocks may differ by: the one notion of it that all checkers of locks share.

use tribunal_results::{Assumptions, Nanos};

/// What a lease may lose or gain by being told in whole milliseconds, in nanoseconds.
const ROUNDING: Nanos = 1_000_000;
const NANOS_PER_MS: Nanos = 1_000_000;

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
        let lease = lease_ms.saturating_mul(NANOS_PER_MS);
        invoked
            .saturating_add(lease)
            .saturating_sub(self.margin(lease_ms))
    }

    /// The latest end of a lease granted in answer to a call: it began no later than the call
    /// returned, and the clock that counts it may be slow.
    pub(crate) fn latest_end(self, returned: Nanos, lease_ms: u64) -> Nanos {
        let lease = lease_ms.saturating_mul(NANOS_PER_MS);
        returned
            .saturating_add(lease)
            .saturating_add(self.margin(lease_ms))
    }

    /// One part per million of a millisecond is a nanosecond.
    const fn margin(self, lease_ms: u64) -> Nanos {
        lease_ms
            .saturating_mul(self.drift_ppm)
            .saturating_add(ROUNDING)
    }
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
    }
}
