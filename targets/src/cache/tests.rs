//! Nodes step by step.

use serde_json::{Value as Json, json};

use super::machine::Node;
use super::{Bug, Options, TARGET};
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox};
use crate::wire::{Body, Message};

const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// Three nodes, what they sent to each other, and one clock.
struct Cluster {
    machines: Vec<Node>,
    sent: Vec<Message>,
    answers: Vec<Body>,
    now: Nanos,
}

impl Cluster {
    fn new(bug: Option<Bug>) -> Self {
        let nodes: Vec<_> = NODES.map(Into::into).to_vec();
        let machine = |id: &&str| Node::new((*id).into(), nodes.clone(), Options::default(), bug);
        let mut cluster = Self {
            machines: NODES.iter().map(machine).collect(),
            sent: Vec::new(),
            answers: Vec::new(),
            now: 0,
        };
        for (at, node) in NODES.iter().enumerate() {
            cluster.step(at, Input::Start);
            for peer in NODES.iter().filter(|peer| *peer != node) {
                let peer = (*peer).into();
                cluster.step(at, Input::Link { peer, up: true });
            }
        }
        cluster
    }

    fn step(&mut self, at: usize, input: Input) {
        let mut out = Outbox::default();
        self.machines[at].step(input, self.now, &mut out);
        for (dest, body) in out.messages {
            let src = NODES[at].into();
            match NODES.contains(&&*dest) {
                true => self.sent.push(Message { src, dest, body }),
                false => self.answers.push(body),
            }
        }
    }

    fn deliver(&mut self, message: Message) {
        if let Some(at) = NODES.iter().position(|id| **id == *message.dest) {
            self.step(at, Input::Message(message));
        }
    }

    /// Delivers everything, and what comes of it.
    fn deliver_all(&mut self) {
        while !self.sent.is_empty() {
            let message = self.sent.remove(0);
            self.deliver(message);
        }
    }

    fn begin(&mut self, at: usize, body: Body) {
        let (src, dest) = ("c1".into(), NODES[at].into());
        self.deliver(Message { src, dest, body });
    }

    fn ask(&mut self, at: usize, body: Body) -> Body {
        self.begin(at, body);
        self.deliver_all();
        self.answers.pop().unwrap()
    }

    fn write(&mut self, at: usize, key: &str, value: impl Into<Json>) -> Body {
        self.ask(at, Body::new("write").with("key", key).with("value", value))
    }

    fn reads(&mut self, key: &str) -> [Option<Json>; 3] {
        [0, 1, 2].map(|at| {
            self.ask(at, Body::new("read").with("key", key))
                .json("value")
                .cloned()
        })
    }

    fn custom(&mut self, at: usize, name: &str, key: &str) -> Body {
        let body = Body::new("custom").with("name", name);
        self.ask(at, body.with("value", json!({ "key": key })))
    }
}

#[test]
fn what_is_written_at_one_node_is_read_at_all_until_it_is_deleted() {
    let mut cluster = Cluster::new(None);
    for (at, key) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(cluster.write(at, key, 7).kind(), "write_ok");
        assert_eq!(cluster.reads(key), [(); 3].map(|()| Some(json!(7))));
        assert_eq!(cluster.custom(2 - at, "delete", key).kind(), "custom_ok");
        assert_eq!(cluster.reads(key), [None, None, None]);
    }
}

#[test]
fn a_write_is_answered_only_once_every_owner_has_it() {
    let mut cluster = Cluster::new(None);
    let body = Body::new("write").with("key", "a").with("value", 1);
    cluster.begin(0, body);
    while let Some(at) = cluster.sent.iter().position(|m| m.body.kind() != "put") {
        let message = cluster.sent.remove(at);
        cluster.deliver(message);
    }
    assert_eq!((cluster.sent.len(), cluster.answers.len()), (1, 0));
    cluster.deliver_all();
    assert_eq!(cluster.answers.pop().unwrap().kind(), "write_ok");
}

#[test]
fn what_arrives_late_does_not_come_back() {
    let mut cluster = Cluster::new(None);
    cluster.begin(0, Body::new("write").with("key", "a").with("value", 1));
    while let Some(at) = cluster.sent.iter().position(|m| m.body.kind() != "put") {
        let message = cluster.sent.remove(at);
        cluster.deliver(message);
    }
    let late = cluster.sent.remove(0);
    cluster.custom(1, "delete", "a");
    cluster.deliver(late);
    cluster.deliver_all();
    assert_eq!(cluster.reads("a"), [None, None, None]);
}

