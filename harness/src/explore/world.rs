//! Nodes, connections and clients in virtual time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::Value as Json;
use tribunal_results::{Nanos, NodeId, Operation, Outcome, Reason};
use tribunal_targets::NodeSpec;
use tribunal_targets::client::{translate, unknown};
use tribunal_targets::node::{Input, MILLISECOND, Machine, NO_FSYNC, Outbox, reference};
use tribunal_targets::wire::{Body, Message};
use tribunal_workloads::generator::simulate::{Asked, System};

use super::Case;
use super::trouble::{self, Fate, Fault, Messages};

/// How long a node is down after a crash, a connection after a reset.
const DOWN: Nanos = 60 * MILLISECOND;
/// One step in so many ends in a crash.
const STEPS_PER_CRASH: u32 = 4_000;

/// Something that is going to happen. Nodes are numbers; the number after the last one stands for
/// clients.
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

/// A node, while it runs and while it does not.
struct Node {
    id: NodeId,
    /// Nothing while it is down.
    machine: Option<Box<dyn Machine>>,
    log: Vec<Vec<u8>>,
    life: u64,
    born: Nanos,
    paused_until: Nanos,
}

impl Node {
    const fn new(id: NodeId) -> Self {
        Self {
            id,
            machine: None,
            log: Vec::new(),
            life: 0,
            born: 0,
            paused_until: 0,
        }
    }
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
    process: u64,
    node: usize,
    operation: Operation,
}

/// Nodes, connections and clients in virtual time.
pub(super) struct World<'c> {
    case: &'c Case,
    chance: Pcg64Mcg,
    messages: Messages,
    /// Whether nodes crash between any two effects.
    crashes: bool,
    /// Whether nothing more goes wrong.
    calm: bool,
    now: Nanos,
    nodes: Vec<Node>,
    connections: BTreeMap<(usize, usize), Connection>,
    agenda: BTreeMap<(Nanos, u64), Due>,
    counter: u64,
    open: HashMap<u64, Open>,
    /// How many operations each thread has begun, and what each process brings along.
    begun: HashMap<usize, u64>,
    contexts: HashMap<u64, Json>,
    ended: VecDeque<(usize, Nanos, Outcome)>,
    /// Why a node could not be started again: its own log is of no use to it.
    failure: Option<anyhow::Error>,
}

impl<'c> World<'c> {
    /// All nodes about to start, and everything planned that will go wrong.
    ///
    /// # Errors
    /// The machine of a node can't be made.
    pub(super) fn new(case: &'c Case, seed: u64) -> anyhow::Result<Self> {
        let mut chance = Pcg64Mcg::seed_from_u64(seed);
        let allowed = case.faults();
        let faults = trouble::schedule(&mut chance, &allowed, case.nodes, case.time);
        let messages = Messages::draw(&mut chance, &allowed);
        let nodes = (0..case.nodes).map(|n| Node::new(format!("n{}", n + 1).into()));
        let mut world = Self {
            case,
            chance,
            messages,
            crashes: allowed.contains(&"kill"),
            calm: false,
            now: 0,
            nodes: nodes.collect(),
            connections: BTreeMap::new(),
            agenda: BTreeMap::new(),
            counter: 0,
            open: HashMap::new(),
            begun: HashMap::new(),
            contexts: HashMap::new(),
            ended: VecDeque::new(),
            failure: None,
        };
        for node in 0..case.nodes {
            // Made once here, so that a wrong option is an error and not a dead node.
            world.machine(node)?;
            world.at(0, Due::Start { node });
        }
        for (at, fault) in faults {
            world.at(at, Due::Fault(fault));
        }
        Ok(world)
    }

    /// Ends the world.
    ///
    /// # Errors
    /// A node could not take up again what it had persisted itself.
    pub(super) fn end(self) -> anyhow::Result<()> {
        self.failure.map_or(Ok(()), Err)
    }

    /// The nodes' names.
    pub(super) fn ids(&self) -> Vec<NodeId> {
        self.nodes.iter().map(|node| node.id.clone()).collect()
    }

    /// Nothing goes wrong any more; when everything is over that did, and `settle` after it.
    pub(super) fn heal(&mut self, settle: Nanos) -> Nanos {
        self.agenda.retain(|_, due| !matches!(due, Due::Fault(_)));
        let pauses = self.nodes.iter().map(|node| node.paused_until);
        let holds = self.connections.values().map(|c| c.held_until);
        let over = pauses.chain(holds).fold(self.now, Nanos::max);
        self.calm = true;
        // Processes are counted anew from here on.
        self.contexts.clear();
        over + settle
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
            self.now = at;
            if let Some((_, due)) = self.agenda.pop_first() {
                self.happen(due);
            }
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
                let between = from < self.nodes.len();
                let old = between && self.connection(from, to).number != connection;
                if !old || self.chance.random::<bool>() {
                    self.step(to, Input::Message(message));
                }
            }
            Due::Answer { msg_id, body } => {
                if let Some(open) = self.open.remove(&msg_id) {
                    if let Some(context) = body.json(translate::CONTEXT) {
                        self.contexts.insert(open.process, context.clone());
                    }
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
            // A node that is paused is not paused again: were its end moved, what waits for it would
            // be overtaken by what comes later.
            Fault::Pause { node, until } => {
                let paused_until = &mut self.nodes[node].paused_until;
                if *paused_until <= self.now {
                    *paused_until = until;
                }
            }
            Fault::Hold { from, to, until } => self.connection(from, to).held_until = until,
            Fault::Isolate { node, until } => {
                for other in self.others(node) {
                    self.connection(node, other).held_until = until;
                    self.connection(other, node).held_until = until;
                }
            }
            Fault::Reset { from, to } => self.hang_up(from, to),
        }
    }

