//! The protocol step by step: who sends what, what is lost, who crashes when.

use std::collections::VecDeque;

use serde_json::{Value as Json, json};
use tribunal_results::NodeId;

use super::machine::TwoPhase;
use super::{Bug, TARGET};
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox};
use crate::transaction::Bank;
use crate::wire::{Body, Message};

/// Three nodes and the messages on their way, which a script delivers or drops.
struct Script {
    nodes: Vec<NodeId>,
    machines: Vec<Option<TwoPhase>>,
    logs: Vec<Vec<Vec<u8>>>,
    flying: VecDeque<Message>,
    answers: Vec<Body>,
    now: Nanos,
}

fn new_machine(nodes: &[NodeId], at: usize) -> TwoPhase {
    TwoPhase::new(nodes[at].clone(), nodes.to_vec(), Bank::default(), None)
}

impl Script {
    /// All nodes have started and know of each other.
    fn new() -> Self {
        let nodes: Vec<NodeId> = ["n1", "n2", "n3"].map(NodeId::from).to_vec();
        let mut script = Self {
            machines: (0..3).map(|n| Some(new_machine(&nodes, n))).collect(),
            nodes,
            logs: vec![Vec::new(); 3],
            flying: VecDeque::new(),
            answers: Vec::new(),
            now: 0,
        };
        for node in 0..3 {
            script.step(node, Input::Start);
        }
        script.deliver_all();
        script
    }

    fn step(&mut self, node: usize, input: Input) {
        let Some(machine) = &mut self.machines[node] else {
            return;
        };
        let mut out = Outbox::default();
        machine.step(input, self.now, &mut out);
        if let Some(whole) = out.compacted {
            self.logs[node] = whole;
        }
        self.logs[node].append(&mut out.records);
        for (dest, body) in out.messages {
            let src = self.nodes[node].clone();
            match self.nodes.contains(&dest) {
                true => self.flying.push_back(Message { src, dest, body }),
                false => self.answers.push(body),
            }
        }
    }

    /// A client asks a node; messages are on their way then.
    fn ask(&mut self, node: usize, body: Json) {
        let message = Message {
            src: "c1".into(),
            dest: self.nodes[node].clone(),
            body: serde_json::from_value(body).unwrap(),
        };
        self.step(node, Input::Message(message));
    }

    /// The types of what is on its way, without heartbeats.
    fn on_their_way(&self) -> Vec<String> {
        let shown = |m: &Message| format!("{} {}", m.body.kind(), m.dest);
        self.flying.iter().map(shown).collect()
    }

    fn deliver(&mut self) {
        if let Some(message) = self.flying.pop_front() {
            let node = self.nodes.iter().position(|id| *id == message.dest);
            self.step(node.unwrap(), Input::Message(message));
        }
    }

    fn deliver_all(&mut self) {
        while !self.flying.is_empty() {
            self.deliver();
        }
    }

    /// Drops all that is on its way to a node.
    fn drop_to(&mut self, node: usize) {
        let id = self.nodes[node].clone();
        self.flying.retain(|message| message.dest != id);
    }

    fn crash(&mut self, node: usize) {
        self.machines[node] = None;
    }

    /// Starts a node from the first so many records of its log.
    fn restart_from(&mut self, node: usize, records: usize) {
        self.logs[node].truncate(records);
        let mut machine = new_machine(&self.nodes, node);
        for record in &self.logs[node] {
            machine.recover(record).unwrap();
        }
        self.machines[node] = Some(machine);
        self.step(node, Input::Start);
        // Everybody greets everybody again.
        for (from, to) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
            let peer = self.nodes[to].clone();
            self.step(from, Input::Link { peer, up: true });
        }
        self.deliver_all();
    }

    fn restart(&mut self, node: usize) {
        self.restart_from(node, usize::MAX);
    }

    /// Time passes: everybody asks again whom it has to.
    fn wait(&mut self) {
        self.now += 150 * MILLISECOND;
        for node in 0..3 {
            self.step(node, Input::Timer(u64::MAX));
            self.step(node, Input::Timer(u64::MAX - 1));
            for number in (0..4).flat_map(|life| (0..4).map(move |n| (life << 40) + n)) {
                self.step(node, Input::Timer(number));
            }
        }
        self.deliver_all();
    }

    fn answer(&mut self) -> Json {
        self.answers.pop().map_or(Json::Null, Json::from)
    }

    /// All that a bank's accounts hold.
    fn balances(&mut self, node: usize) -> String {
        self.ask(node, json!({ "type": "balances", "key": "b", "msg_id": 9 }));
        self.deliver_all();
        let answer = self.answer();
        answer.get("value").unwrap_or(&answer).to_string()
    }
}

