//! What is exported is read again as the same, and what cannot be expressed is refused by name.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value as Json;
use tribunal_results::event::{Body, Event, Process};
use tribunal_results::export::{self, ExportError, Exported};
use tribunal_results::fault::{FaultEvent, LeaderEvent, NodeEvent, NodeState, Phase};
use tribunal_results::journal::Header;
use tribunal_results::{
    Answer, Call, Grant, History, Kind, Micro, Operation, Outcome, Reason, Row, Scalar, Seen,
    import, journal,
};

/// Keys and values: what is hard to write, and what begins like something else.
fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        any::<i64>().prop_map(Scalar::Int),
        "[a-z]{1,6}".prop_map(Scalar::from),
        Just(Scalar::from(
            "</script> ]]> \"\\\u{0}\u{1b}[31m\r\n\t\u{7f}\u{2028}🦀"
        )),
        Just(Scalar::from("nil")),
        Just(Scalar::from("17")),
    ]
}

/// What is asked of one object, and how it may be answered.
fn of_object(object: usize, key: Scalar) -> BoxedStrategy<(Operation, Answer)> {
    let (k, value) = (key, scalar());
    let done = |operation| (operation, Answer::Done);
    match object {
        // A register.
        0 => (0..3_u8, value, scalar(), any::<bool>())
            .prop_map(move |(kind, value, to, there)| match kind {
                0 => done(Operation::Write {
                    key: k.clone(),
                    value,
                }),
                1 => done(Operation::Cas {
                    key: k.clone(),
                    from: value,
                    to,
                }),
                _ => (
                    Operation::Read { key: k.clone() },
                    Answer::Value(there.then_some(value)),
                ),
            })
            .boxed(),
        // A list.
        1 => (any::<bool>(), value, vec(scalar(), 0..4))
            .prop_map(move |(reads, value, values)| match reads {
                true => (
                    Operation::Elements { key: k.clone() },
                    Answer::Values(values),
                ),
                false => done(Operation::Append {
                    key: k.clone(),
                    value,
                }),
            })
            .boxed(),
        // A set.
        2 => (0..5_u8, value, vec(scalar(), 0..4), any::<bool>())
            .prop_map(move |(kind, value, values, yes)| match kind {
                0 => done(Operation::Add {
                    key: k.clone(),
                    value,
                }),
                1 => (
                    Operation::Add {
                        key: k.clone(),
                        value,
                    },
                    Answer::Flag(yes),
                ),
                2 => (
                    Operation::Remove {
                        key: k.clone(),
                        value,
                    },
                    Answer::Flag(yes),
                ),
                3 => (
                    Operation::Contains {
                        key: k.clone(),
                        value,
                    },
                    Answer::Flag(yes),
                ),
                _ => (
                    Operation::Members { key: k.clone() },
                    Answer::Values(values),
                ),
            })
            .boxed(),
        // A counter.
        3 => (any::<bool>(), any::<i64>())
            .prop_map(move |(reads, n)| match reads {
                true => (
                    Operation::Count { key: k.clone() },
                    Answer::Value(Some(Scalar::Int(n))),
                ),
                false => done(Operation::Increment {
                    key: k.clone(),
                    by: n,
                }),
            })
            .boxed(),
        // A bank.
        4 => (any::<bool>(), any::<(i64, i64, i64)>())
            .prop_map(move |(reads, (a, b, n))| match reads {
                true => (
                    Operation::Balances { key: k.clone() },
                    Answer::Balances(vec![(Scalar::Int(a), Some(n)), ("x".into(), None)]),
                ),
                false => done(Operation::Transfer {
                    key: k.clone(),
                    from: Scalar::Int(a),
                    to: Scalar::Int(b),
                    amount: n,
                }),
            })
            .boxed(),
        // A queue and a stack.
        5 => (0..5_u8, value, vec(scalar(), 0..4))
            .prop_map(move |(kind, value, values)| match kind {
                0 => done(Operation::Enqueue {
                    key: k.clone(),
                    value,
                }),
                1 => (
                    Operation::Dequeue { key: k.clone() },
                    Answer::Value(Some(value)),
                ),
                2 => (Operation::Drain { key: k.clone() }, Answer::Values(values)),
                3 => done(Operation::Push {
                    key: k.clone(),
                    value,
                }),
                _ => (Operation::Pop { key: k.clone() }, Answer::Value(None)),
            })
            .boxed(),
        // A mutex, and identifiers.
        6 => (0..3_u8, value)
            .prop_map(move |(kind, id)| match kind {
                0 => done(Operation::AcquirePermits {
                    key: k.clone(),
                    permits: 1,
                }),
                1 => done(Operation::ReleasePermits {
                    key: k.clone(),
                    permits: 1,
                    token: None,
                }),
                _ => (
                    Operation::Generate { key: k.clone() },
                    Answer::Value(Some(id)),
                ),
            })
            .boxed(),
        _ => vec((scalar(), scalar(), 0..4_u8, vec(scalar(), 0..3)), 0..5)
            .prop_map(transaction)
            .boxed(),
    }
}

