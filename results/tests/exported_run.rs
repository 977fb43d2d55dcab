//! One small run with everything in it, as each format tells it: which of two faults did what, which
//! state a node was in until when, how each operation ended, and nothing that moves a terminal.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value as Json, json};
use tribunal_results::event::{Body, Event, Process};
use tribunal_results::export::{self, Exported};
use tribunal_results::fault::{FaultEvent, LeaderEvent, NodeEvent, NodeState, Phase};
use tribunal_results::journal::Header;
use tribunal_results::{Answer, History, Operation, Outcome, Reason};

const HOSTILE: &str = "no \"answer\" \\ \u{1b}[31m\u{9b}2J";

fn fault(id: u64, phase: Phase, bit: Option<bool>) -> Body {
    Body::Fault(FaultEvent {
        fault: "pause".into(),
        id,
        phase,
        nodes: vec!["n1".into()],
        links: Vec::new(),
        what: format!("pause {id}"),
        skipped: (id == 2).then(|| "n1 is down".to_owned()),
        proof: Json::Null,
        bit,
        injection: Json::Null,
    })
}

fn node(state: NodeState) -> Body {
    Body::Node(NodeEvent {
        node: "n1".into(),
        state,
        pid: None,
        detail: String::new(),
    })
}

fn leads(leads: bool) -> Body {
    Body::Leader(LeaderEvent {
        node: "n1".into(),
        leads,
        detail: String::new(),
    })
}

/// An event every 1,000 ns: two faults that overlap and one that is skipped; a write that nobody
/// knows of, by process 0, and a read of nothing by process 1.
fn run() -> History {
    let write = || Operation::Write {
        key: "k".into(),
        value: 7.into(),
    };
    let read = || Operation::Read { key: "k".into() };
    let unknown = Outcome::Info(Reason::new("timeout", HOSTILE));
    let mut events = Vec::new();
    for (client, body) in [
        (None, node(NodeState::Ready)),
        (None, leads(true)),
        (Some(0), Body::Invoke(write())),
        (Some(1), Body::Invoke(read())),
        (None, fault(0, Phase::Inject, None)),
        (None, fault(1, Phase::Inject, None)),
        (None, fault(2, Phase::Inject, None)),
        (None, fault(2, Phase::Injected, None)),
        (None, node(NodeState::Paused)),
        (None, leads(false)),
        (
            Some(1),
            Body::Complete(read(), Outcome::Ok(Answer::Value(None))),
        ),
        (Some(0), Body::Complete(write(), unknown)),
        (None, fault(0, Phase::Healed, Some(true))),
        (None, node(NodeState::Ready)),
        (None, fault(1, Phase::Healed, Some(false))),
    ] {
        let index = events.len() as u64;
        events.push(Event {
            index,
            time: index * 1_000,
            process: client.map_or(Process::Nemesis, Process::Client),
            node: client.map(|_| "n1".into()),
            body,
        });
    }
    History::from_events(events).unwrap()
}

