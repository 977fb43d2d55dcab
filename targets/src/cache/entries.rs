//! What one node keeps: entries that expire, the least recently used given up first when there is
//! no room.

use std::collections::BTreeMap;

use tribunal_results::Scalar;

use super::Bug;
use crate::node::Nanos;

/// Bytes that every entry takes besides its key and value.
const OVERHEAD: usize = 16;

#[derive(Debug)]
struct Entry {
    value: Scalar,
    expires: Nanos,
    /// Its place in the order of use, and of its arrival.
    used: u64,
    arrived: u64,
}

/// The last entry that was given up: its use, and the oldest use among those that stayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Eviction {
    pub(super) used: u64,
    pub(super) oldest_kept: u64,
}

/// The entries of one node.
#[derive(Debug)]
pub(super) struct Entries {
    capacity: usize,
    bug: Option<Bug>,
    entries: BTreeMap<Scalar, Entry>,
    /// Keys in the order in which they are given up.
    order: BTreeMap<u64, Scalar>,
    /// Bytes that the entries take, as accounted.
    accounted: usize,
    uses: u64,
    last: Option<Eviction>,
}

/// The bytes of an entry.
pub(super) fn size(key: &Scalar, value: &Scalar) -> usize {
    let bytes = |scalar: &Scalar| match scalar {
        Scalar::Int(_) => 8,
        Scalar::Text(text) => text.len(),
    };
    OVERHEAD + bytes(key) + bytes(value)
}

impl Entries {
    pub(super) const fn new(capacity: usize, bug: Option<Bug>) -> Self {
        Self {
            capacity,
            bug,
            entries: BTreeMap::new(),
            order: BTreeMap::new(),
            accounted: 0,
            uses: 0,
            last: None,
        }
    }

    /// The value of a key, if it is there and not expired; it counts as used.
    pub(super) fn get(&mut self, key: &Scalar, now: Nanos) -> Option<Scalar> {
        let expired = self.entries.get(key)?.expires <= now;
        if expired && self.bug != Some(Bug::TtlIgnored) {
            self.remove(key);
            return None;
        }
        self.uses += 1;
        let uses = self.uses;
        let in_order_of_arrival = self.bug == Some(Bug::FifoEviction);
        let entry = self.entries.get_mut(key)?;
        let before = std::mem::replace(&mut entry.used, uses);
        if !in_order_of_arrival {
            self.order.remove(&before);
            self.order.insert(uses, key.clone());
        }
        Some(entry.value.clone())
    }

    /// Keeps a value until it expires, and gives up others for it if there is no room. What is
    /// larger than all the room there is, is not kept.
    pub(super) fn put(&mut self, key: &Scalar, value: Scalar, expires: Nanos) {
        let more = size(key, &value);
        let leaks = self.bug == Some(Bug::SizeLeak) && self.entries.contains_key(key);
        self.remove(key);
        if more > self.capacity {
            return;
        }
        self.uses += 1;
        let entry = Entry {
            value,
            expires,
            used: self.uses,
            arrived: self.uses,
        };
        self.entries.insert(key.clone(), entry);
        self.order.insert(self.uses, key.clone());
        // What takes another one's place is forgotten in the account: only if planted.
        self.accounted += if leaks { 0 } else { more };
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.accounted > self.capacity {
            let Some(key) = self.order.first_key_value().map(|first| first.1.clone()) else {
                return;
            };
            let used = self.entries.get(&key).map_or(0, |entry| entry.used);
            self.remove(&key);
            let kept = self.entries.values().map(|entry| entry.used).min();
            self.last = kept.map(|oldest_kept| Eviction { used, oldest_kept });
        }
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, key: &Scalar) {
        if let Some(entry) = self.entries.remove(key) {
            let at = match self.bug {
                Some(Bug::FifoEviction) => entry.arrived,
                _ => entry.used,
            };
            self.order.remove(&at);
            self.accounted = self.accounted.saturating_sub(size(key, &entry.value));
        }
    }

    /// Bytes that the entries take, counted anew.
    pub(super) fn bytes(&self) -> usize {
        let entries = self.entries.iter();
        entries.map(|(key, entry)| size(key, &entry.value)).sum()
    }

    /// How many bytes they may take.
    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// What was given up last.
    pub(super) const fn last_eviction(&self) -> Option<Eviction> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 3 * (OVERHEAD + 9);

    fn fill(bug: Option<Bug>) -> Entries {
        let mut entries = Entries::new(ROOM, bug);
        for key in ["a", "b", "c"] {
            entries.put(&key.into(), 1.into(), 100);
        }
        entries
    }

    fn has(entries: &Entries) -> Vec<String> {
        entries.entries.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn an_entry_is_there_until_it_expires_unless_that_is_planted() {
        for (bug, later) in [(None, None), (Some(Bug::TtlIgnored), Some(1.into()))] {
            let mut entries = fill(bug);
            assert_eq!(entries.get(&"a".into(), 99), Some(1.into()));
            assert_eq!(entries.get(&"a".into(), 100), later);
        }
    }

    #[test]
    fn the_least_recently_used_goes_first_unless_the_first_to_come_is_planted() {
        for (bug, kept) in [
            (None, ["a", "c", "d"]),
            (Some(Bug::FifoEviction), ["b", "c", "d"]),
        ] {
            let mut entries = fill(bug);
            entries.get(&"a".into(), 0);
            entries.put(&"d".into(), 1.into(), 100);
            assert_eq!(has(&entries), kept);
            let last = entries.last_eviction().unwrap();
            assert_eq!(last.used < last.oldest_kept, bug.is_none());
        }
    }

    #[test]
    fn it_never_takes_more_room_than_it_has_unless_that_is_planted() {
        for (bug, keeps) in [(None, true), (Some(Bug::SizeLeak), false)] {
            let mut entries = fill(bug);
            for round in 0..20 {
                let key = ["a", "b", "c", "d", "e"][round % 5];
                entries.put(&key.into(), "x".repeat(round).into(), 100);
                entries.put(&key.into(), "y".repeat(round % 7).into(), 100);
            }
            assert_eq!(
                entries.bytes() <= ROOM,
                keeps,
                "{bug:?}: {}",
                entries.bytes()
            );
            assert!(bug.is_some() || entries.bytes() == entries.accounted);
        }
    }

    #[test]
    fn what_is_larger_than_all_room_is_not_kept_nor_what_it_replaces() {
        let mut entries = fill(None);
        entries.put(&"a".into(), "x".repeat(ROOM).into(), 100);
        assert_eq!(has(&entries), ["b", "c"]);
    }
}
