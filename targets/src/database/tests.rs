//! The protocol step by step: who sends what, what is lost, who crashes when; and what each level
//! lets two transactions do to each other.

use std::collections::VecDeque;

use serde_json::{Value as Json, json};
use tribunal_results::NodeId;

use super::machine::Database;
use super::{Bug, Options, TARGET};
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox};
use crate::wire::{Body, Message};

/// Nodes and the messages on their way, which a script delivers or drops. Time passes by hand.
struct Script {
    options: Json,
    nodes: Vec<NodeId>,
    machines: Vec<Database>,
    logs: Vec<Vec<Vec<u8>>>,
    flying: VecDeque<Message>,
    timers: Vec<(Nanos, usize, u64)>,
    answers: Vec<Body>,
    now: Nanos,
}

impl Script {
    fn new(options: Json) -> Self {
        let nodes: Vec<NodeId> = ["n1", "n2", "n3"].map(NodeId::from).to_vec();
        let mut script = Self {
            options,
            machines: Vec::new(),
            nodes,
            logs: vec![Vec::new(); 3],
            flying: VecDeque::new(),
            timers: Vec::new(),
            answers: Vec::new(),
            now: 0,
        };
        script.machines = (0..3).map(|node| script.machine(node)).collect();
        for node in 0..3 {
            script.step(node, Input::Start);
        }
        script.deliver_all();
        script
    }

    fn of_level(level: &str) -> Self {
        Self::new(json!({ "level": level }))
    }

    fn machine(&self, node: usize) -> Database {
        let options = Options::read(&self.options).unwrap();
        Database::new(self.nodes[node].clone(), self.nodes.clone(), &options, None)
    }

    fn step(&mut self, node: usize, input: Input) {
        let mut out = Outbox::default();
        self.machines[node].step(input, self.now, &mut out);
        if let Some(whole) = out.compacted {
            self.logs[node] = whole;
        }
        self.logs[node].append(&mut out.records);
        let timers = out.timers.into_iter();
        self.timers.extend(timers.map(|(at, id)| (at, node, id)));
        for (dest, body) in out.messages {
            let src = self.nodes[node].clone();
            match self.nodes.contains(&dest) {
                true => self.flying.push_back(Message { src, dest, body }),
                false => self.answers.push(body),
            }
        }
    }

    fn tell(&mut self, src: &str, node: usize, body: Json) {
        let message = Message {
            src: src.into(),
            dest: self.nodes[node].clone(),
            body: serde_json::from_value(body).unwrap(),
        };
        self.step(node, Input::Message(message));
    }

    fn ask(&mut self, node: usize, body: Json) {
        self.tell("c1", node, body);
    }

    /// Asks for a transaction, with its first step done.
    fn txn(&mut self, node: usize, steps: Json) {
        self.ask(node, json!({ "type": "txn", "txn": steps, "msg_id": 1 }));
    }

    fn deliver_all(&mut self) {
        while let Some(message) = self.flying.pop_front() {
            let node = self.nodes.iter().position(|id| *id == message.dest);
            self.step(node.unwrap(), Input::Message(message));
        }
    }

    /// So much time passes; what it brings about is on its way then.
    fn pass(&mut self, ms: u64) {
        self.now += ms * MILLISECOND;
        let now = self.now;
        let (due, later) = self.timers.drain(..).partition(|(at, ..)| *at <= now);
        self.timers = later;
        let mut due: Vec<_> = due;
        due.sort_unstable();
        for (_, node, id) in due {
            self.step(node, Input::Timer(id));
        }
    }

    /// Everything that can happen does.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.deliver_all();
            self.pass(2);
        }
        self.deliver_all();
    }

    fn restart(&mut self, node: usize) {
        self.timers.retain(|(_, of, _)| *of != node);
        self.machines[node] = self.machine(node);
        for record in &self.logs[node] {
            self.machines[node].recover(record).unwrap();
        }
        self.step(node, Input::Start);
    }

    fn answer(&mut self) -> Json {
        self.answers.pop().map_or(Json::Null, Json::from)
    }

    /// What a node reads, when nothing else happens.
    fn read(&mut self, node: usize, key: &str) -> Json {
        self.settle();
        self.answers.clear();
        self.ask(node, json!({ "type": "read", "key": key, "msg_id": 9 }));
        self.settle();
        let answer = self.answer();
        answer.get("value").cloned().unwrap_or(answer)
    }

    /// Two transactions at two nodes that both begin before either goes on: how they end.
    fn both(&mut self, one: Json, other: Json) -> [bool; 2] {
        self.txn(1, one);
        self.txn(2, other);
        self.settle();
        let ok = |body: &Body| body.kind() == "txn_ok";
        assert_eq!(self.answers.len(), 2);
        let ends = [ok(&self.answers[0]), ok(&self.answers[1])];
        self.answers.clear();
        ends
    }
}