fn transaction(steps: Vec<(Scalar, Scalar, u8, Vec<Scalar>)>) -> (Operation, Answer) {
    let answered = steps
        .into_iter()
        .map(|(key, value, kind, list)| match kind {
            0 => Micro::Append { key, value },
            1 => Micro::Write { key, value },
            2 => Micro::Read {
                key,
                seen: Seen::Value(value),
            },
            _ => Micro::Read {
                key,
                seen: Seen::List(list),
            },
        });
    let answered: Vec<Micro> = answered.collect();
    let micros = answered.iter().map(Micro::asked).collect();
    (Operation::Txn { micros }, Answer::Txn(answered))
}

fn reason() -> impl Strategy<Value = Reason> {
    let code = "[a-z][a-z-]{0,8}".prop_filter("a word", |code| !code.ends_with('-'));
    (code, prop_oneof![Just(String::new()), any::<String>()])
        // Text that looks like a code is one, and nobody writes that.
        .prop_filter("no code", |(_, text)| !text.starts_with(':'))
        .prop_map(|(code, text)| Reason::new(code, text))
}

type Step = ((Operation, Answer), u8, Reason, u64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // One kind of object in a file: reads and adds do not say of what they are.
    (0..8_usize, scalar()).prop_flat_map(|(object, key)| {
        vec(
            (of_object(object, key), 0..4_u8, reason(), 0..9_000_u64),
            0..30,
        )
    })
}

/// Two clients in turn: each asks, and while it waits the other does.
fn performed(steps: Vec<Step>) -> History {
    let (mut events, mut time) = (Vec::new(), 0);
    let mut push = |pause, process, body| {
        time += pause;
        let index = events.len() as u64;
        events.push(Event {
            index,
            time,
            process,
            node: None,
            body,
        });
    };
    let mut waiting: Option<(u64, Operation, Outcome)> = None;
    let mut numbers = [0, 1];
    for (n, ((operation, answer), end, reason, pause)) in steps.into_iter().enumerate() {
        let slot = n % 2;
        let process = numbers[slot];
        push(
            pause,
            Process::Client(process),
            Body::Invoke(operation.clone()),
        );
        if n % 5 == 4 {
            push(0, Process::Nemesis, nemesis(n));
        }
        if let Some((process, operation, outcome)) = waiting.take() {
            push(
                1,
                Process::Client(process),
                Body::Complete(operation, outcome),
            );
        }
        let outcome = match end {
            0 => Outcome::Fail(reason),
            1 => Outcome::Info(reason),
            _ => Outcome::Ok(answer),
        };
        numbers[slot] += if end == 1 { 2 } else { 0 };
        // What the last asks stays open.
        waiting = Some((process, operation, outcome));
    }
    History::from_events(events).unwrap()
}

fn nemesis(n: usize) -> Body {
    match n % 3 {
        0 => Body::Fault(FaultEvent {
            fault: "kill".into(),
            id: n as u64,
            phase: Phase::Inject,
            nodes: vec!["n1".into()],
            links: Vec::new(),
            what: "kill n1".into(),
            skipped: None,
            proof: Json::Null,
            bit: None,
            injection: Json::Null,
        }),
        1 => Body::Node(NodeEvent {
            node: "n1".into(),
            state: NodeState::Killed,
            pid: None,
            detail: String::new(),
        }),
        _ => Body::Leader(LeaderEvent {
            node: "n2".into(),
            leads: true,
            detail: String::new(),
        }),
    }
}

fn exported(history: &History, format: &str) -> Result<Vec<u8>, ExportError> {
    let header = Header::new(None, vec!["n1".into()]);
    let mut bytes = Vec::new();
    let what = Exported {
        header: &header,
        history,
        clients: Some(2),
    };
    let format = export::find(format).unwrap();
    export::write(format, &mut bytes, &what)?;
    Ok(bytes)
}

