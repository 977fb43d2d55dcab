//! Nodes step by step.

use serde_json::{Value as Json, json};

use super::machine::Node as Machined;
use super::{Bug, TARGET};
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox};
use crate::wire::{Body, Message};

/// Three nodes, their logs, what is on its way, and one clock.
struct Cluster {
    bug: Option<Bug>,
    machines: Vec<Machined>,
    logs: Vec<Vec<Vec<u8>>>,
    /// Nodes that stand still: what arrives there waits.
    paused: Vec<bool>,
    waiting: Vec<Message>,
    /// What clients were answered, the latest last.
    answers: Vec<Body>,
    now: Nanos,
}

const NODES: [&str; 3] = ["n1", "n2", "n3"];

fn machine(id: &str, bug: Option<Bug>) -> Machined {
    Machined::new(
        id.into(),
        NODES.map(Into::into).to_vec(),
        150 * MILLISECOND,
        bug,
    )
}

impl Cluster {
    /// A cluster in which the first node is sure to be the primary.
    fn new(bug: Option<Bug>) -> Self {
        let mut cluster = Self {
            bug,
            machines: NODES.iter().map(|id| machine(id, bug)).collect(),
            logs: vec![Vec::new(); NODES.len()],
            paused: vec![false; NODES.len()],
            waiting: Vec::new(),
            answers: Vec::new(),
            now: 0,
        };
        for at in 0..NODES.len() {
            cluster.step(at, Input::Start);
        }
        cluster.pass(2);
        cluster
    }

    /// Lets something happen, and all that follows from it.
    fn step(&mut self, at: usize, input: Input) {
        let mut out = Outbox::default();
        self.machines[at].step(input, self.now, &mut out);
        if let Some(whole) = out.compacted {
            self.logs[at] = whole;
        }
        self.logs[at].append(&mut out.records);
        for (dest, body) in out.messages {
            let src = NODES[at].into();
            self.arrive(Message { src, dest, body });
        }
    }

    fn arrive(&mut self, message: Message) {
        match NODES.iter().position(|id| **id == *message.dest) {
            None => self.answers.push(message.body),
            Some(at) if self.paused[at] => self.waiting.push(message),
            Some(at) => self.step(at, Input::Message(message)),
        }
    }

    /// So many ticks of every node that doesn't stand still.
    fn pass(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.now += 20 * MILLISECOND;
            for at in 0..NODES.len() {
                if !self.paused[at] {
                    self.step(at, Input::Timer(0));
                }
            }
        }
    }

    fn wake(&mut self, at: usize) {
        self.paused[at] = false;
        for message in std::mem::take(&mut self.waiting) {
            self.arrive(message);
        }
    }

    fn ask(&mut self, at: usize, body: Body) -> Option<Body> {
        let before = self.answers.len();
        let (src, dest) = ("c1".into(), NODES[at].into());
        self.arrive(Message { src, dest, body });
        (self.answers.len() > before).then(|| self.answers.remove(before))
    }

    fn write(&mut self, at: usize, value: i64) -> Option<String> {
        let body = Body::new("write").with("key", "x").with("value", value);
        self.ask(at, body).map(|answer| answer.kind().to_owned())
    }

    fn read(&mut self, at: usize) -> Json {
        let answer = self.ask(at, Body::new("read").with("key", "x")).unwrap();
        answer.json("value").cloned().unwrap_or_default()
    }

    fn reads(&mut self) -> [Json; 3] {
        [0, 1, 2].map(|at| self.read(at))
    }
}

#[test]
fn writes_go_through_the_primary_to_everybody() {
    let mut cluster = Cluster::new(None);
    for (at, value) in [(0, 1), (1, 2), (2, 3)] {
        assert_eq!(cluster.write(at, value).as_deref(), Some("write_ok"));
        assert_eq!(cluster.reads(), [value; 3].map(Json::from));
    }
}