#[test]
fn a_write_is_certified_by_the_primary_and_then_told_to_all() {
    let mut script = Script::of_level("snapshot-isolation");
    script.ask(
        1,
        json!({ "type": "write", "key": "x", "value": 5, "msg_id": 1 }),
    );
    let kinds = |script: &Script| {
        let shown = |m: &Message| format!("{} {}", m.body.kind(), m.dest);
        script.flying.iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&script), ["certify n1"]);
    let certify = script.flying.pop_front().unwrap();
    script.step(0, Input::Message(certify.clone()));
    assert_eq!(kinds(&script), ["commits n2", "commits n3", "certified n2"]);
    // What the node heard of certification alone is not enough: its copy must have it.
    let certified = script.flying.pop_back().unwrap();
    script.step(1, Input::Message(certified));
    assert!(script.answers.is_empty());
    script.deliver_all();
    assert_eq!(
        script.answer(),
        json!({ "type": "write_ok", "in_reply_to": 1 })
    );
    // Asked again, the primary knows that it has committed.
    script.step(0, Input::Message(certify));
    assert_eq!(kinds(&script), ["certified n2"]);
    assert_eq!(script.read(2, "x"), 5);
}

#[test]
fn of_two_that_read_and_write_the_same_only_levels_without_check_let_both_commit() {
    let increment = |value: i64| json!([["r", "x", null], ["w", "x", value]]);
    for (level, expected) in [
        ("strict-serializable", 1),
        ("serializable", 1),
        ("snapshot-isolation", 1),
        ("read-atomic", 2),
        ("read-committed", 2),
    ] {
        let ends = Script::of_level(level).both(increment(1), increment(2));
        let committed = ends.iter().filter(|ok| **ok).count();
        assert_eq!(committed, expected, "lost update at {level}");
    }
}

#[test]
fn of_two_that_write_what_the_other_reads_only_serializable_levels_refuse_one() {
    for (level, expected) in [
        ("strict-serializable", 1),
        ("serializable", 1),
        ("snapshot-isolation", 2),
        ("read-atomic", 2),
    ] {
        let one = json!([["r", "x", null], ["w", "y", 1]]);
        let other = json!([["r", "y", null], ["w", "x", 2]]);
        let ends = Script::of_level(level).both(one, other);
        let committed = ends.iter().filter(|ok| **ok).count();
        assert_eq!(committed, expected, "write skew at {level}");
    }
}

#[test]
fn only_read_committed_and_weaker_see_half_of_what_commits_meanwhile() {
    for (level, second) in [
        ("serializable", json!(null)),
        ("read-atomic", json!(null)),
        ("read-committed", json!(2)),
        ("read-uncommitted", json!(2)),
    ] {
        let mut script = Script::of_level(level);
        // One step in, the commit of both keys arrives.
        script.txn(2, json!([["r", "x", null], ["r", "y", null]]));
        script.tell(
            "n1",
            2,
            json!({ "type": "commits", "after": 0, "newest": 1,
            "commits": [[["x", 1], ["y", 2]]] }),
        );
        script.pass(2);
        assert_eq!(
            script.answer()["txn"],
            json!([["r", "x", null], ["r", "y", second]]),
            "{level}"
        );
    }
}

#[test]
fn only_read_uncommitted_sees_what_may_still_abort() {
    for (level, seen) in [
        ("read-committed", json!(null)),
        ("read-uncommitted", json!(1)),
    ] {
        let mut script = Script::of_level(level);
        script.txn(1, json!([["w", "x", 1], ["w", "y", 2]]));
        script.ask(
            1,
            json!({ "type": "txn", "txn": [["r", "x", null]], "msg_id": 2 }),
        );
        assert_eq!(script.answer()["txn"], json!([["r", "x", seen]]), "{level}");
    }
}

