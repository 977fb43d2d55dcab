//! Hybrid logical clocks: Kulkarni, Demirbas, Madappa, Avva and Leone, "Logical physical clocks"
//! (OPODIS 2014).
//!
//! A stamp is the largest physical time known, and a counter of events within it. An effect has a
//! larger stamp than its cause, whatever the physical clocks say; and as long as these agree a
//! stamp is no further from physical time than they are from each other.

use tribunal_results::Nanos;
use tribunal_results::message::Hybrid;

/// The clock of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HybridClock {
    latest: Hybrid,
}

impl HybridClock {
    /// A clock that shows nothing yet.
    pub const fn new() -> Self {
        let latest = Hybrid {
            wall: 0,
            logical: 0,
        };
        Self { latest }
    }

    /// The last stamp given or observed.
    pub const fn latest(&self) -> Hybrid {
        self.latest
    }

    /// The stamp of a local event, or of a message that is being sent, at a physical time: larger
    /// than all before.
    pub fn tick(&mut self, physical: Nanos) -> Hybrid {
        self.advance(self.latest, physical)
    }

    /// The stamp of the receipt of a message that carries `remote`: larger than that too.
    pub fn observe(&mut self, remote: Hybrid, physical: Nanos) -> Hybrid {
        self.advance(self.latest.max(remote), physical)
    }

    /// The least stamp larger than `last` that is not before the physical time.
    fn advance(&mut self, last: Hybrid, physical: Nanos) -> Hybrid {
        let fresh = Hybrid {
            wall: physical,
            logical: 0,
        };
        // A counter that is full (only a peer that lies can fill it) is carried over.
        let next = match last.logical.checked_add(1) {
            Some(logical) => Hybrid { logical, ..last },
            None => Hybrid {
                wall: last.wall.saturating_add(1),
                logical: 0,
            },
        };
        self.latest = if physical > last.wall { fresh } else { next };
        self.latest
    }
}

impl Default for HybridClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn stamp(wall: u64, logical: u64) -> Hybrid {
        Hybrid { wall, logical }
    }

    #[test]
    fn it_follows_physical_time_and_counts_when_that_stands_still_or_goes_back() {
        let mut clock = HybridClock::new();
        assert_eq!(clock.tick(10), stamp(10, 0));
        assert_eq!(clock.tick(10), stamp(10, 1));
        assert_eq!(clock.tick(4), stamp(10, 2));
        assert_eq!(clock.tick(11), stamp(11, 0));
    }

    #[test]
    fn an_effect_is_later_than_its_cause_even_on_a_slow_clock() {
        // The example of the paper: physical clocks 10, 0, 0, 0 and messages 0→1→2→3.
        let mut clocks = [(); 4].map(|()| HybridClock::new());
        let mut carried = clocks[0].tick(10);
        for (physical, clock) in (1..).zip(&mut clocks[1..]) {
            let received = clock.observe(carried, physical);
            assert!(received > carried);
            assert_eq!(received.wall, 10);
            carried = clock.tick(physical);
            assert!(carried > received);
        }
        // Once physical time has caught up, nothing of the detour is left.
        assert_eq!(clocks[3].tick(12), stamp(12, 0));
    }

    #[test]
    fn a_receipt_is_later_than_both_what_was_known_and_what_was_carried() {
        let mut clock = HybridClock::new();
        clock.observe(stamp(20, 5), 1);
        assert_eq!(clock.latest(), stamp(20, 6));
        assert_eq!(clock.observe(stamp(20, 2), 1), stamp(20, 7));
        assert_eq!(clock.observe(stamp(25, 2), 25), stamp(25, 3));
        assert_eq!(clock.observe(stamp(1, 2), 30), stamp(30, 0));
    }

    #[test]
    fn a_counter_that_a_peer_has_filled_is_carried_over() {
        let mut clock = HybridClock::new();
        let full = stamp(7, u64::MAX);
        assert!(clock.observe(full, 0) > full);
    }
}
