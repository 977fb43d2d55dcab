//! The forward search.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use super::antichain::{Antichain, Config, Used};
use super::{Finding, Model, Op, Searched};
use crate::Budget;

/// How many transitions are remembered before the memory is wiped.
const TRANSITIONS_MAX: usize = 1 << 18;
/// How many comparisons cost as much as one step.
const COMPARISONS_PER_STEP: u64 = 16;

/// Searches for a sequential order of the operations in which each takes effect between its call
/// and its return. Observers without a return are ignored.
pub(crate) fn search<M: Model>(model: &M, ops: &[Op<M::Step>], budget: Budget) -> Searched {
    let mut search = Search::new(model, budget);
    let finding = search.run(ops);
    Searched {
        finding,
        steps: search.steps,
        peak: search.peak,
    }
}

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

    fn id(&mut self, value: T) -> u32 {
        let next = self.values.len() as u32;
        let values = &mut self.values;
        *self.ids.entry(value).or_insert_with_key(|value| {
            values.push(value.clone());
            next
        })
    }
}

/// The model's transitions, each computed once.
struct Transitions<'a, M: Model> {
    model: &'a M,
    states: Numbers<M::State>,
    steps: Numbers<M::Step>,
    known: FxHashMap<(u32, u32), Option<u32>>,
}

impl<M: Model> Transitions<'_, M> {
    fn apply(&mut self, state: u32, class: u32) -> Option<u32> {
        if let Some(&known) = self.known.get(&(state, class)) {
            return known;
        }
        let from = self.states.values.get(state as usize)?;
        let step = self.steps.values.get(class as usize)?;
        let to = self.model.apply(from, step).map(|to| self.states.id(to));
        if self.known.len() >= TRANSITIONS_MAX {
            self.known.clear();
        }
        self.known.insert((state, class), to);
        to
    }
}

/// Why a return was not got over.
enum Halt {
    Stuck,
    Exhausted,
}