#[test]
fn only_strict_serializability_notices_that_a_copy_is_old() {
    for (level, stale) in [("strict-serializable", false), ("serializable", true)] {
        let mut script = Script::of_level(level);
        script.ask(
            0,
            json!({ "type": "write", "key": "x", "value": 1, "msg_id": 1 }),
        );
        // What n3 should hear of it is lost.
        script.flying.clear();
        script.ask(
            2,
            json!({ "type": "txn", "txn": [["r", "x", null]], "msg_id": 2 }),
        );
        script.deliver_all();
        let answer = script.answer();
        match stale {
            true => assert_eq!(answer["txn"], json!([["r", "x", null]])),
            false => assert_eq!(answer["code"], 30, "{answer}"),
        }
        assert_eq!(script.read(2, "x"), 1, "missed commits are fetched");
    }
}

/// All nodes lose all but a beginning of their logs, as long as nothing was sent that rests on
/// the rest.
#[test]
fn what_was_answered_is_there_wherever_a_primary_dies() {
    for steps in 0..40 {
        let mut script = Script::of_level("serializable");
        let mut acknowledged = 0;
        for value in 1..=3 {
            let body = json!({ "type": "txn", "txn": [["append", "l", value]], "msg_id": value });
            script.ask(1, body);
        }
        for _ in 0..steps {
            if let Some(message) = script.flying.pop_front() {
                let node = script.nodes.iter().position(|id| *id == message.dest);
                script.step(node.unwrap(), Input::Message(message));
            }
        }
        acknowledged += script
            .answers
            .iter()
            .filter(|a| a.kind() == "txn_ok")
            .count();
        // What was on its way to and from the primary goes with it.
        script.flying.clear();
        script.restart(0);
        script.settle();
        script.answers.clear();
        script.ask(
            2,
            json!({ "type": "txn", "txn": [["r", "l", null]], "msg_id": 7 }),
        );
        script.settle();
        let answer = script.answer();
        let list = answer["txn"][0][2].as_array().map_or(0, Vec::len);
        assert!(
            list >= acknowledged,
            "{steps}: {answer} after {acknowledged}"
        );
    }
}

/// What no primary can do, asked by a node whose copy is another one.
fn overdraft(txn: u64) -> Json {
    json!({ "type": "certify", "txn": txn, "unchanged": [],
        "steps": [{ "step": "add", "key": "b/1", "by": -11, "opening": 10 }] })
}

#[test]
fn every_beginning_of_the_primarys_log_is_one_of_the_database() {
    let mut script = Script::of_level("serializable");
    for value in 1..=4 {
        script.ask(
            1,
            json!({ "type": "txn", "txn": [["append", "l", value]], "msg_id": 1 }),
        );
        script.settle();
    }
    script.tell("n2", 0, overdraft(77));
    let full = script.logs[0].clone();
    assert_eq!(
        full.len(),
        6,
        "a start, four commits, and a refusal for good"
    );
    for kept in 0..=full.len() {
        let mut script = Script::of_level("serializable");
        script.logs[0] = full[..kept].to_vec();
        script.restart(0);
        script.restart(1);
        script.restart(2);
        script.settle();
        script.ask(
            2,
            json!({ "type": "txn", "txn": [["r", "l", null]], "msg_id": 7 }),
        );
        script.settle();
        let expected: Vec<u64> = (1..=kept.saturating_sub(1).min(4) as u64).collect();
        let seen = script.answer()["txn"][0][2].clone();
        let expected = if expected.is_empty() {
            Json::Null
        } else {
            json!(expected)
        };
        assert_eq!(seen, expected, "{kept} records");
    }
}

