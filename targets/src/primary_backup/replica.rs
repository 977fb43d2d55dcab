//! What one replica has: the view that it is in, how many writes, and what they came to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tribunal_results::Scalar;

/// One write in the order of a view's primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) view: u64,
    pub(super) seq: u64,
    pub(super) key: Scalar,
    pub(super) value: Scalar,
}

/// All registers, as of a view and a number of writes. JSON has no other keys than texts, so they
/// are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) view: u64,
    pub(super) seq: u64,
    registers: Vec<(Scalar, Scalar)>,
}

/// What one replica has.
#[derive(Debug, Default)]
pub(super) struct Replica {
    /// The highest view that it heard of.
    pub(super) view: u64,
    /// How many writes it has, in the order of the views' primaries.
    pub(super) seq: u64,
    registers: BTreeMap<Scalar, Scalar>,
}

impl Replica {
    /// The value of a register.
    pub(super) fn get(&self, key: &Scalar) -> Option<&Scalar> {
        self.registers.get(key)
    }

    /// How many registers there are.
    pub(super) fn len(&self) -> usize {
        self.registers.len()
    }

    /// Does a write that is the next one of its view; says whether it was.
    pub(super) fn apply(&mut self, entry: &Entry) -> bool {
        let is_next = entry.view == self.view && Some(entry.seq) == self.seq.checked_add(1);
        if is_next {
            self.seq = entry.seq;
            self.registers
                .insert(entry.key.clone(), entry.value.clone());
        }
        is_next
    }

    /// Takes over a whole state.
    pub(super) fn replace(&mut self, state: State) {
        self.view = state.view;
        self.seq = state.seq;
        self.registers = state.registers.into_iter().collect();
    }

    /// The whole state.
    pub(super) fn state(&self) -> State {
        let registers = self.registers.iter();
        State {
            view: self.view,
            seq: self.seq,
            registers: registers.map(|(k, v)| (k.clone(), v.clone())).collect(),
        }
    }
}
