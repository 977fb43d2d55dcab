//! What the client of etcd makes of servers that fail in every way: no etcd is needed.
#![cfg(feature = "etcd")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tribunal_results::{Answer, Operation, Outcome};
use tribunal_targets::{ClientSpec, Session, System};

/// What the fake server does with a request.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Answers with that status and body.
    Say(u16, &'static str),
    /// Says that the answer is longer than it is, and closes.
    Half,
    /// Closes without a word.
    Close,
    /// Says nothing for ever.
    Hang,
}

const OK: Act = Act::Say(200, r#"{"header":{"revision":"7"}}"#);
const GRANTED: Act = Act::Say(200, r#"{"header":{},"ID":"255","TTL":"2"}"#);
/// `lock/a/ff`, at revision 7.
const LOCKED: Act = Act::Say(200, r#"{"header":{"revision":"7"},"key":"bG9jay9hL2Zm"}"#);
/// `lock/set/s/ff`.
const SET_LOCKED: Act = Act::Say(
    200,
    r#"{"header":{"revision":"7"},"key":"bG9jay9zZXQvcy9mZg=="}"#,
);
const ALIVE: Act = Act::Say(200, r#"{"result":{"header":{},"ID":"255","TTL":"2"}}"#);
const EXPIRED: Act = Act::Say(200, r#"{"result":{"header":{},"ID":"255"}}"#);
const NO_LEASE: Act = Act::Say(404, r#"{"error":"requested lease not found","code":5}"#);
const NOTHING: Act = Act::Say(200, r#"{"header":{}}"#);
const ONE: Act = Act::Say(
    200,
    r#"{"header":{},"kvs":[{"key":"aw==","value":"MQ=="}],"count":"1"}"#,
);

type Script = Vec<(&'static str, Act)>;

/// A server that does what the script says, path by path; whatever it does not foresee it refuses by
/// closing. Returns its address, and where it notes which paths were asked for.
async fn server(script: Script) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (script, asked) = (Arc::new(Mutex::new(script)), Arc::default());
    let notes = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&notes)));
        }
    });
    (address, asked)
}

async fn serve(stream: TcpStream, script: Arc<Mutex<Script>>, asked: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(path) = request(&mut stream).await {
        asked.lock().unwrap().push(path.clone());
        let act = {
            let mut script = script.lock().unwrap();
            match script.first() {
                Some((expected, _)) if *expected == path => script.remove(0).1,
                _ => return,
            }
        };
        let said = match act {
            Act::Say(status, body) => {
                let length = body.len();
                format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}")
            }
            Act::Half => "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"header\":".into(),
            Act::Close => return,
            Act::Hang => std::future::pending().await,
        };
        stream.write_all(said.as_bytes()).await.unwrap();
        if matches!(act, Act::Half) {
            return;
        }
    }
}

