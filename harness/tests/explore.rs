//! The reference nodes' machines under the real workloads and the real checkers, in virtual time:
//! messages are late, held back or lost with their connection, nodes pause and crash between any
//! two effects, clients give up. Whatever the seed, a correct target must never be flagged; and
//! each planted bug must be, with an anomaly that its row names.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "everything here is a test"
)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::json;
use tribunal_checkers::Budget;
use tribunal_results::{
    Body as EventBody, Event, History, Nanos, NodeId, Operation, Outcome, Process, Reason, Record,
    Validity, Verdict,
};
use tribunal_targets::client::{translate, unknown};
use tribunal_targets::node::{Input, MILLISECOND, Machine, Outbox, reference};
use tribunal_targets::wire::{Body, Message};
use tribunal_targets::{NodeSpec, PlantedBug, Target};
use tribunal_workloads::Setting;
use tribunal_workloads::generator::simulate::{self, Asked, System, Trace};

const NODES: usize = 3;
const CLIENTS: usize = 6;
const TIME: Nanos = 1_500 * MILLISECOND;
const RATE: f64 = 250.0;
const LEASE_MS: u64 = 150;
const TIMEOUT: Nanos = 250 * MILLISECOND;
/// How long a node is down after a crash, a connection after a reset.
const DOWN: Nanos = 60 * MILLISECOND;
/// Seeds for correct targets.
const SEEDS: u64 = 300;
/// Seeds within which a planted bug must have shown.
const SEEDS_FOR_BUG: u64 = 100;

/// Something that is going to happen. Nodes are numbers; the number `NODES` stands for clients.
enum Due {
    /// A message arrives over the connection that had that number.
    Arrives {
        from: usize,
        to: usize,
        connection: u64,
        message: Message,
    },
    /// An answer arrives at a client.
    Answer {
        msg_id: u64,
        body: Body,
    },
    /// A client has waited long enough.
    GivenUp {
        msg_id: u64,
    },
    Timer {
        node: usize,
        life: u64,
        id: u64,
    },
    Fault(Fault),
    /// A node is started again.
    Start {
        node: usize,
    },
    /// A node dials another one.
    Dial {
        from: usize,
        to: usize,
    },
}

#[derive(Clone, Copy)]
enum Fault {
    Crash {
        node: usize,
    },
    Pause {
        node: usize,
        until: Nanos,
    },
    Hold {
        from: usize,
        to: usize,
        until: Nanos,
    },
    Reset {
        from: usize,
        to: usize,
    },
}

struct Node {
    id: NodeId,
    /// Nothing while it is down.
    machine: Option<Box<dyn Machine>>,
    log: Vec<Vec<u8>>,
    life: u64,
    born: Nanos,
    paused_until: Nanos,
}

/// A connection from one to another; messages on it arrive in order.
#[derive(Clone, Copy, Default)]
struct Connection {
    number: u64,
    up: bool,
    last_arrival: Nanos,
    held_until: Nanos,
}

/// A client's operation under way.
struct Open {
    thread: usize,
    node: usize,
    operation: Operation,
}

struct World {
    target: &'static dyn Target,
    bug: Option<&'static str>,
    chance: Pcg64Mcg,
    now: Nanos,
    nodes: Vec<Node>,
    connections: BTreeMap<(usize, usize), Connection>,
    agenda: BTreeMap<(Nanos, u64), Due>,
    counter: u64,
    open: HashMap<u64, Open>,
    ended: VecDeque<(usize, Nanos, Outcome)>,
}

impl World {
    fn new(target: &'static dyn Target, bug: Option<&'static str>, seed: u64) -> Self {
        let node = |n: usize| Node {
            id: format!("n{}", n + 1).into(),
            machine: None,
            log: Vec::new(),
            life: 0,
            born: 0,
            paused_until: 0,
        };
        let mut world = Self {
            target,
            bug,
            chance: Pcg64Mcg::seed_from_u64(seed),
            now: 0,
            nodes: (0..NODES).map(node).collect(),
            connections: BTreeMap::new(),
            agenda: BTreeMap::new(),
            counter: 0,
            open: HashMap::new(),
            ended: VecDeque::new(),
        };
        for node in 0..NODES {
            world.at(0, Due::Start { node });
        }
        world.plan_faults();
        world
    }

