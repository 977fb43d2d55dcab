//! Histories of a simulated system with sets, queues, counters and more: correct by construction,
//! unless it is told to be faulty.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tribunal_results::{Answer, Micro, Operation, Outcome, Row, Scalar, Seen};

use crate::random::{Lcg, Timed, failed, unknown};

/// What the clients work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// A set that grows, perhaps shrinks, and is read as a whole.
    Set,
    /// A queue.
    Queue,
    /// A generator of identifiers.
    Ids,
    /// A counter that only grows.
    Growing,
    /// A counter.
    Counter,
    /// A bank.
    Bank,
    /// Registers that are written once, and read in groups.
    Group,
    /// A table whose rows each add one.
    Table,
}

/// What a history is made of. Shares are of a hundred.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    pub(crate) theme: Theme,
    pub(crate) operations: u64,
    pub(crate) clients: u64,
    /// Reads (of queues, dequeues).
    pub(crate) reads: u64,
    /// Operations of unknown end.
    pub(crate) unknown: u64,
    /// Operations that are refused.
    pub(crate) failed: u64,
    /// Effects that are lost, and reads of an old state.
    pub(crate) faulty: u64,
    /// Whether elements are removed from sets.
    pub(crate) removes: bool,
    /// Whether all is read when nobody is at work any more.
    pub(crate) last: bool,
}

#[derive(Clone, Default)]
struct World {
    set: BTreeSet<i64>,
    queue: VecDeque<i64>,
    ids: i64,
    counter: i64,
    accounts: BTreeMap<i64, i64>,
    registers: BTreeMap<Scalar, Scalar>,
    rows: Vec<Row>,
    clock: u64,
}

impl World {
    /// Lets an operation take effect. A drain takes one element at a time.
    fn apply(&mut self, operation: &Operation) -> Outcome {
        let number = |scalar: &Scalar| match scalar {
            Scalar::Int(number) => *number,
            Scalar::Text(_) => 0,
        };
        let all = |values: &mut dyn Iterator<Item = i64>| {
            Answer::Values(values.map(Scalar::Int).collect())
        };
        Outcome::Ok(match operation {
            Operation::Add { value, .. } => {
                self.set.insert(number(value));
                Answer::Done
            }
            Operation::Remove { value, .. } => {
                self.set.remove(&number(value));
                Answer::Done
            }
            Operation::Members { .. } => all(&mut self.set.iter().copied()),
            Operation::Enqueue { value, .. } => {
                self.queue.push_back(number(value));
                Answer::Done
            }
            Operation::Dequeue { .. } => Answer::Value(self.queue.pop_front().map(Scalar::Int)),
            Operation::Generate { .. } => {
                self.ids += 1;
                Answer::Value(Some(self.ids.into()))
            }
            Operation::Increment { by, .. } => {
                self.counter += by;
                Answer::Done
            }
            Operation::Count { .. } => Answer::Value(Some(self.counter.into())),
            Operation::Transfer {
                from, to, amount, ..
            } => {
                if self.accounts[&number(from)] < *amount {
                    return failed();
                }
                *self.accounts.entry(number(from)).or_default() -= amount;
                *self.accounts.entry(number(to)).or_default() += amount;
                Answer::Done
            }
            Operation::Balances { .. } => Answer::Balances(
                self.accounts
                    .iter()
                    .map(|(account, held)| (Scalar::Int(*account), Some(*held)))
                    .collect(),
            ),
            Operation::Txn { micros } => {
                let mut done = micros.clone();
                for micro in &mut done {
                    match micro {
                        Micro::Read { key, seen } => {
                            *seen = self
                                .registers
                                .get(key)
                                .cloned()
                                .map_or(Seen::Nothing, Seen::Value);
                        }
                        Micro::Write { key, value } | Micro::Append { key, value } => {
                            self.registers.insert(key.clone(), value.clone());
                        }
                    }
                }
                Answer::Txn(done)
            }
            Operation::Advance { .. } => {
                self.clock += 1;
                let value = self.rows.last().map_or(0, |row| row.value) + 1;
                let timestamp = self.clock;
                self.rows.push(Row { value, timestamp });
                Answer::Row(Row { value, timestamp })
            }
            Operation::Rows { .. } => Answer::Rows(self.rows.clone()),
            _ => return unknown(),
        })
    }
}

enum Client {
    Idle,
    Asked(u64, Operation, Vec<Scalar>),
    Answered(u64, Operation, Outcome),
}

struct Simulation {
    mix: Mix,
    chance: Lcg,
    world: World,
    /// States of the past, of a faulty system.
    past: Vec<World>,
    /// What takes effect after nobody waits for it any more.
    late: Vec<Operation>,
    clients: Vec<(u64, Client)>,
    done: Vec<Timed>,
    invoked: u64,
    now: u64,
    retired: u64,
}