/// The path of the next request; its body is read and forgotten.
async fn request(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|n| *n > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        match line.trim().split_once(": ") {
            Some(("content-length", n)) => length = n.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    stream.read_exact(&mut vec![0; length]).await.ok()?;
    Some(path)
}

fn session(address: SocketAddr, options: &Json) -> Session {
    let target = tribunal_targets::find("etcd").unwrap();
    let spec = ClientSpec {
        process: 1,
        node: "n1".into(),
        address,
        nodes: [("n1".into(), address)].into(),
        timeout: Duration::from_millis(500),
    };
    Session::new(System::new(target, options).unwrap(), spec)
}

async fn outcome_with(options: Json, script: Script, operation: &Operation) -> Outcome {
    let (address, _) = server(script).await;
    session(address, &options).perform(operation).await
}

async fn outcome(script: Script, operation: &Operation) -> Outcome {
    outcome_with(Json::Null, script, operation).await
}

fn read() -> Operation {
    Operation::Read { key: "k".into() }
}

fn write() -> Operation {
    Operation::Write {
        key: "k".into(),
        value: 1.into(),
    }
}

fn add() -> Operation {
    Operation::Add {
        key: "s".into(),
        value: 1.into(),
    }
}

fn acquire() -> Operation {
    Operation::Acquire {
        lock: "a".into(),
        ticket: Some(1),
    }
}

fn failed(outcome: &Outcome, code: &str) -> bool {
    matches!(outcome, Outcome::Fail(reason) if reason.code == code)
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_or_none_is_unknown_and_a_read_changed_nothing() {
    for act in [
        Act::Half,
        Act::Close,
        Act::Hang,
        Act::Say(200, ""),
        Act::Say(200, "{}"),
        Act::Say(200, "[1,2"),
        Act::Say(500, r#"{"header":{}}"#),
        Act::Say(
            503,
            r#"{"error":"etcdserver: request timed out","code":14}"#,
        ),
        Act::Say(503, r#"{"error":"etcdserver: leader changed","code":14}"#),
    ] {
        let said = outcome(vec![("/v3/kv/put", act)], &write()).await;
        assert!(matches!(said, Outcome::Info(_)), "{act:?}: {said:?}");
        let said = outcome(vec![("/v3/kv/range", act)], &read()).await;
        assert!(matches!(said, Outcome::Fail(_)), "{act:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_refusal_that_says_so_is_definite() {
    let refusal = Act::Say(
        400,
        r#"{"error":"etcdserver: key is not provided","code":3}"#,
    );
    let said = outcome(vec![("/v3/kv/put", refusal)], &write()).await;
    assert!(failed(&said, "etcd-3"), "{said:?}");
    let cas = Operation::Cas {
        key: "k".into(),
        from: 1.into(),
        to: 2.into(),
    };
    let said = outcome(vec![("/v3/kv/txn", NOTHING)], &cas).await;
    assert!(failed(&said, "precondition-failed"), "{said:?}");
    let swapped = Act::Say(200, r#"{"header":{},"succeeded":true}"#);
    let said = outcome(vec![("/v3/kv/txn", swapped)], &cas).await;
    assert_eq!(said, Outcome::Ok(Answer::Done));
}

#[tokio::test]
async fn a_read_believes_only_what_it_understands() {
    let said = outcome(vec![("/v3/kv/range", ONE)], &read()).await;
    assert_eq!(said, Outcome::Ok(Answer::Value(Some(1.into()))));
    let said = outcome(vec![("/v3/kv/range", NOTHING)], &read()).await;
    assert_eq!(said, Outcome::Ok(Answer::Value(None)));
    for body in [
        r#"{"header":{},"count":"1"}"#,
        r#"{"header":{},"kvs":[{"value":"!"}],"count":"1"}"#,
        r#"{"header":{},"kvs":[{"value":"eA=="}],"count":"1"}"#,
    ] {
        let said = outcome(vec![("/v3/kv/range", Act::Say(200, body))], &read()).await;
        assert!(failed(&said, "bad-answer"), "{body}: {said:?}");
    }
}

#[tokio::test]
async fn nothing_is_added_before_the_set_is_written_back() {
    let before = [
        ("/v3/lease/grant", GRANTED),
        ("/v3/lock/lock", SET_LOCKED),
        ("/v3/kv/range", NOTHING),
        ("/v3/kv/put", OK),
    ];
    for lost in 0..before.len() {
        for act in [Act::Half, Act::Close] {
            let mut script: Script = before.into();
            script.truncate(lost);
            script.push((before[lost].0, act));
            let said = outcome(script, &add()).await;
            let is_put = lost == before.len() - 1;
            assert_eq!(matches!(said, Outcome::Info(_)), is_put, "{lost}: {said:?}");
            assert_eq!(
                matches!(said, Outcome::Fail(_)),
                !is_put,
                "{lost}: {said:?}"
            );
        }
    }
    let (address, asked) = server(before.into()).await;
    let said = session(address, &Json::Null).perform(&add()).await;
    assert_eq!(
        said,
        Outcome::Ok(Answer::Done),
        "even if it can't be unlocked"
    );
    assert_eq!(asked.lock().unwrap().last().unwrap(), "/v3/lock/unlock");
}

#[tokio::test]
async fn a_fenced_addition_fails_definitely_when_its_lock_is_gone() {
    let script = vec![
        ("/v3/lease/grant", GRANTED),
        ("/v3/lock/lock", SET_LOCKED),
        ("/v3/kv/range", NOTHING),
        ("/v3/kv/txn", NOTHING),
    ];
    let said = outcome_with(json!({ "guard": "fenced" }), script, &add()).await;
    assert!(failed(&said, "lock-lost"), "{said:?}");
}

#[tokio::test]
async fn a_lock_request_that_is_lost_is_taken_back_with_its_lease() {
    for act in [
        Act::Close,
        Act::Half,
        Act::Hang,
        Act::Say(200, "{}"),
        LOCKED_AS_OTHER,
    ] {
        let begun = [("/v3/lease/grant", GRANTED), ("/v3/lock/lock", act)];
        for revoked in [OK, NO_LEASE] {
            let mut script: Script = begun.into();
            script.push(("/v3/lease/revoke", revoked));
            let said = outcome(script, &acquire()).await;
            assert!(matches!(said, Outcome::Fail(_)), "{act:?}: {said:?}");
        }
        for revoked in [Act::Close, Act::Half, Act::Hang] {
            let mut script: Script = begun.into();
            script.push(("/v3/lease/revoke", revoked));
            let said = outcome(script, &acquire()).await;
            assert!(matches!(said, Outcome::Info(_)), "{act:?}: {said:?}");
        }
    }
}

/// A lock that is granted to another lease, `lock/a/fe`.
const LOCKED_AS_OTHER: Act = Act::Say(200, r#"{"header":{"revision":"7"},"key":"bG9jay9hL2Zl"}"#);

#[tokio::test]
async fn a_hold_is_believed_in_while_its_lease_lives_or_where_etcd_lied_about_it() {
    let script = |alive, existed| -> Script {
        vec![
            ("/v3/lease/grant", GRANTED),
            ("/v3/lock/lock", LOCKED),
            ("/v3/lease/keepalive", alive),
            ("/v3/kv/range", existed),
        ]
    };
    let held = |outcome: &Outcome| matches!(outcome, Outcome::Ok(Answer::Grant(g)) if g.token == 255 && g.lease_ms >= 2_000);
    for trust in ["answer", "lease"] {
        let options = json!({ "trust": trust });
        let said = outcome_with(options.clone(), script(ALIVE, NOTHING), &acquire()).await;
        assert!(held(&said), "{trust}: {said:?}");
        // It was there when it was granted, and has run out since: nobody lied.
        let said = outcome_with(options.clone(), script(EXPIRED, ONE), &acquire()).await;
        assert!(failed(&said, "lease-expired"), "{trust}: {said:?}");
        // It was not there when it was granted.
        let said = outcome_with(options, script(EXPIRED, NOTHING), &acquire()).await;
        assert_eq!(held(&said), trust == "answer", "{trust}: {said:?}");
    }
}

#[tokio::test]
async fn a_release_fails_where_the_lease_was_gone_before() {
    let release = Operation::Release {
        lock: "a".into(),
        token: 255,
    };
    let script = |revoked| vec![("/v3/lock/unlock", OK), ("/v3/lease/revoke", revoked)];
    let said = outcome(script(OK), &release).await;
    assert_eq!(said, Outcome::Ok(Answer::Done));
    let said = outcome(script(NO_LEASE), &release).await;
    assert!(failed(&said, "precondition-failed"), "{said:?}");
    let said = outcome(vec![("/v3/lock/unlock", Act::Close)], &release).await;
    assert!(matches!(said, Outcome::Info(_)), "{said:?}");
}
