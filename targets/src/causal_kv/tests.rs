//! Nodes step by step.

use serde_json::{Value as Json, json};

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

    fn tick(&mut self, by_ms: u64) -> Vec<Message> {
        self.now += by_ms * MILLISECOND;
        self.step(Input::Timer(0))
    }

    /// Starts anew with the first records of the log.
    fn restart(&mut self, records: usize) -> Vec<Message> {
        self.machine = replica(self.id, self.bug);
        self.log.truncate(records);
        for record in &self.log {
            self.machine.recover(record).unwrap();
        }
        self.now = 0;
        self.step(Input::Start)
    }

    fn ask(&mut self, body: Body) -> Vec<Message> {
        self.step(Input::Message(Message {
            src: "c1".into(),
            dest: self.id.into(),
            body: body.with("msg_id", 7),
        }))
    }

    /// Writes in the context of a session, which goes on; what the node sends to others.
    fn write(&mut self, session: &mut Json, key: &str, value: i64) -> Vec<Message> {
        let body = Body::new("write").with("key", key).with("value", value);
        let mut sent = self.ask(body.with("context", session.clone()));
        let at = sent.iter().position(|m| &*m.dest == "c1").unwrap();
        let answer = sent.remove(at).body;
        assert_eq!((answer.kind(), answer.in_reply_to()), ("write_ok", Some(7)));
        *session = answer.json("context").cloned().unwrap();
        sent
    }

    /// Reads in the context of a session; nothing if the node lets it wait.
    fn read(&mut self, session: &mut Json, key: &str) -> Option<Json> {
        let body = Body::new("read").with("key", key);
        let answer = self.ask(body.with("context", session.clone())).pop()?.body;
        *session = answer.json("context").cloned().unwrap();
        Some(answer.json("value").cloned().unwrap_or_default())
    }
}

fn replica(id: &str, bug: Option<Bug>) -> Replica {
    let peers = ["n1", "n2", "n3"].into_iter().filter(|peer| *peer != id);
    Replica::new(id.into(), peers.map(Into::into).collect(), bug)
}

fn three(bug: Option<Bug>) -> [Node; 3] {
    ["n1", "n2", "n3"].map(|id| Node::new(id, bug))
}

