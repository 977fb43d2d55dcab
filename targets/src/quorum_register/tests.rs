//! Nodes under random schedules, without sockets or clocks: messages are lost, doubled and
//! overtaken, nodes crash between any two effects, and what clients saw must be atomic.

use std::collections::BTreeMap;

use tribunal_results::{NodeId, Scalar};

use super::machine::Register;
use super::{Bug, TARGET};
use crate::node::{Input, MILLISECOND, Machine, NO_FSYNC, Nanos, Outbox};
use crate::wire::{Body, Message};

/// Random numbers by the SplitMix64 generator (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

/// What may go wrong.
#[derive(Clone, Copy)]
struct Weather {
    /// Messages of one link arrive in order and once, as on a connection that holds.
    in_order: bool,
    lost_percent: usize,
    crash_percent: usize,
    /// For how many steps each message of the first node is on its way.
    delay: usize,
}

const STORM: Weather = Weather {
    in_order: false,
    lost_percent: 10,
    crash_percent: 1,
    delay: 0,
};

/// One call of a client: which value it wrote or read, between which steps.
#[derive(Clone, Debug)]
struct Call {
    write: bool,
    /// The value; 0 stands for none.
    value: i64,
    begin: usize,
    /// `usize::MAX` if its end is unknown.
    end: usize,
}

struct Simulation {
    random: Random,
    weather: Weather,
    bug: Option<Bug>,
    nodes: Vec<NodeId>,
    machines: Vec<Register>,
    logs: Vec<Vec<Vec<u8>>>,
    timers: Vec<(Nanos, usize, u64)>,
    /// Messages on their way, and the step from which on they may arrive.
    flying: Vec<(usize, Message)>,
    now: Nanos,
    tick: usize,
    /// One call per node at a time; its client's name changes whenever its end is unknown.
    open: BTreeMap<NodeId, (usize, Call)>,
    calls: Vec<Call>,
    next_client: usize,
    next_value: i64,
}

impl Simulation {
    fn new(seed: u64, weather: Weather, bug: Option<Bug>) -> Self {
        let nodes: Vec<NodeId> = ["n1", "n2", "n3"].map(NodeId::from).to_vec();
        let mut simulation = Self {
            random: Random(seed),
            weather,
            bug,
            machines: nodes.iter().map(|id| register(&nodes, id, bug)).collect(),
            logs: vec![Vec::new(); nodes.len()],
            nodes,
            timers: Vec::new(),
            flying: Vec::new(),
            now: 0,
            tick: 0,
            open: BTreeMap::new(),
            calls: Vec::new(),
            next_client: 0,
            next_value: 1,
        };
        for node in 0..simulation.nodes.len() {
            simulation.step(node, Input::Start);
        }
        simulation
    }

    fn step(&mut self, node: usize, input: Input) {
        let mut out = Outbox::default();
        self.machines[node].step(input, self.now, &mut out);
        // A crash may come before the records are durable, or before anything was sent.
        if self.random.percent(self.weather.crash_percent) {
            if self.random.percent(50) {
                self.logs[node].append(&mut out.records);
            }
            return self.crash(node);
        }
        self.logs[node].append(&mut out.records);
        let due = |(at, id)| (at, node, id);
        self.timers.extend(out.timers.into_iter().map(due));
        for (dest, body) in out.messages {
            match self.open.remove(&dest) {
                Some((_, call)) => self.complete(call, &body),
                // Pings say nothing about the register, and only crowd the links.
                None if matches!(body.kind(), "ping" | "pong") => {}
                None => self.send(node, dest, body),
            }
        }
    }

    fn send(&mut self, node: usize, dest: NodeId, body: Body) {
        let delay = if node == 0 { self.weather.delay } else { 0 };
        let src = self.nodes[node].clone();
        self.flying
            .push((self.tick + delay, Message { src, dest, body }));
    }

    fn crash(&mut self, node: usize) {
        self.timers.retain(|(_, of, _)| *of != node);
        let lost: Vec<NodeId> = self.clients_of(node);
        for client in lost {
            if let Some((_, call)) = self.open.remove(&client) {
                self.calls.push(call);
            }
        }
        let mut machine = register(&self.nodes, &self.nodes[node], self.bug);
        for record in &self.logs[node] {
            machine.recover(record).unwrap();
        }
        self.machines[node] = machine;
        self.step(node, Input::Start);
    }

