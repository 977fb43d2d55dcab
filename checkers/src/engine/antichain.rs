//! Sets of configurations of which none dominates another.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::log::Past;
use super::transitions::Class;

/// How often operations of one class were used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Use {
    family: u32,
    class: u32,
    count: u32,
}

impl Use {
    const fn key(&self) -> (u32, u32) {
        (self.family, self.class)
    }
}

/// How many operations of unknown end a configuration has used, by class: only classes that were
/// used at all, sorted by family (the class that can stand for all in it) and class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Used(SmallVec<[Use; 4]>);

impl Used {
    fn place(&self, class: Class) -> Result<usize, usize> {
        self.0
            .binary_search_by_key(&(class.family, class.id), Use::key)
    }

    /// How many of a class.
    pub(super) fn of(&self, class: Class) -> u32 {
        let used = self.place(class).ok().and_then(|at| self.0.get(at));
        used.map_or(0, |used| used.count)
    }

    /// The same and one more of a class.
    pub(super) fn and(mut self, class: Class) -> Self {
        match self.place(class) {
            Ok(at) => self
                .0
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|used| used.count += 1),
            Err(at) => self.0.insert(
                at,
                Use {
                    family: class.family,
                    class: class.id,
                    count: 1,
                },
            ),
        }
        self
    }

    /// How many in all.
    pub(super) fn total(&self) -> usize {
        self.0.iter().map(|used| used.count as usize).sum()
    }

    /// Whether as much is left as with the other: no class was used more often, but for weaker
    /// ones for which as many of the strongest of the family were spared.
    fn within(&self, other: &Self) -> bool {
        let families = self.0.chunk_by(|one, next| one.family == next.family);
        families.into_iter().all(|family| {
            let strongest = family.first().map_or((0, 0), |u| (u.family, u.family));
            let spared = other.count(strongest).checked_sub(self.count(strongest));
            let more: u32 = family
                .iter()
                .map(|used| used.count.saturating_sub(other.count(used.key())))
                .sum();
            spared.is_some_and(|spared| more <= spared)
        })
    }

    /// Of each class, as few as one of both has used.
    fn meet(mut self, other: &Self) -> Self {
        for used in &mut self.0 {
            used.count = used.count.min(other.count(used.key()));
        }
        self.0.retain(|used| used.count > 0);
        self
    }

    fn count(&self, key: (u32, u32)) -> u32 {
        let used = self.0.iter().find(|used| used.key() == key);
        used.map_or(0, |used| used.count)
    }
}

/// One way in which things may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// The state, by its number.
    pub(super) state: u32,
    /// Whether the last step was of unknown end and taken for a mutator that must come next.
    pub(super) hungry: bool,
    /// Slots of open mutators that took effect.
    pub(super) mutated: u128,
    /// Slots of open observers that took effect.
    pub(super) observed: u128,
    /// Operations of unknown end that took effect.
    pub(super) used: Used,
    /// In which order all that took effect did.
    pub(super) past: Past,
}

impl Config {
    /// Nothing has happened yet.
    pub(super) fn initial(state: u32) -> Self {
        Self {
            state,
            hungry: false,
            mutated: 0,
            observed: 0,
            used: Used::default(),
            past: 0,
        }
    }

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

    /// What configurations must have in common to be compared.
    pub(super) const fn group(&self) -> (u32, bool, u128) {
        (self.state, self.hungry, self.mutated)
    }

    /// One that dominates both, which are of one group. It may not be possible itself.
    pub(super) fn meet(mut self, other: Self) -> Self {
        self.observed |= other.observed;
        self.used = self.used.meet(&other.used);
        self
    }

    /// Whether whatever can follow the other can follow this one, given that they are of one
    /// group.
    fn dominates(&self, other: &Self) -> bool {
        self.observed & other.observed == other.observed && self.used.within(&other.used)
    }
}

/// Configurations of which none dominates another, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Antichain {
    configs: Vec<Option<Config>>,
    groups: FxHashMap<(u32, bool, u128), SmallVec<[usize; 2]>>,
    live: usize,
    compared: u64,
}

impl Antichain {
    /// Adds a configuration and drops what it dominates; false if it is itself dominated.
    pub(super) fn insert(&mut self, config: Config) -> bool {
        let configs = &mut self.configs;
        let group = self.groups.entry(config.group()).or_default();
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

    /// Whether the configuration was added and no other dominates it since.
    pub(super) fn has(&self, config: &Config) -> bool {
        let group = self.groups.get(&config.group());
        let member = |at: &usize| self.configs.get(*at).and_then(Option::as_ref);
        group.is_some_and(|group| {
            group
                .iter()
                .filter_map(member)
                .any(|c| c.observed == config.observed && c.used == config.used)
        })
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
        let entry =
            size_of::<Option<Config>>() + size_of::<((u32, bool, u128), SmallVec<[usize; 2]>)>();
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
            observed,
            used,
            ..Config::initial(0)
        }
    }

    fn class(id: u32, family: u32) -> Class {
        Class {
            id,
            observes: false,
            overwrites: id == family,
            family,
        }
    }

    fn used(classes: &[Class]) -> Used {
        let none = Used::default();
        classes.iter().fold(none, |used, class| used.and(*class))
    }

    #[test]
    fn observing_more_and_using_less_dominates() {
        let class = class(4, 4);
        let once = used(&[class]);
        let mut set = Antichain::default();
        assert!(set.insert(config(0b01, once.clone())));
        assert!(
            !set.insert(config(0b01, used(&[class, class]))),
            "used more"
        );
        assert!(!set.insert(config(0b00, once.clone())), "observed less");
        assert!(set.insert(config(0b10, once.clone())), "incomparable");
        assert_eq!(set.len(), 2);
        assert!(set.has(&config(0b10, once.clone())));
        assert!(set.insert(config(0b11, Used::default())), "best of all");
        assert!(!set.has(&config(0b10, once)));
        assert_eq!(set.into_configs().count(), 1);
    }

    #[test]
    fn use_is_compared_class_by_class() {
        let (one, two) = (class(1, 1), class(2, 2));
        assert!(!used(&[one]).within(&used(&[two])));
        assert!(!used(&[two]).within(&used(&[one])));
        assert!(used(&[one]).within(&used(&[one, two])));
        assert_eq!(used(&[two, two]).of(two), 2);
        assert_eq!(used(&[two, one, two]).total(), 3);
    }

    #[test]
    fn a_write_that_was_spared_makes_up_for_a_weaker_step() {
        let (write, one, two) = (class(3, 3), class(1, 3), class(2, 3));
        assert!(used(&[one]).within(&used(&[write])));
        assert!(!used(&[write]).within(&used(&[one])));
        assert!(!used(&[one]).within(&used(&[two])));
        assert!(!used(&[one, two]).within(&used(&[write])), "two for one");
        assert!(used(&[one, two]).within(&used(&[write, two])));
        assert!(used(&[one, two]).within(&used(&[write, write])));
        assert!(!used(&[one, write]).within(&used(&[write])));
    }
}