    /// The machine of a node, with what its log holds.
    fn machine(&self, node: usize) -> anyhow::Result<Box<dyn Machine>> {
        let ids = self.ids();
        let address = ([127, 0, 0, 1], 1).into();
        let id = ids.get(node).cloned().unwrap_or_else(|| "nobody".into());
        let others = ids.iter().filter(|other| **other != id);
        let spec = NodeSpec {
            listen: address,
            peers: others.map(|other| (other.clone(), address)).collect(),
            advertised: None,
            nodes: ids.clone(),
            data: "unused".into(),
            bug: self.case.bug.map(|bug| bug.name.to_owned()),
            options: self.case.options.clone(),
            id,
        };
        let mut machine = reference::machine(self.case.target.name(), &spec)?;
        for record in &self.nodes[node].log {
            machine.recover(record)?;
        }
        Ok(machine)
    }

    fn start(&mut self, node: usize) {
        match self.machine(node) {
            Ok(machine) => self.nodes[node].machine = Some(machine),
            Err(error) => return self.failure = Some(error),
        }
        self.nodes[node].born = self.now;
        self.step(node, Input::Start);
        for to in self.others(node) {
            self.at(self.now, Due::Dial { from: node, to });
        }
    }

    fn others(&self, node: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.nodes.len()).filter(move |other| *other != node)
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
        // A crash here is a loss of power: what is never synced is never durable.
        if self.case.bug.is_some_and(|bug| bug.name == NO_FSYNC) {
            entry.log.clear();
        }
        for peer in self.others(node) {
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
        let may = self.crashes && !self.calm;
        let crashes = may && self.chance.random_range(0..STEPS_PER_CRASH) == 0;
        if crashes {
            self.cut_short(&mut out);
        }
        let log = &mut self.nodes[node].log;
        if let Some(whole) = out.compacted.take() {
            *log = whole;
        }
        log.append(&mut out.records);
        for (dest, body) in out.messages {
            self.send(node, &dest, body);
        }
        for (at, id) in out.timers {
            self.at(born + at, Due::Timer { node, life, id });
        }
        if crashes {
            self.crash(node);
        }
    }

    /// Of what a node asked for last, only a beginning is done before it crashes.
    fn cut_short(&mut self, out: &mut Outbox) {
        let records = self.chance.random_range(0..=out.records.len());
        let mut durable = records == out.records.len();
        if out.compacted.is_some() && self.chance.random::<bool>() {
            (out.compacted, durable) = (None, false);
            out.records.clear();
        }
        out.records.truncate(records);
        let messages = self.chance.random_range(0..=out.messages.len());
        out.messages.truncate(messages * usize::from(durable));
    }

    fn send(&mut self, from: usize, dest: &NodeId, body: Body) {
        let arrival = self.now + self.latency();
        let Some(to) = self.nodes.iter().position(|node| node.id == *dest) else {
            if let Some(msg_id) = body.in_reply_to() {
                self.at(arrival, Due::Answer { msg_id, body });
            }
            return;
        };
        let message = Message {
            src: self.nodes[from].id.clone(),
            dest: dest.clone(),
            body,
        };
        let fate = match self.calm {
            true => Fate::CERTAIN,
            false => self.messages.fate(&mut self.chance),
        };
        for _ in 0..fate.copies {
            let late = fate.overtakes && self.chance.random_range(0..20) == 0;
            let extra = self.latency() * u64::from(late) * 20;
            self.deliver(from, to, message.clone(), arrival + extra, fate.overtakes);
        }
    }

    /// Puts a message on its way, if there is a connection.
    fn deliver(
        &mut self,
        from: usize,
        to: usize,
        message: Message,
        arrival: Nanos,
        overtakes: bool,
    ) {
        let connection = self.connection(from, to);
        if !connection.up {
            return;
        }
        let mut at = arrival.max(connection.held_until + 1);
        if !overtakes {
            at = at.max(connection.last_arrival + 1);
            connection.last_arrival = at;
        }
        let connection = connection.number;
        let due = Due::Arrives {
            from,
            to,
            connection,
            message,
        };
        self.at(at, due);
    }
}

impl System for &mut World<'_> {
    fn ask(&mut self, asked: &Asked) -> Option<(Nanos, Outcome)> {
        self.run_until(asked.time);
        let nth = self.begun.entry(asked.thread).or_default();
        let moves_after = self.case.moves_after();
        let node = tribunal_workloads::node_of(asked.thread, *nth, moves_after, self.nodes.len());
        *nth += 1;
        let latency = self.latency();
        if self.nodes[node].machine.is_none() {
            return Some((latency, Outcome::Fail(Reason::new("refused", ""))));
        }
        self.counter += 1;
        let msg_id = self.counter;
        let open = Open {
            thread: asked.thread,
            process: asked.process,
            node,
            operation: asked.operation.clone(),
        };
        self.open.insert(msg_id, open);
        let body = translate::request(&asked.operation, Duration::from_nanos(self.case.timeout));
        let body = translate::in_context(body, self.contexts.get(&asked.process));
        let message = Message {
            src: format!("c{}", asked.process).into(),
            dest: self.nodes[node].id.clone(),
            body: body.with("msg_id", msg_id),
        };
        // A client's bytes may arrive long after it has given up.
        let late = Due::Arrives {
            from: self.nodes.len(),
            to: node,
            connection: 0,
            message,
        };
        self.at(self.now + latency, late);
        self.at(self.now + self.case.timeout, Due::GivenUp { msg_id });
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
