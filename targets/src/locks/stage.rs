//! A stage for scripts: several nodes, the messages between them, and their clients, step by step.
//!
//! A line is `<ms> <what>`, and what is sent because of it, including by timers that were due since
//! the line before, follows the arrow.
//!
//! | line | what happens |
//! |---|---|
//! | `0 c1@n1 request` | a client asks a node for lock `a`: `request`, `acquire TICKET`, `enter`, `renew TOKEN`, `release TOKEN` |
//! | `0 n1>n2` | the oldest message on the way from one to the other arrives |
//! | `0 lose n1>n2` | it is lost |
//! | `0 double n1>n2` | it arrives, and will once more |
//! | `0 crash n1` | the node starts again from its log alone; what was on its way stays on its way |
//! | `0 wait` | nothing but time passes |
//!
//! What is sent is shown as `n1>n2:claim 3` or `c1:token 4`. Heartbeats are answered at once, and
//! not shown.

use std::collections::{BTreeMap, VecDeque};

use tribunal_results::NodeId;

use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox};
use crate::wire::{Body, Message};

type Make = Box<dyn Fn(&NodeId) -> Box<dyn Machine>>;

/// Nodes and what is on its way between them.
pub(crate) struct Stage {
    make: Make,
    nodes: BTreeMap<NodeId, Actor>,
    wires: BTreeMap<(NodeId, NodeId), VecDeque<Body>>,
}

struct Actor {
    machine: Box<dyn Machine>,
    log: Vec<Vec<u8>>,
    timers: Vec<(Nanos, u64)>,
}

/// The names of so many nodes.
pub(crate) fn names(count: usize) -> Vec<NodeId> {
    (1..=count).map(|n| format!("n{n}").into()).collect()
}

impl Stage {
    /// So many nodes, started at time 0.
    pub(crate) fn new(count: usize, make: impl Fn(&NodeId) -> Box<dyn Machine> + 'static) -> Self {
        let actor = |id: NodeId| {
            let machine = make(&id);
            let (log, timers) = (Vec::new(), Vec::new());
            let actor = Actor {
                machine,
                log,
                timers,
            };
            (id, actor)
        };
        let nodes = names(count).into_iter().map(actor).collect();
        let mut stage = Self {
            make: Box::new(make),
            nodes,
            wires: BTreeMap::new(),
        };
        for id in names(count) {
            stage.step(&id, Input::Start, 0);
        }
        stage.wires.clear();
        stage
    }

    /// The records in a node's log.
    pub(crate) fn log(&mut self, node: &str) -> &mut Vec<Vec<u8>> {
        &mut self.nodes.get_mut(node).unwrap().log
    }

    /// Plays the script; what is sent must be what follows the arrows.
    pub(crate) fn check(&mut self, script: &str) {
        let lines = script.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty()) {
            let (asked, expected) = line.split_once("->").unwrap();
            assert_eq!(self.play(asked), expected.trim(), "in {line:?}");
        }
    }

    /// Plays one line up to the arrow, and gives what was sent.
    pub(crate) fn play(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let now = words[0].parse::<Nanos>().unwrap() * MILLISECOND;
        let mut sent = self.pass(now);
        sent.extend(match words[1] {
            "wait" => Vec::new(),
            "crash" => self.crash(words[2], now),
            "lose" => {
                self.wire(words[2]).pop_front().unwrap();
                Vec::new()
            }
            "double" => {
                let body = self.wire(words[2]).front().cloned().unwrap();
                self.wire(words[2]).push_front(body);
                self.arrive(words[2], now)
            }
            wire if wire.contains('>') => self.arrive(wire, now),
            client => {
                let (client, node) = client.split_once('@').unwrap();
                let number = words.get(3).map(|number| number.parse().unwrap());
                self.deliver(client, node, request(words[2], number), now)
            }
        });
        sent.join(" ")
    }

    fn wire(&mut self, name: &str) -> &mut VecDeque<Body> {
        let (from, to) = name.split_once('>').unwrap();
        self.wires.entry((from.into(), to.into())).or_default()
    }

    fn arrive(&mut self, wire: &str, now: Nanos) -> Vec<String> {
        let body = self.wire(wire).pop_front().unwrap();
        let (from, to) = wire.split_once('>').unwrap();
        self.deliver(from, to, body, now)
    }

    fn deliver(&mut self, from: &str, to: &str, body: Body, now: Nanos) -> Vec<String> {
        let message = Message {
            src: from.into(),
            dest: to.into(),
            body,
        };
        self.step(&to.into(), Input::Message(message), now)
    }

    fn step(&mut self, id: &NodeId, input: Input, now: Nanos) -> Vec<String> {
        let mut out = Outbox::default();
        let actor = self.nodes.get_mut(id).unwrap();
        actor.machine.step(input, now, &mut out);
        if let Some(whole) = out.compacted.take() {
            actor.log = whole;
        }
        actor.log.append(&mut out.records);
        actor.timers.append(&mut out.timers);
        let mut sent = Vec::new();
        for (to, body) in out.messages {
            if body.kind() == "ping" {
                self.deliver(&to, id, Body::new("pong"), now);
            } else if self.nodes.contains_key(&to) {
                sent.push(format!("{id}>{to}:{}", shown(&body)));
                let wire = self.wires.entry((id.clone(), to)).or_default();
                wire.push_back(body);
            } else {
                sent.push(format!("{to}:{}", shown(&body)));
            }
        }
        sent
    }

    /// Fires what is due until `now`, each timer at its very moment.
    fn pass(&mut self, now: Nanos) -> Vec<String> {
        let mut sent = Vec::new();
        loop {
            let timers = self.nodes.iter().flat_map(|(id, actor)| {
                let timers = actor.timers.iter();
                timers.map(move |(at, timer)| (*at, id.clone(), *timer))
            });
            let Some((at, id, timer)) = timers.min().filter(|(at, ..)| *at <= now) else {
                return sent;
            };
            let timers = &mut self.nodes.get_mut(&id).unwrap().timers;
            let place = timers.iter().position(|set| *set == (at, timer)).unwrap();
            timers.remove(place);
            sent.extend(self.step(&id, Input::Timer(timer), at));
        }
    }

    fn crash(&mut self, node: &str, now: Nanos) -> Vec<String> {
        let id: NodeId = node.into();
        let actor = self.nodes.get_mut(&id).unwrap();
        actor.timers.clear();
        actor.machine = (self.make)(&id);
        for record in &actor.log {
            actor.machine.recover(record).unwrap();
        }
        self.step(&id, Input::Start, now)
    }
}

fn request(kind: &str, number: Option<u64>) -> Body {
    let body = |kind: &str| Body::new(kind).with("lock", "a").with("msg_id", 9);
    match kind {
        "acquire" => body(kind).with("ticket", number).with("wait_ms", 500),
        "enter" => body("acquire"),
        _ => body(kind).with("token", number),
    }
}

fn shown(body: &Body) -> String {
    let number = |name| body.field::<u64>(name).unwrap();
    match body.kind() {
        "request_ok" => format!("ticket {}", number("ticket")),
        "acquire_ok" | "renew_ok" => format!("token {}", number("token")),
        "release_ok" => "ok".to_owned(),
        "error" => format!("error {}", number("code")),
        kind => {
            let fields = ["time", "hop", "value", "granted"];
            let told = fields.iter().filter_map(|name| body.json(name));
            let told: Vec<String> = told.map(ToString::to_string).collect();
            [vec![kind.to_owned()], told].concat().join(" ")
        }
    }
}