/// Moves money between accounts of two nodes: asked at the first node, which has neither.
fn transfer() -> Json {
    let (from, to) = accounts();
    json!({ "type": "transfer", "key": "b", "from": from, "to": to, "amount": 3, "msg_id": 1 })
}

/// An account at the second node, and one at the third.
fn accounts() -> (i64, i64) {
    let nodes: Vec<NodeId> = ["n1", "n2", "n3"].map(NodeId::from).to_vec();
    let machine = new_machine(&nodes, 0);
    let at = |node: usize| {
        let owned = |n: &i64| machine.owner(&format!("b/{n}").into()) == Some(&nodes[node]);
        (0..8).find(owned).unwrap()
    };
    (at(1), at(2))
}

#[test]
fn a_commit_takes_a_vote_of_each_participant_and_then_the_decision() {
    let mut script = Script::new();
    script.ask(0, transfer());
    assert_eq!(script.on_their_way(), ["prepare n2", "prepare n3"]);
    script.deliver();
    script.deliver();
    assert_eq!(script.on_their_way(), ["prepared n1", "prepared n1"]);
    script.deliver();
    assert!(script.answers.is_empty(), "one vote is missing");
    script.deliver();
    assert_eq!(script.on_their_way(), ["commit n2", "commit n3"]);
    assert_eq!(
        script.answer(),
        json!({ "type": "transfer_ok", "in_reply_to": 1 })
    );
    script.deliver_all();
    let balances = script.balances(1);
    assert!(
        balances.contains(",7]") && balances.contains(",13]"),
        "{balances}"
    );
}

#[test]
fn who_meets_a_lock_aborts_and_both_participants_let_go() {
    let mut script = Script::new();
    script.ask(0, transfer());
    script.deliver(); // n2 has promised; n3 has not heard of it yet
    script.ask(1, json!({ "type": "balances", "key": "b", "msg_id": 2 }));
    let refused = script.answers.pop();
    script.deliver_all();
    let refused: Json = refused
        .or_else(|| {
            script
                .answers
                .iter()
                .find(|a| a.in_reply_to() == Some(2))
                .cloned()
        })
        .unwrap()
        .into();
    assert_eq!(refused["code"], 30);
    script.answers.clear();
    assert!(
        script.balances(0).contains(",13]"),
        "the other one went through"
    );
}

#[test]
fn promises_outlast_a_coordinator_that_dies_before_it_decides_and_block_until_it_is_back() {
    let mut script = Script::new();
    script.ask(0, transfer());
    script.deliver();
    script.deliver();
    script.crash(0);
    script.flying.clear();
    for _ in 0..3 {
        script.wait();
        script.flying.clear();
    }
    // Whoever meets these locks can't go on, however long it tries.
    let (from, _) = accounts();
    script.ask(
        1,
        json!({ "type": "write", "key": format!("b/{from}"), "value": 0, "msg_id": 5 }),
    );
    assert_eq!(script.answer()["code"], 30);
    script.restart(0);
    script.wait();
    let balances = script.balances(1);
    assert!(
        !balances.contains(",13]") && !balances.contains("error"),
        "{balances}"
    );
}

#[test]
fn a_decision_that_was_answered_reaches_participants_that_did_not_hear_of_it() {
    let mut script = Script::new();
    script.ask(0, transfer());
    for _ in 0..4 {
        script.deliver();
    }
    assert_eq!(script.answer()["type"], "transfer_ok");
    script.drop_to(1);
    script.drop_to(2);
    for node in 0..3 {
        script.crash(node);
    }
    for node in 0..3 {
        script.restart(node);
    }
    script.wait();
    let balances = script.balances(2);
    assert!(
        balances.contains(",7]") && balances.contains(",13]"),
        "{balances}"
    );
}

