//! How stale reads are, for certain.
//!
//! A write took effect by the time it was acknowledged, or some read that showed its value was
//! complete, whichever came first. If a write was invoked only when the one that a read shows had
//! taken effect, it comes after that one in every order; if it also had taken effect when the read
//! was invoked, the read is one version behind, and as old as the time in between. All such writes
//! count; any other may as well come before the value shown, or after the read, so that these are
//! the largest bounds that hold whatever the order. Of sets and lists, the elements that are
//! missing count, if nobody removes them; there a read also comes after all that it shows was asked
//! for.

use rustc_hash::FxHashMap;
use tribunal_results::{Call, Nanos, Scalar, Stamp};

use super::{Object, State, put, taken};

/// What shows that an update had taken effect, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effect<'a> {
    /// The update, acknowledged, or a read of it.
    pub(crate) call: &'a Call,
    /// Its completion.
    pub(crate) by: Stamp,
}

/// An update: a value written, or an element put in.
#[derive(Debug)]
pub(crate) struct Version<'a> {
    /// The first call that may have brought it.
    pub(crate) update: &'a Call,
    /// When it had taken effect for certain; `None` if nobody knows that it ever did.
    pub(crate) effect: Option<Effect<'a>>,
}

/// A read that is stale for certain.
#[derive(Debug)]
pub(crate) struct Stale<'a> {
    /// The read.
    pub(crate) read: &'a Call,
    /// What shows that the value it returned had been written; `None` of the initial value, and of
    /// sets and lists.
    pub(crate) old: Option<Effect<'a>>,
    /// The first update that it misses.
    pub(crate) missed: &'a Call,
    /// What shows that this one had taken effect.
    pub(crate) effect: Effect<'a>,
    /// How many updates it misses at least.
    pub(crate) behind: usize,
    /// For how long it has missed the first, at least.
    pub(crate) age: Nanos,
}

/// The staleness of an object's reads.
#[derive(Debug, Default)]
pub(crate) struct Staleness<'a> {
    /// How many reads could be judged.
    pub(crate) judged: usize,
    /// How many could not: nobody knows which update they show.
    pub(crate) ambiguous: usize,
    /// Those that are stale, in the order of invocation.
    pub(crate) stale: Vec<Stale<'a>>,
}

/// The updates of an object and the one that brings each value, if only one does.
pub(crate) struct Versions<'a> {
    /// In the order of invocation; failed ones and removals left out. Of a set or list, one for
    /// each element that nobody may have removed; of a register, one for each write.
    pub(crate) all: Vec<Version<'a>>,
    of: FxHashMap<&'a Scalar, Option<usize>>,
}

impl<'a> Versions<'a> {
    /// Gathers them, with what shows when they took effect.
    pub(crate) fn of(object: &Object<'a>, is_register: bool) -> Self {
        let mut versions = Self {
            all: Vec::new(),
            of: FxHashMap::default(),
        };
        let possible = || object.updates.iter().filter(|update| !update.is_fail());
        let removed = possible().filter_map(|update| taken(update));
        versions.of.extend(removed.map(|element| (element, None)));
        for update in possible() {
            if let Some(value) = put(update) {
                versions.add(value, update, is_register);
            }
        }
        for (read, state) in &object.reads {
            if let State::Value(Some(value)) = state {
                versions.shown(value, read);
            }
            for element in state.elements() {
                versions.shown(element, read);
            }
        }
        versions
    }

    /// The place of the one update that brings a value.
    pub(crate) fn place(&self, value: &Scalar) -> Option<usize> {
        self.of.get(value).copied().flatten()
    }

    /// When a read took effect at the earliest: it was invoked, and so was what it shows.
    fn earliest(&self, read: &Call, shown: &[&Scalar]) -> Stamp {
        let versions = shown
            .iter()
            .filter_map(|value| self.all.get(self.place(value)?));
        let invoked = versions.map(|version| version.update.invoked);
        invoked.fold(read.invoked, Stamp::max)
    }

    fn add(&mut self, value: &'a Scalar, update: &'a Call, is_register: bool) {
        let by = update.completed.filter(|_| update.is_ok());
        let effect = by.map(|by| Effect { call: update, by });
        match self.of.get_mut(value) {
            // Added before, or removed: the first effect counts, or none.
            Some(place) if !is_register => {
                if let Some(version) = place.and_then(|place| self.all.get_mut(place)) {
                    earlier(&mut version.effect, effect);
                }
                return;
            }
            // Written twice: nobody knows which write a read shows.
            Some(place) => *place = None,
            None => {
                self.of.insert(value, Some(self.all.len()));
            }
        }
        self.all.push(Version { update, effect });
    }

    fn shown(&mut self, value: &Scalar, read: &'a Call) {
        let Some(by) = read.completed else { return };
        let place = self.place(value);
        if let Some(version) = place.and_then(|place| self.all.get_mut(place)) {
            earlier(&mut version.effect, Some(Effect { call: read, by }));
        }
    }
}