fn to(dest: &str, sent: &[Message]) -> Message {
    sent.iter().find(|m| &*m.dest == dest).unwrap().clone()
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

/// n1 writes x; somebody reads it at n2 and writes y; y arrives at n3 before x. What somebody
/// finds there in y and x, and what once x has arrived.
fn effect_before_cause(bug: Option<Bug>) -> [Vec<Option<Json>>; 2] {
    let [mut a, mut b, mut c] = three(bug);
    let (mut alice, mut bob, mut carol) = (json!(null), json!(null), json!(null));
    let x = a.write(&mut alice, "x", 1);
    b.step(Input::Message(to("n2", &x)));
    assert_eq!(b.read(&mut bob, "x"), Some(json!(1)));
    let y = b.write(&mut bob, "y", 2);
    c.step(Input::Message(to("n3", &y)));
    let mut both = |c: &mut Node| vec![c.read(&mut carol, "y"), c.read(&mut carol, "x")];
    let before = both(&mut c);
    c.step(Input::Message(to("n3", &x)));
    [before, both(&mut c)]
}

#[test]
fn an_effect_is_not_shown_before_its_cause() {
    let [before, after] = effect_before_cause(None);
    assert_eq!(before, [Some(Json::Null), Some(Json::Null)]);
    assert_eq!(after, [Some(json!(2)), Some(json!(1))]);
}

#[test]
fn an_effect_is_shown_before_its_cause_if_that_is_planted() {
    let [before, _] = effect_before_cause(Some(Bug::IgnoreDependencies));
    assert_eq!(before, [Some(json!(2)), Some(Json::Null)]);
}

#[test]
fn a_session_that_moves_waits_for_what_it_has_seen_or_is_refused() {
    let [mut a, mut b, _] = three(None);
    let mut session = json!(null);
    let first = a.write(&mut session, "x", 1);
    assert_eq!(b.read(&mut session.clone(), "x"), None);
    let sent = b.step(Input::Message(to("n2", &first)));
    let answer = to("c1", &sent);
    assert_eq!(answer.body.json("value"), Some(&json!(1)));
    // The next write never arrives.
    a.write(&mut session, "x", 2);
    assert_eq!(b.read(&mut session.clone(), "x"), None);
    assert!(!b.tick(100).iter().any(|m| &*m.dest == "c1"));
    let refused = to("c1", &b.tick(100));
    assert_eq!(refused.body.field::<u64>("code"), Ok(11));
    assert_eq!(refused.body.in_reply_to(), Some(7));
}

#[test]
fn lost_writes_are_sent_again_in_order_until_acknowledged() {
    let [mut a, mut b, _] = three(None);
    let mut session = json!(null);
    let mut lost = Vec::new();
    for value in 1..=3 {
        lost = a.write(&mut session, "x", value);
    }
    // The last one alone is held back, and acknowledges nothing.
    let ack = b.step(Input::Message(to("n2", &lost)));
    assert_eq!(ack[0].body.field::<u64>("until"), Ok(0));
    assert_eq!(b.read(&mut json!(null), "x"), Some(Json::Null));
    let again = a.tick(25);
    let ack = b.step(Input::Message(to("n2", &again)));
    assert_eq!(ack[0].body.field::<u64>("until"), Ok(3));
    assert_eq!(b.read(&mut json!(null), "x"), Some(json!(3)));
    // Doubled messages change nothing.
    let log = b.log.len();
    b.step(Input::Message(to("n2", &again)));
    assert_eq!(b.log.len(), log);
    a.step(Input::Message(ack[0].clone()));
    assert!(!a.tick(25).iter().any(|m| &*m.dest == "n2"));
}

#[test]
fn of_concurrent_writes_the_same_one_wins_everywhere() {
    let mut nodes = three(None);
    let mut sent = Vec::new();
    for (at, node) in (1..).zip(&mut nodes) {
        node.now = at * MILLISECOND;
        sent.append(&mut node.write(&mut json!(null), "x", at as i64));
    }
    sent.reverse();
    carry(&mut nodes, sent);
    for node in &mut nodes {
        assert_eq!(node.read(&mut json!(null), "x"), Some(json!(3)));
    }
    // Whoever has seen it writes later, though its clock is behind.
    nodes[0].now = 0;
    let sent = nodes[0].write(&mut json!(null), "x", 4);
    carry(&mut nodes, sent);
    assert_eq!(nodes[2].read(&mut json!(null), "x"), Some(json!(4)));
}

#[test]
fn a_node_killed_after_any_record_keeps_what_it_had_shown_and_the_others_get_its_writes() {
    let mut nodes = three(None);
    let mut session = json!(null);
    for value in 1..=6 {
        let at = value as usize % 3;
        let sent = nodes[at].write(&mut session, "x", value);
        carry(&mut nodes, sent);
    }
    let whole = nodes[0].log.clone();
    assert_eq!(whole.len(), 6);
    for records in 0..=whole.len() {
        let mut node = Node::new("n1", None);
        node.log.clone_from(&whole);
        let sent = node.restart(records);
        let shown = (records > 0).then_some(json!(records));
        assert_eq!(
            node.read(&mut json!(null), "x"),
            Some(shown.unwrap_or_default())
        );
        let mut fresh = Node::new("n2", None);
        let own = (1..=records).filter(|value| value % 3 == 0).count();
        if own > 0 {
            let Json::Array(writes) = to("n2", &sent).body.field("writes").unwrap() else {
                panic!("no writes");
            };
            assert_eq!(writes.len(), own);
            fresh.step(Input::Message(to("n2", &sent)));
        }
    }
}

#[test]
fn a_log_is_written_anew_once_most_of_it_is_obsolete_and_says_the_same() {
    let mut nodes = three(None);
    let mut session = json!(null);
    for value in 1..=11_000 {
        let sent = nodes[0].write(&mut session, "x", value);
        carry(&mut nodes, sent);
    }
    let records = nodes[0].log.len();
    assert!(records < 2_000, "{records}");
    nodes[0].restart(records);
    assert_eq!(
        nodes[0].read(&mut session.clone(), "x"),
        Some(json!(11_000))
    );
    let sent = nodes[0].write(&mut session, "y", 1);
    carry(&mut nodes, sent);
    assert_eq!(nodes[1].read(&mut session.clone(), "y"), Some(json!(1)));
}

#[test]
fn a_node_that_lost_its_clock_shows_an_older_value_than_it_was_told_to_write() {
    for (bug, right) in [(None, true), (Some(Bug::LostClock), false)] {
        let mut node = Node::new("n1", bug);
        node.now = 500 * MILLISECOND;
        node.write(&mut json!(null), "x", 1);
        let records = node.log.len();
        node.restart(records);
        let mut session = json!(null);
        node.write(&mut session, "x", 2);
        assert_eq!(node.read(&mut session, "x") == Some(json!(2)), right);
    }
}

#[test]
fn nonsense_of_peers_is_dropped_and_that_of_clients_refused() {
    let [mut a, ..] = three(None);
    let lies = [
        Body::new("writes"),
        Body::new("writes").with("writes", json!([{ "number": 3 }])),
        Body::new("writes").with(
            "writes",
            json!([{ "number": u64::MAX, "after": {}, "key": 1, "value": 1, "at": [0, 0] }]),
        ),
        Body::new("ack").with("until", u64::MAX),
        Body::new("no-such"),
    ];
    for body in lies {
        let (src, dest) = ("n2".into(), "n1".into());
        a.step(Input::Message(Message { src, dest, body }));
    }
    let mut session = json!({ "n9": 7 });
    a.write(&mut session, "x", 1);
    assert_eq!(a.read(&mut session, "x"), Some(json!(1)));
    let write = |key: &str| Body::new("write").with("key", key);
    for (body, code) in [
        (Body::new("no-such"), 10),
        (Body::new("count").with("key", "x"), 10),
        (write("x"), 12),
        (write("x").with("value", 1).with("context", 3), 12),
        (write("x").with("value", "v".repeat(40_000)), 22),
    ] {
        assert_eq!(a.ask(body)[0].body.field::<u64>("code"), Ok(code));
    }
}

#[test]
fn every_row_names_a_bug() {
    for row in TARGET.bugs {
        assert!(Bug::from_name(row.name).is_some(), "{}", row.name);
    }
}