/// Each node alone is killed after each of its records, at the end of a transfer whose client was
/// answered unless the coordinator lost its decision. All or nothing is there afterwards.
#[test]
fn a_transfer_is_whole_or_not_at_all_wherever_a_log_ends() {
    let full = {
        let mut script = Script::new();
        script.ask(0, transfer());
        script.deliver_all();
        script.logs.iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert!(full.iter().all(|records| *records >= 3), "{full:?}");
    for (node, records) in full.into_iter().enumerate() {
        // A record is durable before anything is sent that rests on it: so what a log may lack is
        // only what nobody was told. Messages are handed out one by one up to that point.
        for kept in 1..=records {
            let mut script = Script::new();
            script.ask(0, transfer());
            while script.logs[node].len() < kept && !script.flying.is_empty() {
                script.deliver();
            }
            script.crash(node);
            script.drop_to(node);
            script.restart(node);
            script.wait();
            script.wait();
            script.wait();
            script.answers.clear();
            let balances = script.balances(2);
            let (less, more) = (balances.contains(",7]"), balances.contains(",13]"));
            assert_eq!(less, more, "n{} at record {kept}: {balances}", node + 1);
            assert!(!balances.contains("error"), "{balances}");
        }
    }
}

#[test]
fn a_late_message_of_a_transaction_that_has_committed_changes_nothing() {
    let mut script = Script::new();
    script.ask(0, transfer());
    let doubled: Vec<Message> = script.flying.iter().cloned().collect();
    script.deliver_all();
    script.flying.extend(doubled);
    script.deliver_all();
    script.wait();
    script.answers.clear();
    let balances = script.balances(0);
    assert!(
        balances.contains(",7]") && balances.contains(",13]"),
        "{balances}"
    );
}

#[test]
fn nonsense_is_answered_to_clients_and_dropped_from_peers() {
    let mut script = Script::new();
    for body in [
        json!({ "type": "explode", "msg_id": 1 }),
        json!({ "type": "txn", "txn": [["r"]], "msg_id": 1 }),
        json!({ "type": "prepare", "txn": 1, "steps": [], "msg_id": 1 }),
    ] {
        script.ask(0, body.clone());
        assert_eq!(script.answer()["type"], "error", "{body}");
    }
    for body in [
        json!({ "type": "prepare", "txn": -1 }),
        json!({ "type": "prepare", "txn": 1, "steps": [{ "step": "leap", "key": 1 }] }),
        json!({ "type": "prepared", "txn": 77, "seen": [1] }),
        json!({ "type": "commit", "txn": u64::MAX }),
        json!({ "type": "abort" }),
        json!({ "type": "inquire", "txn": "x" }),
    ] {
        let message = Message {
            src: "n2".into(),
            dest: "n1".into(),
            body: serde_json::from_value(body).unwrap(),
        };
        script.step(0, Input::Message(message));
    }
    assert!(script.answers.is_empty());
    script.deliver_all();
    assert!(!script.balances(0).contains("error"));
}

#[test]
fn a_log_that_was_written_anew_says_the_same() {
    let mut script = Script::new();
    // Each write of one node costs it four records.
    let key = "b/0";
    for value in 0..6_000 {
        script.ask(
            0,
            json!({ "type": "write", "key": key, "value": value, "msg_id": 1 }),
        );
        script.deliver_all();
    }
    assert!(script.logs.iter().all(|log| log.len() < 20_002));
    for node in 0..3 {
        script.crash(node);
    }
    for node in 0..3 {
        script.restart(node);
    }
    script.ask(1, json!({ "type": "read", "key": key, "msg_id": 2 }));
    script.deliver_all();
    assert_eq!(script.answer()["value"], 5_999);
}

#[test]
fn every_row_names_a_bug() {
    for row in TARGET.bugs {
        assert!(Bug::from_name(row.name).is_some(), "{}", row.name);
    }
}
