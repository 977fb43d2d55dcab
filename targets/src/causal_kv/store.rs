//! Writes, and the registers that they make.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tribunal_results::message::Hybrid;
use tribunal_results::{NodeId, Scalar};

use crate::clock::VectorClock;

/// A write, as its origin made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Write {
    /// How many writes its origin had made, this one included.
    pub(super) number: u64,
    /// What it depends on: all that its session had seen.
    pub(super) after: VectorClock,
    pub(super) key: Scalar,
    pub(super) value: Scalar,
    /// Its place among concurrent writes.
    pub(super) at: Hybrid,
}

/// What a register holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) value: Scalar,
    /// Orders all writes: by clock, then by origin.
    at: (Hybrid, NodeId),
    number: u64,
    after: VectorClock,
}

impl Version {
    /// What somebody depends on who has seen it: the write itself, and all that this depends on.
    pub(super) fn past(&self) -> VectorClock {
        let mut past = self.after.clone();
        past.raise(&self.at.1, self.number);
        past
    }
}

/// The registers of one node.
#[derive(Debug, Default)]
pub(super) struct Store {
    registers: BTreeMap<Scalar, Version>,
    /// Up to which number of each origin all writes are shown here.
    shown: VectorClock,
}

impl Store {
    /// Up to which number of each origin all writes are shown here.
    pub(super) const fn shown(&self) -> &VectorClock {
        &self.shown
    }

    /// Takes over what another log said.
    pub(super) fn has_shown(&mut self, shown: &VectorClock) {
        self.shown.merge(shown);
    }

    /// Forgets how many writes of an origin are shown: only if planted.
    pub(super) fn forget_shown(&mut self, origin: &NodeId) {
        self.shown.retain(|node| node != origin);
    }

    /// What a register holds.
    pub(super) fn get(&self, key: &Scalar) -> Option<&Version> {
        self.registers.get(key)
    }

    /// How many registers there are.
    pub(super) fn len(&self) -> usize {
        self.registers.len()
    }

    /// Shows a write, unless the register holds a later one.
    pub(super) fn show(&mut self, origin: &NodeId, write: &Write) {
        self.shown.raise(origin, write.number);
        let version = Version {
            value: write.value.clone(),
            at: (write.at, origin.clone()),
            number: write.number,
            after: write.after.clone(),
        };
        let later = |own: &Version| own.at >= version.at;
        if !self.get(&write.key).is_some_and(later) {
            self.registers.insert(write.key.clone(), version);
        }
    }

    /// The writes that the registers hold now, with their origins.
    pub(super) fn writes(&self) -> impl Iterator<Item = (NodeId, Write)> {
        self.registers.iter().map(|(key, version)| {
            let write = Write {
                number: version.number,
                after: version.after.clone(),
                key: key.clone(),
                value: version.value.clone(),
                at: version.at.0,
            };
            (version.at.1.clone(), write)
        })
    }
}
