//! The search itself, event by event: it can be run on a history that still grows.

use super::antichain::{Antichain, Config};
use super::log::Log;
use super::transitions::{Class, Transitions};
use super::{Model, Op};
use crate::Budget;

/// How many comparisons cost as much as one step.
const COMPARISONS_PER_STEP: u64 = 16;

/// A narrowed search keeps all configurations up to so many.
const NARROW_MIN: usize = 32;
/// Of configurations with the same state and mutators, how many the best are.
const BEST_ALIKE_MAX: usize = 2;
/// How many configurations the best are.
pub(super) const BEST_MAX: usize = 64;

/// Which configurations are kept from one return to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breadth {
    /// All: the answer is exact.
    All,
    /// Those that used the fewest operations of unknown end: an order that is found is one, but
    /// there may be others.
    Best,
    /// One of each state that is better than all of it: where there is no order now, there was
    /// none, but one that is found may be none.
    Merged,
}

/// Why it does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// What was called until now has no order, unless only the best configurations were kept.
    Stuck,
    /// The budget ran out.
    Exhausted,
    /// More than [`WIDTH_MAX`](super::WIDTH_MAX) operations are open.
    TooWide,
}

/// Where an open operation is kept until it returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot(u128);

/// An operation that was called and has not returned.
#[derive(Clone, Copy)]
struct Open {
    bit: u128,
    class: Class,
    ret: u64,
    op: u32,
}

/// The operations of unknown end that were called, of one class, in that order.
struct Optional {
    class: Class,
    ops: Vec<u32>,
}

/// A search on its way: after each event, all ways in which things may stand. After it has halted
/// nothing may be asked of it any more but what it took.
pub(crate) struct Forward<M: Model> {
    transitions: Transitions<M>,
    budget: Budget,
    breadth: Breadth,
    steps: u64,
    peak: u64,
    log: Log,
    /// All ways in which things may stand now.
    current: Vec<Config>,
    /// Open mutators, those first that return first.
    mutators: Vec<Open>,
    observers: Vec<Open>,
    free: u128,
    /// Open operations that are in nobody's way: see [`Op::idle`].
    idle: Vec<Open>,
    optional: Vec<Optional>,
}

impl<M: Model> Forward<M> {
    /// Nothing was called yet. The log records in which order operations take effect, or not.
    pub(crate) fn new(model: M, budget: Budget, breadth: Breadth, log: Log) -> Self {
        let mut transitions = Transitions::new(model);
        let state = transitions.initial();
        Self {
            transitions,
            budget,
            breadth,
            steps: 0,
            peak: 1,
            log,
            current: vec![Config::initial(state)],
            mutators: Vec::new(),
            observers: Vec::new(),
            free: u128::MAX,
            idle: Vec::new(),
            optional: Vec::new(),
        }
    }

    /// The model.
    pub(crate) const fn model(&self) -> &M {
        self.transitions.model()
    }

    /// Configurations made so far, and what comparing them cost.
    pub(crate) const fn steps(&self) -> u64 {
        self.steps
    }

    /// The most configurations held at once.
    pub(crate) const fn peak(&self) -> u64 {
        self.peak
    }

    /// Sets how many steps may be made, with those that were made already.
    pub(crate) const fn allow(&mut self, steps: u64) {
        self.budget.steps = steps;
    }

    /// Bytes of memory that are held between two events, roughly.
    pub(crate) fn bytes(&self) -> u64 {
        (self.current.len() * size_of::<Config>()) as u64
            + self.log.bytes()
            + self.transitions.bytes()
    }

    /// The operations that took effect in one of the orders, if it was recorded.
    pub(crate) fn order(&self) -> Option<Vec<usize>> {
        self.log.order(self.current.first()?.past)
    }

