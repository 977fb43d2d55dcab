//! The replicated objects of one node. Each is a join-semilattice (Shapiro, Preguiça, Baquero and
//! Zawirski, "Conflict-free replicated data types", SSS 2011): taking up the same updates in any
//! order, once or many times, gives the same state.

use std::collections::{BTreeMap, BTreeSet};

use tribunal_results::message::Hybrid;
use tribunal_results::{NodeId, Scalar};

use super::update::{Change, Dot, Update};

/// What taking an update up came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It says nothing new, and nobody needs it any more.
    Obsolete,
    /// It counts from now on, and makes these needless.
    New(Vec<Dot>),
}

/// A register: the last write wins.
#[derive(Debug)]
struct Register {
    at: (Hybrid, NodeId),
    value: Scalar,
    dot: Dot,
}

/// What one node did to a counter.
#[derive(Debug)]
struct Share {
    number: u64,
    plus: u64,
    minus: u64,
}

/// One element of an observed-remove set: it is in the set while an addition of it is not removed.
#[derive(Debug, Default)]
struct Element {
    added: BTreeSet<Dot>,
    removed: BTreeSet<Dot>,
}

/// All objects of a node.
#[derive(Debug, Default)]
pub(super) struct Objects {
    registers: BTreeMap<Scalar, Register>,
    counters: BTreeMap<Scalar, BTreeMap<NodeId, Share>>,
    sets: BTreeMap<Scalar, BTreeMap<Scalar, Element>>,
}

impl Objects {
    /// The value of a register.
    pub(super) fn read(&self, key: &Scalar) -> Option<&Scalar> {
        self.registers.get(key).map(|register| &register.value)
    }

    /// What a counter stands at: all that was added, less all that was taken away.
    pub(super) fn count(&self, key: &Scalar) -> i64 {
        let shares = self
            .counters
            .get(key)
            .into_iter()
            .flat_map(BTreeMap::values);
        let sum: i128 = shares
            .map(|share| i128::from(share.plus) - i128::from(share.minus))
            .sum();
        let bounded = sum.clamp(i64::MIN.into(), i64::MAX.into());
        i64::try_from(bounded).unwrap_or_default()
    }

    /// What a node added to a counter, and took away, until now.
    pub(super) fn share(&self, key: &Scalar, node: &NodeId) -> (u64, u64) {
        let share = self.counters.get(key).and_then(|shares| shares.get(node));
        share.map_or((0, 0), |share| (share.plus, share.minus))
    }

    /// The elements of a set, in order.
    pub(super) fn members(&self, key: &Scalar) -> Vec<Scalar> {
        let elements = self.sets.get(key).into_iter().flatten();
        let present = elements.filter(|(_, element)| !element.added.is_empty());
        present.map(|(value, _)| value.clone()).collect()
    }

    /// The additions that keep an element in a set; none if it isn't there.
    pub(super) fn tags(&self, key: &Scalar, value: &Scalar) -> Vec<Dot> {
        let element = self.sets.get(key).and_then(|set| set.get(value));
        element.map_or_else(Vec::new, |element| element.added.iter().cloned().collect())
    }

    /// Takes an update up.
    pub(super) fn take(&mut self, update: &Update) -> Taken {
        let dot = &update.dot;
        match &update.change {
            Change::Write { key, value, at } => self.write(dot, key, value, *at),
            Change::Increment { key, plus, minus } => self.increment(dot, key, *plus, *minus),
            Change::Add { key, value } => self.add(dot, key, value),
            Change::Remove { key, value, tags } => self.remove(key, value, tags),
        }
    }

    fn write(&mut self, dot: &Dot, key: &Scalar, value: &Scalar, at: Hybrid) -> Taken {
        let register = Register {
            at: (at, dot.origin.clone()),
            value: value.clone(),
            dot: dot.clone(),
        };
        match self.registers.get(key) {
            Some(own) if own.at >= register.at => Taken::Obsolete,
            _ => {
                let old = self.registers.insert(key.clone(), register);
                Taken::New(old.map(|old| old.dot).into_iter().collect())
            }
        }
    }

    fn increment(&mut self, dot: &Dot, key: &Scalar, plus: u64, minus: u64) -> Taken {
        let shares = self.counters.entry(key.clone()).or_default();
        let share = Share {
            number: dot.number,
            plus,
            minus,
        };
        match shares.get(&dot.origin) {
            Some(own) if own.number >= dot.number => Taken::Obsolete,
            _ => {
                let old = shares.insert(dot.origin.clone(), share);
                let older = |old: Share| Dot {
                    number: old.number,
                    origin: dot.origin.clone(),
                };
                Taken::New(old.map(older).into_iter().collect())
            }
        }
    }

    fn element(&mut self, key: &Scalar, value: &Scalar) -> &mut Element {
        let set = self.sets.entry(key.clone()).or_default();
        set.entry(value.clone()).or_default()
    }

    fn add(&mut self, dot: &Dot, key: &Scalar, value: &Scalar) -> Taken {
        let element = self.element(key, value);
        match element.removed.contains(dot) || !element.added.insert(dot.clone()) {
            true => Taken::Obsolete,
            false => Taken::New(Vec::new()),
        }
    }

    /// Additions that arrive after their removal must not count: they are remembered for ever.
    fn remove(&mut self, key: &Scalar, value: &Scalar, tags: &[Dot]) -> Taken {
        let element = self.element(key, value);
        let news = tags.iter().filter(|tag| !element.removed.contains(*tag));
        let news: Vec<Dot> = news.cloned().collect();
        for tag in &news {
            element.added.remove(tag);
            element.removed.insert(tag.clone());
        }
        match news.is_empty() {
            // It may repeat what another node's removal says, and is as good as that one.
            true => Taken::Obsolete,
            false => Taken::New(news),
        }
    }
}
