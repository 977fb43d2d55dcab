//! A copy of the database: each key with the versions that somebody may still read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tribunal_results::{Scalar, Seen};

/// What one commit left in the keys that it wrote. The first commit makes version 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Writes(pub(super) Vec<(Scalar, Seen)>);

/// The copy.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// The number of commits in it.
    pub(super) newest: u64,
    /// Each key's values, the oldest first, with the version that wrote each.
    keys: BTreeMap<Scalar, Vec<(u64, Seen)>>,
}

impl Versions {
    /// What a key held at a version.
    pub(super) fn at(&self, key: &Scalar, version: u64) -> Seen {
        let values = self.keys.get(key).into_iter().flatten();
        let known = values.rev().find(|(written, _)| *written <= version);
        known.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// The version that wrote a key last; 0 if none did.
    pub(super) fn written(&self, key: &Scalar) -> u64 {
        let last = self.keys.get(key).and_then(|values| values.last());
        last.map_or(0, |(version, _)| *version)
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Takes the next commit up. Versions older than what one sees at `oldest` are dropped.
    pub(super) fn apply(&mut self, writes: &Writes, oldest: u64) {
        self.newest += 1;
        for (key, value) in &writes.0 {
            let values = self.keys.entry(key.clone()).or_default();
            values.push((self.newest, value.clone()));
            let seen = values.iter().rposition(|(version, _)| *version <= oldest);
            values.drain(..seen.unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrote(value: i64) -> Writes {
        Writes(vec![("x".into(), Seen::Value(value.into()))])
    }

    #[test]
    fn each_version_is_kept_as_long_as_somebody_may_read_it() {
        let mut versions = Versions::default();
        for value in 1..=4 {
            versions.apply(&wrote(value), 2);
        }
        let key = "x".into();
        assert_eq!(versions.at(&key, 2), Seen::Value(2.into()));
        assert_eq!(versions.at(&key, 3), Seen::Value(3.into()));
        assert_eq!(versions.at(&key, 9), Seen::Value(4.into()));
        assert_eq!(versions.at(&key, 1), Seen::Nothing, "dropped");
        assert_eq!((versions.written(&key), versions.len()), (4, 1));
    }
}