    fn clients_of(&self, node: usize) -> Vec<NodeId> {
        let of_node = self.open.iter().filter(|(_, (of, _))| *of == node);
        of_node.map(|(client, _)| client.clone()).collect()
    }

    fn complete(&mut self, mut call: Call, answer: &Body) {
        call.end = self.tick;
        match answer.kind() {
            "write_ok" => {}
            "read_ok" => match answer.field("value").unwrap() {
                Scalar::Int(value) => call.value = value,
                Scalar::Text(text) => panic!("{text} was never written"),
            },
            "error" => assert_eq!(answer.field::<u64>("code"), Ok(20)),
            other => panic!("{other}"),
        }
        self.calls.push(call);
    }

    fn invoke(&mut self, node: usize) {
        let client: NodeId = format!("c{}", self.next_client).into();
        self.next_client += 1;
        let write = self.random.percent(30);
        let mut body = Body::new(if write { "write" } else { "read" }).with("key", "k");
        let mut value = 0;
        if write {
            value = self.next_value;
            self.next_value += 1;
            body = body.with("value", value);
        }
        let call = Call {
            write,
            value,
            begin: self.tick,
            end: usize::MAX,
        };
        self.open.insert(client.clone(), (node, call));
        let message = Message {
            src: client,
            dest: self.nodes[node].clone(),
            body,
        };
        self.step(node, Input::Message(message));
    }

    fn deliver(&mut self) {
        let arrived = self
            .flying
            .iter()
            .enumerate()
            .filter(|(_, (at, _))| *at <= self.tick);
        let arrived: Vec<usize> = arrived.map(|(n, _)| n).collect();
        if arrived.is_empty() {
            return;
        }
        let mut chosen = arrived[self.random.below(arrived.len())];
        if self.weather.in_order {
            let link = |(_, m): &(usize, Message)| (m.src.clone(), m.dest.clone());
            let of = link(&self.flying[chosen]);
            chosen = self.flying.iter().position(|m| link(m) == of).unwrap();
        }
        let doubled = !self.weather.in_order && self.random.percent(10);
        let (_, message) = match doubled {
            true => self.flying[chosen].clone(),
            false => self.flying.remove(chosen),
        };
        let node = self.nodes.iter().position(|id| *id == message.dest);
        if let Some(node) = node.filter(|_| !self.random.percent(self.weather.lost_percent)) {
            self.step(node, Input::Message(message));
        }
    }

    fn pass_time(&mut self) {
        self.now += 50 * MILLISECOND;
        let now = self.now;
        while let Some(due) = self.timers.iter().position(|(at, ..)| *at <= now) {
            let (_, node, id) = self.timers.swap_remove(due);
            self.step(node, Input::Timer(id));
        }
    }

    /// Plays so many random steps, and gives what clients saw.
    fn run(mut self, steps: usize) -> Vec<Call> {
        for _ in 0..steps {
            self.tick += 1;
            match self.random.below(100) {
                0..5 => self.pass_time(),
                5..20 => {
                    let node = self.random.below(self.nodes.len());
                    if self.clients_of(node).len() < 2 {
                        self.invoke(node);
                    }
                }
                _ => self.deliver(),
            }
        }
        let open = self.open.into_values().map(|(_, call)| call);
        self.calls.into_iter().chain(open).collect()
    }
}

fn register(nodes: &[NodeId], id: &NodeId, bug: Option<Bug>) -> Register {
    let peers = nodes.iter().filter(|peer| *peer != id).cloned().collect();
    Register::new(id.clone(), peers, bug)
}

