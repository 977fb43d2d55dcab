//! Protocols played step by step: a script says what happens, and the machines' own answers are
//! written beneath.
//!
//! A script is a text that a reader can follow. Lines that begin with `>` are what happens; the
//! indented lines after each are what the nodes did then: they are made by the machines and
//! compared. `TRIBUNAL_SCRIPTS=write` writes them anew, for a person to read again.
//!
//! ```text
//! # What a comment says, is for the reader.
//! target quorum-register
//! nodes n1 n2 n3
//! hide ping pong                    delivered at once, and not shown
//!
//! > c1 asks n1: write {"key":"x","value":5}
//!   n1 → n2  query key="x" request=0
//! > n1 → n2 arrives                 the oldest message on its way from n1 to n2
//! > n1 → n2 is lost                 it, instead
//! > n1 → n2 arrives twice           it and a copy
//! > n1 → n2 overtakes               the newest one arrives before all others
//! > n2 crashes                      its connections end; what was on its way to it is lost
//! > n2 starts                       with what it had persisted
//! > n2 stands still                 its clock goes on, and it does nothing
//! > n2 goes on                      first with all that it has missed
//! > link n1 n2 breaks               both directions; what is on its way is lost
//! > link n1 n2 heals
//! > 150 ms pass                     timers fire in their order
//! > all arrives                     whatever is on its way, and what follows from it
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use serde_json::Value as Json;
use tribunal_results::NodeId;
use tribunal_targets::NodeSpec;
use tribunal_targets::node::{Input, MILLISECOND, Machine, Nanos, Outbox, reference};
use tribunal_targets::wire::{Body, Message};

/// More messages than this after one step are a loop.
const MESSAGES_MAX: usize = 10_000;

/// Plays a script: the same text, with what the nodes really did.
pub(crate) fn play(text: &str) -> String {
    let mut stage = Stage::default();
    let mut out = String::new();
    for line in text.lines() {
        if line.starts_with(' ') {
            continue;
        }
        out.push_str(line.trim_end());
        out.push('\n');
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["target", name] => stage.target = name.to_owned(),
            ["options", ..] => stage.options = json_of(line),
            ["bug", name] => stage.bug = Some(name.to_owned()),
            ["hide", ..] => stage
                .hidden
                .extend(words[1..].iter().map(|w| (*w).to_owned())),
            ["nodes", ..] => stage.names = words[1..].iter().map(|w| (*w).into()).collect(),
            [">", ..] => {
                stage.open();
                stage.happen(&words[1..], line);
                for done in stage.done.drain(..) {
                    writeln!(out, "  {done}").unwrap();
                }
            }
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            _ => panic!("what is {line:?}?"),
        }
    }
    out
}

/// What follows the first brace or bracket.
fn json_of(line: &str) -> Json {
    match line.find(['{', '[']) {
        Some(at) => serde_json::from_str(&line[at..]).unwrap_or_else(|e| panic!("{line:?}: {e}")),
        None => Json::Object(serde_json::Map::new()),
    }
}

struct Node {
    machine: Option<Box<dyn Machine>>,
    log: Vec<Vec<u8>>,
    born: Nanos,
}

#[derive(Default)]
struct Stage {
    target: String,
    options: Json,
    bug: Option<String>,
    hidden: BTreeSet<String>,
    /// Nodes that are still to be started.
    names: Vec<NodeId>,
    nodes: BTreeMap<NodeId, Node>,
    /// Messages on their way, between each two.
    flying: BTreeMap<(NodeId, NodeId), VecDeque<Body>>,
    broken: BTreeSet<(NodeId, NodeId)>,
    /// Nodes that stand still, and what they have missed.
    still: BTreeMap<NodeId, Vec<Input>>,
    /// Timers: when, of whom in which life, and the number.
    timers: BTreeSet<(Nanos, u64, NodeId, Nanos, u64)>,
    counter: u64,
    now: Nanos,
    asked: u64,
    done: Vec<String>,
}

impl Stage {
    /// Starts all nodes, before the first thing happens.
    fn open(&mut self) {
        let names = std::mem::take(&mut self.names);
        for name in &names {
            let node = Node {
                machine: None,
                log: Vec::new(),
                born: 0,
            };
            self.nodes.insert(name.clone(), node);
        }
        for name in &names {
            self.start(name);
            self.settle();
        }
        if !names.is_empty() {
            self.done.clear();
        }
    }