struct Search<'a, M: Model> {
    transitions: Transitions<'a, M>,
    budget: Budget,
    steps: u64,
    peak: u64,
    /// All ways in which things may stand now.
    current: Vec<Config>,
    /// Open operations: slot and class.
    mutators: Vec<(u128, u32)>,
    observers: Vec<(u128, u32)>,
    free: u128,
    /// Slots of open operations that are in nobody's way: see [`Op::idle`].
    idle: u128,
    /// Operations of unknown end that were called: class and count.
    optional: Vec<(u32, u32)>,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, budget: Budget) -> Self {
        let mut states = Numbers::new();
        let state = states.id(model.initial());
        Self {
            transitions: Transitions {
                model,
                states,
                steps: Numbers::new(),
                known: FxHashMap::default(),
            },
            budget,
            steps: 0,
            peak: 1,
            current: vec![Config {
                state,
                mutated: 0,
                observed: 0,
                used: Used::default(),
            }],
            mutators: Vec::new(),
            observers: Vec::new(),
            free: u128::MAX,
            idle: 0,
            optional: Vec::new(),
        }
    }

    fn run(&mut self, ops: &[Op<M::Step>]) -> Finding {
        let mut slots = vec![0; ops.len()];
        for (event, returns, at) in timeline(ops) {
            let (Some(op), Some(slot)) = (ops.get(at), slots.get_mut(at)) else {
                continue;
            };
            if !returns {
                match self.call(op) {
                    Some(bit) => *slot = bit,
                    None => return Finding::TooWide(event),
                }
                continue;
            }
            match self.force(*slot) {
                Ok(()) => {}
                Err(Halt::Stuck) => return Finding::Stuck(at),
                Err(Halt::Exhausted) => return Finding::Exhausted(event),
            }
        }
        Finding::Linearizable
    }

    /// Opens an operation and gives its slot (none if its end is unknown); `None` if all slots
    /// are taken.
    fn call(&mut self, op: &Op<M::Step>) -> Option<u128> {
        let observes = self.transitions.model.observes(&op.step);
        let class = self.transitions.steps.id(op.step.clone());
        if op.ret.is_none() {
            if !observes {
                self.offer(class);
            }
            return Some(0);
        }
        if self.free == 0 {
            return None;
        }
        let bit = 1 << self.free.trailing_zeros();
        self.free &= !bit;
        if !observes {
            if op.idle && self.transitions.model.overwrites(&op.step) {
                self.idle |= bit;
            }
            self.mutators.push((bit, class));
            return Some(bit);
        }
        self.observers.push((bit, class));
        for config in &mut self.current {
            if self.transitions.apply(config.state, class).is_some() {
                config.observed |= bit;
            }
        }
        Some(bit)
    }

    fn offer(&mut self, class: u32) {
        match self.optional.iter_mut().find(|(c, _)| *c == class) {
            Some((_, count)) => *count += 1,
            None => self.optional.push((class, 1)),
        }
    }

    /// Returns the operation in a slot: keeps, of all that may have happened meanwhile, the
    /// configurations in which it took effect. Whatever else is open can wait for its own return.
    fn force(&mut self, bit: u128) -> Result<(), Halt> {
        let mut next = Antichain::default();
        let mut seen = Antichain::default();
        let mut work = Work::default();
        for config in std::mem::take(&mut self.current) {
            if config.has(bit) {
                next.insert(config.without(bit));
            } else if seen.insert(config.clone()) {
                work.push(config);
            }
        }
        while let Some(config) = work.pop() {
            for reached in self.successors(&config) {
                self.steps += 1;
                if reached.has(bit) {
                    next.insert(reached.without(bit));
                } else if seen.insert(reached.clone()) {
                    work.push(reached);
                }
            }
            self.peak = self.peak.max((seen.len() + next.len()) as u64);
            let bytes = 2 * (seen.bytes() + next.bytes());
            let compared = (seen.compared() + next.compared()) / COMPARISONS_PER_STEP;
            if self.steps + compared > self.budget.steps || bytes > self.budget.bytes {
                return Err(Halt::Exhausted);
            }
        }
        self.mutators.retain(|(b, _)| *b != bit);
        self.observers.retain(|(b, _)| *b != bit);
        self.free |= bit;
        self.idle &= !bit;
        self.steps += (seen.compared() + next.compared()) / COMPARISONS_PER_STEP;
        self.current = next.into_configs().collect();
        self.peak = self.peak.max(self.current.len() as u64);
        self.steps += self.current.len() as u64;
        if self.current.is_empty() {
            return Err(Halt::Stuck);
        }
        Ok(())
    }

    /// The open operations that may as well take effect just before a step, which hides them.
    fn hidden_by(&self, class: u32) -> u128 {
        let step = self.transitions.steps.values.get(class as usize);
        let overwrites = step.is_some_and(|step| self.transitions.model.overwrites(step));
        if overwrites { self.idle } else { 0 }
    }

    /// What one more mutator makes of a configuration.
    fn successors(&mut self, config: &Config) -> Vec<Config> {
        let mut reached = Vec::new();
        for &(bit, class) in &self.mutators {
            if config.mutated & bit != 0 {
                continue;
            }
            if let Some(state) = self.transitions.apply(config.state, class) {
                let hidden = self.hidden_by(class);
                reached.push(Config {
                    state,
                    mutated: config.mutated | bit | hidden,
                    ..config.clone()
                });
            }
        }
        for &(class, count) in &self.optional {
            if config.used.of(class) >= count {
                continue;
            }
            let state = self.transitions.apply(config.state, class);
            if let Some(state) = state.filter(|state| *state != config.state) {
                let hidden = self.hidden_by(class);
                reached.push(Config {
                    state,
                    mutated: config.mutated | hidden,
                    used: config.used.and(class),
                    ..config.clone()
                });
            }
        }
        for config in &mut reached {
            for &(bit, class) in &self.observers {
                if self.transitions.apply(config.state, class).is_some() {
                    config.observed |= bit;
                }
            }
        }
        reached
    }
}

/// Calls and returns in order: event, whether it is a return, and which operation. At one index
/// calls come first: intervals are closed.
fn timeline<S>(ops: &[Op<S>]) -> Vec<(u64, bool, usize)> {
    let calls = ops.iter().enumerate().map(|(at, op)| (op.call, false, at));
    let returns = ops
        .iter()
        .enumerate()
        .filter_map(|(at, op)| op.ret.map(|ret| (ret, true, at)));
    let mut events: Vec<_> = calls.chain(returns).collect();
    events.sort_unstable();
    events
}

/// Configurations to go on from, those first that used the fewest operations of unknown end:
/// they dominate most.
#[derive(Default)]
struct Work {
    by_use: Vec<Vec<Config>>,
    lowest: usize,
}

impl Work {
    fn push(&mut self, config: Config) {
        let total = config.used.total();
        if self.by_use.len() <= total {
            self.by_use.resize_with(total + 1, Vec::new);
        }
        self.lowest = self.lowest.min(total);
        if let Some(level) = self.by_use.get_mut(total) {
            level.push(config);
        }
    }

    fn pop(&mut self) -> Option<Config> {
        loop {
            let level = self.by_use.get_mut(self.lowest)?;
            match level.pop() {
                Some(config) => return Some(config),
                None => self.lowest += 1,
            }
        }
    }
}