/// Whether the calls on one register are atomic, each value being written once: the test by zones
/// of Gibbons and Korach ("Testing shared memories", SIAM J. Comput. 1997). All calls of one value
/// form a zone between the first end and the last begin. If the first end comes first, the value
/// must have been there all the time between: no two values may, nor may all of another value lie
/// within.
fn atomic(calls: &[Call]) -> bool {
    let mut zones: BTreeMap<i64, (usize, usize)> = BTreeMap::from([(0, (0, 0))]);
    for call in calls
        .iter()
        .filter(|call| call.write || call.end < usize::MAX)
    {
        let (first_end, last_begin) = zones.entry(call.value).or_insert((usize::MAX, 0));
        *first_end = call.end.min(*first_end);
        *last_begin = call.begin.max(*last_begin);
    }
    let read_too_early = calls
        .iter()
        .filter(|call| !call.write && call.end < usize::MAX)
        .any(|read| {
            let written = calls
                .iter()
                .find(|call| call.write && call.value == read.value);
            read.value != 0 && written.is_none_or(|write| read.end < write.begin)
        });
    let zones: Vec<(usize, usize)> = zones.into_values().collect();
    let clash = |a: usize, b: usize| {
        let ((a_end, a_begin), (b_end, b_begin)) = (zones[a], zones[b]);
        let (low, high) = (b_end.min(b_begin), b_end.max(b_begin));
        let overlap = b_end < b_begin && a_end < high && low < a_begin;
        let within = a_end < low && high < a_begin;
        a_end < a_begin && (overlap || within)
    };
    let count = zones.len();
    !read_too_early && !(0..count).any(|a| (0..count).any(|b| a != b && clash(a, b)))
}

fn call(write: bool, value: i64, begin: usize, end: usize) -> Call {
    Call {
        write,
        value,
        begin,
        end,
    }
}

/// The share, in percent, of seeds under which what clients saw is not atomic.
fn violations(weather: Weather, bug: Option<Bug>) -> usize {
    const SEEDS: usize = 200;
    let violated = |seed: &usize| !atomic(&Simulation::new(*seed as u64, weather, bug).run(1_500));
    (0..SEEDS).filter(violated).count() * 100 / SEEDS
}

#[test]
fn the_test_for_atomicity_tells_right_from_wrong() {
    let written = call(true, 1, 1, 2);
    let unknown = call(true, 2, 3, usize::MAX);
    let right = [
        vec![written.clone(), call(false, 1, 3, 4)],
        vec![call(false, 0, 1, 4), written.clone(), call(false, 1, 1, 5)],
        vec![
            written.clone(),
            unknown.clone(),
            call(false, 1, 4, 5),
            call(false, 2, 6, 7),
        ],
        vec![written.clone(), unknown.clone()],
    ];
    for calls in right {
        assert!(atomic(&calls), "{calls:?}");
    }
    let wrong = [
        vec![written.clone(), call(false, 0, 3, 4)],
        vec![
            written.clone(),
            unknown.clone(),
            call(false, 2, 4, 5),
            call(false, 1, 6, 7),
        ],
        vec![call(false, 2, 1, 2), unknown],
        vec![written, call(false, 9, 3, 4)],
    ];
    for calls in wrong {
        assert!(!atomic(&calls), "{calls:?}");
    }
}

#[test]
fn clients_see_an_atomic_register_whatever_is_lost_doubled_overtaken_or_crashes() {
    let mut reads = 0;
    for seed in 0..300 {
        let calls = Simulation::new(seed, STORM, None).run(1_500);
        assert!(atomic(&calls), "seed {seed}: {calls:?}");
        reads += calls.iter().filter(|c| !c.write && c.value > 0).count();
    }
    assert!(reads > 5_000, "only {reads} reads saw a write");
}

/// All links keep their order and lose nothing.
const FAIR: Weather = Weather {
    in_order: true,
    lost_percent: 0,
    crash_percent: 0,
    delay: 0,
};

#[test]
fn reading_one_replica_is_not_atomic_even_in_fair_weather() {
    assert_eq!(violations(FAIR, None), 0);
    assert!(violations(FAIR, Some(Bug::ReadOne)) > 50);
}

#[test]
fn reading_without_write_back_is_not_atomic_once_one_node_sends_slowly() {
    let slow = Weather { delay: 60, ..FAIR };
    assert_eq!(violations(slow, None), 0);
    assert!(violations(slow, Some(Bug::NoWriteBack)) > 10);
    assert!(violations(STORM, Some(Bug::NoWriteBack)) > 10);
}

#[test]
fn every_row_names_a_bug() {
    for row in TARGET.bugs {
        // That one is the log's, not the protocol's.
        let is_ours = row.name != NO_FSYNC;
        assert_eq!(Bug::from_name(row.name).is_some(), is_ours, "{}", row.name);
    }
}
