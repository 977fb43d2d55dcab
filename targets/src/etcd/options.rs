//! What suites may say of etcd and of its clients.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, Time, decode};

/// The shortest and the longest lease, in seconds. Shorter ones are prolonged by etcd: a lease lasts
/// at least one and a half election timeouts.
const TTL: std::ops::RangeInclusive<u64> = 2..=3_600;
/// The longest that a client may think, in the middle of a critical section.
const THINK_MAX: Duration = Duration::from_secs(60);

/// How reads are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// Through a quorum: etcd's default.
    #[default]
    Linearizable,
    /// From the node's own data.
    Serializable,
}

/// What a client takes for the proof that it holds a lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// The answer to the Lock RPC, as its documentation says.
    #[default]
    Answer,
    /// That its lease was still there when it was prolonged after that answer.
    Lease,
}

/// How an element is added to a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Guard {
    /// Lock, read, write back, unlock.
    #[default]
    Lock,
    /// The same, but what is written back is written in a transaction that first looks whether the
    /// lock is still held.
    Fenced,
}

/// The options.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Path of the server; searched in `PATH` if absent.
    pub binary: Option<String>,
    /// How reads are asked for.
    pub reads: Reads,
    /// How long a lease lasts unless it is prolonged, in seconds.
    pub lease_ttl: u64,
    /// What clients take for the proof that they hold a lock.
    pub trust: Trust,
    /// How elements are added to sets.
    pub guard: Guard,
    /// How long a client takes between reading a set and writing it back.
    pub think: Time,
}

impl Options {
    /// What holds unless a suite says otherwise.
    pub const DEFAULT: Self = Self {
        binary: None,
        reads: Reads::Linearizable,
        lease_ttl: 2,
        trust: Trust::Answer,
        guard: Guard::Lock,
        think: Time(Duration::ZERO),
    };

    /// Reads and checks them.
    ///
    /// # Errors
    /// The path and nature of the first that is wrong.
    pub fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        if !TTL.contains(&options.lease_ttl) {
            let text = format!("from {} to {} seconds", TTL.start(), TTL.end());
            return Err(OptionError::new("lease_ttl", text));
        }
        if options.think.0 > THINK_MAX {
            return Err(OptionError::new("think", format!("at most {THINK_MAX:?}")));
        }
        Ok(options)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_makes_no_sense_is_refused_at_its_place() {
        assert!(Options::read(&Json::Null).is_ok());
        let all = json!({
            "binary": "/usr/bin/etcd", "reads": "serializable", "lease_ttl": 3, "trust": "lease",
            "guard": "fenced", "think": "20ms",
        });
        let read = Options::read(&all).unwrap();
        assert_eq!(read.think.0, Duration::from_millis(20));
        assert_eq!(
            (read.reads, read.guard),
            (Reads::Serializable, Guard::Fenced)
        );
        for (path, value) in [
            ("lease_ttl", json!(1)),
            ("think", json!("2m")),
            ("reads", json!("dirty")),
            ("guards", json!("lock")),
        ] {
            let error = Options::read(&json!({ path: value })).unwrap_err();
            assert_eq!(error.path, path, "{error}");
        }
    }
}