/// The operations of a history. The same seed gives the same ones.
pub(crate) fn simulate(seed: u64, mix: Mix) -> Vec<Timed> {
    let mut world = World::default();
    world.accounts.extend((1..=4).map(|account| (account, 10)));
    let mut simulation = Simulation {
        mix,
        chance: Lcg::new(seed),
        world,
        past: Vec::new(),
        late: Vec::new(),
        clients: (0..mix.clients).map(|n| (n, Client::Idle)).collect(),
        done: Vec::new(),
        invoked: 0,
        now: 0,
        retired: 0,
    };
    let mut busy = true;
    while busy {
        let at = simulation.chance.below(mix.clients) as usize;
        simulation.advance(at);
        let idle = |(_, client): &(u64, Client)| matches!(client, Client::Idle);
        busy = simulation.invoked < mix.operations || !simulation.clients.iter().all(idle);
    }
    if mix.last {
        simulation.last();
    }
    simulation.done
}

impl Simulation {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// Moves one client on: it asks, or its operation takes effect, or it is answered.
    fn advance(&mut self, at: usize) {
        if !self.late.is_empty() && self.chance.percent(20) {
            let late = self.late.swap_remove(0);
            let _ = self.world.apply(&late);
        }
        let (process, client) = &mut self.clients[at];
        let process = *process;
        let next = match std::mem::replace(client, Client::Idle) {
            Client::Idle if self.invoked >= self.mix.operations => Client::Idle,
            Client::Idle => {
                self.invoked += 1;
                let operation = self.operation();
                Client::Asked(self.tick(), operation, Vec::new())
            }
            Client::Asked(call, operation, mut taken) => {
                match self.effect(&operation, &mut taken) {
                    Some(outcome) => Client::Answered(call, operation, outcome),
                    None => Client::Asked(call, operation, taken),
                }
            }
            Client::Answered(call, operation, outcome) => {
                if matches!(outcome, Outcome::Info(_)) {
                    self.retired += 1;
                    self.clients[at].0 = self.mix.clients + self.retired;
                }
                let ret = self.tick();
                self.done.push(Timed {
                    process,
                    call,
                    ret,
                    operation,
                    outcome,
                });
                return;
            }
        };
        self.clients[at].1 = next;
    }

    /// How an operation ends; `None` if it goes on.
    fn effect(&mut self, operation: &Operation, taken: &mut Vec<Scalar>) -> Option<Outcome> {
        if let Operation::Drain { .. } = operation {
            if self.chance.percent(self.mix.unknown) {
                return Some(unknown());
            }
            match self.world.queue.pop_front() {
                Some(value) => taken.push(value.into()),
                None => return Some(Outcome::Ok(Answer::Values(std::mem::take(taken)))),
            }
            return None;
        }
        if self.chance.percent(self.mix.failed) {
            return Some(failed());
        }
        if self.chance.percent(self.mix.unknown) {
            match self.chance.below(3) {
                0 => {}
                1 => self.late.push(operation.clone()),
                _ => drop(self.world.apply(operation)),
            }
            return Some(unknown());
        }
        if self.mix.faulty == 0 {
            return Some(self.world.apply(operation));
        }
        self.past.push(self.world.clone());
        if self.chance.percent(self.mix.faulty) {
            if let Operation::Txn { micros } = operation {
                return Some(self.scattered(micros));
            }
            let at = self.chance.below(self.past.len() as u64) as usize;
            return Some(self.past[at].clone().apply(operation));
        }
        Some(self.world.apply(operation))
    }

    /// Each step of a transaction sees a state of its own.
    fn scattered(&mut self, micros: &[Micro]) -> Outcome {
        let mut done = Vec::new();
        for micro in micros {
            let at = self.chance.below(self.past.len() as u64) as usize;
            let step = Operation::Txn {
                micros: vec![micro.clone()],
            };
            if let Outcome::Ok(Answer::Txn(step)) = self.past[at].apply(&step) {
                done.extend(step);
            }
        }
        Outcome::Ok(Answer::Txn(done))
    }

