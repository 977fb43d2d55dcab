//! Which keys are one object, while that may still change.

use rustc_hash::FxHashMap;
use tribunal_results::Scalar;

use crate::models::Kind;

/// Keys by number: disjoint sets as trees, halved on the way to their roots (Tarjan & van Leeuwen
/// 1984).
#[derive(Debug, Default)]
pub(super) struct Keys {
    numbers: FxHashMap<Scalar, u32>,
    keys: Vec<One>,
}

/// A key; the second half is of all its object, if it is the root.
#[derive(Clone, Copy, Debug)]
struct One {
    parent: u32,
    /// What it is taken for.
    claimed: Option<Kind>,
    /// How many keys the object has.
    size: u32,
    /// The type of the keys of the object, if they all have one.
    kind: Option<Kind>,
    /// Whether a transaction touched one.
    transactions: bool,
    /// Whether things of different types were done to one of them, or to several in a transaction
    /// that has no such things.
    mixed: bool,
}

impl Keys {
    /// The number of a key; a new one is an object by itself.
    pub(super) fn number(&mut self, key: &Scalar) -> u32 {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let next = self.keys.len() as u32;
        self.numbers.insert(key.clone(), next);
        self.keys.push(One {
            parent: next,
            claimed: None,
            size: 1,
            kind: None,
            transactions: false,
            mixed: false,
        });
        next
    }

    /// The key is taken for that by an operation, or by one of a transaction.
    pub(super) fn claim(&mut self, number: u32, kind: Option<Kind>, transaction: bool) {
        let root = self.root(number) as usize;
        let Some(key) = self.keys.get_mut(number as usize) else {
            return;
        };
        let other = key.claimed.is_some() && kind.is_some() && key.claimed != kind;
        key.claimed = key.claimed.or(kind);
        if let Some(object) = self.keys.get_mut(root) {
            object.mixed |= other;
            object.transactions |= transaction;
            object.kind = both(object.kind, kind);
        }
    }

    /// The first key of the object that has the key.
    pub(super) fn root(&mut self, mut at: u32) -> u32 {
        while let Some(&One { parent, .. }) = self.keys.get(at as usize) {
            if parent == at {
                break;
            }
            let above = self.keys.get(parent as usize).map_or(parent, |p| p.parent);
            if let Some(key) = self.keys.get_mut(at as usize) {
                key.parent = above;
            }
            at = above;
        }
        at
    }

    /// Two objects, given by their roots, are one: the larger one's root.
    pub(super) fn join(&mut self, one: u32, other: u32) -> u32 {
        let of = |root: u32| self.keys.get(root as usize).copied();
        let (Some(a), Some(b)) = (of(one), of(other)) else {
            return one;
        };
        let (root, gone) = if a.size < b.size {
            (other, one)
        } else {
            (one, other)
        };
        if let Some(key) = self.keys.get_mut(gone as usize) {
            key.parent = root;
        }
        if let Some(object) = self.keys.get_mut(root as usize) {
            object.size = a.size + b.size;
            object.kind = both(a.kind, b.kind);
            object.transactions |= a.transactions || b.transactions;
            object.mixed |= a.mixed || b.mixed;
        }
        root
    }

    /// The type of the object with that root; `None` if it is mixed.
    pub(super) fn kind(&self, root: u32) -> Option<Kind> {
        let object = self.keys.get(root as usize)?;
        let kind = object.kind.unwrap_or(Kind::Keyed);
        let fits = !object.transactions || matches!(kind, Kind::Keyed | Kind::List);
        let kind = if object.transactions {
            Kind::Keyed
        } else {
            kind
        };
        (fits && !object.mixed).then_some(kind)
    }

    /// How many keys transactions touch together; `None` if there is no transaction.
    pub(super) fn together(&self, root: u32) -> Option<usize> {
        let object = self.keys.get(root as usize)?;
        object.transactions.then_some(object.size as usize)
    }
}

/// The type of two; of registers and lists together, that of registers. Anything else together
/// fits no transaction, and is told by the one that does not fit.
fn both(one: Option<Kind>, other: Option<Kind>) -> Option<Kind> {
    match (one, other) {
        (Some(Kind::Keyed | Kind::List), Some(Kind::Keyed)) => Some(Kind::Keyed),
        (Some(Kind::Keyed | Kind::List), other @ Some(_)) => other,
        (one @ Some(_), _) => one,
        (None, other) => other,
    }
}
