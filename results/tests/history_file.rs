//! Whatever is recorded is read back the same, and whatever else is in a file is refused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value as Json, json};
use tribunal_results::event::{Body, Event, Process};
use tribunal_results::fault::{FaultEvent, LeaderEvent, NodeEvent, NodeState, Phase};
use tribunal_results::journal::{Header, Journal, JournalWriter, ReadError, read};
use tribunal_results::{
    Answer, Grant, History, Kind, Micro, NodeId, Operation, Outcome, Reason, Row, Scalar, Seen,
};

const CLIENTS: u64 = 3;

/// Texts that break careless writers: quotes, line ends, controls, markup, any Unicode.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,4}",
        any::<String>(),
        Just("\u{0}\r\n\t\u{7f}\u{2028}\"\\'".to_owned()),
        Just("</script><script>alert(1)</script>".to_owned()),
        Just("🦀\u{202e}é".to_owned()),
    ]
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        any::<i64>().prop_map(Scalar::Int),
        prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), Just(1 << 53)].prop_map(Scalar::Int),
        text().prop_map(Scalar::from),
    ]
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        text().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::from),
            vec((text(), inner), 0..4)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

/// A step of a transaction, as it is asked for.
fn step() -> impl Strategy<Value = Micro> {
    (scalar(), scalar(), 0..3_u8).prop_map(|(key, value, kind)| match kind {
        0 => Micro::Append { key, value },
        1 => Micro::Write { key, value },
        _ => Micro::Read {
            key,
            seen: Seen::Nothing,
        },
    })
}

fn seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        Just(Seen::Nothing),
        scalar().prop_map(Seen::Value),
        vec(scalar(), 0..4).prop_map(Seen::List),
    ]
}