    fn operation(&mut self) -> Operation {
        let key = Scalar::from("k");
        let read = self.chance.percent(self.mix.reads);
        let fresh = self.invoked as i64;
        let fresh_value = Scalar::Int(fresh);
        match self.mix.theme {
            Theme::Set if read => Operation::Members { key },
            Theme::Set if self.mix.removes && self.chance.percent(10) => {
                let value = Scalar::Int(1 + self.chance.below(self.invoked) as i64);
                Operation::Remove { key, value }
            }
            Theme::Set => Operation::Add {
                key,
                value: fresh_value,
            },
            Theme::Queue if read && self.mix.operations < 100 && self.chance.percent(20) => {
                Operation::Drain { key }
            }
            Theme::Queue if read => Operation::Dequeue { key },
            Theme::Queue => Operation::Enqueue {
                key,
                value: fresh_value,
            },
            Theme::Ids => Operation::Generate { key },
            Theme::Growing | Theme::Counter if read => Operation::Count { key },
            Theme::Growing => Operation::Increment {
                key,
                by: 1 + self.chance.below(3) as i64,
            },
            Theme::Counter => Operation::Increment {
                key,
                by: self.chance.below(7) as i64 - 3,
            },
            Theme::Bank if read => Operation::Balances { key },
            Theme::Bank => {
                let from = self.chance.below(4);
                let to = (from + 1 + self.chance.below(3)) % 4;
                Operation::Transfer {
                    key,
                    from: Scalar::Int(from as i64 + 1),
                    to: Scalar::Int(to as i64 + 1),
                    amount: 1 + self.chance.below(5) as i64,
                }
            }
            Theme::Group => self.transaction(read, fresh),
            Theme::Table if read => Operation::Rows { key },
            Theme::Table => Operation::Advance { key },
        }
    }

    /// Keys in groups of three; the newest groups are read.
    fn transaction(&mut self, read: bool, fresh: i64) -> Operation {
        let group = fresh / 8;
        let key = |n: i64| Scalar::Int(group * 3 + n);
        let micros = if read {
            let read = |n| Micro::Read {
                key: key(n),
                seen: Seen::Nothing,
            };
            (0..3).map(read).collect()
        } else {
            vec![Micro::Write {
                key: key(self.chance.below(3) as i64),
                value: Scalar::Int(fresh),
            }]
        };
        Operation::Txn { micros }
    }

    fn last(&mut self) {
        let key = Scalar::from("k");
        let operation = match self.mix.theme {
            Theme::Set => Operation::Members { key },
            Theme::Queue => {
                let call = self.tick();
                let values = self.world.queue.drain(..).map(Scalar::Int).collect();
                let answer = Outcome::Ok(Answer::Values(values));
                return self.push(call, Operation::Drain { key }, answer);
            }
            Theme::Growing | Theme::Counter => Operation::Count { key },
            Theme::Bank => Operation::Balances { key },
            Theme::Table => Operation::Rows { key },
            Theme::Ids | Theme::Group => return,
        };
        let call = self.tick();
        let outcome = self.world.apply(&operation);
        self.push(call, operation, outcome);
    }

    fn push(&mut self, call: u64, operation: Operation, outcome: Outcome) {
        let ret = self.tick();
        self.done.push(Timed {
            process: u64::MAX,
            call,
            ret,
            operation,
            outcome,
        });
    }
}

/// Spoils the answer of one operation, if it has one that can be.
pub(crate) fn spoil(ops: &mut [Timed], chance: &mut Lcg) {
    let at = chance.below(ops.len().max(1) as u64) as usize;
    let Some(op) = ops.get_mut(at) else {
        return;
    };
    let other = chance.below(6) as i64;
    match &mut op.outcome {
        Outcome::Ok(Answer::Values(values)) => match chance.below(3) {
            0 if !values.is_empty() => {
                drop(values.remove(chance.below(values.len() as u64) as usize))
            }
            1 if !values.is_empty() => values.push(values[0].clone()),
            _ => values.push(Scalar::Int(other)),
        },
        Outcome::Ok(Answer::Value(value)) => *value = Some(Scalar::Int(other)),
        Outcome::Ok(Answer::Balances(accounts)) => {
            let at = chance.below(accounts.len() as u64) as usize;
            match chance.below(4) {
                0 => accounts[at].1 = None,
                1 => drop(accounts.remove(at)),
                2 => accounts.push((Scalar::Int(other), Some(0))),
                _ => accounts[at].1 = accounts[at].1.map(|held| held + other - 3),
            }
        }
        Outcome::Ok(Answer::Rows(rows)) if !rows.is_empty() => {
            let at = chance.below(rows.len() as u64) as usize;
            match chance.below(4) {
                0 => drop(rows.remove(at)),
                1 => rows[at].timestamp += 2,
                2 => rows[at].value += 1,
                _ => rows.push(rows[at]),
            }
        }
        Outcome::Ok(Answer::Txn(micros)) => {
            for micro in micros {
                if let Micro::Read { seen, .. } = micro
                    && chance.percent(40)
                {
                    *seen = match seen {
                        Seen::Nothing => Seen::Value(Scalar::Int(other)),
                        _ => Seen::Nothing,
                    };
                }
            }
        }
        Outcome::Ok(Answer::Row(row)) => match chance.below(2) {
            0 => row.value += 1,
            _ => row.timestamp += 2,
        },
        _ => {}
    }
}