    fn plan_faults(&mut self) {
        for _ in 0..self.chance.random_range(0..10) {
            let at = self.chance.random_range(50 * MILLISECOND..TIME);
            let until = at + self.chance.random_range(20..400) * MILLISECOND;
            let from = self.chance.random_range(0..NODES);
            let to = (from + self.chance.random_range(1..NODES)) % NODES;
            // The first node is the one that matters most.
            let node = from * usize::from(self.chance.random::<bool>());
            let fault = match self.chance.random_range(0..5) {
                0 | 1 => Fault::Crash { node },
                2 => Fault::Pause { node, until },
                3 => Fault::Hold { from, to, until },
                _ => Fault::Reset { from, to },
            };
            self.at(at, Due::Fault(fault));
        }
    }

    fn at(&mut self, time: Nanos, due: Due) {
        self.counter += 1;
        self.agenda.insert((time, self.counter), due);
    }

    /// How long a message takes: mostly little.
    fn latency(&mut self) -> Nanos {
        match self.chance.random_range(0..20) {
            0 => self.chance.random_range(1..60) * MILLISECOND,
            _ => self.chance.random_range(50_000..2_000_000),
        }
    }

    fn run_until(&mut self, time: Nanos) {
        while let Some((&(at, _), _)) = self.agenda.first_key_value()
            && at <= time
        {
            let (_, due) = self.agenda.pop_first().unwrap();
            self.now = at;
            self.happen(due);
        }
        self.now = time;
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Arrives { to, .. } | Due::Timer { node: to, .. }
                if self.nodes[to].paused_until > self.now =>
            {
                self.at(self.nodes[to].paused_until, due);
            }
            Due::Arrives {
                from,
                to,
                connection,
                message,
            } => {
                // What is left on a connection that was reset may still arrive, or not.
                let old = from < NODES && self.connection(from, to).number != connection;
                if !old || self.chance.random::<bool>() {
                    self.step(to, Input::Message(message));
                }
            }
            Due::Answer { msg_id, body } => {
                if let Some(open) = self.open.remove(&msg_id) {
                    let outcome = translate::outcome(&open.operation, &body);
                    self.ended.push_back((open.thread, self.now, outcome));
                }
            }
            Due::GivenUp { msg_id } => self.lose(msg_id, "timeout"),
            Due::Timer { node, life, id } => {
                if self.nodes[node].life == life {
                    self.step(node, Input::Timer(id));
                }
            }
            Due::Fault(fault) => self.strike(fault),
            Due::Start { node } => self.start(node),
            Due::Dial { from, to } => self.dial(from, to),
        }
    }

    fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::Crash { node } => self.crash(node),
            Fault::Pause { node, until } => self.nodes[node].paused_until = until,
            Fault::Hold { from, to, until } => {
                self.connections.entry((from, to)).or_default().held_until = until;
            }
            Fault::Reset { from, to } => self.hang_up(from, to),
        }
    }

    fn start(&mut self, node: usize) {
        let ids: Vec<NodeId> = self.nodes.iter().map(|node| node.id.clone()).collect();
        let address = ([127, 0, 0, 1], 1).into();
        let id = ids[node].clone();
        let others = ids.iter().filter(|other| **other != id);
        let spec = NodeSpec {
            listen: address,
            peers: others.map(|other| (other.clone(), address)).collect(),
            nodes: ids.clone(),
            data: "unused".into(),
            bug: self.bug.map(str::to_owned),
            options: match self.target.name() {
                "lock-manager" => json!({ "lease_ms": LEASE_MS }),
                _ => json!({}),
            },
            id,
        };
        let mut machine = reference::machine(self.target.name(), &spec).unwrap();
        for record in &self.nodes[node].log {
            machine.recover(record).unwrap();
        }
        let entry = &mut self.nodes[node];
        entry.machine = Some(machine);
        entry.born = self.now;
        self.step(node, Input::Start);
        for peer in (0..NODES).filter(|peer| *peer != node) {
            self.at(
                self.now,
                Due::Dial {
                    from: node,
                    to: peer,
                },
            );
        }
    }

    fn connection(&mut self, from: usize, to: usize) -> &mut Connection {
        self.connections.entry((from, to)).or_default()
    }

    fn dial(&mut self, from: usize, to: usize) {
        let reached = self.nodes[to].machine.is_some();
        if self.nodes[from].machine.is_none() || self.connection(from, to).up {
            return;
        }
        if !reached {
            return self.at(self.now + DOWN, Due::Dial { from, to });
        }
        let now = self.now;
        let connection = self.connection(from, to);
        connection.up = true;
        connection.number += 1;
        connection.last_arrival = now;
        let peer = self.nodes[to].id.clone();
        self.step(from, Input::Link { peer, up: true });
    }

    fn hang_up(&mut self, from: usize, to: usize) {
        let connection = self.connection(from, to);
        if !std::mem::replace(&mut connection.up, false) {
            return;
        }
        connection.number += 1;
        self.at(self.now + DOWN, Due::Dial { from, to });
        let peer = self.nodes[to].id.clone();
        self.step(from, Input::Link { peer, up: false });
    }

    fn crash(&mut self, node: usize) {
        let entry = &mut self.nodes[node];
        if entry.machine.take().is_none() {
            return;
        }
        entry.life += 1;
        entry.paused_until = 0;
        for peer in (0..NODES).filter(|peer| *peer != node) {
            self.hang_up(peer, node);
            self.connection(node, peer).up = false;
            self.connection(node, peer).number += 1;
        }
        let of_node = self.open.iter().filter(|(_, open)| open.node == node);
        let mut lost: Vec<u64> = of_node.map(|(msg_id, _)| *msg_id).collect();
        lost.sort_unstable();
        for msg_id in lost {
            self.lose(msg_id, "connection-lost");
        }
        self.at(self.now + DOWN, Due::Start { node });
    }

    /// A client will not hear any more how its operation ended.
    fn lose(&mut self, msg_id: u64, code: &str) {
        if let Some(open) = self.open.remove(&msg_id) {
            let outcome = unknown(&open.operation, Reason::new(code, ""));
            self.ended.push_back((open.thread, self.now, outcome));
        }
    }

    fn step(&mut self, node: usize, input: Input) {
        let entry = &mut self.nodes[node];
        let (life, born) = (entry.life, entry.born);
        let Some(machine) = &mut entry.machine else {
            return;
        };
        let mut out = Outbox::default();
        machine.step(input, self.now - born, &mut out);
        // A crash comes before the records are durable, among them, or before all is sent.
        let crashes = self.chance.random_range(0..4_000) == 0;
        let (mut records, mut messages) = (out.records.len(), out.messages.len());
        if crashes {
            records = self.chance.random_range(0..=records);
            let durable = records == out.records.len();
            messages = self.chance.random_range(0..=messages) * usize::from(durable);
        }
        self.nodes[node].log.extend(out.records.drain(..records));
        for (dest, body) in out.messages.drain(..messages) {
            self.send(node, &dest, body);
        }
        for (at, id) in out.timers {
            self.at(born + at, Due::Timer { node, life, id });
        }
        if crashes {
            self.crash(node);
        }
    }

    fn send(&mut self, from: usize, dest: &NodeId, body: Body) {
        let arrival = self.now + self.latency();
        let Some(to) = self.nodes.iter().position(|node| node.id == *dest) else {
            if let Some(msg_id) = body.in_reply_to() {
                self.at(arrival, Due::Answer { msg_id, body });
            }
            return;
        };
        let src = self.nodes[from].id.clone();
        let connection = self.connection(from, to);
        if !connection.up {
            return;
        }
        let after = connection.last_arrival.max(connection.held_until);
        connection.last_arrival = arrival.max(after + 1);
        let due = Due::Arrives {
            from,
            to,
            connection: connection.number,
            message: Message {
                src,
                dest: dest.clone(),
                body,
            },
        };
        let at = connection.last_arrival;
        self.at(at, due);
    }
}