fn earlier<'a>(known: &mut Option<Effect<'a>>, other: Option<Effect<'a>>) {
    if let Some(other) = other
        && known.is_none_or(|known| other.by < known.by)
    {
        *known = Some(other);
    }
}

/// The staleness of the reads of a register.
pub(crate) fn of_register<'a>(object: &Object<'a>, versions: &Versions<'a>) -> Staleness<'a> {
    let first = first_effects(&versions.all);
    let mut staleness = Staleness::default();
    let mut since = Vec::new();
    for (read, state) in &object.reads {
        let old = match state {
            State::Value(None) => None,
            State::Value(Some(value)) => {
                let place = versions.place(value);
                let Some(version) = place.and_then(|place| versions.all.get(place)) else {
                    staleness.ambiguous += 1;
                    continue;
                };
                version.effect
            }
            _ => continue,
        };
        staleness.judged += 1;
        let after = |v: &Version<'_>| old.is_some_and(|old| v.update.invoked.index <= old.by.index);
        let from = versions.all.partition_point(after);
        if let Some(Some((missed, effect))) = first.get(from)
            && effect.by.index < read.invoked.index
        {
            since.push(from);
            staleness.stale.push(Stale {
                read,
                old,
                missed,
                effect: *effect,
                behind: 0,
                age: read.invoked.time.saturating_sub(effect.by.time),
            });
        }
    }
    count_behind(&versions.all, &since, &mut staleness.stale);
    staleness
}

/// From each place on, the update that had taken effect first.
fn first_effects<'a>(versions: &[Version<'a>]) -> Vec<Option<(&'a Call, Effect<'a>)>> {
    let mut first: Vec<Option<(&Call, Effect<'_>)>> = vec![None; versions.len()];
    let mut best: Option<(&Call, Effect<'_>)> = None;
    for (version, slot) in versions.iter().zip(&mut first).rev() {
        if let Some(effect) = version.effect
            && best.is_none_or(|(_, known)| effect.by < known.by)
        {
            best = Some((version.update, effect));
        }
        *slot = best;
    }
    first
}

/// For each stale read, the updates from `since` on that had taken effect when it was invoked:
/// in the order of time, with a tree of partial sums (Fenwick 1994).
fn count_behind(versions: &[Version<'_>], since: &[usize], stale: &mut [Stale<'_>]) {
    if stale.is_empty() {
        return;
    }
    let mut effects: Vec<(u64, usize)> = versions
        .iter()
        .enumerate()
        .filter_map(|(at, version)| Some((version.effect?.by.index, at)))
        .collect();
    effects.sort_unstable();
    let mut effects = effects.into_iter().peekable();
    let mut tree = vec![0_usize; versions.len() + 1];
    let mut done = 0;
    // Stale reads are in the order of invocation.
    for (read, &since) in stale.iter_mut().zip(since) {
        while let Some((_, at)) = effects.next_if(|(by, _)| *by < read.read.invoked.index) {
            done += 1;
            let mut place = at + 1;
            while let Some(sum) = tree.get_mut(place) {
                *sum += 1;
                place += place & place.wrapping_neg();
            }
        }
        let (mut before, mut place) = (0, since);
        while place > 0 {
            before += tree.get(place).copied().unwrap_or(0);
            place &= place - 1;
        }
        read.behind = done - before;
    }
}

/// The staleness of the reads of a set or list.
pub(crate) fn of_elements<'a>(object: &Object<'a>, versions: &Versions<'a>) -> Staleness<'a> {
    let mut effects: Vec<(&Scalar, &Call, Effect<'_>)> = versions
        .all
        .iter()
        .filter_map(|version| Some((put(version.update)?, version.update, version.effect?)))
        .collect();
    effects.sort_by_key(|(_, _, effect)| effect.by);
    let mut staleness = Staleness::default();
    for (read, state) in &object.reads {
        let mut shown = state.elements().to_vec();
        shown.sort_unstable();
        shown.dedup();
        staleness.judged += 1;
        let from = versions.earliest(read, &shown);
        let due = effects.partition_point(|(_, _, effect)| effect.by < from);
        let in_time = |element: &&&Scalar| {
            let version = versions.place(element).and_then(|at| versions.all.get(at));
            let effect = version.and_then(|version| version.effect);
            effect.is_some_and(|effect| effect.by < from)
        };
        let behind = due - shown.iter().filter(in_time).count();
        let missing = |(element, ..): &&(&Scalar, _, _)| shown.binary_search(element).is_err();
        if behind > 0
            && let Some((_, missed, effect)) = effects.iter().find(missing)
        {
            staleness.stale.push(Stale {
                read,
                old: None,
                missed,
                effect: *effect,
                behind,
                age: from.time.saturating_sub(effect.by.time),
            });
        }
    }
    staleness
}