#[test]
fn nodes_join_and_leave_while_it_runs() {
    let mut script = Script::new(json!({ "level": "serializable", "spares": 1 }));
    script.ask(
        1,
        json!({ "type": "write", "key": "x", "value": 1, "msg_id": 1 }),
    );
    script.settle();
    script.answers.clear();
    assert_eq!(script.read(2, "x")["code"], 11, "a spare does not serve");
    let admin = |name: &str, node: &str| json!({ "type": "custom", "name": name, "value": { "node": node }, "msg_id": 4 });
    script.ask(1, admin("add-node", "n3"));
    assert_eq!(
        script.answer()["code"],
        11,
        "only the primary takes nodes in"
    );
    script.ask(0, admin("add-node", "n9"));
    assert_eq!(script.answer()["code"], 12);
    script.ask(0, admin("add-node", "n3"));
    assert_eq!(script.answer()["type"], "custom_ok");
    assert_eq!(script.read(2, "x"), 1);
    script.ask(
        2,
        json!({ "type": "write", "key": "x", "value": 2, "msg_id": 1 }),
    );
    assert_eq!(script.read(1, "x"), 2);
    script.ask(0, admin("remove-node", "n3"));
    script.restart(0);
    script.ask(
        2,
        json!({ "type": "write", "key": "x", "value": 3, "msg_id": 1 }),
    );
    assert_eq!(
        script.read(1, "x"),
        2,
        "the primary refuses whom it has removed"
    );
    assert_eq!(script.read(2, "x")["code"], 11);
    script.ask(0, admin("remove-node", "n1"));
    assert_eq!(script.answer()["code"], 22);
}

#[test]
fn refusals_do_not_make_the_log_grow_for_ever() {
    let mut script = Script::of_level("serializable");
    script.ask(
        0,
        json!({ "type": "write", "key": "x", "value": 1, "msg_id": 1 }),
    );
    script.settle();
    for txn in 0..20_050 {
        script.tell("n2", 0, overdraft(txn));
    }
    script.flying.clear();
    let records = script.logs[0].len();
    assert!((10_000..11_000).contains(&records), "{records}");
    script.restart(0);
    assert_eq!(script.read(0, "x"), 1);
}

#[test]
fn nonsense_is_answered_to_clients_and_dropped_from_peers() {
    let mut script = Script::of_level("serializable");
    for body in [
        json!({ "type": "explode", "msg_id": 1 }),
        json!({ "type": "txn", "txn": [["r"]], "msg_id": 1 }),
        json!({ "type": "custom", "name": "dance", "value": { "node": "n2" }, "msg_id": 1 }),
        json!({ "type": "certify", "txn": 1, "unchanged": [], "steps": [], "msg_id": 1 }),
    ] {
        script.ask(0, body.clone());
        assert_eq!(script.answer()["type"], "error", "{body}");
    }
    for body in [
        json!({ "type": "certify", "txn": -1 }),
        json!({ "type": "certify", "txn": 1, "unchanged": [["x"]], "steps": [] }),
        json!({ "type": "fetch", "after": u64::MAX, "life": 3 }),
        json!({ "type": "commits", "after": u64::MAX, "newest": 0, "commits": [[]] }),
        json!({ "type": "certified", "txn": 5, "version": u64::MAX }),
        json!({ "type": "refused", "txn": 5 }),
    ] {
        script.tell("n2", 0, body.clone());
        script.tell("n1", 1, body);
    }
    assert!(script.answers.is_empty());
    script.ask(
        1,
        json!({ "type": "write", "key": "x", "value": 1, "msg_id": 1 }),
    );
    assert_eq!(script.read(2, "x"), 1);
}

#[test]
fn every_row_names_a_bug_and_wrong_options_are_refused() {
    for row in TARGET.bugs {
        assert!(Bug::from_name(row.name).is_some(), "{}", row.name);
    }
    for (options, path) in [
        (json!({ "level": "best" }), "level"),
        (json!({ "step_ms": 1_001 }), "step_ms"),
        (json!({ "accounts": 0 }), "accounts"),
        (json!({ "balance": -1 }), "balance"),
    ] {
        assert_eq!(Options::read(&options).err().unwrap().path, path);
    }
}

#[test]
fn a_condition_is_decided_by_the_primary_however_old_the_copy_is() {
    let mut script = Script::of_level("strict-serializable");
    let write = json!({ "type": "write", "key": "x", "value": 1, "msg_id": 1 });
    script.ask(0, write);
    // What n3 should hear of it is lost; so that x is not 1 must not be said there.
    script.flying.clear();
    script.answers.clear();
    let cas = json!({ "type": "cas", "key": "x", "from": 1, "to": 2, "msg_id": 2 });
    script.ask(2, cas.clone());
    script.deliver_all();
    assert_eq!(script.answer()["code"], 30);
    script.settle();
    script.ask(2, cas.clone());
    script.settle();
    assert_eq!(script.answer()["type"], "cas_ok");
    script.ask(1, cas);
    script.settle();
    assert_eq!(script.answer()["code"], 22);
}
