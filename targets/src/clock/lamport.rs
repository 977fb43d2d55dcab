//! Lamport's logical clock ("Time, clocks, and the ordering of events in a distributed system",
//! CACM 1978): if one event may have caused another, its time is lower. The converse does not hold.

use serde::{Deserialize, Serialize};

/// No clock goes beyond this, so that a message that lies can't wear it out at once.
pub const TIME_MAX: u64 = 1 << 53;

/// A counter that goes up with every event of its process.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LamportClock {
    time: u64,
}

impl LamportClock {
    /// A clock at a time: 0 for a process that begins, or what was kept through a crash.
    pub const fn at(time: u64) -> Self {
        Self { time }
    }

    /// The time of the last event.
    pub const fn time(self) -> u64 {
        self.time
    }

    /// An event of the process itself, or a message that it sends: its time.
    pub fn tick(&mut self) -> u64 {
        self.time = self.time.saturating_add(1).min(TIME_MAX);
        self.time
    }

    /// Takes up a time that it was told, without an event of its own: what comes next is later.
    pub const fn observe(&mut self, told: u64) {
        let told = if told < TIME_MAX { told } else { TIME_MAX };
        if self.time < told {
            self.time = told;
        }
    }

    /// A message arrived that was sent at `sent`: the time of its arrival, later than both.
    pub fn witness(&mut self, sent: u64) -> u64 {
        self.observe(sent);
        self.tick()
    }
}

/// The time of an event and who had it: all events of all processes in one order, as times alone
/// may be equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// The time at the process.
    pub time: u64,
    /// The number of the process, from 0.
    pub process: u64,
}

impl Stamp {
    /// The stamp as one number in the same order, among so many processes; nothing if there is no
    /// such number.
    pub fn to_number(self, processes: u64) -> Option<u64> {
        let base = self.time.checked_mul(processes)?;
        (self.process < processes).then(|| base.checked_add(self.process))?
    }

    /// The stamp of a number that [`to_number`](Self::to_number) gave.
    pub fn from_number(number: u64, processes: u64) -> Option<Self> {
        Some(Self {
            time: number.checked_div(processes)?,
            process: number.checked_rem(processes)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_later_than_the_one_before() {
        let mut clock = LamportClock::default();
        assert_eq!((clock.tick(), clock.tick(), clock.time()), (1, 2, 2));
    }

    #[test]
    fn a_message_arrives_later_than_it_was_sent_and_than_all_before() {
        let mut clock = LamportClock::at(5);
        assert_eq!(clock.witness(3), 6);
        assert_eq!(clock.witness(9), 10);
        assert_eq!(clock.witness(10), 11);
    }

    #[test]
    fn what_was_observed_is_earlier_than_what_comes_next() {
        let mut clock = LamportClock::at(5);
        clock.observe(3);
        assert_eq!(clock.time(), 5);
        clock.observe(8);
        assert_eq!((clock.time(), clock.tick()), (8, 9));
    }

    #[test]
    fn a_message_that_lies_does_not_overflow() {
        let mut clock = LamportClock::default();
        assert_eq!(clock.witness(u64::MAX), TIME_MAX);
        assert_eq!(clock.tick(), TIME_MAX);
    }

    /// The cause comes before the effect whatever way messages take, and no two stamps are equal.
    #[test]
    fn stamps_order_all_events_as_causes_do() {
        const PROCESSES: u64 = 4;
        let mut clocks = [LamportClock::default(); PROCESSES as usize];
        let mut stamps = Vec::new();
        let mut draw = 1_u64;
        for _ in 0..2_000 {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (from, to) = ((draw >> 33) % PROCESSES, (draw >> 43) % PROCESSES);
            let sent = clocks[from as usize].tick();
            stamps.push((sent, from));
            if from != to {
                let arrived = clocks[to as usize].witness(sent);
                assert!(arrived > sent);
                stamps.push((arrived, to));
            }
        }
        let stamp = |&(time, process): &(u64, u64)| Stamp { time, process };
        let mut numbers: Vec<u64> = Vec::new();
        for (one, other) in stamps.iter().zip(stamps.iter().skip(1)) {
            let (a, b) = (stamp(one), stamp(other));
            let number = |stamp: Stamp| stamp.to_number(PROCESSES).unwrap();
            assert_eq!(a.cmp(&b), number(a).cmp(&number(b)));
            assert_eq!(Stamp::from_number(number(a), PROCESSES), Some(a));
            numbers.push(number(a));
        }
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
    }

    #[test]
    fn what_has_no_number_says_so() {
        let stamp = |time, process| Stamp { time, process };
        assert_eq!(stamp(u64::MAX, 0).to_number(3), None);
        assert_eq!(stamp(1, 3).to_number(3), None);
        assert_eq!(Stamp::from_number(7, 0), None);
    }
}
