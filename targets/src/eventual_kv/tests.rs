//! Nodes step by step.

use serde_json::json;

use super::machine::Replica;
use super::{Bug, TARGET};
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox};
use crate::wire::{Body, Message};

/// A node with its log, on a clock that the test sets.
struct Node {
    id: &'static str,
    bug: Option<Bug>,
    machine: Replica,
    log: Vec<Vec<u8>>,
    now: Nanos,
}

impl Node {
    fn new(id: &'static str, bug: Option<Bug>) -> Self {
        let mut node = Self {
            id,
            bug,
            machine: replica(id, bug),
            log: Vec::new(),
            now: 0,
        };
        node.step(Input::Start);
        node
    }

    /// Lets something happen; what it sends, without the pings that say nothing.
    fn step(&mut self, input: Input) -> Vec<Message> {
        let mut out = Outbox::default();
        self.machine.step(input, self.now, &mut out);
        if let Some(whole) = out.compacted {
            self.log = whole;
        }
        self.log.append(&mut out.records);
        let sent = out.messages.into_iter().map(|(dest, body)| Message {
            src: self.id.into(),
            dest,
            body,
        });
        sent.collect()
    }

    /// Starts anew with the first records of the log.
    fn restart(&mut self, records: usize) {
        self.machine = replica(self.id, self.bug);
        self.log.truncate(records);
        for record in &self.log {
            self.machine.recover(record).unwrap();
        }
        self.now = 0;
        self.step(Input::Start);
    }

    fn ask(&mut self, body: Body) -> Body {
        let src = "c1".into();
        let dest = self.id.into();
        let mut sent = self.step(Input::Message(Message { src, dest, body }));
        assert_eq!(sent.len(), 1);
        sent.remove(0).body
    }

    fn value(&mut self, kind: &str, key: &str) -> serde_json::Value {
        let answer = self.ask(Body::new(kind).with("key", key));
        answer.json("value").cloned().unwrap_or_default()
    }

    fn update(&mut self, kind: &str, key: &str, value: impl Into<serde_json::Value>) -> Body {
        self.ask(Body::new(kind).with("key", key).with("value", value))
    }
}

fn replica(id: &str, bug: Option<Bug>) -> Replica {
    let peers = ["n1", "n2", "n3"].into_iter().filter(|peer| *peer != id);
    Replica::new(id.into(), peers.map(Into::into).collect(), bug)
}

/// Carries messages, and the answers to them, until nobody says anything more.
fn carry(nodes: &mut [Node], mut messages: Vec<Message>) {
    while !messages.is_empty() {
        let message = messages.remove(0);
        if let Some(node) = nodes.iter_mut().find(|node| *node.id == *message.dest) {
            messages.append(&mut node.step(Input::Message(message)));
        }
    }
}

/// So many rounds of gossip of each node.
fn gossip(nodes: &mut [Node], rounds: usize) {
    for _ in 0..rounds {
        for at in 0..nodes.len() {
            nodes[at].now += 20 * MILLISECOND;
            let sent = nodes[at].step(Input::Timer(0));
            carry(nodes, sent);
        }
    }
}

fn three(bug: Option<Bug>) -> [Node; 3] {
    ["n1", "n2", "n3"].map(|id| Node::new(id, bug))
}

#[test]
fn one_round_pulls_what_the_asker_lacks_and_pushes_what_the_other_one_lacks() {
    let [mut a, mut b, _] = three(None);
    a.update("write", "x", 1);
    b.update("write", "y", 2);
    a.now += 20 * MILLISECOND;
    // Its second digest goes to n2: the first went to n3 when it started.
    let digest = a.step(Input::Timer(0)).remove(0);
    assert_eq!((&*digest.dest, digest.body.kind()), ("n2", "digest"));
    assert_eq!(digest.body.json("seen"), Some(&json!({ "n1": 1 })));
    let answers = b.step(Input::Message(digest));
    let kinds: Vec<&str> = answers.iter().map(|answer| answer.body.kind()).collect();
    assert_eq!(kinds, ["updates", "digest"]);
    let mut pushed = Vec::new();
    for answer in answers {
        pushed.append(&mut a.step(Input::Message(answer)));
    }
    assert_eq!(a.value("read", "y"), 2);
    assert_eq!(pushed.len(), 1);
    assert_eq!(b.step(Input::Message(pushed.remove(0))), []);
    assert_eq!(b.value("read", "x"), 1);
}

