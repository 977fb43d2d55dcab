//! What is fuzzed: plain functions of bytes, which panic where something is wrong.
//!
//! `checkers/tests/fuzz.rs` runs them as ordinary tests, on a corpus and on mutations of it with
//! fixed seeds; the package beside this file runs them under a fuzzer.

use tribunal_checkers::{ALL, Budget, strongest};
use tribunal_results::event::{Body, Event, Process};
use tribunal_results::journal::{self, Header, JournalWriter};
use tribunal_results::operation::Kind;
use tribunal_results::{
    Answer, Grant, History, Micro, Operation, Outcome, Reason, Record, Row, Scalar, Seen, import,
};

/// A function of bytes, with its name.
pub type Named = (&'static str, fn(&[u8]));

/// Every body.
pub const BODIES: [Named; 7] = [
    ("jsonl", jsonl),
    ("jepsen-edn", jepsen_edn),
    ("jepsen-json", jepsen_json),
    ("porcupine", porcupine),
    ("dbcop", dbcop),
    ("any-format", any_format),
    ("checkers", checkers),
];

/// Our own histories.
pub fn jsonl(data: &[u8]) {
    imported("jsonl", data);
}

/// Jepsen's histories as EDN.
pub fn jepsen_edn(data: &[u8]) {
    imported("jepsen-edn", data);
}

/// Jepsen's histories as JSON.
pub fn jepsen_json(data: &[u8]) {
    imported("jepsen-json", data);
}

/// Jepsen's text logs.
pub fn porcupine(data: &[u8]) {
    imported("porcupine", data);
}

/// dbcop's binary histories.
pub fn dbcop(data: &[u8]) {
    imported("dbcop", data);
}

/// A history of whatever format its bytes tell.
pub fn any_format(data: &[u8]) {
    if let Ok(imported) = import::read(data, None, None) {
        written(&imported.history);
    }
}

fn imported(format: &str, data: &[u8]) {
    let format = import::find(format);
    assert!(format.is_some());
    match import::read(data, None, format) {
        Ok(imported) => written(&imported.history),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What is taken as a history can be written as ours, and is read back the same.
fn written(history: &History) {
    if history.fault_events().next().is_some() || !history.node_events().is_empty() {
        return;
    }
    let mut events: Vec<Event> = Vec::new();
    for call in history.calls() {
        let process = Process::Client(call.process);
        let mut event = |stamp: tribunal_results::Stamp, body| {
            events.push(Event {
                index: stamp.index,
                time: stamp.time,
                process,
                node: call.node.clone(),
                body,
            });
        };
        event(call.invoked, Body::Invoke(call.operation.clone()));
        if let Some(stamp) = call.completed {
            let complete = Body::Complete(call.operation.clone(), call.outcome.clone());
            event(stamp, complete);
        }
    }
    events.sort_by_key(|event| event.index);
    let mut writer = JournalWriter::new(&Header::new(None, Vec::new())).unwrap();
    for event in &events {
        writer.append(event).unwrap();
    }
    let bytes = writer.take();
    let again = journal::read(&bytes[..]).unwrap_or_else(|e| panic!("cannot read back: {e}"));
    assert_eq!(again.history, *history);
}

/// Every checker on a history that the bytes describe: no panic, and the same verdict twice.
pub fn checkers(data: &[u8]) {
    let record = Record {
        history: decoded(data),
        ..Record::default()
    };
    let budget = Budget {
        steps: 20_000,
        bytes: 16 << 20,
    };
    for checker in ALL {
        let verdict = checker.check(&record, budget);
        let again = checker.check(&record, budget);
        assert_eq!(verdict, again, "{} is of two minds", checker.name());
        assert!(
            verdict
                .anomalies
                .iter()
                .all(|a| checker.anomalies().contains(&a.name.as_str())),
            "{} found what it does not know: {verdict:?}",
            checker.name()
        );
    }
    let models = strongest(&record.history, budget);
    assert_eq!(models, strongest(&record.history, budget));
    written(&record.history);
}

/// Clients at a time.
const CLIENTS: usize = 5;
/// Calls that a history has at most: some checkers search.
const CALLS_MAX: usize = 60;

/// Bytes, one after the other; zeros after the last.
struct Bytes<'a>(std::slice::Iter<'a, u8>);

impl Bytes<'_> {
    fn below(&mut self, n: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % n
    }

    fn scalar(&mut self) -> Scalar {
        match self.below(8) {
            7 => "x".into(),
            n => Scalar::Int(n as i64),
        }
    }

    fn scalars(&mut self) -> Vec<Scalar> {
        (0..self.below(4)).map(|_| self.scalar()).collect()
    }

    fn key(&mut self) -> Scalar {
        Scalar::Int(self.below(2) as i64)
    }

    fn token(&mut self) -> u64 {
        self.below(4) as u64
    }
}

/// A history: each step lets one client invoke something or ends what it has invoked.
pub fn decoded(data: &[u8]) -> History {
    let mut bytes = Bytes(data.iter());
    // The first byte chooses the kinds: all, or those of one object.
    let family = bytes.below(FAMILIES.len() + 1);
    let kinds = FAMILIES.get(family).copied().unwrap_or(&Kind::ALL[..]);
    let mut clients: Vec<(u64, Option<Operation>)> =
        (0..CLIENTS as u64).map(|n| (n, None)).collect();
    let mut events = Vec::new();
    while bytes.0.len() > 0 && events.len() < CALLS_MAX * 2 {
        let (number, outstanding) = &mut clients[bytes.below(CLIENTS)];
        let process = Process::Client(*number);
        let body = match outstanding.take() {
            None => {
                let kind = kinds[bytes.below(kinds.len())];
                let operation = operation(kind, &mut bytes);
                *outstanding = Some(operation.clone());
                Body::Invoke(operation)
            }
            Some(operation) => {
                let outcome = match bytes.below(8) {
                    0 => Outcome::Info(Reason::new("timeout", "")),
                    1 => Outcome::Fail(Reason::new("refused", "")),
                    _ => Outcome::Ok(answer(&operation, &mut bytes)),
                };
                if matches!(outcome, Outcome::Info(_)) {
                    *number += CLIENTS as u64;
                }
                Body::Complete(operation, outcome)
            }
        };
        let index = events.len() as u64;
        events.push(Event {
            index,
            time: index * 1_000_000,
            process,
            node: None,
            body,
        });
    }
    History::from_events(events).unwrap()
}

/// Kinds that work on one kind of object.
const FAMILIES: [&[Kind]; 10] = [
    &[Kind::Read, Kind::Write, Kind::Cas],
    &[Kind::Txn],
    &[Kind::Append, Kind::Elements, Kind::Txn],
    &[
        Kind::Request,
        Kind::Acquire,
        Kind::TryAcquire,
        Kind::Renew,
        Kind::Release,
        Kind::GuardedWrite,
    ],
    &[Kind::Add, Kind::Remove, Kind::Contains, Kind::Members],
    &[Kind::Increment, Kind::Count],
    &[Kind::Enqueue, Kind::Dequeue, Kind::Drain],
    &[Kind::Push, Kind::Pop],
    &[Kind::AcquirePermits, Kind::ReleasePermits],
    &[Kind::Transfer, Kind::Balances],
];

#[rustfmt::skip]
fn operation(kind: Kind, bytes: &mut Bytes<'_>) -> Operation {
    let key = bytes.key();
    match kind {
        Kind::Read => Operation::Read { key },
        Kind::Write => Operation::Write { key, value: bytes.scalar() },
        Kind::Cas => Operation::Cas { key, from: bytes.scalar(), to: bytes.scalar() },
        Kind::Request => Operation::Request { lock: key },
        Kind::Acquire => {
            let ticket = (bytes.below(3) > 0).then(|| bytes.token());
            Operation::Acquire { lock: key, ticket }
        }
        Kind::TryAcquire => Operation::TryAcquire { lock: key },
        Kind::Renew => Operation::Renew { lock: key, token: bytes.token() },
        Kind::Release => Operation::Release { lock: key, token: bytes.token() },
        Kind::GuardedWrite => {
            Operation::GuardedWrite { key, value: bytes.scalar(), token: bytes.token() }
        }
        Kind::Append => Operation::Append { key, value: bytes.scalar() },
        Kind::Elements => Operation::Elements { key },
        Kind::Add => Operation::Add { key, value: bytes.scalar() },
        Kind::Remove => Operation::Remove { key, value: bytes.scalar() },
        Kind::Contains => Operation::Contains { key, value: bytes.scalar() },
        Kind::Members => Operation::Members { key },
        Kind::Increment => Operation::Increment { key, by: bytes.below(7) as i64 - 3 },
        Kind::Count => Operation::Count { key },
        Kind::Enqueue => Operation::Enqueue { key, value: bytes.scalar() },
        Kind::Dequeue => Operation::Dequeue { key },
        Kind::Drain => Operation::Drain { key },
        Kind::Push => Operation::Push { key, value: bytes.scalar() },
        Kind::Pop => Operation::Pop { key },
        Kind::AcquirePermits => {
            Operation::AcquirePermits { key, permits: bytes.below(3) as u32 }
        }
        Kind::ReleasePermits => {
            let token = (bytes.below(2) > 0).then(|| bytes.token());
            Operation::ReleasePermits { key, permits: bytes.below(3) as u32, token }
        }
        Kind::Generate => Operation::Generate { key },
        Kind::Transfer => {
            let amount = bytes.below(5) as i64;
            Operation::Transfer { key, from: bytes.scalar(), to: bytes.scalar(), amount }
        }
        Kind::Balances => Operation::Balances { key },
        Kind::Advance => Operation::Advance { key },
        Kind::Rows => Operation::Rows { key },
        Kind::Txn => Operation::Txn { micros: micros(bytes) },
        Kind::Custom => {
            Operation::Custom { name: "mine".into(), value: (bytes.below(3) as u64).into() }
        }
    }
}

fn micros(bytes: &mut Bytes<'_>) -> Vec<Micro> {
    let micro = |bytes: &mut Bytes<'_>| {
        let key = Scalar::Int(bytes.below(3) as i64);
        match bytes.below(6) {
            0..3 => Micro::Read {
                key,
                seen: Seen::Nothing,
            },
            3 => Micro::Append {
                key,
                value: bytes.scalar(),
            },
            _ => Micro::Write {
                key,
                value: bytes.scalar(),
            },
        }
    };
    (0..bytes.below(4)).map(|_| micro(bytes)).collect()
}