/// The step as it is answered, if a read sees this.
fn answered(step: &Micro, seen: &Seen) -> Micro {
    match step {
        Micro::Read { key, .. } => Micro::Read {
            key: key.clone(),
            seen: seen.clone(),
        },
        other => other.clone(),
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    let parts = (
        scalar(),
        scalar(),
        scalar(),
        any::<Option<u64>>(),
        any::<u64>(),
    );
    let steps = vec(step(), 0..4);
    (parts, text(), any_json(), steps, 0..Kind::ALL.len()).prop_map(
        |((key, a, b, ticket, token), name, value, micros, kind)| {
            let lock = key.clone();
            match Kind::ALL[kind] {
                Kind::Read => Operation::Read { key },
                Kind::Write => Operation::Write { key, value: a },
                Kind::Cas => Operation::Cas {
                    key,
                    from: a,
                    to: b,
                },
                Kind::Request => Operation::Request { lock },
                Kind::Acquire => Operation::Acquire { lock, ticket },
                Kind::TryAcquire => Operation::TryAcquire { lock },
                Kind::Renew => Operation::Renew { lock, token },
                Kind::Release => Operation::Release { lock, token },
                Kind::GuardedWrite => Operation::GuardedWrite {
                    key,
                    value: a,
                    token,
                },
                Kind::Append => Operation::Append { key, value: a },
                Kind::Elements => Operation::Elements { key },
                Kind::Add => Operation::Add { key, value: a },
                Kind::Remove => Operation::Remove { key, value: a },
                Kind::Contains => Operation::Contains { key, value: a },
                Kind::Members => Operation::Members { key },
                Kind::Increment => Operation::Increment {
                    key,
                    by: token as i64,
                },
                Kind::Count => Operation::Count { key },
                Kind::Enqueue => Operation::Enqueue { key, value: a },
                Kind::Dequeue => Operation::Dequeue { key },
                Kind::Drain => Operation::Drain { key },
                Kind::Push => Operation::Push { key, value: a },
                Kind::Pop => Operation::Pop { key },
                Kind::AcquirePermits => Operation::AcquirePermits {
                    key,
                    permits: token as u32,
                },
                Kind::ReleasePermits => Operation::ReleasePermits {
                    key,
                    permits: token as u32,
                    token: ticket,
                },
                Kind::Generate => Operation::Generate { key },
                Kind::Transfer => Operation::Transfer {
                    key,
                    from: a,
                    to: b,
                    amount: token as i64,
                },
                Kind::Balances => Operation::Balances { key },
                Kind::Advance => Operation::Advance { key },
                Kind::Rows => Operation::Rows { key },
                Kind::Txn => Operation::Txn { micros },
                Kind::Custom => Operation::Custom { name, value },
            }
        },
    )
}

/// What may be answered, of which each operation takes what suits it.
#[derive(Clone, Debug)]
struct Answers {
    value: Option<Scalar>,
    numbers: (u64, u64),
    seen: Vec<Seen>,
    any: Json,
}

impl Answers {
    fn some(&self) -> Scalar {
        self.value.clone().unwrap_or_else(|| 7.into())
    }

    fn row(&self) -> Row {
        let (value, timestamp) = self.numbers;
        Row {
            value: value as i64,
            timestamp,
        }
    }

    fn to(&self, operation: &Operation) -> Answer {
        let (token, lease_ms) = self.numbers;
        if let Operation::Txn { micros } = operation {
            let seen = self.seen.iter().cycle();
            let steps = micros.iter().zip(seen);
            return Answer::Txn(steps.map(|(step, seen)| answered(step, seen)).collect());
        }
        match operation.kind() {
            Kind::Read | Kind::Dequeue | Kind::Pop => Answer::Value(self.value.clone()),
            Kind::Count => Answer::Value(Some((token as i64).into())),
            Kind::Generate => Answer::Value(Some(self.some())),
            Kind::Contains => Answer::Flag(token % 2 == 0),
            Kind::Add | Kind::Remove if token % 3 > 0 => Answer::Flag(token % 3 == 1),
            Kind::AcquirePermits if token % 2 == 0 => Answer::Grant(Grant { token, lease_ms }),
            Kind::Elements | Kind::Members | Kind::Drain => {
                Answer::Values(vec![self.some(); token as usize % 3])
            }
            Kind::Balances => {
                Answer::Balances(vec![(self.some(), Some(lease_ms as i64)), (1.into(), None)])
            }
            Kind::Advance => Answer::Row(self.row()),
            Kind::Rows => Answer::Rows(vec![self.row(); token as usize % 3]),
            Kind::Request => Answer::Ticket(token),
            Kind::Acquire | Kind::TryAcquire | Kind::Renew => {
                Answer::Grant(Grant { token, lease_ms })
            }
            Kind::Custom => Answer::Custom(self.any.clone()),
            _ => Answer::Done,
        }
    }
}

/// One step of a run; what it comes to depends on what is outstanding.
#[derive(Clone, Debug)]
enum Step {
    Client(u64, Box<Operation>, Answers, u8, Reason, Option<NodeId>),
    Fault(Box<FaultEvent>),
    Node(NodeEvent),
    Leader(LeaderEvent),
}

fn node_id() -> impl Strategy<Value = NodeId> {
    text().prop_map(NodeId::from)
}

fn client_step() -> impl Strategy<Value = Step> {
    let answers = (
        proptest::option::of(scalar()),
        any::<(u64, u64)>(),
        vec(seen(), 1..4),
        any_json(),
    )
        .prop_map(|(value, numbers, seen, any)| Answers {
            value,
            numbers,
            seen,
            any,
        });
    let reason = (text(), text()).prop_map(|(code, text)| Reason::new(code, text));
    let node = proptest::option::of(node_id());
    (0..CLIENTS, operation(), answers, 0..3_u8, reason, node)
        .prop_map(|(slot, o, a, end, r, n)| Step::Client(slot, Box::new(o), a, end, r, n))
}

fn fault_step() -> impl Strategy<Value = Step> {
    use Phase::{Heal, Healed, Inject, Injected};
    let phase = prop_oneof![Just(Inject), Just(Injected), Just(Heal), Just(Healed)];
    let name = text().prop_filter("reserved", |name| name != "node" && name != "leader");
    let aims = (vec(node_id(), 0..3), vec((node_id(), node_id()), 0..3));
    let more = (
        proptest::option::of(text()),
        any_json(),
        any::<Option<bool>>(),
        any_json(),
    );
    (name, any::<u64>(), phase, aims, text(), more).prop_map(
        |(fault, id, phase, (nodes, links), what, (skipped, proof, bit, injection))| {
            Step::Fault(Box::new(FaultEvent {
                fault,
                id,
                phase,
                nodes,
                links,
                what,
                skipped,
                proof,
                bit,
                injection,
            }))
        },
    )
}

fn node_step() -> impl Strategy<Value = Step> {
    use NodeState::{Died, Killed, Paused, Ready, Starting, Stopped, Unresponsive};
    let states = vec![Starting, Ready, Paused, Killed, Died, Unresponsive, Stopped];
    (
        node_id(),
        proptest::sample::select(states),
        any::<Option<u32>>(),
        text(),
    )
        .prop_map(|(node, state, pid, detail)| {
            Step::Node(NodeEvent {
                node,
                state,
                pid,
                detail,
            })
        })
}

fn leader_step() -> impl Strategy<Value = Step> {
    (node_id(), any::<bool>(), text()).prop_map(|(node, leads, detail)| {
        Step::Leader(LeaderEvent {
            node,
            leads,
            detail,
        })
    })
}

/// Well-formed events: all operations, all outcomes, faults, nodes and leaders.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let step =
        prop_oneof![6 => client_step(), 1 => fault_step(), 1 => node_step(), 1 => leader_step()];
    let pause = prop_oneof![Just(0), 0..5_000_000_u64, any::<u64>()];
    vec((step, pause), 0..25).prop_map(performed)
}

