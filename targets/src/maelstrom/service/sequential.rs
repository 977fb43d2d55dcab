//! `seq-kv`: sequential, and no more (L. Lamport, "How to Make a Multiprocessor Computer That
//! Correctly Executes Multiprocess Programs", IEEE ToC C-28, 1979).
//!
//! There is one order of all changes. A client that only reads stands somewhere in it, drawn by
//! chance between where it stood before and the end, so it never goes back; a client that changes
//! something stands at the end. So all clients see one order, each its own operations in their
//! order; how far it is behind the others is chance.

use std::collections::HashMap;

use super::value::Value;
use super::{Chance, kv};
use crate::wire::WireError;

/// So many changes a client may be behind.
const BEHIND_MAX: u64 = 32;

/// The store.
#[derive(Debug)]
pub(super) struct Store {
    /// What each key has held since which change, the oldest first.
    versions: HashMap<String, Vec<(u64, Value)>>,
    /// How many changes there were.
    changes: u64,
    /// After how many changes each client stands.
    stands: HashMap<String, u64>,
    chance: Chance,
}

impl Store {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            versions: HashMap::new(),
            changes: 0,
            stands: HashMap::new(),
            chance: Chance(seed),
        }
    }
}

impl kv::Store for Store {
    fn read(&mut self, src: &str, key: &str) -> Option<Value> {
        let oldest = self.changes.saturating_sub(BEHIND_MAX);
        let stood = self.stands.get(src).copied().unwrap_or(0).max(oldest);
        let ahead = self.changes - stood;
        let stands = stood + self.chance.below(ahead as usize + 1) as u64;
        self.stands.insert(src.to_owned(), stands);
        let versions = self.versions.get(key)?.iter().rev();
        let mut then = versions.skip_while(|(since, _)| *since > stands);
        then.next().map(|(_, value)| value.clone())
    }

    fn update(
        &mut self,
        src: &str,
        key: String,
        change: &mut dyn FnMut(Option<&Value>) -> Result<Value, WireError>,
    ) -> Result<(), WireError> {
        // To be refused means to have seen the end, too.
        self.stands.insert(src.to_owned(), self.changes);
        let versions = self.versions.entry(key).or_default();
        let value = change(versions.last().map(|(_, value)| value))?;
        self.changes += 1;
        self.stands.insert(src.to_owned(), self.changes);
        versions.push((self.changes, value));
        // Of what lies further back than anybody may stand, the last is still seen.
        let oldest = self.changes.saturating_sub(BEHIND_MAX);
        let seen = versions.iter().rposition(|(since, _)| *since <= oldest);
        versions.drain(..seen.unwrap_or(0));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::kv::Store as _;
    use super::*;
    use serde_json::value::RawValue;

    fn value(n: u64) -> Value {
        let raw: Box<RawValue> = serde_json::from_str(&n.to_string()).unwrap();
        Value::new(&raw)
    }

    fn write(store: &mut Store, src: &str, key: &str, n: u64) {
        let mut change = |_: Option<&Value>| Ok(value(n));
        store.update(src, key.to_owned(), &mut change).unwrap();
    }

    fn read(store: &mut Store, src: &str, key: &str) -> u64 {
        let read = store.read(src, key);
        read.map_or(0, |value| value.text().parse().unwrap())
    }

    /// Maelstrom's wraps around after 32 changes, and readers go back in time.
    #[test]
    fn nobody_ever_goes_back_however_many_changes_there_are_and_some_are_behind() {
        for seed in 0..20 {
            let mut store = Store::new(seed);
            let (mut last, mut behind) = (HashMap::new(), 0);
            for n in 1..=2_000 {
                write(&mut store, "w", if n % 2 == 0 { "x" } else { "y" }, n);
                let src = ["a", "b", "c"][n as usize % 3];
                let (x, y) = (read(&mut store, src, "x"), read(&mut store, src, "y"));
                let now = x.max(y);
                let before = last.insert(src, now).unwrap_or(0);
                assert!(before <= now, "{src} saw {before}, and then {now}");
                assert!(n - now <= BEHIND_MAX + 1, "{n} {now}");
                behind += u64::from(now < n);
            }
            assert!(behind > 0, "nobody was ever behind: that is linearizable");
        }
    }

    #[test]
    fn a_writer_reads_what_it_wrote_and_versions_nobody_can_see_are_forgotten() {
        let mut store = Store::new(1);
        for n in 1..=500 {
            write(&mut store, "w", "x", n);
            assert_eq!(read(&mut store, "w", "x"), n);
        }
        assert!(store.versions["x"].len() <= BEHIND_MAX as usize + 1);
        write(&mut store, "w", "rare", 7);
        for n in 1..=100 {
            write(&mut store, "w", "x", n);
        }
        assert_eq!(read(&mut store, "new", "rare"), 7);
    }

    #[test]
    fn whoever_is_refused_has_seen_why() {
        let mut store = Store::new(1);
        for n in 1..=10 {
            write(&mut store, "w", "x", n);
        }
        let mut refuse = |_: Option<&Value>| Err(WireError::precondition("no"));
        assert!(store.update("a", "x".into(), &mut refuse).is_err());
        assert_eq!(read(&mut store, "a", "x"), 10);
    }
}
