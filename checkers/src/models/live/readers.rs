//! What the calls on each type of object do, as they come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;
use tribunal_results::{Answer, Assumptions, Call, Operation, Outcome, Scalar};

use super::super::{Cells, Element, cas, counter, kv, queue, semaphore, set, stack};
use super::Reader;
use crate::intern::Numbers;
use crate::register::{self, ABSENT};

/// A register with calls of its own alone.
#[derive(Default)]
pub(super) struct Registers(Numbers);

impl Reader for Registers {
    type Model = cas::Refusing;

    fn model(&self) -> cas::Refusing {
        cas::Refusing
    }

    fn read(&mut self, call: &Call, _: &cas::Refusing) -> Vec<cas::Step> {
        use register::Step::{Cas, Read, Write};
        let mut of = |value| self.0.number(value) + 1;
        let step = match (&call.operation, &call.outcome) {
            (Operation::Cas { from, .. }, Outcome::Fail(reason))
                if register::says_other(reason) =>
            {
                return vec![cas::Step::Not(of(from))];
            }
            (_, Outcome::Fail(_)) => return Vec::new(),
            (Operation::Write { value, .. }, _) => Write(of(value)),
            (Operation::Cas { from, to, .. }, _) => Cas(of(from), of(to)),
            (Operation::Read { .. }, Outcome::Ok(Answer::Value(value))) => {
                Read(value.as_ref().map_or(ABSENT, of))
            }
            _ => return Vec::new(),
        };
        vec![cas::Step::Plain(step)]
    }
}

/// Registers and lists that transactions touch together, or a single list.
pub(super) struct Keys {
    room: usize,
    keys: FxHashMap<Scalar, u32>,
    values: Numbers,
}

impl Keys {
    /// With room for so many keys.
    pub(super) fn room_for(keys: usize) -> Self {
        Self {
            room: keys,
            keys: FxHashMap::default(),
            values: Numbers::default(),
        }
    }
}

impl Reader for Keys {
    type Model = kv::Kv;

    fn model(&self) -> kv::Kv {
        kv::Kv::of(self.room)
    }

    fn read(&mut self, call: &Call, model: &kv::Kv) -> Vec<kv::Step> {
        let cells = model.cells();
        let parts = kv::parts(call, &mut Naming { keys: self, cells });
        let tells = call.returned().is_some() || parts.iter().any(kv::Part::changes);
        if parts.is_empty() || !tells {
            return Vec::new();
        }
        vec![parts.into()]
    }
}

struct Naming<'k> {
    keys: &'k mut Keys,
    cells: &'k Cells,
}

impl kv::Naming<'_> for Naming<'_> {
    fn key(&mut self, key: &Scalar) -> u32 {
        let next = self.keys.keys.len() as u32;
        match self.keys.keys.get(key) {
            Some(number) => *number,
            None => *self.keys.keys.entry(key.clone()).or_insert(next),
        }
    }

    fn value(&mut self, value: &Scalar) -> Element {
        self.keys.values.number(value) + 1
    }

    fn element(&mut self, value: &Scalar) -> Element {
        self.keys.values.number(value) + 1
    }

    fn list(&mut self, _: u32, values: &[Scalar]) -> u32 {
        let numbers = values
            .iter()
            .map(|value| self.keys.values.number(value) + 1);
        self.cells.of(numbers)
    }
}

/// A set as a whole.
#[derive(Default)]
pub(super) struct Sets(Numbers);

impl Reader for Sets {
    type Model = set::Set;

    fn model(&self) -> set::Set {
        set::Set::whole()
    }

    fn read(&mut self, call: &Call, _: &set::Set) -> Vec<set::Step> {
        let step = set::step(call, &mut |value| self.0.number(value) + 1);
        step.into_iter().collect()
    }
}

/// A counter.
pub(super) struct Counters;

impl Reader for Counters {
    type Model = counter::Counter;

    fn model(&self) -> counter::Counter {
        counter::Counter
    }

    fn read(&mut self, call: &Call, _: &counter::Counter) -> Vec<counter::Step> {
        counter::step(call).into_iter().collect()
    }
}

/// A queue. A drain of unknown end may have taken as many as were ever put in.
#[derive(Default)]
pub(super) struct Queues {
    values: Numbers,
    puts: usize,
    drains: u32,
    lost_drain: bool,
}

impl Reader for Queues {
    type Model = queue::Queue;

    fn model(&self) -> queue::Queue {
        queue::Queue
    }

    fn read(&mut self, call: &Call, _: &queue::Queue) -> Vec<queue::Step> {
        let mut of = |value| self.values.number(value) + 1;
        let (Operation::Drain { .. }, Outcome::Ok(Answer::Values(values))) =
            (&call.operation, &call.outcome)
        else {
            return queue::step(call, of).into_iter().collect();
        };
        let drain = self.drains;
        self.drains += 1;
        let taken = values.iter().map(|value| Some(of(value))).chain([None]);
        let parts = (0..).zip(taken);
        parts
            .map(|(part, taken)| queue::Step::Drain(drain, part, taken))
            .collect()
    }

    fn besides(&mut self, call: &Call) -> Vec<queue::Step> {
        let options = match (&call.operation, &call.outcome) {
            (Operation::Enqueue { .. }, _) => {
                self.puts += 1;
                usize::from(self.lost_drain)
            }
            (Operation::Drain { .. }, Outcome::Info(_)) if !self.lost_drain => {
                self.lost_drain = true;
                self.puts
            }
            _ => 0,
        };
        vec![queue::Step::TakeAny; options]
    }
}

/// A stack.
#[derive(Default)]
pub(super) struct Stacks(Numbers);

impl Reader for Stacks {
    type Model = stack::Stack;

    fn model(&self) -> stack::Stack {
        stack::Stack::default()
    }

    fn read(&mut self, call: &Call, _: &stack::Stack) -> Vec<stack::Step> {
        let step = stack::step(call, |value| self.0.number(value) + 1);
        step.into_iter().collect()
    }
}

/// A semaphore. The permits of a grant fall back when its lease is over.
pub(super) struct Permits {
    assume: Assumptions,
    /// When leases are over, of whom, and of how many permits.
    leases: BinaryHeap<Reverse<(u64, u64, u32)>>,
}

impl Permits {
    /// No permit is taken.
    pub(super) fn new(assume: &Assumptions) -> Self {
        Self {
            assume: assume.clone(),
            leases: BinaryHeap::new(),
        }
    }
}

impl Reader for Permits {
    type Model = semaphore::Semaphore;

    fn model(&self) -> semaphore::Semaphore {
        semaphore::Semaphore::of(self.assume.permits)
    }

    fn before(&mut self, time: u64) -> Vec<semaphore::Step> {
        let mut lapses = Vec::new();
        while let Some(&Reverse((over, owner, permits))) = self.leases.peek()
            && over <= time
        {
            self.leases.pop();
            lapses.push(semaphore::Step::Lapse(owner, permits));
        }
        lapses
    }

    fn read(&mut self, call: &Call, _: &semaphore::Semaphore) -> Vec<semaphore::Step> {
        let step = semaphore::step(call, &self.assume);
        if let Some(semaphore::Step::Acquire(owner, permits)) = step
            && let Some(over) = semaphore::over(call, &self.assume)
        {
            self.leases.push(Reverse((over, owner, permits)));
        }
        step.into_iter().collect()
    }

    fn besides(&mut self, call: &Call) -> Vec<semaphore::Step> {
        // A lease that is over as soon as it is asked for.
        self.before(call.invoked.time)
    }
}
