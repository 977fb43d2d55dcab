//! What a process may be told instead of the time, and what it was told.
//!
//! A [`Skew`] is plain data that the process itself evaluates at each reading (see `vdso` in the
//! harness): nobody has to poke it while it is in force.

use std::fmt;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tribunal_results::options::{Time, TimeRange};

mod fault;

pub use fault::{ClockFault, OnClocks};

/// How far a clock may be moved: so that no time before 1970 and none after 2262 comes out.
pub const MOVED_MAX: Duration = Duration::from_secs(20 * 365 * 24 * 60 * 60);

/// A clock of the operating system that a skew moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockKind {
    /// The time of day: `CLOCK_REALTIME` and its coarse kin, `gettimeofday`, `time`.
    Realtime,
    /// The time since the machine started, which systems believe to be steady:
    /// `CLOCK_MONOTONIC`, raw and coarse, and `CLOCK_BOOTTIME`.
    Monotonic,
}

/// How a process's clocks differ from the machine's: by `offset_ns` (in every second half period
/// only, if there is one), and by what `rate` has made of the time since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skew {
    /// Which clocks are moved.
    pub clocks: Vec<ClockKind>,
    /// Nanoseconds ahead; behind if negative.
    pub offset_ns: i64,
    /// Nanoseconds gained in each second; lost if negative.
    pub drift_ppb: i64,
    /// Nanoseconds for which the offset is in force, and then not, in turns; 0 is always.
    pub half_period_ns: u64,
}

impl Skew {
    /// The farthest that it can have moved a clock after so many nanoseconds.
    pub fn farthest(&self, elapsed_ns: u64) -> i128 {
        let drift = i128::from(elapsed_ns) * i128::from(self.drift_ppb) / 1_000_000_000;
        i128::from(self.offset_ns) + drift
    }
}

/// What a process's clocks are like, as read from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct View {
    /// The process.
    pub pid: u32,
    /// The skew in force, read back from the process's memory; none if its clocks are right.
    pub skew: Option<Skew>,
    /// How often the process was told a time other than the machine's, by the last skew.
    pub moved_readings: u64,
    /// How far off the last of these was, in nanoseconds.
    pub last_moved_by_ns: i64,
}

/// Stretches of time to move a clock by, with a direction: `10s..60s` is ahead, `-10s` behind,
/// `±10s` either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// How far.
    pub by: TimeRange,
    /// Which way; by chance if there is none.
    pub ahead: Option<bool>,
}

impl Move {
    /// Draws from it: `share` (0 to 1) of the way from the least to the most, and `ahead` if the
    /// direction is left to chance.
    pub fn draw_ns(&self, share: f64, ahead: bool) -> i64 {
        let by = i64::try_from(self.by.at(share).as_nanos()).unwrap_or(i64::MAX);
        if self.ahead.unwrap_or(ahead) { by } else { -by }
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.ahead {
            Some(true) => "+",
            Some(false) => "-",
            None => "±",
        };
        write!(f, "{sign}{}", self.by)
    }
}

impl Serialize for Move {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Move {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let (ahead, rest) = match text.trim_start().chars().next() {
            Some('±') => (None, text.trim_start().trim_start_matches('±')),
            Some('-') => (Some(false), &text.trim_start()[1..]),
            Some('+') => (Some(true), &text.trim_start()[1..]),
            _ => (Some(true), &*text),
        };
        let by = TimeRange::deserialize(serde::de::value::StrDeserializer::<D::Error>::new(rest))?;
        if by.to.0.is_zero() || by.to.0 > MOVED_MAX {
            return Err(D::Error::custom(format!(
                "{text:?} moves a clock by nothing, or by more than {} h; write 10s, -10s or \
                 ±100ms..60s",
                MOVED_MAX.as_secs() / 3600,
            )));
        }
        Ok(Self { by, ahead })
    }
}

/// Nanoseconds with a sign, for people.
pub fn signed(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "+" };
    format!(
        "{sign}{}",
        Time(Duration::from_nanos(ns.unsigned_abs() / 1_000 * 1_000))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Move, String> {
        serde_json::from_value(json!(text)).map_err(|e: serde_json::Error| e.to_string())
    }

    #[test]
    fn a_move_has_a_direction_or_leaves_it_to_chance() {
        let second = 1_000_000_000;
        assert_eq!(read("10s").unwrap().draw_ns(0.5, false), 10 * second);
        assert_eq!(read("+10s").unwrap().draw_ns(0.5, false), 10 * second);
        assert_eq!(read("-1s..3s").unwrap().draw_ns(0.5, true), -2 * second);
        let either = read("±1s..3s").unwrap();
        assert_eq!(either.draw_ns(1.0, true), 3 * second);
        assert_eq!(either.draw_ns(0.0, false), -second);
        for text in ["10s", "-1s..3s", "±1s..3s"] {
            let again = serde_json::to_value(read(text).unwrap()).unwrap();
            assert_eq!(
                serde_json::from_value::<Move>(again).unwrap(),
                read(text).unwrap()
            );
        }
    }

    #[test]
    fn a_move_by_nothing_or_out_of_this_age_is_refused() {
        assert!(read("0s").unwrap_err().contains("by nothing"));
        assert!(read("999999h").unwrap_err().contains("more than"));
        assert!(read("±").is_err());
    }

    #[test]
    fn a_drift_adds_up() {
        let skew = Skew {
            offset_ns: 5,
            drift_ppb: -500_000_000,
            ..Skew::default()
        };
        assert_eq!(skew.farthest(1_000_000_000), 5 - 500_000_000);
        assert_eq!(signed(-1_500_000_000), "-1500ms");
    }
}
