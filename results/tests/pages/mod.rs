//! Pages of made-up runs, for the tests of reports.
#![allow(dead_code, reason = "each test uses some of it")]

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use tribunal_results::event::{Body, Event, Process};
use tribunal_results::fault::{FaultEvent, LeaderEvent, NodeEvent, NodeState, Phase};
use tribunal_results::report::{Report, html};
use tribunal_results::run::RunInfo;
use tribunal_results::verdict::Evidence;
use tribunal_results::{
    Anomaly, Answer, History, Messages, NodeLog, Operation, Outcome, Reason, ResultClass,
    RunVerdict, Scalar, Verdict, message,
};

pub(crate) const HOSTILE: &str =
    "</script><script>alert(1)</script> \"'`&<b> \u{0}\u{1b}[31m\r\n 🦀\u{202e} ]]>";

pub(crate) fn info(class: ResultClass, text: &str) -> RunInfo {
    RunInfo {
        class,
        suite: format!("suite{text}"),
        profile: None,
        plan: format!("plan{text}"),
        target: format!("target{text}"),
        bug: Some(text.into()),
        workload: format!("register{text}"),
        faults: vec![format!("kill{text}")],
        seed: 42,
        nodes: vec![text.into()],
        clients: 3,
        time_ms: Some(20_000),
        rate: Some(1_000.0),
        started: text.into(),
        command: vec!["tribunal".into(), text.into()],
        reproduce: format!("tribunal run --seed 42 {text}"),
        version: text.into(),
        machine: BTreeMap::from([(text.into(), text.into())]),
        phases: vec![(text.into(), 1_500.0), ("odd".into(), f64::NAN)],
        overhead_ms: -1.0,
        directory: format!("/runs/{text}"),
        finding: None,
        error: Some(text.into()),
    }
}

pub(crate) fn anomaly(text: &str, calls: Vec<u64>) -> Anomaly {
    Anomaly {
        name: format!("stale-read{text}"),
        sentence: format!("p1 read an old value {text}"),
        key: Some(text.into()),
        calls,
        facts: vec![format!("because {text}")],
        span: (0, 5_000_000),
    }
}

pub(crate) fn verdict(class: ResultClass, text: &str, anomalies: Vec<Anomaly>) -> RunVerdict {
    let checked = if anomalies.is_empty() {
        Verdict::valid("linearizable", text)
    } else {
        Verdict::invalid("linearizable", anomalies, 20)
    };
    RunVerdict {
        class,
        reason: text.into(),
        claim: format!("What was claimed {text}"),
        expected: vec![text.into()],
        verdicts: vec![checked.figure(text, text)],
        evidence: Evidence {
            faults_bitten: BTreeMap::from([(text.into(), 3)]),
            ..Evidence::default()
        },
        gates: Vec::new(),
        signatures: vec![text.into()],
        known: Vec::new(),
    }
}

fn fault(index: u64, phase: Phase, text: &str) -> Event {
    let nemesis = FaultEvent {
        fault: format!("kill{text}"),
        id: 0,
        phase,
        nodes: vec![text.into()],
        links: vec![(text.into(), text.into())],
        what: format!("kill {text}"),
        skipped: None,
        proof: json!({ text: text }),
        bit: Some(true),
        injection: Json::Null,
    };
    event(index, index * 1_000, Process::Nemesis, Body::Fault(nemesis))
}

fn event(index: u64, time: u64, process: Process, body: Body) -> Event {
    Event {
        index,
        time,
        process,
        node: Some("n1".into()),
        body,
    }
}

/// So many operations by three clients, one of each outcome in turn, under one fault.
pub(crate) fn history(operations: u64, text: &str) -> History {
    let mut events = vec![
        fault(0, Phase::Inject, text),
        fault(1, Phase::Injected, text),
    ];
    let node = NodeEvent {
        node: text.into(),
        state: NodeState::Died,
        pid: None,
        detail: text.into(),
    };
    events.push(event(2, 2_000, Process::Nemesis, Body::Node(node)));
    let mut process = 0;
    for n in 0..operations {
        let index = events.len() as u64;
        let operation = Operation::Write {
            key: text.into(),
            value: Scalar::Int(i64::MAX - n as i64),
        };
        let reason = Reason::new(text, text);
        let outcome = match n % 3 {
            0 => Outcome::Ok(Answer::Done),
            1 => Outcome::Fail(reason),
            _ => Outcome::Info(reason),
        };
        let client = Process::Client(process);
        process += u64::from(n % 3 == 2);
        let time = index * 1_000;
        events.push(event(index, time, client, Body::Invoke(operation.clone())));
        let complete = Body::Complete(operation, outcome);
        events.push(event(index + 1, time + 700, client, complete));
    }
    let leader = LeaderEvent {
        node: text.into(),
        leads: true,
        detail: text.into(),
    };
    let index = events.len() as u64;
    let body = Body::Leader(leader);
    events.push(event(index, index * 1_000, Process::Nemesis, body));
    History::from_events(events).unwrap()
}

/// What the nodes sent each other at the beginning of [`history`]: a message that arrived, one
/// that was lost, one that arrived late and one that arrived twice.
pub(crate) fn messages(text: &str) -> Messages {
    let mut journal = String::new();
    let mut line = |value: Json| journal += &format!("{value}\n");
    line(json!({"format": "tribunal-messages", "version": 1, "nodes": ["n1", text]}));
    for (message, arrivals) in [
        (1, vec![6_000]),
        (2, vec![]),
        (3, vec![40_000_000]),
        (4, vec![6_500, 7_000]),
    ] {
        let time = 3_000 + message;
        line(
            json!({"time": time, "type": "send", "node": text, "step": message, "message": message,
            "to": "n1", "what": format!("copy{text}")}),
        );
        if arrivals.is_empty() {
            line(json!({"time": 5_000, "type": "drop", "message": message, "why": text}));
        }
        for time in arrivals {
            line(
                json!({"time": time, "type": "receive", "node": "n1", "step": time, "message": message}),
            );
        }
    }
    line(json!({"time": 2_900, "type": "send", "node": "n1", "step": 1, "message": 9, "to": text}));
    line(json!({"time": 2_950, "type": "receive", "node": text, "step": 0, "message": 9}));
    message::read(journal.as_bytes()).unwrap()
}

pub(crate) fn page(history: &History, info: &RunInfo, verdict: &RunVerdict, text: &str) -> String {
    page_with(history, None, info, verdict, text)
}

pub(crate) fn page_with(
    history: &History,
    messages: Option<&Messages>,
    info: &RunInfo,
    verdict: &RunVerdict,
    text: &str,
) -> String {
    let logs = [NodeLog {
        node: text.into(),
        lines: vec![text.into(); 5_000],
    }];
    let colours = BTreeMap::from([(format!("kill{text}"), text.to_owned())]);
    html::render(&Report {
        info,
        verdict,
        history,
        messages,
        logs: &logs,
        plan_yaml: text,
        colours: &colours,
    })
    .unwrap()
}
