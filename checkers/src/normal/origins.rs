//! Who wrote what a transaction read.

use rustc_hash::FxHashMap;

/// In place of a number: none.
const NONE: u32 = u32::MAX;

/// Who wrote what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nothing was there, so nobody did.
    Nothing,
    /// Nobody wrote it, although it was there.
    Nobody,
    /// That transaction, and it did not overwrite it (or did not append to it).
    Final(u32),
    /// That transaction, and it overwrote it.
    Middle(u32),
    /// The reader itself, before or afterwards.
    Own,
    /// That transaction, which failed, and none besides that did not.
    Failed(u32),
    /// Several may have.
    Several,
}

impl Origin {
    /// The other transaction that wrote it, if it may have taken effect.
    pub(crate) const fn writer(self) -> Option<u32> {
        match self {
            Self::Final(writer) | Self::Middle(writer) => Some(writer),
            _ => None,
        }
    }
}

/// The write of a value to a key.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u32,
    txn: u32,
    step: u32,
    standing: Standing,
}

/// What is known of the writes of one value to one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Single,
    Failed,
    Several,
}

/// Who wrote each value to each key.
#[derive(Debug, Default)]
pub(super) struct Origins {
    /// Of each value the key that it was first written to.
    first: Vec<Entry>,
    /// The same values in other keys.
    more: FxHashMap<(u32, u32), Entry>,
    /// Of each key, the last transaction that wrote it and the step.
    last: Vec<(u32, u32)>,
    /// Which steps were overwritten by their transaction.
    overwritten: Vec<bool>,
    twice: Option<(u32, u32)>,
}

impl Origins {
    /// None yet, of so many steps, values and keys.
    pub(super) fn new(steps: usize, values: usize, keys: usize) -> Self {
        let none = Entry {
            key: NONE,
            txn: NONE,
            step: NONE,
            standing: Standing::Single,
        };
        Self {
            first: vec![none; values],
            more: FxHashMap::default(),
            last: vec![(NONE, NONE); keys],
            overwritten: vec![false; steps],
            twice: None,
        }
    }

    /// Notes that a transaction, which may have failed, wrote a value to a key in a step, after
    /// the steps before that.
    pub(super) fn add(&mut self, value: u32, (key, step): (u32, u32), (txn, failed): (u32, bool)) {
        if let Some(last) = self.last.get_mut(key as usize) {
            let before = std::mem::replace(last, (txn, step));
            if before.0 == txn
                && let Some(overwritten) = self.overwritten.get_mut(before.1 as usize)
            {
                *overwritten = true;
            }
        }
        let new = Entry {
            key,
            txn,
            step,
            standing: if failed {
                Standing::Failed
            } else {
                Standing::Single
            },
        };
        let Some(first) = self.first.get_mut(value as usize) else {
            return;
        };
        let entry = if first.key == NONE || first.key == key {
            first
        } else {
            let none = Entry { key: NONE, ..new };
            self.more.entry((key, value)).or_insert(none)
        };
        // Who failed wrote nothing, if another did.
        if entry.key == NONE || (entry.standing == Standing::Failed && !failed) {
            *entry = new;
        } else if !failed {
            entry.standing = Standing::Several;
            self.twice = self.twice.or(Some((key, value)));
        }
    }

    /// Who wrote what the transaction read.
    pub(super) fn of(&self, reader: u32, key: u32, seen: Option<u32>) -> Origin {
        let Some(value) = seen else {
            return Origin::Nothing;
        };
        let Some(entry) = self.entry(key, value) else {
            return Origin::Nobody;
        };
        let overwritten = self.overwritten.get(entry.step as usize);
        match entry.standing {
            Standing::Several => Origin::Several,
            _ if entry.txn == reader => Origin::Own,
            Standing::Failed => Origin::Failed(entry.txn),
            Standing::Single if overwritten == Some(&true) => Origin::Middle(entry.txn),
            Standing::Single => Origin::Final(entry.txn),
        }
    }

    /// The transaction and the step that wrote the value, if that is known.
    pub(super) fn writer(&self, key: u32, value: u32) -> Option<(u32, u32)> {
        let entry = self.entry(key, value)?;
        (entry.standing != Standing::Several).then_some((entry.txn, entry.step))
    }

    fn entry(&self, key: u32, value: u32) -> Option<&Entry> {
        let first = self.first.get(value as usize);
        let here = first.filter(|entry| entry.key == key);
        here.or_else(|| self.more.get(&(key, value)))
    }

    /// The first key and value of which nobody knows which write a read saw.
    pub(super) const fn twice(&self) -> Option<(u32, u32)> {
        self.twice
    }
}

#[cfg(test)]
mod tests {
    use super::{Origin, Origins};

    const KEY: u32 = 0;
    const READER: u32 = 9;

    #[test]
    fn a_value_is_traced_to_who_alone_may_have_written_it() {
        let mut origins = Origins::new(8, 8, 2);
        origins.add(0, (KEY, 0), (0, false));
        origins.add(1, (KEY, 1), (0, false));
        origins.add(2, (KEY, 2), (1, true));
        origins.add(3, (KEY, 3), (2, true));
        origins.add(3, (KEY, 4), (3, false));
        let of = |value| origins.of(READER, KEY, Some(value));
        assert_eq!(of(0), Origin::Middle(0));
        assert_eq!(of(1), Origin::Final(0));
        assert_eq!(of(2), Origin::Failed(1));
        assert_eq!(of(3), Origin::Final(3), "who failed wrote nothing");
        assert_eq!(of(4), Origin::Nobody);
        assert_eq!(origins.of(READER, KEY, None), Origin::Nothing);
        assert_eq!(origins.of(0, KEY, Some(1)), Origin::Own);
        assert_eq!(origins.twice(), None);
    }

    #[test]
    fn one_value_in_two_keys_is_no_doubt_but_twice_in_one_is() {
        let mut origins = Origins::new(8, 8, 2);
        origins.add(0, (0, 0), (0, false));
        origins.add(0, (1, 1), (1, false));
        assert_eq!(origins.of(READER, 0, Some(0)), Origin::Final(0));
        assert_eq!(origins.of(READER, 1, Some(0)), Origin::Final(1));
        origins.add(0, (1, 2), (2, false));
        assert_eq!(origins.of(READER, 1, Some(0)), Origin::Several);
        assert_eq!(origins.writer(1, 0), None);
        assert_eq!(origins.twice(), Some((1, 0)));
    }
}
