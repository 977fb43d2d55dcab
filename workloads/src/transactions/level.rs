//! Isolation levels by which transactions can be judged.

use serde::{Deserialize, Deserializer};

/// A level: its name, and the checker that decides it for registers, where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    /// Its name.
    pub(crate) name: &'static str,
    /// Who judges transactions on registers by it, besides `rw-register`.
    pub(crate) judges: &'static [&'static str],
}

const fn decided(name: &'static str, judges: &'static [&'static str]) -> Level {
    Level { name, judges }
}

/// The levels, the strictest first.
static LEVELS: [Level; 10] = [
    Level::STRICTEST,
    decided(
        "strong-session-serializable",
        &["rw-register", "strong-session-serializable"],
    ),
    decided("serializable", &["rw-register", "serializable"]),
    decided(
        "strong-snapshot-isolation",
        &["rw-register", "strong-snapshot-isolation"],
    ),
    decided(
        "strong-session-snapshot-isolation",
        &["rw-register", "strong-session-snapshot-isolation"],
    ),
    decided("snapshot-isolation", &["rw-register", "snapshot-isolation"]),
    decided("repeatable-read", &["rw-register"]),
    decided("read-atomic", &["rw-register", "read-atomic"]),
    decided("read-committed", &["rw-register", "read-committed"]),
    decided("read-uncommitted", &["rw-register"]),
];

impl Level {
    /// Strict serializability.
    pub(crate) const STRICTEST: Self = decided(
        "strict-serializable",
        &["rw-register", "strict-serializable"],
    );

    /// Everybody who judges registers by some level.
    pub(crate) const JUDGES: [&'static str; 9] = [
        "rw-register",
        "strict-serializable",
        "strong-session-serializable",
        "serializable",
        "strong-snapshot-isolation",
        "strong-session-snapshot-isolation",
        "snapshot-isolation",
        "read-atomic",
        "read-committed",
    ];
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let level = LEVELS.iter().find(|level| level.name == name);
        level.copied().ok_or_else(|| {
            let names: Vec<&str> = LEVELS.iter().map(|level| level.name).collect();
            let known = names.join(", ");
            serde::de::Error::custom(format!("no isolation level is called {name:?}: {known}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{LEVELS, Level};

    #[test]
    fn who_judges_by_some_level_is_listed() {
        for level in &LEVELS {
            let listed = |judge| Level::JUDGES.contains(judge);
            assert!(level.judges.iter().all(listed), "{level:?}");
        }
    }
}