    fn happen(&mut self, words: &[&str], line: &str) {
        match *words {
            [client, "asks", node, kind, ..] => {
                let node = node.trim_end_matches(':');
                self.ask(client, node, kind, json_of(line));
            }
            [from, "→", to, "arrives"] => self.arrive(from, to, 1),
            [from, "→", to, "arrives", "twice"] => self.arrive(from, to, 2),
            [from, "→", to, "is", "lost"] => self.arrive(from, to, 0),
            [from, "→", to, "overtakes"] => self.overtake(from, to),
            [node, "crashes"] => self.crash(&node.into()),
            [node, "starts"] => self.start(&node.into()),
            [node, "stands", "still"] => drop(self.still.insert(node.into(), Vec::new())),
            [node, "goes", "on"] => self.go_on(&node.into()),
            ["link", a, b, "breaks"] => self.link(a, b, false),
            ["link", a, b, "heals"] => self.link(a, b, true),
            [ms, "ms", "pass"] => self.pass(ms.parse().unwrap()),
            ["all", "arrives"] => self.all(),
            _ => panic!("what is {line:?}?"),
        }
        self.settle();
    }

    fn ask(&mut self, client: &str, node: &str, kind: &str, fields: Json) {
        self.asked += 1;
        let mut body = Body::new(kind).with("msg_id", self.asked);
        for (name, value) in fields.as_object().into_iter().flatten() {
            body = body.with(name, value.clone());
        }
        self.give(&node.into(), Input::Message(message(client, node, body)));
    }

    fn arrive(&mut self, from: &str, to: &str, times: usize) {
        let link = (from.into(), to.into());
        let body = self.flying.get_mut(&link).and_then(VecDeque::pop_front);
        let body = body.unwrap_or_else(|| panic!("nothing is on its way from {from} to {to}"));
        for _ in 0..times {
            let arrived = message(from, to, body.clone());
            self.give(&link.1, Input::Message(arrived));
        }
    }

    fn overtake(&mut self, from: &str, to: &str) {
        let bodies = self.flying.get_mut(&(from.into(), to.into()));
        match bodies.filter(|bodies| bodies.len() > 1) {
            Some(bodies) => bodies.rotate_right(1),
            None => panic!("there is nothing to overtake from {from} to {to}"),
        }
        self.arrive(from, to, 1);
    }

    fn go_on(&mut self, id: &NodeId) {
        for missed in self.still.remove(id).unwrap_or_default() {
            self.give(id, missed);
        }
    }

    fn all(&mut self) {
        for _ in 0..MESSAGES_MAX {
            let next = self.flying.iter().find(|(_, bodies)| !bodies.is_empty());
            let Some(((from, to), _)) = next else { return };
            let (from, to) = (from.clone(), to.clone());
            self.arrive(&from, &to, 1);
        }
        panic!("messages do not end");
    }

    /// Delivers what is not shown.
    fn settle(&mut self) {
        for _ in 0..MESSAGES_MAX {
            let hidden = |body: &Body| self.hidden.contains(body.kind());
            let next = self.flying.iter().find_map(|(link, bodies)| {
                let at = bodies.iter().position(hidden)?;
                Some((link.clone(), at))
            });
            let Some((link, at)) = next else { return };
            let body = self
                .flying
                .get_mut(&link)
                .and_then(|bodies| bodies.remove(at));
            if let Some(body) = body {
                self.give(&link.1, Input::Message(message(&link.0, &link.1, body)));
            }
        }
        panic!("hidden messages do not end");
    }

    fn pass(&mut self, ms: u64) {
        let until = self.now + ms * MILLISECOND;
        while let Some((at, ..)) = self.timers.first().filter(|timer| timer.0 <= until) {
            self.now = *at;
            let Some((_, _, node, born, id)) = self.timers.pop_first() else {
                break;
            };
            if self.nodes[&node].machine.is_some() && self.nodes[&node].born == born {
                self.give(&node, Input::Timer(id));
                self.settle();
            }
        }
        self.now = until;
    }