fn performed(steps: Vec<(Step, u64)>) -> Vec<Event> {
    let mut processes: Vec<u64> = (0..CLIENTS).collect();
    let mut open: Vec<Option<Operation>> = vec![None; CLIENTS as usize];
    let mut time = 0_u64;
    let mut events = Vec::new();
    for (step, pause) in steps {
        time = time.saturating_add(pause);
        let (process, node, body) = match step {
            Step::Client(slot, operation, answers, end, reason, node) => {
                let at = slot as usize;
                let process = Process::Client(processes[at]);
                let body = match open[at].take() {
                    None => {
                        open[at] = Some((*operation).clone());
                        Body::Invoke(*operation)
                    }
                    Some(asked) => {
                        let outcome = match end {
                            0 => Outcome::Ok(answers.to(&asked)),
                            1 => Outcome::Fail(reason),
                            _ => {
                                processes[at] += CLIENTS;
                                Outcome::Info(reason)
                            }
                        };
                        Body::Complete(asked, outcome)
                    }
                };
                (process, node, body)
            }
            Step::Fault(fault) => (Process::Nemesis, None, Body::Fault(*fault)),
            Step::Node(node) => (Process::Nemesis, None, Body::Node(node)),
            Step::Leader(leader) => (Process::Nemesis, None, Body::Leader(leader)),
        };
        let index = events.len() as u64;
        events.push(Event {
            index,
            time,
            process,
            node,
            body,
        });
    }
    events
}

fn written(events: &[Event]) -> Vec<u8> {
    let header = Header::new(Some("2026-11-22T21:04:09Z".into()), vec!["n1".into()]);
    let mut writer = JournalWriter::new(&header).unwrap();
    for event in events {
        assert_eq!(writer.next_index(), event.index);
        writer.append(event).unwrap();
    }
    writer.take()
}

fn history(events: &[Event]) -> History {
    History::from_events(events.iter().cloned()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_read_back_the_same(events in events()) {
        let Journal { header, history: found, truncated } = read(&written(&events)[..]).unwrap();
        prop_assert_eq!(header.nodes, ["n1"]);
        prop_assert!(!truncated);
        prop_assert_eq!(found, history(&events));
    }

    #[test]
    fn a_file_cut_anywhere_holds_the_history_up_to_there(
        events in events(),
        cuts in vec(any::<Index>(), 12),
    ) {
        let bytes = written(&events);
        let header = bytes.iter().position(|b| *b == b'\n').unwrap();
        for cut in cuts {
            let cut = cut.index(bytes.len() + 1);
            let part = &bytes[..cut];
            let lines = part.iter().filter(|b| **b == b'\n').count();
            if cut < header {
                let error = read(part).unwrap_err();
                prop_assert!(matches!(error, ReadError::Line { line: 1, .. }), "{}", error);
                continue;
            }
            let journal = read(part).unwrap();
            prop_assert_eq!(journal.truncated, part.last() != Some(&b'\n'));
            prop_assert_eq!(journal.history, history(&events[..lines.saturating_sub(1)]));
        }
    }

    #[test]
    fn a_damaged_file_is_read_or_refused_with_the_line(
        events in events(),
        damage in vec((any::<Index>(), any::<u8>(), 0..4_u8), 1..6),
    ) {
        let mut bytes = written(&events);
        for (at, byte, how) in damage {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => { bytes.remove(at); }
                _ => { let tail = bytes[at..].to_vec(); bytes.extend(tail); }
            }
        }
        let lines = bytes.split(|b| *b == b'\n').count() as u64;
        if let Err(error) = read(&bytes[..]) {
            let ReadError::Line { line, reason } = error else {
                return Err(TestCaseError::fail("not a line's error"));
            };
            prop_assert!((1..=lines).contains(&line) && !reason.is_empty());
        }
    }

    #[test]
    fn garbage_after_the_header_is_refused_with_the_line(garbage in vec(any::<u8>(), 0..200)) {
        let mut bytes = written(&[]);
        bytes.extend(&garbage);
        match read(&bytes[..]) {
            Ok(journal) => prop_assert!(journal.history.calls().is_empty()),
            Err(error) => {
                let named = matches!(error, ReadError::Line { line: 2.., .. });
                prop_assert!(named, "{}", error);
            }
        }
    }
}

