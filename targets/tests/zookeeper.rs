//! ZooKeeper's client against servers that answer wrongly, late or not at all: what may have
//! arrived is unknown, and only what a server says definitely is a failure.
#![cfg(feature = "zookeeper")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "everything here is a test"
)]

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tribunal_results::{Answer, Operation, Outcome};
use tribunal_targets::client::Session;
use tribunal_targets::{ClientSpec, System, zookeeper};

/// What a server does with one request.
#[derive(Clone, Debug)]
enum Does {
    /// Answers: transaction, error, and what follows.
    Answer(i64, i32, Vec<u8>),
    /// Answers under another number.
    AnswerAnother,
    /// Says that a frame of that length follows, and nothing more.
    Promise(u32),
    /// Closes the connection.
    Close,
    /// Says nothing.
    Hang,
}

use Does::{AnswerAnother, Close, Hang, Promise};

const NO_NODE: i32 = -101;
const BAD_VERSION: i32 = -103;
const NODE_EXISTS: i32 = -110;
const CONNECTION_LOSS: i32 = -4;

fn error(number: i32) -> Does {
    Does::Answer(9, number, Vec::new())
}

/// The znode holds that, in that version.
fn holds(zxid: i64, value: &str, version: i32) -> Does {
    let mut data = (value.len() as u32).to_be_bytes().to_vec();
    data.extend(value.as_bytes());
    data.extend([0; 32]);
    data.extend(version.to_be_bytes());
    data.extend([0; 32]);
    Does::Answer(zxid, 0, data)
}

fn done() -> Does {
    Does::Answer(9, 0, Vec::new())
}

async fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()?;
    let mut frame = vec![0; length as usize];
    stream.read_exact(&mut frame).await.ok()?;
    Some(frame)
}

fn with_length(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_be_bytes()[..], body].concat()
}

/// A server that gives every connection a session, and does the next of those with each request.
async fn server(timeout: i32, script: Vec<Does>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut script = script.into_iter();
        while let Ok((mut stream, _)) = listener.accept().await {
            frame(&mut stream).await;
            let mut hello = [0i32.to_be_bytes(), timeout.to_be_bytes()].concat();
            hello.extend(77i64.to_be_bytes());
            hello.extend([0, 0, 0, 16]);
            hello.extend([0; 17]);
            stream.write_all(&with_length(&hello)).await.unwrap();
            while let Some(request) = frame(&mut stream).await {
                let xid = i32::from_be_bytes(*request.first_chunk().unwrap());
                let (xid, zxid, error, rest) = match script.next().unwrap_or(Close) {
                    Does::Answer(zxid, error, rest) => (xid, zxid, error, rest),
                    AnswerAnother => (xid + 1, 9, 0, Vec::new()),
                    Promise(length) => {
                        stream.write_all(&length.to_be_bytes()).await.unwrap();
                        continue;
                    }
                    Hang => continue,
                    Close => break,
                };
                let mut body = xid.to_be_bytes().to_vec();
                body.extend(zxid.to_be_bytes());
                body.extend(error.to_be_bytes());
                body.extend(rest);
                stream.write_all(&with_length(&body)).await.unwrap();
            }
        }
    });
    address
}

async fn session(reads: &str, script: Vec<Does>) -> Session {
    let options = json!({ "reads": reads });
    let system = System::new(&zookeeper::TARGET, &options).unwrap();
    Session::new(system, spec(server(30_000, script).await))
}

fn spec(address: SocketAddr) -> ClientSpec {
    ClientSpec {
        process: 1,
        node: "n1".into(),
        address,
        nodes: [("n1".into(), address)].into(),
        timeout: Duration::from_millis(500),
    }
}

fn read() -> Operation {
    Operation::Read { key: "k1".into() }
}

fn write() -> Operation {
    Operation::Write {
        key: "k1".into(),
        value: 5.into(),
    }
}

fn cas() -> Operation {
    Operation::Cas {
        key: "k1".into(),
        from: 4.into(),
        to: 5.into(),
    }
}

async fn ends(reads: &str, operation: Operation, script: Vec<Does>) -> Outcome {
    session(reads, script).await.perform(&operation).await
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok(answer) => format!("ok {answer:?}"),
        Outcome::Fail(reason) => format!("fail {}", reason.code),
        Outcome::Info(reason) => format!("info {}", reason.code),
    }
}

