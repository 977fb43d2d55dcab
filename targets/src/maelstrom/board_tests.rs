//! The switchboard with ways that do what a test says.

use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::maelstrom::service;

/// Ways that do what they are told, and note what becomes of lines.
#[derive(Default)]
struct Scripted {
    fates: Mutex<Vec<Fate>>,
    lost: Mutex<Vec<&'static str>>,
    left: Mutex<Vec<u64>>,
}

struct ScriptedWay(Arc<Scripted>);

impl Way for ScriptedWay {
    fn enter(&self, _: &[u8]) -> Fate {
        let mut fates = self.0.fates.lock().unwrap();
        match fates.is_empty() {
            true => at_once(),
            false => fates.remove(0),
        }
    }

    fn leave(&self, fate: &Fate, _: usize) -> bool {
        self.0.left.lock().unwrap().push(fate.turn);
        true
    }

    fn lose(&self, _: &Fate, why: &'static str) {
        self.0.lost.lock().unwrap().push(why);
    }
}

struct Ways(Arc<Scripted>);

impl Network for Ways {
    fn way(&self, _: &NodeId, _: &NodeId) -> Option<Arc<dyn Way>> {
        Some(Arc::new(ScriptedWay(Arc::clone(&self.0))))
    }
}

fn at_once() -> Fate {
    late(0, 0)
}

fn late(turn: u64, millis: u64) -> Fate {
    Fate {
        turn,
        arrives: Some(Duration::from_millis(millis)),
        ..Fate::default()
    }
}

struct Fixture {
    board: Board,
    script: Arc<Scripted>,
    dir: tempfile::TempDir,
}

impl Fixture {
    /// Two nodes that run, and the services.
    fn new(is_fifo: bool, fates: Vec<Fate>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = Arc::new(Scripted {
            fates: Mutex::new(fates),
            ..Scripted::default()
        });
        let nodes = ["n1", "n2"].map(|id| {
            let log = Violations::at(&dir.path().join(id), Instant::now());
            (NodeId::from(id), log)
        });
        let services = service::NAMES.map(|name| (name.into(), service::make(name, 1).unwrap()));
        let ways = Ways(Arc::clone(&script));
        let mut board = Board::new(nodes.into(), services.into(), &ways, is_fifo);
        for id in ["n1", "n2"] {
            let at = board.find(id).unwrap();
            board.inlet(at).unwrap().life = 1;
        }
        Self { board, script, dir }
    }

    fn says(&mut self, node: &str, number: u64, line: &str) {
        let at = self.board.find(node).unwrap();
        self.board.heard(at, number, line.as_bytes());
    }

    /// What waits for a node to be read.
    fn for_node(&mut self, node: &str) -> String {
        let at = self.board.find(node).unwrap();
        let bytes = std::mem::take(&mut self.board.inlet(at).unwrap().bytes);
        String::from_utf8(bytes).unwrap()
    }

    fn violations(&self, node: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(node)).unwrap()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a message is due at an instant, which is what is waited for"
    )]
    fn wait(&mut self) {
        while let Some(due) = self.board.next_due() {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            self.board.deliver_due();
        }
    }
}