/// The error of a file with these lines after its header.
fn refused(lines: &[Json]) -> (u64, String) {
    let mut file = String::from_utf8(written(&[])).unwrap();
    for line in lines {
        file.push_str(&line.to_string());
        file.push('\n');
    }
    match read(file.as_bytes()) {
        Err(ReadError::Line { line, reason }) => (line, reason),
        other => panic!("{other:?}"),
    }
}

fn invoke(index: u64, process: u64) -> Json {
    json!({"index": index, "time": index, "process": process, "type": "invoke",
           "f": "write", "key": "k", "value": 5})
}

/// The same event with some fields changed.
fn with(mut line: Json, fields: Json) -> Json {
    let fields = fields.as_object().unwrap().clone();
    line.as_object_mut().unwrap().extend(fields);
    line
}

fn done(index: u64, process: u64) -> Json {
    with(invoke(index, process), json!({"type": "ok"}))
}

#[track_caller]
fn assert_refused(lines: &[Json], at_line: u64, because: &str) {
    let (line, reason) = refused(lines);
    assert_eq!(line, at_line, "{reason}");
    assert!(reason.contains(because), "{reason}");
}

#[test]
fn a_history_that_breaks_a_rule_of_processes_is_refused() {
    assert_refused(
        &[invoke(0, 1), invoke(1, 1)],
        3,
        "p1 invokes while its last operation is outstanding",
    );
    assert_refused(&[done(0, 1)], 2, "a completion without an invocation");
    assert_refused(
        &[invoke(0, 1), done(1, 2)],
        3,
        "a completion without an invocation",
    );
    let unknown = with(
        invoke(1, 1),
        json!({"type": "info", "error": {"code": "timeout"}}),
    );
    assert_refused(
        &[invoke(0, 1), unknown.clone(), invoke(2, 1)],
        4,
        "end is unknown",
    );
    let late = with(unknown.clone(), json!({"index": 2, "time": 2}));
    assert_refused(
        &[invoke(0, 1), unknown, late],
        4,
        "a completion without an invocation",
    );
}

#[test]
fn a_history_whose_order_is_broken_is_refused() {
    assert_refused(&[invoke(1, 1)], 2, "index 1 where 0 was due");
    assert_refused(&[invoke(0, 1), invoke(2, 2)], 3, "index 2 where 1 was due");
    assert_refused(&[invoke(0, 1), invoke(0, 2)], 3, "index 0 where 1 was due");
    let early = with(invoke(1, 2), json!({"time": 4}));
    let first = with(invoke(0, 1), json!({"time": 5}));
    assert_refused(&[first, early], 3, "time runs backwards, from 5 ns to 4 ns");
}

#[test]
fn a_completion_of_something_else_is_refused() {
    let other = |fields| [invoke(0, 1), with(done(1, 1), fields)];
    assert_refused(
        &other(json!({"f": "read"})),
        3,
        "a write was invoked, but a read completes",
    );
    assert_refused(&other(json!({"key": "l"})), 3, "another key");
    assert_refused(&other(json!({"value": 6})), 3, "another value");
    let failed = json!({"type": "fail", "value": 6, "error": {"code": "refused"}});
    assert_refused(&other(failed), 3, "another value");
}

#[test]
fn a_line_that_is_no_event_is_refused() {
    let changed = |fields| [with(invoke(0, 1), fields)];
    assert_refused(
        &changed(json!({"f": "explode"})),
        2,
        "unknown operation \"explode\"",
    );
    assert_refused(
        &changed(json!({"type": "maybe"})),
        2,
        "unknown variant `maybe`",
    );
    assert_refused(
        &changed(json!({"colour": "red"})),
        2,
        "unknown field `colour`",
    );
    assert_refused(
        &changed(json!({"process": "p1"})),
        2,
        "process must be a number",
    );
    assert_refused(
        &changed(json!({"process": -1})),
        2,
        "process must be a number",
    );
    assert_refused(&changed(json!({"key": null})), 2, "a write needs a key");
    assert_refused(
        &changed(json!({"value": 1.5})),
        2,
        "integer of 64 bits or a text",
    );
    assert_refused(&changed(json!({"value": null})), 2, "a write needs a value");
    assert_refused(
        &changed(json!({"error": {"code": "x"}})),
        2,
        "only a fail or an info",
    );
    assert_refused(&changed(json!({"f": "read"})), 2, "of a read has no value");
    assert_refused(&[json!([1, 2])], 2, "invalid");
}

