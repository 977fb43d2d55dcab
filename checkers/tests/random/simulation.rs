//! Histories of simulated registers, event by event: valid by construction.

use tribunal_results::{Answer, Body, Event, Operation, Outcome, Process, Reason, Scalar};

/// What a history is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    /// How many operations.
    pub(crate) operations: u64,
    /// Clients at work at any time.
    pub(crate) clients: u64,
    /// Registers.
    pub(crate) keys: u64,
    /// Values to write; 0 gives each mutator one of its own, and each compare-and-set expects
    /// what is there when it is invoked.
    pub(crate) values: u64,
    /// Reads of a hundred operations.
    pub(crate) reads: u64,
    /// Compare-and-sets of a hundred mutators.
    pub(crate) cas: u64,
    /// Operations of unknown end, of a hundred; half of them take effect.
    pub(crate) unknown: u64,
}

/// Where a client stands.
enum Client {
    Idle,
    Asked(Operation),
    Answered(Operation, Outcome),
}

/// A multiplicative generator with a mixed output (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }
}

struct Simulation {
    mix: Mix,
    chance: Chance,
    keys: Vec<Scalar>,
    registers: Vec<Option<Scalar>>,
    clients: Vec<(u64, Client)>,
    events: Vec<Event>,
    invoked: u64,
    retired: u64,
}

/// The events of a history in which every register behaved. The same seed gives the same one.
pub(crate) fn simulate(seed: u64, mix: Mix) -> Vec<Event> {
    let mut simulation = Simulation {
        mix,
        chance: Chance(seed),
        keys: (0..mix.keys).map(|n| format!("k{n}").into()).collect(),
        registers: vec![None; mix.keys as usize],
        clients: (0..mix.clients).map(|n| (n, Client::Idle)).collect(),
        events: Vec::new(),
        invoked: 0,
        retired: 0,
    };
    let mut busy = true;
    while busy {
        let at = simulation.chance.below(mix.clients) as usize;
        simulation.advance(at);
        let idle = |(_, client): &(u64, Client)| matches!(client, Client::Idle);
        busy = simulation.invoked < mix.operations || !simulation.clients.iter().all(idle);
    }
    simulation.events
}

/// Ends a history with a contradiction: what was acknowledged as overwritten is read.
pub(crate) fn spoil(events: &mut Vec<Event>) {
    let key = Scalar::from("k0");
    let value = Scalar::Int(-1);
    let write = Operation::Write {
        key: key.clone(),
        value,
    };
    let read = Operation::Read { key };
    for (process, operation, answer) in [
        (u64::MAX - 1, write, Answer::Done),
        (u64::MAX, read, Answer::Value(None)),
    ] {
        push(events, process, Body::Invoke(operation.clone()));
        push(
            events,
            process,
            Body::Complete(operation, Outcome::Ok(answer)),
        );
    }
}

fn push(events: &mut Vec<Event>, process: u64, body: Body) {
    let index = events.len() as u64;
    events.push(Event {
        index,
        time: index * 1_000,
        process: Process::Client(process),
        node: None,
        body,
    });
}

impl Simulation {
    /// Moves one client on: it asks, or its operation takes effect, or it is answered.
    fn advance(&mut self, at: usize) {
        let Some((process, client)) = self.clients.get_mut(at) else {
            return;
        };
        let process = *process;
        match std::mem::replace(client, Client::Idle) {
            Client::Idle if self.invoked >= self.mix.operations => {}
            Client::Idle => {
                let operation = self.operation();
                self.invoked += 1;
                push(&mut self.events, process, Body::Invoke(operation.clone()));
                self.set(at, process, Client::Asked(operation));
            }
            Client::Asked(operation) => {
                let lost = self.chance.percent(self.mix.unknown);
                let outcome = if lost && self.chance.percent(50) {
                    unknown()
                } else {
                    let outcome = self.apply(&operation);
                    if lost { unknown() } else { outcome }
                };
                self.set(at, process, Client::Answered(operation, outcome));
            }
            Client::Answered(operation, outcome) => {
                let lost = matches!(outcome, Outcome::Info(_));
                push(
                    &mut self.events,
                    process,
                    Body::Complete(operation, outcome),
                );
                if lost {
                    self.retired += 1;
                    self.set(at, self.mix.clients + self.retired, Client::Idle);
                }
            }
        }
    }

    fn set(&mut self, at: usize, process: u64, client: Client) {
        if let Some(place) = self.clients.get_mut(at) {
            *place = (process, client);
        }
    }

    fn operation(&mut self) -> Operation {
        let register = self.chance.below(self.mix.keys);
        let key = self
            .keys
            .get(register as usize)
            .cloned()
            .unwrap_or(0.into());
        if self.chance.percent(self.mix.reads) {
            return Operation::Read { key };
        }
        let fresh = 1_000 + self.invoked;
        let mut value = || match self.mix.values {
            0 => Scalar::Int(fresh as i64),
            values => Scalar::Int(self.chance.below(values) as i64),
        };
        let (from, to) = (value(), value());
        let present = self.registers.get(register as usize).cloned().flatten();
        let from = if self.mix.values == 0 {
            present
        } else {
            Some(from)
        };
        match from {
            Some(from) if self.chance.percent(self.mix.cas) => Operation::Cas { key, from, to },
            _ => Operation::Write { key, value: to },
        }
    }

    /// Lets an operation take effect.
    fn apply(&mut self, operation: &Operation) -> Outcome {
        let (Operation::Read { key } | Operation::Write { key, .. } | Operation::Cas { key, .. }) =
            operation
        else {
            return unknown();
        };
        let number = match key {
            Scalar::Text(text) => text.trim_start_matches('k').parse().unwrap_or(0),
            Scalar::Int(_) => 0,
        };
        let Some(register) = self.registers.get_mut(number) else {
            return unknown();
        };
        match operation {
            Operation::Read { .. } => return Outcome::Ok(Answer::Value(register.clone())),
            Operation::Write { value, .. } => *register = Some(value.clone()),
            Operation::Cas { from, to, .. } if register.as_ref() == Some(from) => {
                *register = Some(to.clone());
            }
            _ => return Outcome::Fail(Reason::new("precondition-failed", "")),
        }
        Outcome::Ok(Answer::Done)
    }
}

fn unknown() -> Outcome {
    Outcome::Info(Reason::new("timeout", ""))
}
