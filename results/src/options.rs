//! How the options of a plan's parts (workload, target, faults) are read: plain data in, typed
//! options out, with errors that name the path of the field that is wrong.

use std::fmt;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

/// A field of some options is missing, unknown or wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OptionError {
    /// Where, relative to the options: `keys`, `hold`, `links[2]`; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl OptionError {
    /// An error at a path.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

/// Reads options of type `T`; `null` means none given.
///
/// # Errors
/// The path and nature of the first wrong field.
pub fn decode<T: DeserializeOwned>(options: &Json) -> Result<T, OptionError> {
    let empty = Json::Object(serde_json::Map::new());
    let options = if options.is_null() { &empty } else { options };
    serde_path_to_error::deserialize(options).map_err(|e| {
        let path = e.path().to_string();
        OptionError {
            path: if path == "." { String::new() } else { path },
            message: e.inner().to_string(),
        }
    })
}

/// A length of time, written with its unit: `250ms`, `1.5s`, `2m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

impl Time {
    /// So many milliseconds.
    pub const fn millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// Reads a number and a unit (`us`, `ms`, `s`, `m`, `h`).
    ///
    /// # Errors
    /// Says what forms are understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a length of time; write it as 250ms, 1.5s or 2m");
        let text_trimmed = text.trim();
        let split = text_trimmed
            .find(|c: char| c.is_ascii_alphabetic())
            .ok_or_else(wrong)?;
        let (number, unit) = text_trimmed.split_at(split);
        let number: f64 = number.trim().parse().map_err(|_| wrong())?;
        let seconds = match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        Duration::try_from_secs_f64(number * seconds)
            .map(Self)
            .map_err(|_| wrong())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0.as_micros();
        match us {
            0 => f.write_str("0s"),
            _ if us.is_multiple_of(1_000_000) => write!(f, "{}s", us / 1_000_000),
            _ if us.is_multiple_of(1_000) => write!(f, "{}ms", us / 1_000),
            _ => write!(f, "{us}us"),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match Json::deserialize(d)? {
            Json::String(text) => Self::parse(&text).map_err(D::Error::custom),
            Json::Number(n) if n.as_u64() == Some(0) => Ok(Self::default()),
            Json::Number(n) => Err(D::Error::custom(format!(
                "{n} has no unit; write {n}ms or {n}s"
            ))),
            other => Err(D::Error::custom(format!("{other} is not a length of time"))),
        }
    }
}

/// How much a link carries, in bytes per second; written with its unit: `64kB/s`, `1MB/s`,
/// `10Mbit/s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(pub u64);

impl Rate {
    /// The units and how many bytes per second each is; the largest first.
    const UNITS: [(&str, f64); 7] = [
        ("GB/s", 1e9),
        ("MB/s", 1e6),
        ("kB/s", 1e3),
        ("Gbit/s", 1.25e8),
        ("Mbit/s", 1.25e5),
        ("kbit/s", 125.0),
        ("B/s", 1.0),
    ];

    /// Reads a number and a unit.
    ///
    /// # Errors
    /// Says what forms are understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a rate; write it as 64kB/s, 1MB/s or 10Mbit/s");
        let trimmed = text.trim();
        let unit = |(unit, bytes): &(&str, f64)| Some((trimmed.strip_suffix(unit)?, *bytes));
        let (number, bytes) = Self::UNITS.iter().find_map(unit).ok_or_else(wrong)?;
        let number: f64 = number.trim().parse().map_err(|_| wrong())?;
        let rate = (number * bytes).round();
        // Beyond 2^53 not every whole number is one.
        match (0.0..=9e15).contains(&rate) {
            true => Ok(Self(rate as u64)),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0B/s"),
            n if n.is_multiple_of(1_000_000_000) => write!(f, "{}GB/s", n / 1_000_000_000),
            n if n.is_multiple_of(1_000_000) => write!(f, "{}MB/s", n / 1_000_000),
            n if n.is_multiple_of(1_000) => write!(f, "{}kB/s", n / 1_000),
            n => write!(f, "{n}B/s"),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(D::Error::custom)
    }
}

/// A stretch to draw lengths of time from, both ends included: `500ms..2s`, or one time alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// The shortest.
    pub from: Time,
    /// The longest.
    pub to: Time,
}

impl TimeRange {
    /// From so many to so many milliseconds.
    pub const fn millis(from: u64, to: u64) -> Self {
        Self {
            from: Time::millis(from),
            to: Time::millis(to),
        }
    }

    /// The time at `share` (0 to 1) of the way from the shortest to the longest.
    pub fn at(&self, share: f64) -> Duration {
        let width = self.to.0.saturating_sub(self.from.0);
        self.from.0 + width.mul_f64(share.clamp(0.0, 1.0))
    }
}

impl fmt::Display for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            return write!(f, "{}", self.from);
        }
        write!(f, "{}..{}", self.from, self.to)
    }
}

impl Serialize for TimeRange {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeRange {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let (from, to) = text.split_once("..").unwrap_or((&text, &text));
        let from = Time::parse(from).map_err(D::Error::custom)?;
        let to = Time::parse(to).map_err(D::Error::custom)?;
        if from > to {
            return Err(D::Error::custom(format!("{text:?} ends before it begins")));
        }
        Ok(Self { from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_with_its_unit_and_written_back() {
        let of = |text: &str| Rate::parse(text).map(|rate| rate.0);
        assert_eq!(of("64kB/s"), Ok(64_000));
        assert_eq!(of("1.5 MB/s"), Ok(1_500_000));
        assert_eq!(of("8Mbit/s"), Ok(1_000_000));
        assert_eq!(of("100B/s"), Ok(100));
        for rate in [Rate(0), Rate(1), Rate(64_000), Rate(3_000_000_000)] {
            assert_eq!(Rate::parse(&rate.to_string()), Ok(rate));
        }
        for wrong in ["", "64", "64kB", "fast", "-1kB/s", "1e30GB/s", "NaNB/s"] {
            assert!(of(wrong).unwrap_err().contains("64kB/s"), "{wrong}");
        }
    }
}