#[test]
fn a_transaction_of_the_wrong_form_is_refused() {
    let txn = |value: Json| json!({"index": 0, "time": 0, "process": 1, "type": "invoke", "f": "txn", "value": value});
    let refused = |value: Json, because: &str| assert_refused(&[txn(value)], 2, because);
    refused(json!([["x", "k", 1]]), "unknown step \"x\"");
    refused(json!([["append", "k", [1]]]), "needs a value");
    refused(json!([["w", "k", null]]), "needs a value");
    refused(json!([["r", "k", 1]]), "has seen nothing yet");
    refused(json!([["r", "k"]]), "invalid length");
    refused(json!([["r", "k", 1.5]]), "must be null");
    let asked = txn(json!([["r", "k", null], ["w", "k", 1]]));
    let answer = json!([["r", "k", 7], ["w", "k", 2]]);
    let answer = with(
        asked.clone(),
        json!({"index": 1, "type": "ok", "value": answer}),
    );
    assert_refused(&[asked, answer], 3, "other steps than the transaction");
}

#[test]
fn an_event_of_the_nemesis_of_the_wrong_form_is_refused() {
    let nemesis = |fields| {
        let event = json!({"index": 0, "time": 0, "process": "nemesis", "type": "info"});
        [with(event, fields)]
    };
    let state = json!({"f": "node", "value": {"state": "ready"}});
    assert_refused(&nemesis(state), 2, "a node event needs a node");
    let state = json!({"f": "node", "node": "n1", "value": {"state": "asleep"}});
    assert_refused(&nemesis(state), 2, "unknown variant `asleep`");
    let fault = json!({"f": "kill", "value": {"phase": "injected"}});
    assert_refused(&nemesis(fault), 2, "missing field `id`");
    let fault = json!({"f": "kill", "value": {"id": 1, "phase": "inject"}});
    assert_refused(&nemesis(fault), 2, "of type invoke");
}

#[test]
fn a_file_that_is_no_history_is_refused_at_its_first_line() {
    for (file, because) in [
        ("", "empty"),
        ("\n", "must be the header"),
        ("{\"index\":0}\n", "must be the header"),
        (
            "{\"format\":\"other\",\"version\":1}\n",
            "format is \"other\"",
        ),
        (
            "{\"format\":\"tribunal-history\",\"version\":3}\n",
            "reads up to 2",
        ),
        (
            "{\"format\":\"tribunal-history\",\"version\":0}\n",
            "reads up to 2",
        ),
        ("\u{feff}{}\n", "must be the header"),
    ] {
        match read(file.as_bytes()) {
            Err(ReadError::Line { line: 1, reason }) => {
                assert!(reason.contains(because), "{file:?}: {reason}");
            }
            other => panic!("{file:?}: {other:?}"),
        }
    }
}

#[test]
fn errors_name_the_column_within_the_line() {
    let mut file = written(&[]);
    file.extend(b"{\"index\":0,,\n");
    let error = read(&file[..]).unwrap_err().to_string();
    assert_eq!(error, "line 2: key must be a string, at column 12");
}

#[test]
fn a_fault_healed_twice_is_over_at_its_first_cure() {
    let fault = |index, phase, bit| Event {
        index,
        time: index * 10,
        process: Process::Nemesis,
        node: None,
        body: Body::Fault(FaultEvent {
            fault: "kill".into(),
            id: 0,
            phase,
            nodes: vec![],
            links: vec![],
            what: String::new(),
            skipped: None,
            proof: Json::Null,
            bit,
            injection: Json::Null,
        }),
    };
    let spans = history(&[
        fault(0, Phase::Inject, None),
        fault(1, Phase::Healed, Some(true)),
        fault(2, Phase::Healed, Some(false)),
    ])
    .fault_spans();
    assert_eq!(spans.len(), 1);
    assert_eq!(
        (spans[0].from, spans[0].to, spans[0].bit),
        (0, Some(10), Some(true))
    );
}