/// What the reader must find again: everything but indexes, which count clients' events there.
fn told(history: &History) -> Vec<(u64, Operation, u64, Option<u64>, Outcome)> {
    let told = |call: &Call| {
        let mut outcome = call.outcome.clone();
        if let Outcome::Ok(Answer::Balances(accounts)) = &mut outcome {
            accounts.sort();
        }
        let completed = call.completed.map(|stamp| stamp.time);
        let operation = call.operation.clone();
        (
            call.process,
            operation,
            call.invoked.time,
            completed,
            outcome,
        )
    };
    history.calls().iter().map(told).collect()
}

/// Places of all events among those of clients.
fn order(history: &History) -> Vec<(usize, bool)> {
    let mut order: Vec<(u64, usize, bool)> = Vec::new();
    for (at, call) in history.calls().iter().enumerate() {
        order.push((call.invoked.index, at, false));
        order.extend(call.completed.map(|stamp| (stamp.index, at, true)));
    }
    order.sort_unstable();
    order.into_iter().map(|(_, at, ends)| (at, ends)).collect()
}

fn comes_back(history: &History, format: &str, reader: &str) -> Result<bool, TestCaseError> {
    let bytes = match exported(history, format) {
        Ok(bytes) => bytes,
        Err(ExportError::Inexpressible { .. }) => return Ok(false),
        Err(e) => return Err(TestCaseError::fail(e.to_string())),
    };
    let read = import::read(&bytes[..], None, import::find(reader));
    let read =
        read.map_err(|e| TestCaseError::fail(format!("{e}\n{}", String::from_utf8_lossy(&bytes))))?;
    prop_assert_eq!(told(&read.history), told(history));
    prop_assert_eq!(order(&read.history), order(history));
    Ok(true)
}

#[test]
fn what_is_exported_is_read_as_the_same() {
    let came_back = std::cell::Cell::new(0);
    let mut runner = TestRunner::default();
    let done = runner.run(&steps(), |steps| {
        let history = performed(steps);
        let edn = comes_back(&history, "jepsen-edn", "jepsen-edn")?;
        let json = comes_back(&history, "elle-json", "jepsen-json")?;
        came_back.set(came_back.get() + u32::from(edn) + u32::from(json));
        let bytes = exported(&history, "jsonl").unwrap();
        prop_assert_eq!(journal::read(&bytes[..]).unwrap().history, history);
        Ok(())
    });
    done.unwrap();
    // Refused are histories that only read, of which nobody can say what they are of.
    let all = 2 * runner.config().cases;
    assert!(came_back.get() > all / 2, "{} of {all}", came_back.get());
}

proptest! {
    #[test]
    fn a_trace_is_json_whatever_the_history(steps in steps()) {
        let history = performed(steps);
        let trace: Json = serde_json::from_slice(&exported(&history, "trace").unwrap()).unwrap();
        let slices = trace["traceEvents"].as_array().unwrap().iter();
        let calls = slices.filter(|e| e["ph"] == "X" && e["pid"] == 1);
        prop_assert_eq!(calls.count(), history.calls().len());
    }
}

fn one(operation: Operation, outcome: Outcome) -> History {
    let body = [
        Body::Invoke(operation.clone()),
        Body::Complete(operation, outcome),
    ];
    let events = body.into_iter().enumerate().map(|(at, body)| Event {
        index: at as u64,
        time: at as u64 * 1_500,
        process: Process::Client(0),
        node: None,
        body,
    });
    History::from_events(events).unwrap()
}

/// Operations that Jepsen has too come back; each of the others is refused by its name.
#[test]
fn every_operation_comes_back_or_is_refused_by_name() {
    let refused = [
        Kind::Request,
        Kind::Acquire,
        Kind::TryAcquire,
        Kind::Renew,
        Kind::Release,
        Kind::GuardedWrite,
        Kind::Custom,
    ];
    for kind in Kind::ALL {
        let history = told_apart(kind);
        for (format, reader) in [("jepsen-edn", "jepsen-edn"), ("elle-json", "jepsen-json")] {
            let came_back = comes_back(&history, format, reader).unwrap();
            assert_eq!(came_back, !refused.contains(&kind), "{kind} as {format}");
        }
        if refused.contains(&kind) {
            let error = exported(&history, "jepsen-edn").unwrap_err().to_string();
            let operation = operation_of(kind).to_string();
            assert!(
                error.contains("event 0") && error.contains(&operation),
                "{error}"
            );
        }
    }
}

