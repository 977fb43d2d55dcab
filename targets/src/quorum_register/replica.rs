//! What one replica stores: for each key the value with the highest timestamp it has seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tribunal_results::{NodeId, Scalar};

use crate::wire::{Body, WireError};

/// Orders all writes of a key: by counter, then by the node that chose it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Timestamp {
    pub(super) counter: u64,
    pub(super) node: NodeId,
}

/// A value with its timestamp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) at: Timestamp,
    pub(super) value: Scalar,
}

impl Version {
    /// Adds it to a message.
    pub(super) fn put(&self, body: Body) -> Body {
        body.with("counter", self.at.counter)
            .with("node", &*self.at.node)
            .with("value", json!(self.value))
    }

    /// Takes it out of a message; `None` if there is no counter: the sender has no value yet.
    pub(super) fn take(body: &Body) -> Result<Option<Self>, WireError> {
        let Some(counter) = body.field("counter")? else {
            return Ok(None);
        };
        let node = body.field("node")?;
        Ok(Some(Self {
            at: Timestamp { counter, node },
            value: body.field("value")?,
        }))
    }
}

/// All versions of one replica; what its log holds is every version that it adopted.
#[derive(Debug, Default)]
pub(super) struct Replica {
    versions: BTreeMap<Scalar, Version>,
}

impl Replica {
    /// The newest version of a key.
    pub(super) fn newest(&self, key: &Scalar) -> Option<&Version> {
        self.versions.get(key)
    }

    /// Takes a version up if it is newer than what is there; says whether it was.
    pub(super) fn adopt(&mut self, key: &Scalar, version: &Version) -> bool {
        let newer = self.newest(key).is_none_or(|own| own.at < version.at);
        if newer {
            self.versions.insert(key.clone(), version.clone());
        }
        newer
    }

    /// How many keys have a value.
    pub(super) fn len(&self) -> usize {
        self.versions.len()
    }
}
