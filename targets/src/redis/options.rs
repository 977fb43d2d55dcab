//! What suites may say of Redis and of its clients.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::NodeId;
use tribunal_results::options::{OptionError, Time, decode};

/// The shortest and the longest time for which a lock is taken.
const LOCK_TTL: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(3_600);

/// What the nodes are to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One Redis.
    #[default]
    Single,
    /// A master and its replicas, with a Sentinel beside each.
    Sentinel,
    /// Instances that know nothing of each other, on which clients take locks by Redlock.
    Redlock,
}

/// When a client asks its Sentinel who the master is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resolving {
    /// Before each operation.
    #[default]
    Resolve,
    /// Only when it needs a new connection.
    Sticky,
}

/// When the log of a node is written to its disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// Before each answer.
    Always,
    /// Once a second: Redis' default.
    #[default]
    Everysec,
    /// When the kernel likes.
    No,
}

impl Fsync {
    /// As Redis calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Everysec => "everysec",
            Self::No => "no",
        }
    }
}

/// The options.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Path of the server; searched in `PATH` if absent.
    pub binary: Option<String>,
    /// What the nodes are to each other.
    pub mode: Mode,
    /// When clients ask who the master is.
    pub client: Resolving,
    /// How many replicas must have confirmed what is written or read, by `WAIT`; 0: none is asked.
    pub wait: usize,
    /// Without so many replicas a master takes no writes (`min-replicas-to-write`).
    pub min_replicas: usize,
    /// Whether nodes log what is written.
    pub appendonly: bool,
    /// When that log is written to the disk.
    pub fsync: Fsync,
    /// For how long a lock is taken.
    pub lock_ttl: Time,
}

impl Options {
    /// What holds unless a suite says otherwise.
    pub const DEFAULT: Self = Self {
        binary: None,
        mode: Mode::Single,
        client: Resolving::Resolve,
        wait: 0,
        min_replicas: 0,
        appendonly: false,
        fsync: Fsync::Everysec,
        lock_ttl: Time(Duration::from_secs(2)),
    };

    /// Reads and checks them.
    ///
    /// # Errors
    /// The path and nature of the first that is wrong.
    pub fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        if !LOCK_TTL.contains(&options.lock_ttl.0) {
            let (least, most) = (LOCK_TTL.start(), LOCK_TTL.end());
            let text = format!("from {least:?} to {most:?}");
            return Err(OptionError::new("lock_ttl", text));
        }
        Ok(options)
    }

    /// Checks them for a cluster of those nodes.
    ///
    /// # Errors
    /// The path and nature of the first that is wrong.
    pub fn check(&self, nodes: &[NodeId]) -> Result<(), OptionError> {
        let refuse = |path: &str, text: String| Err(OptionError::new(path, text));
        let count = nodes.len();
        match self.mode {
            Mode::Single if count != 1 => {
                let text = "`single` is one node: write `nodes: 1`, or another mode";
                refuse("mode", text.into())
            }
            Mode::Sentinel | Mode::Redlock if count < 3 => {
                let text = "needs at least 3 nodes: with fewer there is no majority without one";
                refuse("mode", text.into())
            }
            _ if self.wait >= count => refuse("wait", format!("there are {} replicas", count - 1)),
            _ if self.min_replicas >= count => {
                refuse("min_replicas", format!("there are {} replicas", count - 1))
            }
            _ => Ok(()),
        }
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
        let nodes: Vec<NodeId> = ["n1", "n2", "n3"].map(NodeId::from).into();
        let check = |options: Json, count: usize| {
            Options::read(&options).and_then(|options| options.check(&nodes[..count]))
        };
        assert_eq!(check(Json::Null, 1), Ok(()));
        assert_eq!(check(json!({ "mode": "sentinel", "wait": 2 }), 3), Ok(()));
        assert_eq!(
            check(json!({ "mode": "redlock", "lock_ttl": "1s" }), 3),
            Ok(())
        );
        for (options, count, path) in [
            (json!({}), 3, "mode"),
            (json!({ "mode": "sentinel" }), 2, "mode"),
            (json!({ "mode": "sentinel", "wait": 3 }), 3, "wait"),
            (
                json!({ "mode": "sentinel", "min_replicas": 3 }),
                3,
                "min_replicas",
            ),
            (
                json!({ "mode": "redlock", "lock_ttl": "1ms" }),
                3,
                "lock_ttl",
            ),
        ] {
            assert_eq!(check(options, count).unwrap_err().path, path);
        }
    }
}