#[test]
fn updates_after_a_gap_are_not_taken_up_and_repeated_ones_change_nothing() {
    let [mut a, mut b, _] = three(None);
    let digest = |node: &mut Node| {
        node.now += 20 * MILLISECOND;
        let mut sent = node.step(Input::Timer(0));
        sent.append(&mut node.step(Input::Timer(0)));
        sent.retain(|message| &*message.dest == "n1");
        sent.remove(0)
    };
    a.update("increment", "c", 1);
    let first = a.step(Input::Message(digest(&mut b))).remove(0);
    b.step(Input::Message(first.clone()));
    assert_eq!(b.value("count", "c"), 1);
    a.update("increment", "d", 5);
    let second = a.step(Input::Message(digest(&mut b))).remove(0);
    // A node that has not seen the first can't take the second up.
    let mut late = Node::new("n3", None);
    late.step(Input::Message(second.clone()));
    assert_eq!(late.value("count", "d"), 0);
    late.step(Input::Message(first.clone()));
    late.step(Input::Message(second.clone()));
    let log = late.log.len();
    late.step(Input::Message(first));
    late.step(Input::Message(second));
    assert_eq!(
        (late.value("count", "c"), late.value("count", "d")),
        (1.into(), 5.into())
    );
    assert_eq!(late.log.len(), log);
}

#[test]
fn the_latest_write_wins_everywhere_and_increments_add_up() {
    let mut nodes = three(None);
    for (at, node) in (1..).zip(&mut nodes) {
        node.now = at * MILLISECOND;
        node.update("write", "x", at);
        node.update("increment", "c", at);
        node.update("increment", "c", -1);
    }
    gossip(&mut nodes, 3);
    for node in &mut nodes {
        assert_eq!(node.value("read", "x"), 3, "{}", node.id);
        assert_eq!(node.value("count", "c"), 3, "{}", node.id);
    }
    // A write that follows a read is later, whatever the clocks say.
    nodes[0].now = 0;
    nodes[0].update("write", "x", 4);
    gossip(&mut nodes, 3);
    assert_eq!(nodes[2].value("read", "x"), 4);
}

#[test]
fn a_removal_takes_back_what_it_saw_and_no_concurrent_addition() {
    let mut nodes = three(None);
    for value in ["a", "b"] {
        nodes[0].update("add", "s", value);
    }
    gossip(&mut nodes, 3);
    nodes[0].update("add", "s", "b");
    for value in ["a", "b"] {
        let removed = nodes[1].update("remove", "s", value);
        assert_eq!(removed.json("value"), Some(&json!(true)));
    }
    assert_eq!(nodes[1].value("members", "s"), json!([]));
    gossip(&mut nodes, 3);
    for node in &mut nodes {
        assert_eq!(node.value("members", "s"), json!(["b"]), "{}", node.id);
    }
    let again = nodes[2].update("remove", "s", "a");
    assert_eq!(again.json("value"), Some(&json!(false)));
}

#[test]
fn a_node_killed_after_any_record_keeps_what_it_had_and_gets_the_rest() {
    let mut nodes = three(None);
    for round in 0..4 {
        for (at, node) in (0..).zip(&mut nodes) {
            node.update("write", "x", round * 10 + at);
            node.update("add", "s", round * 10 + at);
            node.update("remove", "s", (round - 1) * 10 + at);
            node.update("increment", "c", 1);
        }
        gossip(&mut nodes, 2);
    }
    let whole = nodes[0].log.clone();
    let settled = nodes.each_mut().map(|node| node.value("members", "s"));
    for records in 0..=whole.len() {
        let made = whole[..records].iter().filter(|record| {
            let text = String::from_utf8_lossy(record);
            text.contains("increment") && text.contains("\"made\"")
        });
        let made = made.count();
        let mut node = Node::new("n1", None);
        node.log.clone_from(&whole);
        node.restart(records);
        let count = node.value("count", "c").as_u64().unwrap();
        assert!(count >= made as u64, "{records} records: {count} of {made}");
        if records == whole.len() {
            assert_eq!(node.value("members", "s"), settled[0]);
        }
    }
}

