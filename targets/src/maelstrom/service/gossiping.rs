//! `lww-kv`: replicas that take the last write, and tell each other in the background.
//!
//! Each request is served by a replica drawn by chance, so a client may not see its own write.
//! Every now and then one replica tells another all that it has: they agree in the end even if
//! nobody asks. Which write is the last, Lamport's clock says, and the replica's number if that is
//! the same.

use std::collections::HashMap;

use super::value::Value;
use super::{Chance, kv};
use crate::wire::WireError;

/// How many replicas there are.
const REPLICAS: usize = 5;

/// When a value was written: by the clock, and at which replica.
type Moment = (u64, usize);

#[derive(Debug, Default)]
struct Replica {
    clock: u64,
    held: HashMap<String, (Moment, Value)>,
}

/// The store.
#[derive(Debug)]
pub(super) struct Store {
    replicas: Vec<Replica>,
    chance: Chance,
}

impl Store {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            replicas: (0..REPLICAS).map(|_| Replica::default()).collect(),
            chance: Chance(seed),
        }
    }

    fn tell(&mut self, from: usize, to: usize) {
        let Some(Replica { clock, held }) = self.replicas.get(from) else {
            return;
        };
        let (clock, held) = (*clock, held.clone());
        let Some(told) = self.replicas.get_mut(to) else {
            return;
        };
        told.clock = told.clock.max(clock);
        for (key, (moment, value)) in held {
            if told.held.get(&key).is_none_or(|(own, _)| *own < moment) {
                told.held.insert(key, (moment, value));
            }
        }
    }
}

impl kv::Store for Store {
    fn read(&mut self, _: &str, key: &str) -> Option<Value> {
        let at = self.chance.below(REPLICAS);
        let held = &self.replicas.get(at)?.held;
        held.get(key).map(|(_, value)| value.clone())
    }

    fn update(
        &mut self,
        _: &str,
        key: String,
        change: &mut dyn FnMut(Option<&Value>) -> Result<Value, WireError>,
    ) -> Result<(), WireError> {
        let at = self.chance.below(REPLICAS);
        let Some(replica) = self.replicas.get_mut(at) else {
            return Err(WireError::unavailable("no such replica"));
        };
        let value = change(replica.held.get(&key).map(|(_, value)| value))?;
        replica.clock += 1;
        let moment = (replica.clock, at);
        replica.held.insert(key, (moment, value));
        Ok(())
    }

    fn tick(&mut self) {
        let from = self.chance.below(REPLICAS);
        let to = (from + 1 + self.chance.below(REPLICAS - 1)) % REPLICAS;
        self.tell(from, to);
    }
}

#[cfg(test)]
mod tests {
    use super::kv::Store as _;
    use super::*;
    use serde_json::value::RawValue;

    #[test]
    fn replicas_differ_at_first_and_agree_on_one_of_the_writes_without_being_asked() {
        let mut store = Store::new(3);
        for n in 1..=4 {
            let raw: Box<RawValue> = serde_json::from_str(&n.to_string()).unwrap();
            let mut change = |_: Option<&Value>| Ok(Value::new(&raw));
            store.update("a", "x".into(), &mut change).unwrap();
        }
        let mut seen = || {
            let reads = (0..60).map(|_| store.read("a", "x").map(|v| v.text().to_owned()));
            reads.collect::<std::collections::BTreeSet<_>>()
        };
        assert!(seen().len() > 1);
        (0..200).for_each(|_| store.tick());
        let mut seen = (0..60).map(|_| store.read("a", "x").map(|v| v.text().to_owned()));
        let first = seen.next().unwrap();
        assert!(first.is_some() && seen.all(|read| read == first));
    }
}
