//! How a session decides the end of an operation, against nodes that misbehave on purpose.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tribunal_results::{Answer, Operation, Outcome};
use tribunal_targets::{ClientSpec, Session, find};

/// What the node does with a request.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Accepts, and says nothing at all: like a proxy before a dead node.
    Mute,
    /// Says hello, then nothing.
    Silent,
    /// Says hello, then closes on the first request.
    Closes,
    /// Says hello and closes at once.
    Leaves,
    /// Says hello, and answers with what is no answer to the request before the answer.
    Babbles,
    /// Says hello, and answers with the number that it told the session last: one more each time.
    Counts,
}

/// A node of that behaviour; tells the name in each hello that it hears.
async fn node(behaviour: Behaviour) -> (ClientSpec, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec = ClientSpec {
        process: 7,
        node: "n1".into(),
        address: listener.local_addr().unwrap(),
        nodes: [].into(),
        timeout: Duration::from_millis(200),
    };
    let (hellos, heard) = mpsc::channel(100);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, behaviour, hellos.clone()));
        }
    });
    (spec, heard)
}

async fn serve(stream: TcpStream, behaviour: Behaviour, hellos: mpsc::Sender<String>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let message: Json = serde_json::from_str(&line).unwrap();
        let id = message["body"]["msg_id"].as_u64().unwrap();
        let hello = message["body"]["type"] == "hello";
        if hello {
            let _ = hellos.send(message["src"].to_string()).await;
        }
        let mut say = async |body: Json| {
            let answer = json!({ "src": "n1", "dest": message["src"], "body": body });
            let _ = write.write_all(format!("{answer}\n").as_bytes()).await;
        };
        match behaviour {
            Behaviour::Mute => {}
            _ if hello => {
                say(json!({ "type": "hello_ok", "in_reply_to": id })).await;
                if matches!(behaviour, Behaviour::Leaves) {
                    return;
                }
            }
            Behaviour::Silent | Behaviour::Leaves => {}
            Behaviour::Closes => return,
            Behaviour::Counts => {
                let told = message["body"]["context"].as_u64().unwrap_or(0);
                let next = told + 1;
                say(
                    json!({ "type": "read_ok", "value": told, "context": next, "in_reply_to": id }),
                )
                .await;
            }
            Behaviour::Babbles => {
                say(json!({ "type": "read_ok", "value": 1, "in_reply_to": id - 1 })).await;
                say(json!({ "type": "gossip" })).await;
                say(json!({ "type": "read_ok", "value": 2, "in_reply_to": id })).await;
            }
        }
    }
}

fn session(spec: ClientSpec) -> Session {
    Session::new(find("quorum-register").unwrap(), spec)
}

fn read() -> Operation {
    Operation::Read { key: 1.into() }
}

fn write() -> Operation {
    Operation::Write {
        key: 1.into(),
        value: 2.into(),
    }
}

fn failed(outcome: &Outcome, code: &str) {
    assert!(
        matches!(outcome, Outcome::Fail(r) if r.code == code),
        "{outcome:?}"
    );
}

fn unknown(outcome: &Outcome, code: &str) {
    assert!(
        matches!(outcome, Outcome::Info(r) if r.code == code),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn without_a_hello_nothing_was_sent() {
    let (spec, _) = node(Behaviour::Mute).await;
    failed(&session(spec).perform(&write()).await, "no-connection");
}

#[tokio::test]
async fn silence_after_a_request_is_unknown_for_writes_and_a_failure_for_reads() {
    let (spec, mut hellos) = node(Behaviour::Silent).await;
    let mut session = session(spec);
    unknown(&session.perform(&write()).await, "timeout");
    failed(&session.perform(&read()).await, "timeout");
    session.renumber(12);
    failed(&session.perform(&read()).await, "timeout");
    // Each of them had to say hello anew: no connection outlives a missing answer.
    let names = [(); 3].map(|()| hellos.try_recv().unwrap());
    assert_eq!(names, ["\"c7\"", "\"c7\"", "\"c12\""]);
}

#[tokio::test]
async fn a_connection_lost_after_a_request_is_unknown_for_writes() {
    let (spec, _hellos) = node(Behaviour::Closes).await;
    let mut session = session(spec);
    unknown(&session.perform(&write()).await, "connection-lost");
    failed(&session.perform(&read()).await, "connection-lost");
}

#[tokio::test]
async fn what_a_node_told_a_session_goes_with_it_to_other_nodes_but_not_to_other_processes() {
    let (here, _) = node(Behaviour::Counts).await;
    let (there, _) = node(Behaviour::Counts).await;
    let counted = |count: i64| Outcome::Ok(Answer::Value(Some(count.into())));
    let mut session = session(here);
    for count in 0..3 {
        assert_eq!(session.perform(&read()).await, counted(count));
    }
    let mut session = session.moved(Session::new(find("quorum-register").unwrap(), there));
    for count in 3..5 {
        assert_eq!(session.perform(&read()).await, counted(count));
    }
    session.renumber(12);
    assert_eq!(session.perform(&read()).await, counted(0));
}

#[tokio::test]
async fn only_the_answer_to_the_request_counts_and_the_connection_is_kept() {
    let (spec, mut hellos) = node(Behaviour::Babbles).await;
    let mut session = session(spec);
    for _ in 0..3 {
        let outcome = session.perform(&read()).await;
        assert_eq!(outcome, Outcome::Ok(Answer::Value(Some(2.into()))));
    }
    assert!(hellos.try_recv().is_ok());
    assert!(
        hellos.try_recv().is_err(),
        "a good connection is used again"
    );
    // An answer of the wrong type decides nothing.
    unknown(&session.perform(&write()).await, "bad-answer");
}

#[tokio::test]
async fn a_closed_connection_is_replaced_and_what_was_sent_on_it_is_of_unknown_end() {
    let (spec, mut hellos) = node(Behaviour::Leaves).await;
    let mut session = session(spec);
    let custom = Operation::Custom {
        name: "dance".into(),
        value: Json::Null,
    };
    for _ in 0..3 {
        unknown(&session.perform(&custom).await, "connection-lost");
        hellos.recv().await.unwrap();
        // Whether or not the end of the connection is seen before the next operation, that one
        // is not sent into the void.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn nobody_listening_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec = ClientSpec {
        process: 1,
        node: "n1".into(),
        address: listener.local_addr().unwrap(),
        nodes: [].into(),
        timeout: Duration::from_secs(1),
    };
    drop(listener);
    failed(&session(spec).perform(&write()).await, "refused");
}
