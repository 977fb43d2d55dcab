//! The forward search.

use super::antichain::{Antichain, Config};
use super::log::Log;
use super::transitions::{Class, Transitions};
use super::{Finding, Model, Op, Searched};
use crate::Budget;

/// How many comparisons cost as much as one step.
const COMPARISONS_PER_STEP: u64 = 16;

/// Searches for a sequential order of the operations in which each takes effect between its call
/// and its return. Observers without a return are ignored.
pub(crate) fn search<M: Model>(model: &M, ops: &[Op<M::Step>], budget: Budget) -> Searched {
    let mut search = Search::new(model, budget);
    let finding = search.run(ops);
    let order = match (finding, search.current.first()) {
        (Finding::Linearizable, Some(config)) => search.log.order(config.past),
        _ => None,
    };
    Searched {
        finding,
        steps: search.steps,
        peak: search.peak,
        order,
    }
}

/// Why a return was not got over.
enum Halt {
    Stuck,
    Exhausted,
}

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

struct Search<'a, M: Model> {
    transitions: Transitions<'a, M>,
    budget: Budget,
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

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, budget: Budget) -> Self {
        let mut transitions = Transitions::new(model);
        let state = transitions.initial();
        Self {
            transitions,
            budget,
            steps: 0,
            peak: 1,
            log: Log::new(),
            current: vec![Config::initial(state)],
            mutators: Vec::new(),
            observers: Vec::new(),
            free: u128::MAX,
            idle: Vec::new(),
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
                match self.call(at as u32, op) {
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
    fn call(&mut self, at: u32, op: &Op<M::Step>) -> Option<u128> {
        let class = self.transitions.class(&op.step);
        let Some(ret) = op.ret else {
            if !class.observes {
                self.offer(class, at);
            }
            return Some(0);
        };
        if self.free == 0 {
            return None;
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
            return Some(bit);
        }
        self.observers.push(open);
        for config in &mut self.current {
            if self.transitions.apply(config.state, class.id).is_some() {
                config.observed |= bit;
                config.past = self.log.and(config.past, at);
            }
        }
        Some(bit)
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

    /// Returns the operation in a slot: keeps, of all that may have happened meanwhile, the
    /// configurations in which it took effect. Whatever else is open can wait for its own return.
    fn force(&mut self, bit: u128) -> Result<(), Halt> {
        let mut next = Antichain::default();
        let mut seen = Antichain::default();
        let mut work = Work::default();
        let mut reached = Vec::new();
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
            let bytes = 2 * (seen.bytes() + next.bytes()) + self.log.bytes();
            let compared = (seen.compared() + next.compared()) / COMPARISONS_PER_STEP;
            if self.steps + compared > self.budget.steps || bytes > self.budget.bytes {
                return Err(Halt::Exhausted);
            }
        }
        self.steps += (seen.compared() + next.compared()) / COMPARISONS_PER_STEP;
        self.close(bit);
        self.current = next.into_configs().collect();
        self.log.sweep(self.current.iter_mut().map(|c| &mut c.past));
        self.peak = self.peak.max(self.current.len() as u64);
        self.steps += self.current.len() as u64;
        if self.current.is_empty() {
            return Err(Halt::Stuck);
        }
        Ok(())
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
            let blocked = config.mutated & open.bit != 0
                || (config.hungry && open.class.overwrites)
                || self.covered(config, open.class, at);
            let state = self.transitions.apply(config.state, open.class.id);
            if let Some(state) = state.filter(|_| !blocked) {
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
            let (class, used) = (optional.class, config.used.of(optional.class) as usize);
            let Some(&op) = optional.ops.get(used) else {
                continue;
            };
            let blocked = (config.hungry && class.overwrites)
                || self.covered(config, class, self.mutators.len());
            let state = self.transitions.apply(config.state, class.id);
            if let Some(state) = state.filter(|state| !blocked && *state != config.state) {
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