impl System for &mut World {
    fn ask(&mut self, asked: &Asked) -> Option<(Nanos, Outcome)> {
        self.run_until(asked.time);
        let node = asked.thread % NODES;
        let latency = self.latency();
        if self.nodes[node].machine.is_none() {
            return Some((latency, Outcome::Fail(Reason::new("refused", ""))));
        }
        self.counter += 1;
        let msg_id = self.counter;
        let open = Open {
            thread: asked.thread,
            node,
            operation: asked.operation.clone(),
        };
        self.open.insert(msg_id, open);
        let body = translate::request(&asked.operation, Duration::from_nanos(TIMEOUT)).unwrap();
        let message = Message {
            src: format!("c{}", asked.process).into(),
            dest: self.nodes[node].id.clone(),
            body: body.with("msg_id", msg_id),
        };
        // A client's bytes may arrive long after it has given up.
        let late = Due::Arrives {
            from: NODES,
            to: node,
            connection: 0,
            message,
        };
        self.at(self.now + latency, late);
        self.at(self.now + TIMEOUT, Due::GivenUp { msg_id });
        None
    }

    fn late(&mut self, now: Nanos) -> Option<(usize, Nanos, Outcome)> {
        self.run_until(now);
        self.ended.pop_front()
    }

    fn wakes_at(&self) -> Option<Nanos> {
        // With nothing under way, whatever happens can wait until something is asked.
        let (&(at, _), _) = self.agenda.first_key_value()?;
        (!self.open.is_empty()).then_some(at)
    }
}

