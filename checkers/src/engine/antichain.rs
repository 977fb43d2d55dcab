//! Sets of configurations of which none dominates another.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// How many operations of unknown end a configuration has used, by class. Sorted by class; only
/// classes that were used at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Used(SmallVec<[(u32, u32); 2]>);

impl Used {
    /// How many of a class.
    pub(super) fn of(&self, class: u32) -> u32 {
        match self.0.binary_search_by_key(&class, |&(c, _)| c) {
            Ok(at) => self.0.get(at).map_or(0, |&(_, count)| count),
            Err(_) => 0,
        }
    }

    /// The same and one more of a class.
    pub(super) fn and(&self, class: u32) -> Self {
        let mut more = self.clone();
        match more.0.binary_search_by_key(&class, |&(c, _)| c) {
            Ok(at) => more
                .0
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|(_, n)| *n += 1),
            Err(at) => more.0.insert(at, (class, 1)),
        }
        more
    }

    /// How many in all.
    pub(super) fn total(&self) -> usize {
        self.0.iter().map(|&(_, count)| count as usize).sum()
    }

    /// Whether no class was used more often than in the other.
    fn within(&self, other: &Self) -> bool {
        self.0.len() <= other.0.len() && self.0.iter().all(|&(c, count)| count <= other.of(c))
    }
}

/// One way in which things may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// The state, by its number.
    pub(super) state: u32,
    /// Slots of open mutators that took effect.
    pub(super) mutated: u128,
    /// Slots of open observers that took effect.
    pub(super) observed: u128,
    /// Operations of unknown end that took effect.
    pub(super) used: Used,
}

impl Config {
    /// Whether the open operation in that slot took effect.
    pub(super) fn has(&self, bit: u128) -> bool {
        (self.mutated | self.observed) & bit != 0
    }

    /// The same when the operation in that slot is no longer open.
    pub(super) fn without(mut self, bit: u128) -> Self {
        self.mutated &= !bit;
        self.observed &= !bit;
        self
    }

    /// Whether whatever can follow the other can follow this one, given that they agree on the
    /// state and the mutators.
    fn dominates(&self, other: &Self) -> bool {
        self.observed & other.observed == other.observed && self.used.within(&other.used)
    }
}

/// Configurations of which none dominates another, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Antichain {
    configs: Vec<Option<Config>>,
    groups: FxHashMap<(u32, u128), SmallVec<[usize; 2]>>,
    live: usize,
    compared: u64,
}

impl Antichain {
    /// Adds a configuration and drops what it dominates; false if it is itself dominated.
    pub(super) fn insert(&mut self, config: Config) -> bool {
        let configs = &mut self.configs;
        let group = self
            .groups
            .entry((config.state, config.mutated))
            .or_default();
        self.compared += group.len() as u64;
        let member = |at: &usize| configs.get(*at).and_then(Option::as_ref);
        if group
            .iter()
            .filter_map(member)
            .any(|c| c.dominates(&config))
        {
            return false;
        }
        let live = &mut self.live;
        group.retain(|at| {
            let Some(slot) = configs.get_mut(*at) else {
                return false;
            };
            let stays = slot.as_ref().is_some_and(|c| !config.dominates(c));
            if !stays && slot.take().is_some() {
                *live -= 1;
            }
            stays
        });
        group.push(configs.len());
        configs.push(Some(config));
        *live += 1;
        true
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.live
    }

    /// How often configurations were compared.
    pub(super) const fn compared(&self) -> u64 {
        self.compared
    }

    /// Bytes of memory held, roughly.
    pub(super) fn bytes(&self) -> u64 {
        let entry = size_of::<Option<Config>>() + size_of::<((u32, u128), SmallVec<[usize; 2]>)>();
        (self.configs.len() * entry) as u64
    }

    /// The configurations.
    pub(super) fn into_configs(self) -> impl Iterator<Item = Config> {
        self.configs.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(observed: u128, used: Used) -> Config {
        Config {
            state: 0,
            mutated: 0,
            observed,
            used,
        }
    }

    #[test]
    fn observing_more_and_using_less_dominates() {
        let used = Used::default().and(4);
        let mut set = Antichain::default();
        assert!(set.insert(config(0b01, used.clone())));
        assert!(!set.insert(config(0b01, used.and(4))), "used more");
        assert!(!set.insert(config(0b00, used.clone())), "observed less");
        assert!(set.insert(config(0b10, used.clone())), "incomparable");
        assert_eq!(set.len(), 2);
        assert!(set.insert(config(0b11, Used::default())), "best of all");
        assert_eq!(set.into_configs().count(), 1);
    }

    #[test]
    fn use_is_compared_class_by_class() {
        let one = Used::default().and(1);
        let two = Used::default().and(2);
        assert!(!one.within(&two) && !two.within(&one));
        assert!(one.within(&two.and(1)));
        assert_eq!(two.and(2).of(2), 2);
        assert_eq!(two.and(2).total(), 2);
    }
}
