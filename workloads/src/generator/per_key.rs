//! Independent keys, worked on by groups of threads.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt;
use tribunal_results::Outcome;

use super::soonest::Soonest;
use super::{Chance, Completion, Generator, Offer, Proposal, Seed, View, follow};

/// How many processes may work on one key: the cost of checking a key grows steeply with the
/// number of operations that never ended.
const PROCESSES_MAX: usize = 20;

/// What the generator of one key is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTurn {
    /// The key, from 1; never given twice.
    pub key: u64,
    /// How many threads work on it.
    pub threads: usize,
    /// Its own seed.
    pub seed: Seed,
}

/// Divides the threads into groups of neighbours. Each group works on one key, with a generator
/// made for it, until that is exhausted, has made its number of operations, or too many processes
/// would have to work on it; then on the next key. Keys are never used again, and each key's
/// number of operations is drawn from 0.9 to 1.1 times the given one, so that keys don't end in
/// lockstep. A group ends for good when the generator made for a new key is exhausted at once.
pub struct PerKey<F> {
    threads: usize,
    groups: Vec<Group>,
    operations: u64,
    keys: u64,
    make: F,
    seed: Seed,
    chance: Chance,
    recent: RecentKeys,
}

struct Group {
    key: u64,
    child: Box<dyn Generator>,
    operations_left: u64,
    processes: usize,
}

impl<F> PerKey<F>
where
    F: Fn(KeyTurn) -> Box<dyn Generator> + Send,
{
    /// `threads` threads in `groups` groups (as equal as can be, at most one per thread), with
    /// about `operations` operations a key. `make` makes the generator of a key.
    pub fn new(seed: Seed, threads: usize, groups: usize, operations: u64, make: F) -> Self {
        let groups = groups.min(threads).max(1);
        let mut per_key = Self {
            threads,
            groups: Vec::with_capacity(groups),
            operations,
            keys: 0,
            make,
            seed: seed.named("keys"),
            chance: Chance::new(seed),
            recent: RecentKeys::new(groups),
        };
        for i in 0..groups {
            let group = per_key.begin(i, threads * (i + 1) / groups - threads * i / groups);
            per_key.groups.push(group);
        }
        per_key
    }

    /// The keys that groups worked on last, kept up to date while this generator runs.
    pub fn recent(&self) -> RecentKeys {
        self.recent.clone()
    }

    fn begin(&mut self, group: usize, threads: usize) -> Group {
        self.keys += 1;
        self.recent.note(group, self.keys);
        let seed = self.seed.numbered(self.keys);
        let share = seed.named("operations").draws().random_range(0.9..=1.1);
        Group {
            key: self.keys,
            child: (self.make)(KeyTurn {
                key: self.keys,
                threads,
                seed,
            }),
            operations_left: ((self.operations as f64 * share) as u64).max(1),
            processes: threads,
        }
    }

    fn range(&self, view: &View<'_>, group: usize) -> Range<usize> {
        let bound = |i: usize| view.range.start + self.threads * i / self.groups.len();
        bound(group)..bound(group + 1)
    }

    fn next_key(&mut self, view: &View<'_>, i: usize) {
        let next = self.begin(i, view.range.len());
        if let Some(group) = self.groups.get_mut(i) {
            *group = next;
        }
    }
}

impl<F> Generator for PerKey<F>
where
    F: Fn(KeyTurn) -> Box<dyn Generator> + Send,
{
    fn offer(&self, view: &View<'_>) -> Offer {
        let mut soonest = Soonest::new(&self.chance);
        for (i, group) in self.groups.iter().enumerate() {
            let view = view.narrowed(self.range(view, i));
            let offer = match group.child.offer(&view) {
                Offer::Invoke(proposal) => Offer::Invoke(proposal.through(group.key as usize)),
                // The next key begins when the last operation of this one has ended.
                Offer::Exhausted if !view.all_free() => Offer::Pending,
                other => other,
            };
            soonest.show(i, view.range.len(), offer);
        }
        soonest.offer()
    }

    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]) {
        self.chance.advance();
        let Some((i, rest)) = follow(route) else {
            return;
        };
        let view = view.narrowed(self.range(view, i));
        if let Some((group, rest)) = self.groups.get_mut(i).zip(follow(rest).map(|f| f.1)) {
            group.child.taken(&view, proposal, rest);
            group.operations_left -= 1;
            if group.operations_left == 0 {
                self.next_key(&view, i);
            }
        }
    }

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, route: &[u32]) {
        let Some((i, rest)) = follow(route) else {
            return;
        };
        let view = view.narrowed(self.range(view, i));
        let (Some(group), Some((key, rest))) = (self.groups.get_mut(i), follow(rest)) else {
            return;
        };
        if group.key as usize != key {
            return; // of a key that this group is done with
        }
        group.child.completed(&view, completion, rest);
        if matches!(completion.outcome, Outcome::Info(_)) {
            group.processes += 1;
        }
        let crowded = group.processes > PROCESSES_MAX.max(view.range.len());
        if crowded || group.child.offer(&view) == Offer::Exhausted {
            self.next_key(&view, i);
        }
    }
}

/// How many of each group's keys are remembered.
const RECENT_MAX: usize = 3;

/// The last few keys of each group, shared with whatever comes after (final reads). Written only
/// as operations are taken and completed, so still the same in each run of the same answers.
#[derive(Clone, Debug, Default)]
pub struct RecentKeys(Arc<Mutex<Vec<VecDeque<u64>>>>);

impl RecentKeys {
    /// None yet, of so many groups.
    pub(crate) fn new(groups: usize) -> Self {
        Self(Arc::new(Mutex::new(vec![VecDeque::new(); groups])))
    }

    /// A group begins to work on a key.
    pub(crate) fn note(&self, group: usize, key: u64) {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = groups.get_mut(group) {
            keys.push_back(key);
            if keys.len() > RECENT_MAX {
                keys.pop_front();
            }
        }
    }

    /// The keys, group by group, the oldest first.
    pub fn keys(&self) -> Vec<u64> {
        let groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        groups.iter().flatten().copied().collect()
    }
}