    fn start(&mut self, id: &NodeId) {
        let nodes: Vec<NodeId> = self.nodes.keys().cloned().collect();
        let address = ([127, 0, 0, 1], 1).into();
        let others = nodes.iter().filter(|node| *node != id);
        let spec = NodeSpec {
            id: id.clone(),
            listen: address,
            peers: others.map(|node| (node.clone(), address)).collect(),
            advertised: None,
            nodes: nodes.clone(),
            data: "unused".into(),
            bug: self.bug.clone(),
            options: self.options.clone(),
        };
        let mut machine = reference::machine(&self.target, &spec).unwrap();
        // Lives of one node must not be taken for each other.
        self.now += 1;
        let node = self.nodes.get_mut(id).unwrap();
        for record in &node.log {
            machine.recover(record).unwrap();
        }
        (node.machine, node.born) = (Some(machine), self.now);
        self.give(id, Input::Start);
        for other in nodes.iter().filter(|node| *node != id) {
            if self.nodes[other].machine.is_some() && !self.is_broken(id, other) {
                self.up(id, other, true);
                self.up(other, id, true);
            }
        }
    }

    fn crash(&mut self, id: &NodeId) {
        self.nodes.get_mut(id).unwrap().machine = None;
        self.still.remove(id);
        let others: Vec<NodeId> = self
            .nodes
            .keys()
            .filter(|node| *node != id)
            .cloned()
            .collect();
        for other in others {
            self.cut(id, &other);
            self.up(&other, id, false);
        }
    }

    fn link(&mut self, a: &str, b: &str, up: bool) {
        let (a, b): (NodeId, NodeId) = (a.into(), b.into());
        if up {
            self.broken.remove(&(a.clone(), b.clone()));
            self.broken.remove(&(b.clone(), a.clone()));
        } else {
            self.broken.insert((a.clone(), b.clone()));
            self.cut(&a, &b);
        }
        self.up(&a, &b, up);
        self.up(&b, &a, up);
    }

    fn is_broken(&self, a: &NodeId, b: &NodeId) -> bool {
        [(a, b), (b, a)]
            .iter()
            .any(|(a, b)| self.broken.contains(&(NodeId::clone(a), NodeId::clone(b))))
    }

    fn cut(&mut self, a: &NodeId, b: &NodeId) {
        self.flying.remove(&(a.clone(), b.clone()));
        self.flying.remove(&(b.clone(), a.clone()));
    }

    fn up(&mut self, of: &NodeId, peer: &NodeId, up: bool) {
        let peer = peer.clone();
        self.give(of, Input::Link { peer, up });
    }

    /// Steps a node, if it runs, and takes down what it does.
    fn give(&mut self, id: &NodeId, input: Input) {
        if let Some(missed) = self.still.get_mut(id) {
            return missed.push(input);
        }
        let now = self.now;
        let node = self
            .nodes
            .get_mut(id)
            .unwrap_or_else(|| panic!("there is no {id}"));
        let born = node.born;
        let Some(machine) = &mut node.machine else {
            return;
        };
        let mut out = Outbox::default();
        machine.step(input, now - born, &mut out);
        if let Some(whole) = out.compacted {
            self.done
                .push(format!("{id} compacts its log to {} records", whole.len()));
            node.log = whole;
        }
        for record in out.records {
            let text = String::from_utf8_lossy(&record);
            self.done.push(format!("{id} persists {text}"));
            node.log.push(record);
        }
        for (at, timer) in out.timers {
            self.counter += 1;
            self.timers
                .insert((born + at, self.counter, id.clone(), born, timer));
        }
        for (dest, body) in out.messages {
            self.send(id, &dest, body);
        }
    }

    fn send(&mut self, from: &NodeId, dest: &NodeId, body: Body) {
        let dropped = self.is_broken(from, dest);
        let dead = self
            .nodes
            .get(dest)
            .is_some_and(|node| node.machine.is_none());
        if !self.hidden.contains(body.kind()) {
            let lost = if dropped || dead {
                "  (no connection)"
            } else {
                ""
            };
            self.done
                .push(format!("{from} → {dest}  {}{lost}", shown(&body)));
        }
        if self.nodes.contains_key(dest) && !dropped && !dead {
            let link = (from.clone(), dest.clone());
            self.flying.entry(link).or_default().push_back(body);
        }
    }
}

fn message(src: &str, dest: &str, body: Body) -> Message {
    Message {
        src: src.into(),
        dest: dest.into(),
        body,
    }
}

/// A body in one line: its type, and its fields in the order of their names.
fn shown(body: &Body) -> String {
    let mut text = body.kind().to_owned();
    if let Json::Object(fields) = Json::from(body.clone()) {
        for (name, value) in fields.iter().filter(|(name, _)| *name != "type") {
            write!(text, " {name}={value}").unwrap();
        }
    }
    text
}