#[tokio::test]
async fn what_is_answered_is_what_happened() {
    let five = Outcome::Ok(Answer::Value(Some(5.into())));
    assert_eq!(ends("plain", read(), vec![holds(9, "5", 1)]).await, five);
    let absent = Outcome::Ok(Answer::Value(None));
    assert_eq!(ends("plain", read(), vec![error(NO_NODE)]).await, absent);
    assert_eq!(
        ends("sync", read(), vec![done(), holds(9, "5", 1)]).await,
        five
    );
    let wrote = Outcome::Ok(Answer::Done);
    assert_eq!(ends("plain", write(), vec![done()]).await, wrote);
    let created = vec![error(NO_NODE), done()];
    assert_eq!(ends("plain", write(), created).await, wrote);
    let overtaken = vec![error(NO_NODE), error(NODE_EXISTS), done()];
    assert_eq!(ends("plain", write(), overtaken).await, wrote);
    let set = vec![holds(9, "4", 3), done()];
    assert_eq!(ends("plain", cas(), set).await, wrote);
}

#[tokio::test]
async fn a_write_without_a_definite_answer_is_unknown() {
    for does in [
        Close,
        Hang,
        AnswerAnother,
        Promise(u32::MAX),
        Promise(3),
        error(CONNECTION_LOSS),
        error(-1),
    ] {
        for (operation, before) in [
            (write(), vec![]),
            (write(), vec![error(NO_NODE)]),
            (cas(), vec![holds(9, "4", 3)]),
        ] {
            let script = [before, vec![does.clone()]].concat();
            let outcome = ends("plain", operation, script).await;
            assert!(
                matches!(outcome, Outcome::Info(_)),
                "{does:?}: {}",
                word(&outcome)
            );
        }
    }
}

#[tokio::test]
async fn a_read_without_an_answer_has_failed_and_so_has_what_only_read() {
    for does in [Close, Hang, AnswerAnother, Promise(u32::MAX), error(-1)] {
        for operation in [read(), cas()] {
            let outcome = ends("plain", operation.clone(), vec![does.clone()]).await;
            // Time runs out at the session, which does not know how far a compare-and-set was.
            let may_be = matches!((&does, &operation), (Hang, Operation::Cas { .. }));
            assert!(
                matches!(outcome, Outcome::Fail(_)) || may_be,
                "{does:?}: {}",
                word(&outcome)
            );
        }
    }
}

#[tokio::test]
async fn what_the_server_refuses_has_had_no_effect() {
    for (number, code) in [(-112, "session-expired"), (-118, "session-moved")] {
        let outcome = ends("plain", write(), vec![error(number)]).await;
        assert_eq!(word(&outcome), format!("fail {code}"));
    }
    let changed = vec![holds(9, "4", 3), error(BAD_VERSION)];
    let outcome = ends("plain", cas(), changed).await;
    assert_eq!(word(&outcome), "fail bad-version");
    // By what may be an old read: no claim that it holds another value.
    let outcome = ends("plain", cas(), vec![holds(9, "7", 3)]).await;
    assert_eq!(word(&outcome), "fail other-value");
}

#[tokio::test]
async fn a_read_whose_sync_failed_does_not_pass_for_recent() {
    for failed in [error(CONNECTION_LOSS), error(NO_NODE), error(-112)] {
        let outcome = ends("sync", read(), vec![failed, holds(9, "5", 1)]).await;
        assert!(matches!(outcome, Outcome::Fail(_)), "{}", word(&outcome));
    }
}

#[tokio::test]
async fn a_session_is_not_continued_by_a_server_that_has_seen_less() {
    let script = vec![
        holds(20, "5", 1),
        Close,
        holds(19, "4", 0),
        holds(20, "5", 1),
    ];
    let mut session = session("plain", script).await;
    let mut words = Vec::new();
    for _ in 0..4 {
        words.push(word(&session.perform(&read()).await));
    }
    let five = word(&Outcome::Ok(Answer::Value(Some(5.into()))));
    let lost = "fail connection-lost".to_owned();
    assert_eq!(words, [five.clone(), lost.clone(), lost, five]);
}

#[tokio::test]
async fn who_gets_no_session_has_asked_nothing() {
    let system = System::new(&zookeeper::TARGET, &json!({})).unwrap();
    let mut session = Session::new(system, spec(server(0, vec![done()]).await));
    let outcome = session.perform(&write()).await;
    assert_eq!(word(&outcome), "fail no-connection");
}