/// What the workload's clients saw of the target.
fn explored(
    target: &'static dyn Target,
    workload: &str,
    bug: Option<&'static str>,
    seed: u64,
) -> History {
    let setting = Setting {
        clients: CLIENTS,
        nodes: NODES,
        available: target.operations().to_vec(),
        time_limit: TIME,
        rate: RATE,
        seed,
    };
    let workload = tribunal_workloads::find(workload).unwrap();
    let mut program = workload.program(&json!({}), &setting).unwrap();
    let mut world = World::new(target, bug, seed);
    history(&simulate::run(&mut program.main, CLIENTS, &mut world))
}

/// The trace as a record has it; at one instant, ends come before beginnings.
fn history(trace: &Trace) -> History {
    let mut events: Vec<(Nanos, bool, u64, EventBody)> = Vec::new();
    for step in &trace.steps {
        let Asked {
            time,
            process,
            operation,
            ..
        } = &step.asked;
        events.push((*time, true, *process, EventBody::Invoke(operation.clone())));
        if let Some((at, outcome)) = &step.ended {
            let body = EventBody::Complete(operation.clone(), outcome.clone());
            events.push((*at, false, *process, body));
        }
    }
    events.sort_by_key(|(time, invokes, ..)| (*time, *invokes));
    let event = |(index, (time, _, process, body))| Event {
        index: index as u64,
        time,
        process: Process::Client(process),
        node: None,
        body,
    };
    History::from_events(events.into_iter().enumerate().map(event)).unwrap()
}

/// What the workload's own checkers say.
fn judged(workload: &str, history: History) -> Vec<Verdict> {
    let record = Record {
        history,
        ..Record::default()
    };
    let checkers = tribunal_workloads::find(workload).unwrap().checkers();
    let check = |name: &&str| {
        tribunal_checkers::find(name)
            .unwrap()
            .check(&record, Budget::default())
    };
    checkers.iter().map(check).collect()
}

fn a_correct_target_is_never_flagged(target: &str, workload: &str) {
    let target = tribunal_targets::find(target).unwrap();
    let mut valid: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..SEEDS {
        for verdict in judged(workload, explored(target, workload, None, seed)) {
            assert_ne!(
                verdict.validity,
                Validity::Invalid,
                "seed {seed}: {verdict:#?}"
            );
            *valid.entry(verdict.checker).or_default() +=
                u64::from(verdict.validity == Validity::Valid);
        }
    }
    // Nothing is shown by runs in which there was nothing to find.
    for (checker, valid) in valid {
        assert!(
            valid * 10 >= SEEDS * 9,
            "{checker} was valid in {valid} of {SEEDS} seeds only"
        );
    }
}

#[test]
fn the_lock_manager_is_never_flagged() {
    a_correct_target_is_never_flagged("lock-manager", "lock");
}

#[test]
fn the_quorum_register_is_never_flagged() {
    a_correct_target_is_never_flagged("quorum-register", "register");
}

fn shows(target: &'static dyn Target, bug: &PlantedBug, seed: u64) -> bool {
    let verdicts = judged(
        bug.workload,
        explored(target, bug.workload, Some(bug.name), seed),
    );
    let mut found = verdicts.iter().flat_map(|verdict| &verdict.anomalies);
    found.any(|anomaly| bug.anomalies.contains(&&*anomaly.name))
}

#[test]
fn every_planted_bug_shows_in_some_seed() {
    for target in tribunal_targets::ALL {
        for bug in target.bugs() {
            let seed = (0..SEEDS_FOR_BUG).find(|&seed| shows(*target, bug, seed));
            assert!(seed.is_some(), "{} of {}", bug.name, target.name());
        }
    }
}
