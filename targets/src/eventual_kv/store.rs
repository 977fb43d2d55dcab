//! What one node knows: the objects, the updates that made them, and which updates of which node
//! it has taken up.
//!
//! An update that another one has made needless is forgotten, so that a node that comes late gets
//! what still counts and not all that ever happened.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tribunal_results::NodeId;

use super::objects::{Objects, Taken};
use super::update::{Change, Dot, Update};
use crate::clock::VectorClock;

/// The most updates of one message, and about how many bytes they may have.
const UPDATES_PER_DELTA: usize = 500;
const BYTES_PER_DELTA: usize = 256 << 10;

/// Updates in the order of their numbers, origin by origin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Delta {
    /// What the receiver must have taken up before.
    pub(super) since: VectorClock,
    /// What it has taken up with it: all updates until then that still count are here.
    pub(super) until: VectorClock,
    pub(super) updates: Vec<Update>,
}

/// What one node knows.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) objects: Objects,
    /// Of each origin, all updates up to this number are taken up.
    seen: VectorClock,
    /// Those that still count.
    live: BTreeMap<NodeId, BTreeMap<u64, Change>>,
    count: usize,
}

impl Store {
    /// Which updates of which node are taken up: the digest that goes round.
    pub(super) const fn seen(&self) -> &VectorClock {
        &self.seen
    }

    /// How many updates are kept.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Takes an update up. Says whether it changed anything.
    pub(super) fn take(&mut self, update: &Update) -> bool {
        self.seen.raise(&update.dot.origin, update.dot.number);
        let Taken::New(needless) = self.objects.take(update) else {
            return false;
        };
        for dot in needless {
            self.forget(&dot);
        }
        let of_origin = self.live.entry(update.dot.origin.clone()).or_default();
        let before = of_origin.insert(update.dot.number, update.change.clone());
        self.count += usize::from(before.is_none());
        true
    }

    fn forget(&mut self, dot: &Dot) {
        let of_origin = self.live.get_mut(&dot.origin);
        let gone = of_origin.and_then(|of_origin| of_origin.remove(&dot.number));
        self.count -= usize::from(gone.is_some());
    }

    /// All updates up to these are taken up, though some that don't count any more never came.
    pub(super) fn has_seen(&mut self, until: &VectorClock) {
        self.seen.merge(until);
    }

    /// What somebody lacks who has taken up `seen`: as much of it as fits a message; nothing if
    /// there is nothing.
    pub(super) fn delta(&self, seen: &VectorClock) -> Option<Delta> {
        let mut delta = Delta {
            since: seen.clone(),
            ..Delta::default()
        };
        let mut room = BYTES_PER_DELTA;
        for (origin, last) in self.seen.entries() {
            let first = seen.get(origin).saturating_add(1);
            if first > last {
                continue;
            }
            let live = self.live.get(origin).into_iter();
            for (number, change) in live.flat_map(|live| live.range(first..=last)) {
                let size = serde_json::to_string(change).map_or(0, |text| text.len());
                if room < size || delta.updates.len() >= UPDATES_PER_DELTA {
                    return Some(delta);
                }
                room -= size;
                delta.until.raise(origin, *number);
                let (origin, number) = (origin.clone(), *number);
                delta.updates.push(Update {
                    dot: Dot { origin, number },
                    change: change.clone(),
                });
            }
            delta.until.raise(origin, last);
        }
        (delta.until != VectorClock::new()).then_some(delta)
    }

    /// Everything as one delta from nothing, in pieces of one update each.
    pub(super) fn updates(&self) -> impl Iterator<Item = Update> {
        self.live.iter().flat_map(|(origin, live)| {
            live.iter().map(|(number, change)| Update {
                dot: Dot {
                    origin: origin.clone(),
                    number: *number,
                },
                change: change.clone(),
            })
        })
    }
}