fn answer(operation: &Operation, bytes: &mut Bytes<'_>) -> Answer {
    match operation.kind() {
        Kind::Read | Kind::Dequeue | Kind::Pop => {
            Answer::Value((bytes.below(5) > 0).then(|| bytes.scalar()))
        }
        Kind::Generate => Answer::Value(Some(bytes.scalar())),
        Kind::Count => Answer::Value(Some(Scalar::Int(bytes.below(9) as i64 - 2))),
        Kind::Request => Answer::Ticket(bytes.token()),
        Kind::Acquire | Kind::TryAcquire | Kind::Renew => grant(bytes),
        Kind::AcquirePermits if bytes.below(2) > 0 => grant(bytes),
        Kind::Contains => Answer::Flag(bytes.below(2) > 0),
        Kind::Add | Kind::Remove if bytes.below(2) > 0 => Answer::Flag(bytes.below(2) > 0),
        Kind::Elements | Kind::Members | Kind::Drain => Answer::Values(bytes.scalars()),
        Kind::Balances => {
            let names = bytes.scalars();
            let account = |name| {
                (
                    name,
                    (bytes.below(4) > 0).then(|| bytes.below(9) as i64 - 2),
                )
            };
            Answer::Balances(names.into_iter().map(account).collect())
        }
        Kind::Advance => Answer::Row(row(bytes)),
        Kind::Rows => Answer::Rows((0..bytes.below(4)).map(|_| row(bytes)).collect()),
        Kind::Txn => Answer::Txn(answered(operation, bytes)),
        Kind::Custom => Answer::Custom((bytes.below(3) as u64).into()),
        _ => Answer::Done,
    }
}

fn grant(bytes: &mut Bytes<'_>) -> Answer {
    Answer::Grant(Grant {
        token: bytes.token(),
        lease_ms: bytes.below(50) as u64,
    })
}

fn row(bytes: &mut Bytes<'_>) -> Row {
    Row {
        value: bytes.below(5) as i64,
        timestamp: bytes.token(),
    }
}

fn answered(operation: &Operation, bytes: &mut Bytes<'_>) -> Vec<Micro> {
    let Operation::Txn { micros } = operation else {
        return Vec::new();
    };
    let answer = |micro: &Micro| match micro {
        Micro::Read { key, .. } => Micro::Read {
            key: key.clone(),
            seen: match bytes.below(4) {
                0 => Seen::Nothing,
                1 => Seen::List(bytes.scalars()),
                _ => Seen::Value(bytes.scalar()),
            },
        },
        other => other.clone(),
    };
    micros.iter().map(answer).collect()
}