#[test]
fn an_entry_expires_everywhere_unless_that_is_planted() {
    for (bug, later) in [(None, None), (Some(Bug::TtlIgnored), Some(json!(1)))] {
        let mut cluster = Cluster::new(bug);
        cluster.write(0, "a", 1);
        cluster.now = 199 * MILLISECOND;
        assert_eq!(cluster.reads("a"), [(); 3].map(|()| Some(json!(1))));
        cluster.now = 200 * MILLISECOND;
        assert_eq!(cluster.reads("a"), [(); 3].map(|()| later.clone()));
    }
}

#[test]
fn a_replica_that_was_not_told_still_has_what_was_deleted_if_that_is_planted() {
    let mut cluster = Cluster::new(Some(Bug::StaleAfterDelete));
    cluster.write(0, "a", 1);
    cluster.custom(0, "delete", "a");
    assert!(cluster.reads("a").contains(&Some(json!(1))));
}

#[test]
fn a_node_tells_owners_and_room() {
    let mut cluster = Cluster::new(None);
    for n in 0..100 {
        cluster.write(0, &format!("k{n}"), "x".repeat(50));
    }
    for at in 0..3 {
        let told = cluster
            .custom(at, "inspect", "a")
            .json("value")
            .cloned()
            .unwrap();
        assert_eq!(told["owners"].as_array().map(Vec::len), Some(2));
        assert!(told["bytes"].as_u64() <= Some(600) && told["bytes"].as_u64() > Some(400));
        assert!(told["evicted-used"].as_u64() < told["oldest-used"].as_u64());
    }
}

#[test]
fn nonsense_of_peers_is_dropped_and_that_of_clients_refused() {
    let mut cluster = Cluster::new(None);
    for body in [
        Body::new("fetch"),
        Body::new("put").with("number", u64::MAX).with("stamp", "x"),
        Body::new("put_ok").with("number", 77),
        Body::new("changed").with("number", 77),
        Body::new("no-such").with("number", 1),
    ] {
        let (src, dest) = ("n2".into(), "n1".into());
        cluster.deliver(Message { src, dest, body });
    }
    cluster.deliver_all();
    let custom = |name: &str| Body::new("custom").with("name", name);
    for (body, code) in [
        (Body::new("no-such"), 10),
        (Body::new("count").with("key", "x"), 10),
        (custom("delete"), 12),
        (custom("no-such").with("value", json!({ "key": 1 })), 10),
        (
            Body::new("write")
                .with("key", "x")
                .with("value", "v".repeat(70_000)),
            22,
        ),
    ] {
        assert_eq!(cluster.ask(0, body).field::<u64>("code"), Ok(code));
    }
}

#[test]
fn a_restarted_node_has_forgotten_all_and_numbers_beyond_its_earlier_life() {
    let nodes: Vec<_> = NODES.map(Into::into).to_vec();
    let node = || Node::new("n1".into(), nodes.clone(), Options::default(), None);
    let (mut first, mut out) = (node(), Outbox::default());
    first.step(Input::Start, 0, &mut out);
    let mut second = node();
    for record in &out.records {
        second.recover(record).unwrap();
    }
    let stamp = |node: &mut Node| {
        let mut out = Outbox::default();
        for n in 0..40 {
            let body = Body::new("write")
                .with("key", format!("k{n}"))
                .with("value", 1);
            let (src, dest) = ("c1".into(), "n1".into());
            node.step(Input::Message(Message { src, dest, body }), 0, &mut out);
        }
        let stamps = out
            .messages
            .iter()
            .filter_map(|(_, body)| body.field::<u64>("stamp").ok());
        (stamps.clone().min().unwrap(), stamps.max().unwrap())
    };
    second.step(Input::Start, 0, &mut Outbox::default());
    for node in [&mut first, &mut second] {
        for peer in nodes.iter().skip(1).cloned() {
            node.step(Input::Link { peer, up: true }, 0, &mut Outbox::default());
        }
    }
    assert!(stamp(&mut first).1 < stamp(&mut second).0);
}

#[test]
fn every_row_names_a_bug() {
    for row in TARGET.bugs {
        assert!(Bug::from_name(row.name).is_some(), "{}", row.name);
    }
}