#[test]
fn a_log_is_written_anew_once_most_of_it_is_obsolete_and_says_the_same() {
    let mut node = Node::new("n1", None);
    for value in 0..12_000 {
        node.update("write", "x", value);
    }
    assert!(node.log.len() < 10_100, "{}", node.log.len());
    let records = node.log.len();
    node.restart(records);
    assert_eq!(node.value("read", "x"), 11_999);
    // Its numbers go on, so that others take up what it does now.
    node.update("write", "y", 1);
    let mut nodes = [node, Node::new("n2", None)];
    gossip(&mut nodes, 3);
    assert_eq!(nodes[1].value("read", "y"), 1);
}

#[test]
fn identifiers_differ_between_nodes_and_lives() {
    let [mut a, mut b, _] = three(None);
    let mut all = vec![
        a.value("generate", "g"),
        a.value("generate", "h"),
        b.value("generate", "g"),
    ];
    let records = a.log.len();
    a.restart(records);
    all.push(a.value("generate", "g"));
    for (at, one) in all.iter().enumerate() {
        assert!(one.is_string() && !all[..at].contains(one), "{all:?}");
    }
}

#[test]
fn a_node_that_keeps_its_own_never_agrees() {
    let mut nodes = three(Some(Bug::KeepMine));
    for (at, node) in (0..).zip(&mut nodes) {
        node.update("write", "x", at);
    }
    gossip(&mut nodes, 5);
    let values = nodes.each_mut().map(|node| node.value("read", "x"));
    assert_eq!(values, [0, 1, 2].map(serde_json::Value::from));
}

#[test]
fn a_peer_that_was_lost_is_gossiped_with_again_unless_that_is_planted() {
    for (bug, agree) in [(None, true), (Some(Bug::NoGossipAfterHeal), false)] {
        let mut nodes = three(bug);
        gossip(&mut nodes, 3);
        for node in &mut nodes {
            node.now += 1_000 * MILLISECOND;
            node.update("add", "s", node.id);
        }
        gossip(&mut nodes, 5);
        let sizes = nodes
            .each_mut()
            .map(|node| node.value("members", "s").as_array().map_or(0, Vec::len));
        assert_eq!(sizes == [3; 3], agree, "{bug:?}: {sizes:?}");
    }
}

#[test]
fn nonsense_of_peers_is_dropped_and_that_of_clients_refused() {
    let [mut a, ..] = three(None);
    let from = |src: &str, body: Body| {
        Input::Message(Message {
            src: src.into(),
            dest: "n1".into(),
            body,
        })
    };
    let lies = [
        Body::new("digest"),
        Body::new("digest")
            .with("seen", json!({ "n1": u64::MAX, "n9": 3 }))
            .with("asks", true),
        Body::new("updates").with("delta", 3),
        Body::new("updates").with(
            "delta",
            json!({ "since": {}, "until": { "n1": 9, "n7": 1 }, "updates": [] }),
        ),
        Body::new("no-such"),
    ];
    for lie in lies {
        a.step(from("n2", lie));
    }
    a.update("write", "x", 1);
    assert_eq!(a.value("read", "x"), 1);
    for (body, code) in [
        (Body::new("no-such"), 10),
        (Body::new("write").with("key", "x"), 12),
        (
            Body::new("cas")
                .with("key", "x")
                .with("from", 1)
                .with("to", 2),
            10,
        ),
        (
            Body::new("write")
                .with("key", "x")
                .with("value", "v".repeat(40_000)),
            22,
        ),
    ] {
        assert_eq!(a.ask(body).field::<u64>("code"), Ok(code));
    }
    a.update("increment", "c", i64::MIN);
    a.update("increment", "c", i64::MIN);
    assert_eq!(
        a.update("increment", "c", i64::MIN).field::<u64>("code"),
        Ok(22)
    );
    assert_eq!(a.value("count", "c"), i64::MIN);
}

#[test]
fn every_row_names_a_bug() {
    for row in TARGET.bugs {
        assert!(Bug::from_name(row.name).is_some(), "{}", row.name);
    }
}