/// The operation, after one that tells what its object is.
fn told_apart(kind: Kind) -> History {
    let before = match kind {
        Kind::Elements => vec![Kind::Append],
        Kind::Count => vec![Kind::Increment],
        _ => Vec::new(),
    };
    let kinds = before.into_iter().chain([kind]);
    let bodies = kinds.flat_map(|kind| {
        let outcome = Outcome::Ok(answer_of(kind));
        [
            Body::Invoke(operation_of(kind)),
            Body::Complete(operation_of(kind), outcome),
        ]
    });
    let events = bodies.enumerate().map(|(at, body)| Event {
        index: at as u64,
        time: at as u64,
        process: Process::Client(0),
        node: None,
        body,
    });
    History::from_events(events).unwrap()
}

#[rustfmt::skip]
fn operation_of(kind: Kind) -> Operation {
    let key: Scalar = match kind {
        Kind::Advance | Kind::Rows => "table".into(),
        _ => "k".into(),
    };
    let (value, lock, token) = (Scalar::Int(7), key.clone(), 3);
    match kind {
        Kind::Read => Operation::Read { key },
        Kind::Write => Operation::Write { key, value },
        Kind::Cas => Operation::Cas { key, from: value, to: 8.into() },
        Kind::Request => Operation::Request { lock },
        Kind::Acquire => Operation::Acquire { lock, ticket: Some(3) },
        Kind::TryAcquire => Operation::TryAcquire { lock },
        Kind::Renew => Operation::Renew { lock, token },
        Kind::Release => Operation::Release { lock, token },
        Kind::GuardedWrite => Operation::GuardedWrite { key, value, token },
        Kind::Append => Operation::Append { key, value },
        Kind::Elements => Operation::Elements { key },
        Kind::Add => Operation::Add { key, value },
        Kind::Remove => Operation::Remove { key, value },
        Kind::Contains => Operation::Contains { key, value },
        Kind::Members => Operation::Members { key },
        Kind::Increment => Operation::Increment { key, by: 5 },
        Kind::Count => Operation::Count { key },
        Kind::Enqueue => Operation::Enqueue { key, value },
        Kind::Dequeue => Operation::Dequeue { key },
        Kind::Drain => Operation::Drain { key },
        Kind::Push => Operation::Push { key, value },
        Kind::Pop => Operation::Pop { key },
        Kind::AcquirePermits => Operation::AcquirePermits { key, permits: 1 },
        Kind::ReleasePermits => Operation::ReleasePermits { key, permits: 1, token: None },
        Kind::Generate => Operation::Generate { key },
        Kind::Transfer => Operation::Transfer { key, from: 0.into(), to: 1.into(), amount: 2 },
        Kind::Balances => Operation::Balances { key },
        Kind::Advance => Operation::Advance { key },
        Kind::Rows => Operation::Rows { key },
        Kind::Txn => Operation::Txn { micros: vec![Micro::Append { key, value }] },
        Kind::Custom => Operation::Custom { name: "put".into(), value: Json::Null },
    }
}

fn answer_of(kind: Kind) -> Answer {
    let row = Row {
        value: 1,
        timestamp: 2,
    };
    match kind {
        Kind::Read | Kind::Dequeue | Kind::Pop | Kind::Generate => Answer::Value(Some(7.into())),
        Kind::Count => Answer::Value(Some(7.into())),
        Kind::Elements | Kind::Members | Kind::Drain => Answer::Values(vec![7.into()]),
        Kind::Contains => Answer::Flag(true),
        Kind::Balances => Answer::Balances(vec![(0.into(), Some(5)), (1.into(), None)]),
        Kind::Advance => Answer::Row(row),
        Kind::Rows => Answer::Rows(vec![row]),
        Kind::Request => Answer::Ticket(3),
        Kind::Acquire | Kind::TryAcquire | Kind::Renew => Answer::Grant(Grant {
            token: 3,
            lease_ms: 9,
        }),
        Kind::Txn => Answer::Txn(vec![Micro::Append {
            key: "k".into(),
            value: 7.into(),
        }]),
        Kind::Custom => Answer::Custom(Json::Null),
        _ => Answer::Done,
    }
}