fn to_n2(n: u64) -> String {
    format!(r#"{{"src":"n1","dest":"n2","body":{{"n":{n}}}}}"#)
}

/// The numbers of the messages in these lines.
fn numbers(lines: &str) -> Vec<u64> {
    let number = |line: &str| {
        let rest = line.split_once("\"n\":").unwrap().1;
        rest.trim_end_matches('}').parse().unwrap()
    };
    lines.lines().map(number).collect()
}

#[test]
fn a_request_reaches_its_node_and_the_answer_its_client() {
    let mut fixture = Fixture::new(false, Vec::new());
    let n1 = fixture.board.find("n1").unwrap();
    let (client, mut answers) = fixture.board.join(false);
    fixture
        .board
        .ask(client, n1, "n1", r#"{"type":"read","msg_id":1}"#);
    assert_eq!(
        fixture.for_node("n1"),
        "{\"id\":0,\"src\":\"c0\",\"dest\":\"n1\",\"body\":{\"type\":\"read\",\"msg_id\":1}}\n"
    );
    let big = r#"{"in_reply_to":1,"value":18446744073709551616}"#;
    fixture.says(
        "n1",
        1,
        &format!(r#"{{"src":"n1","dest":"c0","body":{big}}}"#),
    );
    assert_eq!(&*answers.try_recv().unwrap(), big);
    assert_eq!(fixture.violations("n1"), "");
}

#[test]
fn whoever_answers_a_client_that_is_gone_or_never_was_is_told_and_heard_on() {
    let mut fixture = Fixture::new(false, Vec::new());
    let (client, _answers) = fixture.board.join(false);
    fixture.board.leave(client);
    for (number, dest) in [(1, "c0"), (2, "c1"), (3, "n7"), (4, "clients")] {
        fixture.says(
            "n1",
            number,
            &format!(r#"{{"src":"n1","dest":"{dest}","body":{{}}}}"#),
        );
    }
    fixture.says("n1", 5, &to_n2(5));
    assert_eq!(numbers(&fixture.for_node("n2")), [5]);
    let told = fixture.violations("n1");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 4, "{told}");
    for (line, what) in lines
        .iter()
        .zip(["c0, which is gone", "\"c1\"", "\"n7\"", "\"clients\""])
    {
        assert!(line.contains(what), "{line}");
    }
    assert_eq!(*fixture.script.lost.lock().unwrap(), ["its client is gone"]);
}

#[test]
fn a_node_may_speak_in_the_name_of_another_and_the_other_is_answered() {
    let mut fixture = Fixture::new(false, Vec::new());
    let (_, mut answers) = fixture.board.join(false);
    fixture.says("n1", 1, r#"{"src":"c0","dest":"n2","body":{"n":1}}"#);
    assert!(fixture.for_node("n2").contains("\"src\":\"c0\""));
    fixture.says("n2", 1, r#"{"src":"n2","dest":"c0","body":{"n":2}}"#);
    assert!(answers.try_recv().is_ok());
    assert_eq!(fixture.violations("n1"), "");
}

#[test]
fn messages_overtake_each_other_by_their_latencies() {
    let mut fixture = Fixture::new(false, vec![late(1, 30), late(2, 10), late(3, 20)]);
    (1..=4).for_each(|n| fixture.says("n1", n, &to_n2(n)));
    fixture.wait();
    assert_eq!(numbers(&fixture.for_node("n2")), [4, 2, 3, 1]);
}

#[test]
fn they_do_not_where_that_is_asked_for_but_for_those_that_a_fault_holds_back() {
    let held = Fate {
        is_held: true,
        ..late(2, 40)
    };
    let mut fixture = Fixture::new(true, vec![late(1, 20), held, late(3, 10)]);
    (1..=4).for_each(|n| fixture.says("n1", n, &to_n2(n)));
    fixture.wait();
    assert_eq!(numbers(&fixture.for_node("n2")), [1, 3, 4, 2]);
}

#[test]
fn a_lost_message_never_comes_and_a_doubled_one_twice() {
    let doubled = Fate {
        again: Some(Duration::from_millis(5)),
        ..at_once()
    };
    let mut fixture = Fixture::new(false, vec![Fate::default(), doubled]);
    (1..=2).for_each(|n| fixture.says("n1", n, &to_n2(n)));
    fixture.wait();
    assert_eq!(numbers(&fixture.for_node("n2")), [2, 2]);
}

#[test]
fn what_is_for_a_process_that_does_not_run_is_lost_and_so_is_what_it_does_not_read() {
    let mut fixture = Fixture::new(false, Vec::new());
    let n2 = fixture.board.find("n2").unwrap();
    fixture.board.inlet(n2).unwrap().life = 0;
    fixture.says("n1", 1, &to_n2(1));
    fixture.board.inlet(n2).unwrap().life = 2;
    fixture.board.inlet(n2).unwrap().bytes = vec![0; WAITING_MAX];
    fixture.says("n1", 2, &to_n2(2));
    let lost = fixture.script.lost.lock().unwrap();
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert!(
        lost[0].contains("does not run") && lost[1].contains("does not read"),
        "{lost:?}"
    );
}

#[test]
fn services_answer_whoever_asked() {
    let mut fixture = Fixture::new(false, Vec::new());
    for (n, service, body) in [
        (
            1,
            "lin-kv",
            r#"{"type":"write","key":"x","value":5,"msg_id":1}"#,
        ),
        (2, "lin-kv", r#"{"type":"read","key":"x","msg_id":2}"#),
        (3, "lin-tso", r#"{"type":"ts","msg_id":3}"#),
        (4, "lin-tso", r#"{"type":"ts","msg_id":4}"#),
        (5, "seq-kv", r#"{"type":"read","key":"x","msg_id":5}"#),
    ] {
        fixture.says(
            "n1",
            n,
            &format!(r#"{{"src":"n1","dest":"{service}","body":{body}}}"#),
        );
    }
    let heard = fixture.for_node("n1");
    for expected in [
        r#""type":"write_ok","in_reply_to":1"#,
        r#""in_reply_to":2,"value":5"#,
        r#""in_reply_to":3,"ts":0"#,
        r#""in_reply_to":4,"ts":1"#,
        r#""in_reply_to":5,"code":20"#,
    ] {
        assert!(heard.contains(expected), "{expected}: {heard}");
    }
}
