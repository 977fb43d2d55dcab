//! What the model's steps do, each computed once and remembered.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use super::Model;

/// How many transitions are remembered at once. A power of two.
const REMEMBERED: usize = 1 << 12;
/// States are not forgotten below this.
const SWEEP_MIN: usize = 1 << 14;
/// Stands for "cannot happen" among numbers of states.
const IMPOSSIBLE: u32 = u32::MAX;

/// Numbers values by their first appearance.
struct Numbers<T> {
    ids: FxHashMap<T, u32>,
    values: Vec<T>,
}

impl<T: Clone + Eq + Hash> Numbers<T> {
    fn new() -> Self {
        Self {
            ids: FxHashMap::default(),
            values: Vec::new(),
        }
    }

    fn id(&mut self, value: &T) -> u32 {
        if let Some(&id) = self.ids.get(value) {
            return id;
        }
        let next = self.values.len() as u32;
        self.values.push(value.clone());
        self.ids.insert(value.clone(), next);
        next
    }
}

/// All operations with equal steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class {
    /// Its number.
    pub(super) id: u32,
    /// See [`Model::observes`].
    pub(super) observes: bool,
    /// See [`Model::overwrites`].
    pub(super) overwrites: bool,
    /// The number of the class that can do the same and more; its own if there is none.
    pub(super) family: u32,
}

impl Class {
    /// Whether this one can do whatever the other can.
    pub(super) const fn covers(&self, other: &Self) -> bool {
        self.id == other.id || self.id == other.family
    }
}

/// The model's states and steps by number.
pub(super) struct Transitions<M: Model> {
    model: M,
    states: Numbers<M::State>,
    steps: Numbers<M::Step>,
    /// By a hash of state and class: class plus one, state, state afterwards.
    known: Vec<[u32; 3]>,
    /// What the states take, in bytes.
    bytes: u64,
    /// How many states there are when those that are no longer needed are forgotten.
    sweep_at: usize,
}

impl<M: Model> Transitions<M> {
    pub(super) fn new(model: M) -> Self {
        Self {
            model,
            states: Numbers::new(),
            steps: Numbers::new(),
            known: vec![[0; 3]; REMEMBERED],
            bytes: 0,
            sweep_at: SWEEP_MIN,
        }
    }

    /// The model.
    pub(super) const fn model(&self) -> &M {
        &self.model
    }

    /// The number of a state.
    fn number(&mut self, state: &M::State) -> u32 {
        let before = self.states.values.len();
        let id = self.states.id(state);
        if self.states.values.len() > before {
            // It is kept twice: by its number, and to find its number.
            self.bytes += 2 * self.model.weight(state) as u64;
        }
        id
    }

    /// Bytes of memory that the states take, roughly.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Forgets all states but these, if there are many, and numbers them anew.
    pub(super) fn sweep<'c>(&mut self, kept: impl Iterator<Item = &'c mut u32>) {
        if self.states.values.len() < self.sweep_at {
            return;
        }
        let old = std::mem::replace(&mut self.states, Numbers::new());
        self.bytes = 0;
        for id in kept {
            if let Some(state) = old.values.get(*id as usize) {
                *id = self.number(state);
            }
        }
        self.known.fill([0; 3]);
        self.sweep_at = (2 * self.states.values.len()).max(SWEEP_MIN);
    }

    /// The number of the state before the first operation.
    pub(super) fn initial(&mut self) -> u32 {
        let state = self.model.initial();
        self.number(&state)
    }

    /// The class of a step.
    pub(super) fn class(&mut self, step: &M::Step) -> Class {
        let id = self.steps.id(step);
        let stronger = self.model.stronger(step);
        Class {
            id,
            observes: self.model.observes(step),
            overwrites: self.model.overwrites(step),
            family: stronger.map_or(id, |step| self.steps.id(&step)),
        }
    }

    /// The state after a step of that class, if it can happen.
    pub(super) fn apply(&mut self, state: u32, class: u32) -> Option<u32> {
        let mixed = (u64::from(state) << 32 | u64::from(class)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let place = (mixed >> 32) as usize % REMEMBERED;
        if let Some(&[c, s, to]) = self.known.get(place)
            && c == class + 1
            && s == state
        {
            return (to != IMPOSSIBLE).then_some(to);
        }
        let from = self.states.values.get(state as usize)?;
        let step = self.steps.values.get(class as usize)?;
        let to = self.model.apply(from, step);
        let to = to.map(|to| self.number(&to));
        if let Some(known) = self.known.get_mut(place) {
            *known = [class + 1, state, to.unwrap_or(IMPOSSIBLE)];
        }
        to
    }
}