#[test]
fn a_read_that_may_be_of_several_kinds_of_objects_is_refused() {
    let elements = Operation::Elements { key: "k".into() };
    let history = one(elements, Outcome::Ok(Answer::Values(vec![7.into()])));
    let error = exported(&history, "jepsen-edn").unwrap_err().to_string();
    assert!(error.contains("would be read as members k"), "{error}");
}

#[test]
fn what_would_be_read_otherwise_is_refused_and_nothing_is_written() {
    let fine = Outcome::Ok(Answer::Value(None));
    let read = Operation::Read {
        key: "\"quoted".into(),
    };
    let error = exported(&one(read, fine), "jepsen-edn")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("event 0 (read \"quoted) cannot be written as jepsen-edn"),
        "{error}"
    );

    let permits = Operation::AcquirePermits {
        key: "s".into(),
        permits: 2,
    };
    let error = exported(&one(permits, Outcome::Ok(Answer::Done)), "elle-json").unwrap_err();
    assert!(error.to_string().contains("acquire 2 of s"), "{error}");

    let seen = Outcome::Fail(Reason::new("two words", ""));
    let write = Operation::Write {
        key: "k".into(),
        value: 1.into(),
    };
    let mut bytes = Vec::new();
    let (history, header) = (one(write, seen), Header::new(None, Vec::new()));
    let what = Exported {
        header: &header,
        history: &history,
        clients: None,
    };
    let format = export::find("jepsen-edn").unwrap();
    assert!(export::write(format, &mut bytes, &what).is_err());
    assert!(bytes.is_empty(), "{}", String::from_utf8_lossy(&bytes));
}

#[test]
fn edn_looks_as_jepsen_writes_it() {
    let micros = vec![
        Micro::Append {
            key: 1.into(),
            value: 2.into(),
        },
        Micro::Read {
            key: 1.into(),
            seen: Seen::List(vec![2.into()]),
        },
    ];
    let asked = micros.iter().map(Micro::asked).collect();
    let history = one(
        Operation::Txn { micros: asked },
        Outcome::Ok(Answer::Txn(micros)),
    );
    let text = |format| String::from_utf8(exported(&history, format).unwrap()).unwrap();
    assert_eq!(
        text("jepsen-edn"),
        "{:index 0, :type :invoke, :process 0, :f :txn, :value [[:append 1 2] [:r 1 nil]], :time 0}\n\
         {:index 1, :type :ok, :process 0, :f :txn, :value [[:append 1 2] [:r 1 [2]]], :time 1500}\n"
    );
    assert_eq!(
        text("elle-json"),
        "[\n{\"index\": 0, \"type\": \"invoke\", \"process\": 0, \"f\": \"txn\", \"value\": [[\"append\",1,2],[\"r\",1,null]], \"time\": 0},\n\
         {\"index\": 1, \"type\": \"ok\", \"process\": 0, \"f\": \"txn\", \"value\": [[\"append\",1,2],[\"r\",1,[2]]], \"time\": 1500}\n]\n"
    );
}

#[test]
fn a_trace_tells_of_faults_states_and_leaders() {
    let events = [
        Body::Invoke(Operation::Read { key: "k".into() }),
        nemesis(0),
        nemesis(1),
        nemesis(2),
    ];
    let events = events.into_iter().enumerate().map(|(at, body)| Event {
        index: at as u64,
        time: at as u64 * 1_500,
        process: if at == 0 {
            Process::Client(4)
        } else {
            Process::Nemesis
        },
        node: None,
        body,
    });
    let history = History::from_events(events).unwrap();
    let trace: Json = serde_json::from_slice(&exported(&history, "trace").unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let find = |ph: &str, name: &str| events.iter().find(|e| e["ph"] == ph && e["name"] == name);
    let read = find("X", "? read k").unwrap();
    assert_eq!(
        (
            read["tid"].as_u64(),
            read["ts"].as_f64(),
            read["dur"].as_f64()
        ),
        (Some(0), Some(0.0), Some(4.5))
    );
    assert_eq!(find("b", "kill n1").unwrap()["ts"], 1.5);
    assert_eq!(find("e", "kill n1").unwrap()["ts"], 4.5);
    assert_eq!(find("X", "killed").unwrap()["ts"], 3.0);
    assert_eq!(find("X", "leader").unwrap()["ts"], 4.5);
}