    /// An operation is called, number `at`. Gives where it is kept until it returns; one of unknown
    /// end never does.
    ///
    /// # Errors
    /// If too many are open.
    pub(crate) fn called(&mut self, at: u32, op: &Op<M::Step>) -> Result<Slot, Halt> {
        let class = self.transitions.class(&op.step);
        let Some(ret) = op.ret else {
            if !class.observes {
                self.offer(class, at);
            }
            return Ok(Slot::default());
        };
        if self.free == 0 {
            return Err(Halt::TooWide);
        }
        let bit = 1 << self.free.trailing_zeros();
        self.free &= !bit;
        let open = Open {
            bit,
            class,
            ret,
            op: at,
        };
        if !class.observes {
            if op.idle && class.overwrites {
                self.idle.push(open);
            }
            let place = self.mutators.partition_point(|m| m.ret < ret);
            self.mutators.insert(place, open);
            return Ok(Slot(bit));
        }
        self.observers.push(open);
        for config in &mut self.current {
            if self.transitions.apply(config.state, class.id).is_some() {
                config.observed |= bit;
                config.past = self.log.and(config.past, at);
            }
        }
        Ok(Slot(bit))
    }

    fn offer(&mut self, class: Class, at: u32) {
        match self.optional.iter_mut().find(|o| o.class.id == class.id) {
            Some(optional) => optional.ops.push(at),
            None => self.optional.push(Optional {
                class,
                ops: vec![at],
            }),
        }
    }

    /// The operation in a slot returns: keeps, of all that may have happened meanwhile, the
    /// configurations in which it took effect. Whatever else is open can wait for its own return.
    ///
    /// # Errors
    /// If there is none, or the budget runs out.
    pub(crate) fn returned(&mut self, Slot(bit): Slot) -> Result<(), Halt> {
        let mut next = Antichain::default();
        let mut seen = Antichain::default();
        let mut work = Work::default();
        let mut reached = Vec::new();
        let mut looked = 0;
        for config in std::mem::take(&mut self.current) {
            if config.has(bit) {
                next.insert(config.without(bit));
            } else if seen.insert(config.clone()) {
                work.push(config);
            }
        }
        while let Some(config) = work.pop() {
            if !seen.has(&config) {
                continue;
            }
            self.successors(&config, &mut reached);
            // Each may have been looked at once for itself and once for each of its successors.
            looked += ((self.mutators.len() + self.optional.len()) * (1 + reached.len())) as u64;
            for reached in reached.drain(..) {
                self.steps += 1;
                if reached.has(bit) {
                    // What is used for what comes later can be used later.
                    if !reached.hungry {
                        next.insert(reached.without(bit));
                    }
                } else if seen.insert(reached.clone()) {
                    work.push(reached);
                }
            }
            self.peak = self.peak.max((seen.len() + next.len()) as u64);
            let bytes =
                2 * (seen.bytes() + next.bytes()) + self.log.bytes() + self.transitions.bytes();
            let compared = (looked + seen.compared() + next.compared()) / COMPARISONS_PER_STEP;
            if self.steps + compared > self.budget.steps || bytes > self.budget.bytes {
                self.steps += compared;
                return Err(Halt::Exhausted);
            }
        }
        self.steps += (looked + seen.compared() + next.compared()) / COMPARISONS_PER_STEP;
        self.close(bit);
        self.current = next.into_configs().collect();
        self.narrow();
        self.log.sweep(self.current.iter_mut().map(|c| &mut c.past));
        self.transitions
            .sweep(self.current.iter_mut().map(|c| &mut c.state));
        self.peak = self.peak.max(self.current.len() as u64);
        self.steps += self.current.len() as u64;
        if self.current.is_empty() {
            return Err(Halt::Stuck);
        }
        Ok(())
    }

    /// Keeps fewer configurations, if there are many and all need not be kept.
    fn narrow(&mut self) {
        if self.breadth == Breadth::All || self.current.len() <= NARROW_MIN {
            return;
        }
        let rank = |c: &Config| (c.group(), c.used.total(), u128::MAX - c.observed, c.past);
        self.current.sort_unstable_by_key(rank);
        let mut kept: Vec<Config> = Vec::new();
        for alike in self.current.chunk_by(|a, b| a.group() == b.group()) {
            if self.breadth == Breadth::Best {
                kept.extend(alike.iter().take(BEST_ALIKE_MAX).cloned());
            } else {
                kept.extend(alike.iter().cloned().reduce(Config::meet));
            }
        }
        if self.breadth == Breadth::Best {
            kept.sort_by_key(|config| config.used.total());
            kept.truncate(BEST_MAX);
        }
        self.current = kept;
    }