fn exported(format: &str) -> String {
    let history = run();
    let header = Header::new(None, vec!["n1".into()]);
    let what = Exported {
        header: &header,
        history: &history,
        clients: Some(2),
    };
    let mut bytes = Vec::new();
    export::write(export::find(format).unwrap(), &mut bytes, &what).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn trace() -> Vec<Json> {
    let trace: Json = serde_json::from_str(&exported("trace")).unwrap();
    trace["traceEvents"].as_array().unwrap().clone()
}

/// The slices of a name: from when to when, in microseconds.
fn slices(trace: &[Json], name: &str) -> Vec<(f64, f64)> {
    let such = trace.iter().filter(|e| e["ph"] == "X" && e["name"] == name);
    let times = such.map(|e| (e["ts"].as_f64().unwrap(), e["dur"].as_f64().unwrap()));
    times.map(|(from, lasts)| (from, from + lasts)).collect()
}

#[test]
fn a_trace_says_how_each_operation_ended() {
    let trace = trace();
    let unknown = trace.iter().find(|e| e["cat"] == "info").unwrap();
    let name = unknown["name"].as_str().unwrap();
    assert!(name.starts_with("? write"), "{name}");
    assert_eq!(slices(&trace, name), [(2.0, 11.0)]);
    let of = |category: &str| trace.iter().find(|e| e["cat"] == category).unwrap();
    assert_eq!(of("info")["args"]["outcome"], "info");
    assert_eq!(
        (&of("info")["tid"], &of("ok")["tid"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(of("ok")["args"]["node"], "n1");
}

#[test]
fn a_state_lasts_until_the_next_and_a_leader_until_another_leads() {
    let trace = trace();
    assert_eq!(slices(&trace, "ready"), [(0.0, 8.0), (13.0, 14.0)]);
    assert_eq!(slices(&trace, "paused"), [(8.0, 13.0)]);
    assert_eq!(slices(&trace, "leader"), [(1.0, 9.0)]);
}

#[test]
fn faults_that_overlap_are_told_apart_each_with_its_effect() {
    let trace = trace();
    let of = |phase: &str, id: u64| {
        let mut such = trace.iter().filter(|e| e["ph"] == phase && e["id"] == id);
        let found = such.next().unwrap();
        assert_eq!(such.count(), 0, "{phase} {id}");
        found
    };
    for (id, from, to, effect) in [(0, 4.0, 12.0, "bit"), (1, 5.0, 14.0, "had no effect")] {
        assert_eq!(of("b", id)["ts"], from);
        assert_eq!(of("e", id)["ts"], to);
        assert_eq!(of("b", id)["args"]["effect"], effect);
        assert_eq!(of("b", id)["name"], format!("pause {id}"));
    }
    assert_eq!(of("b", 2)["args"]["effect"], "skipped");
}

#[test]
fn jepsens_files_have_every_event_of_the_run_in_order() {
    let edn = exported("jepsen-edn");
    let lines: Vec<&str> = edn.lines().collect();
    assert_eq!(lines.len(), 15, "{edn}");
    for (index, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&format!("{{:index {index}, ")), "{line}");
        assert!(line.contains(&format!(":time {}", index * 1_000)), "{line}");
    }
    let nemesis = ":process :nemesis, :f :pause, :value \"inject pause 0\"";
    assert!(lines[4].contains(nemesis), "{}", lines[4]);
    assert!(lines[8].contains("\"n1 paused\""), "{}", lines[8]);
    assert!(lines[9].contains("\"n1 follows\""), "{}", lines[9]);
    // A read of nothing is nil, and no number.
    assert!(
        lines[10].contains(":type :ok, :process 1, :f :read, :value [\"k\" nil]"),
        "{}",
        lines[10]
    );
    assert!(
        lines[11].contains(":type :info, :process 0"),
        "{}",
        lines[11]
    );
    assert!(lines[11].contains(":error [:timeout"), "{}", lines[11]);
    let json: Vec<Json> = serde_json::from_str(&exported("elle-json")).unwrap();
    assert_eq!(json.len(), 15);
    assert_eq!(json[10]["value"], json!(["k", null]));
    assert_eq!(
        (&json[11]["type"], &json[11]["process"]),
        (&json!("info"), &json!(0))
    );
}

#[test]
fn nothing_that_moves_a_terminal_is_written() {
    for format in ["jepsen-edn", "elle-json", "jsonl", "trace"] {
        let text = exported(format);
        // JSON's writer escapes those of ASCII.
        let raw = |c: char| {
            c != '\n' && (c.is_ascii_control() || c.is_control() && format == "jepsen-edn")
        };
        let found: Vec<char> = text.chars().filter(|c| raw(*c)).collect();
        assert!(found.is_empty(), "{format}: {found:?}");
        assert!(text.contains("31m"), "{format}: the text is there");
    }
}

#[test]
fn our_own_format_names_the_node_of_each_event_of_a_client() {
    let clients = exported("jsonl");
    let mut clients: Vec<&str> = clients.lines().filter(|l| l.contains("\"k\"")).collect();
    clients.retain(|line| !line.contains("\"node\":\"n1\""));
    assert!(clients.is_empty(), "{clients:?}");
}