#[test]
fn a_backup_that_stands_still_is_behind_and_catches_up() {
    let mut cluster = Cluster::new(None);
    cluster.paused[2] = true;
    cluster.write(0, 1);
    cluster.pass(30);
    cluster.write(1, 2);
    cluster.wake(2);
    assert_eq!(cluster.reads(), [2; 3].map(Json::from));
    cluster.pass(30);
    assert_eq!(cluster.machines[0].status(cluster.now).role, "primary");
}

#[test]
fn a_primary_that_stood_still_is_succeeded_and_takes_the_new_values_over() {
    let mut cluster = Cluster::new(None);
    cluster.write(0, 1);
    cluster.paused[0] = true;
    cluster.pass(10);
    assert_eq!(cluster.machines[1].status(cluster.now).role, "primary");
    // It is sure of that only once the others agree; the old one does not answer yet.
    cluster.pass(2);
    assert_eq!(cluster.write(2, 2).as_deref(), Some("write_ok"));
    // A client of the old primary, that arrives first, is refused.
    let early = Body::new("write").with("key", "x").with("value", 9);
    let (src, dest) = ("c9".into(), "n1".into());
    cluster.paused[0] = false;
    cluster.arrive(Message {
        src,
        dest,
        body: early,
    });
    assert_eq!(cluster.answers.pop().unwrap().field::<u64>("code"), Ok(11));
    cluster.wake(0);
    cluster.pass(2);
    assert_eq!(cluster.reads(), [2; 3].map(Json::from));
    assert_eq!(cluster.machines[0].status(cluster.now).role, "backup");
}

#[test]
fn an_old_primary_brings_its_values_back_if_that_is_planted() {
    let mut cluster = Cluster::new(Some(Bug::Resurrect));
    cluster.write(0, 1);
    cluster.paused[0] = true;
    cluster.pass(12);
    cluster.write(2, 2);
    cluster.wake(0);
    cluster.pass(2);
    assert_eq!(cluster.reads(), [1; 3].map(Json::from));
}

#[test]
fn a_node_killed_after_any_record_keeps_what_it_had_done() {
    let mut cluster = Cluster::new(None);
    for value in 1..=5 {
        cluster.write(1, value);
    }
    let whole = cluster.logs[1].clone();
    for records in 0..=whole.len() {
        let mut node = machine("n2", cluster.bug);
        for record in &whole[..records] {
            node.recover(record).unwrap();
        }
        let mut out = Outbox::default();
        let body = Body::new("read").with("key", "x");
        let (src, dest) = ("c1".into(), "n2".into());
        node.step(Input::Message(Message { src, dest, body }), 0, &mut out);
        let done = records as i64 - 1;
        let value = out.messages[0].1.json("value").cloned();
        assert_eq!(value, (done > 0).then(|| json!(done)), "{records} records");
    }
}

#[test]
fn nonsense_of_peers_is_dropped_and_that_of_clients_refused() {
    let mut cluster = Cluster::new(None);
    cluster.write(0, 1);
    let lies = [
        Body::new("beat"),
        Body::new("beat")
            .with("view", 2)
            .with("seq", 0)
            .with("round", 0),
        Body::new("entry").with("entry", 3),
        Body::new("state").with("state", json!({ "view": 3, "seq": 9, "registers": [] })),
        Body::new("no-such"),
    ];
    for body in lies {
        let (src, dest) = ("n2".into(), "n1".into());
        cluster.arrive(Message { src, dest, body });
    }
    assert_eq!(cluster.read(0), 1);
    for (body, code) in [
        (Body::new("no-such"), 10),
        (Body::new("count").with("key", "x"), 10),
        (Body::new("write").with("key", "x"), 12),
        (
            Body::new("write")
                .with("key", "x")
                .with("value", "v".repeat(300)),
            22,
        ),
    ] {
        assert_eq!(cluster.ask(0, body).unwrap().field::<u64>("code"), Ok(code));
    }
}

#[test]
fn every_row_names_a_bug() {
    for row in TARGET.bugs {
        assert!(Bug::from_name(row.name).is_some(), "{}", row.name);
    }
}