    fn close(&mut self, bit: u128) {
        for list in [&mut self.mutators, &mut self.observers, &mut self.idle] {
            list.retain(|open| open.bit != bit);
        }
        self.free |= bit;
    }

    /// What one more mutator makes of a configuration.
    fn successors(&mut self, config: &Config, reached: &mut Vec<Config>) {
        for at in 0..self.mutators.len() {
            let Some(&open) = self.mutators.get(at) else {
                continue;
            };
            if config.mutated & open.bit != 0 || (config.hungry && open.class.overwrites) {
                continue;
            }
            let state = self.transitions.apply(config.state, open.class.id);
            if let Some(state) = state
                && !self.covered(config, open.class, at)
            {
                let mut after = self.after(config, state, open.class, open.op);
                after.mutated |= open.bit;
                self.observe(&mut after);
                reached.push(after);
            }
        }
        for at in 0..self.optional.len() {
            let Some(optional) = self.optional.get(at) else {
                continue;
            };
            let class = optional.class;
            if config.hungry && class.overwrites {
                continue;
            }
            let state = self.transitions.apply(config.state, class.id);
            let Some(state) = state.filter(|state| *state != config.state) else {
                continue;
            };
            let used = config.used.of(class) as usize;
            if let Some(&op) = optional.ops.get(used)
                && !self.covered(config, class, self.mutators.len())
            {
                let mut after = self.after(config, state, class, op);
                after.used = after.used.and(class);
                let fed = self.observe(&mut after);
                after.hungry = !fed;
                if fed || self.wanted(&after) {
                    reached.push(after);
                }
            }
        }
    }

    /// Whether one of the first `before` open mutators, to return sooner, could happen as well
    /// with the same effect and would leave no less for later: whatever this one might still do
    /// in its place, the class can.
    fn covered(&mut self, config: &Config, class: Class, before: usize) -> bool {
        let transitions = &mut self.transitions;
        self.mutators.iter().take(before).any(|other| {
            class.covers(&other.class)
                && config.mutated & other.bit == 0
                && !(config.hungry && other.class.overwrites)
                && transitions.apply(config.state, other.class.id).is_some()
        })
    }

    /// The configuration after a step to that state. If the step overwrites, open operations that
    /// it hides take effect just before.
    fn after(&mut self, config: &Config, state: u32, class: Class, op: u32) -> Config {
        let mut after = config.clone();
        after.state = state;
        after.hungry = false;
        if class.overwrites {
            for idle in &self.idle {
                if after.mutated & idle.bit == 0 && idle.op != op {
                    after.mutated |= idle.bit;
                    after.past = self.log.and(after.past, idle.op);
                }
            }
        }
        after.past = self.log.and(after.past, op);
        after
    }

    /// Lets open observers take effect that can; false if there was none.
    fn observe(&mut self, config: &mut Config) -> bool {
        let before = config.observed;
        for open in &self.observers {
            if config.observed & open.bit == 0
                && self
                    .transitions
                    .apply(config.state, open.class.id)
                    .is_some()
            {
                config.observed |= open.bit;
                config.past = self.log.and(config.past, open.op);
            }
        }
        config.observed != before
    }

    /// Whether a mutator is at hand that needs the state.
    fn wanted(&mut self, config: &Config) -> bool {
        let transitions = &mut self.transitions;
        let open = self
            .mutators
            .iter()
            .filter(|open| config.mutated & open.bit == 0)
            .map(|open| open.class);
        let optional = self
            .optional
            .iter()
            .filter(|o| (config.used.of(o.class) as usize) < o.ops.len())
            .map(|o| o.class);
        open.chain(optional)
            .filter(|class| !class.overwrites)
            .any(|class| transitions.apply(config.state, class.id).is_some())
    }
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
