//! What the clients of Redis make of servers that fail in every way; and, where it is installed, of
//! a real one.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says why")]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tribunal_results::{Answer, NodeId, Operation, Outcome};
use tribunal_targets::{ClientSpec, NodeSpec, Session, System};

/// What is answered to a request that has that word in it; `None` closes the connection.
type Script = Vec<(&'static str, Option<&'static str>)>;

/// A server at that address that does what the script says, request by request, and closes when it is
/// over.
async fn server(at: (Ipv4Addr, u16), script: Script) -> SocketAddr {
    let listener = TcpListener::bind(at).await.unwrap();
    let address = listener.local_addr().unwrap();
    let script = Arc::new(Mutex::new(script));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&script)));
        }
    });
    address
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>) {
    let mut bytes = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut bytes).await {
        let asked = String::from_utf8_lossy(&bytes[..n]).into_owned();
        let next = {
            let mut script = script.lock().unwrap();
            match script.first() {
                Some((word, _)) if asked.contains(word) => script.remove(0).1,
                _ => None,
            }
        };
        let Some(said) = next else { return };
        stream.write_all(said.as_bytes()).await.unwrap();
        if !said.ends_with("\r\n") {
            return;
        }
    }
}

fn session(nodes: &[SocketAddr], options: &Json) -> Session {
    let target = tribunal_targets::find("redis").unwrap();
    let named = nodes.iter().enumerate();
    let named = named.map(|(i, at)| (NodeId::from(format!("n{}", i + 1).as_str()), *at));
    let spec = ClientSpec {
        process: 1,
        node: "n1".into(),
        address: nodes[0],
        nodes: named.collect(),
        timeout: Duration::from_millis(500),
    };
    Session::new(System::new(target, options).unwrap(), spec)
}

async fn outcome(options: Json, script: Script, operation: &Operation) -> Outcome {
    let address = server((Ipv4Addr::LOCALHOST, 0), script).await;
    session(&[address], &options).perform(operation).await
}

fn add() -> Operation {
    Operation::Add {
        key: "s".into(),
        value: 1.into(),
    }
}

fn members() -> Operation {
    Operation::Members { key: "s".into() }
}

fn failed(outcome: &Outcome, code: &str) -> bool {
    matches!(outcome, Outcome::Fail(reason) if reason.code == code)
}

#[tokio::test]
async fn an_addition_whose_answer_is_lost_or_none_is_unknown_and_a_read_changed_nothing() {
    for said in [
        None,
        Some(":"),
        Some(":1"),
        Some("+WHAT\r\n"),
        Some("$-1\r\n"),
        Some("HTTP/1.1 400 Bad Request\r\n\r\n"),
        Some("-ERR internal\r\n"),
        Some("-UNBLOCKED force unblock\r\n"),
    ] {
        let ended = outcome(Json::Null, vec![("SADD", said)], &add()).await;
        assert!(matches!(ended, Outcome::Info(_)), "{said:?}: {ended:?}");
        let ended = outcome(Json::Null, vec![("SMEMBERS", said)], &members()).await;
        assert!(matches!(ended, Outcome::Fail(_)), "{said:?}: {ended:?}");
    }
    for said in [
        "-READONLY replica\r\n",
        "-NOREPLICAS none\r\n",
        "-LOADING\r\n",
    ] {
        let ended = outcome(Json::Null, vec![("SADD", Some(said))], &add()).await;
        assert!(matches!(ended, Outcome::Fail(_)), "{said:?}: {ended:?}");
    }
    let ended = outcome(Json::Null, vec![("SADD", Some(":1\r\n"))], &add()).await;
    assert_eq!(ended, Outcome::Ok(Answer::Done));
}

#[tokio::test]
async fn a_set_is_read_whole_or_not_at_all() {
    let whole = "*2\r\n$1\r\n1\r\n$3\r\n\"a\"\r\n";
    let ended = outcome(Json::Null, vec![("SMEMBERS", Some(whole))], &members()).await;
    let expected = Answer::Values(vec![1.into(), "a".into()]);
    assert_eq!(ended, Outcome::Ok(expected));
    for said in [
        "*2\r\n$1\r\n1\r\n",
        "*1\r\n$1\r\nx\r\n",
        "*1\r\n*0\r\n",
        "*-1\r\n",
    ] {
        let ended = outcome(Json::Null, vec![("SMEMBERS", Some(said))], &members()).await;
        assert!(matches!(ended, Outcome::Fail(_)), "{said:?}: {ended:?}");
    }
}

#[tokio::test]
async fn what_too_few_replicas_confirm_is_not_known_to_stay() {
    let options = || json!({ "wait": 2 });
    let ended = outcome(options(), vec![("WAIT", Some(":1\r\n:2\r\n"))], &add()).await;
    assert_eq!(ended, Outcome::Ok(Answer::Done));
    let ended = outcome(options(), vec![("WAIT", Some(":1\r\n:1\r\n"))], &add()).await;
    assert!(
        matches!(&ended, Outcome::Info(r) if r.code == "not-replicated"),
        "{ended:?}"
    );
    let refused = "-NOREPLICAS none\r\n:0\r\n";
    let ended = outcome(options(), vec![("WAIT", Some(refused))], &add()).await;
    assert!(failed(&ended, "noreplicas"), "{ended:?}");
    let ended = outcome(options(), vec![("WAIT", Some("*0\r\n:1\r\n"))], &members()).await;
    assert!(failed(&ended, "not-replicated"), "{ended:?}");
}

/// A Sentinel beside a Redis, at an address that no other test has.
async fn watched(last: u8, sentinel: Script, redis: Script) -> Outcome {
    let ip = Ipv4Addr::new(127, 90, std::process::id().to_be_bytes()[3], last);
    server((ip, 26_379), sentinel).await;
    let address = server((ip, 0), redis).await;
    let options = json!({ "mode": "sentinel" });
    session(&[address], &options).perform(&add()).await
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn without_a_master_that_says_so_nothing_is_asked() {
    let own = std::process::id().to_be_bytes()[3];
    let named = |last: u8| {
        let ip = format!("127.90.{own}.{last}");
        let said = format!("*2\r\n${}\r\n{ip}\r\n$5\r\n21000\r\n", ip.len());
        let said: &'static str = said.leak();
        ("GET-MASTER", Some(said))
    };
    let master = ("ROLE", Some("*3\r\n$6\r\nmaster\r\n:7\r\n*0\r\n"));
    let replica = ("ROLE", Some("*1\r\n$5\r\nslave\r\n"));
    let added = ("SADD", Some(":1\r\n"));
    // Asked when it connects, and once more before the operation.
    let twice = |last| vec![named(last), named(last)];
    let ended = watched(1, twice(1), vec![master, added]).await;
    assert_eq!(ended, Outcome::Ok(Answer::Done));
    let ended = watched(2, twice(2), vec![replica, added]).await;
    assert!(failed(&ended, "no-master"), "{ended:?}");
    let ended = watched(
        3,
        vec![("GET-MASTER", Some("*-1\r\n"))],
        vec![master, added],
    )
    .await;
    assert!(failed(&ended, "no-master"), "{ended:?}");
    let ended = watched(4, twice(9), vec![master, added]).await;
    assert!(
        failed(&ended, "no-master"),
        "nobody knows that address: {ended:?}"
    );
    let ended = watched(5, vec![named(5), ("GET-MASTER", None)], vec![master, added]).await;
    assert!(matches!(ended, Outcome::Fail(_)), "{ended:?}");
    let ended = watched(6, twice(6), vec![master, ("SADD", None)]).await;
    assert!(matches!(ended, Outcome::Info(_)), "{ended:?}");
}

#[tokio::test]
async fn a_lock_takes_a_majority_and_is_released_if_any_instance_has_it() {
    let redlock = json!({ "mode": "redlock", "lock_ttl": "2s" });
    let acquire = Operation::Acquire {
        lock: "a".into(),
        ticket: Some(1),
    };
    let (yes, no) = (Some("+OK\r\n"), Some("$-1\r\n"));
    for (votes, is_held) in [
        ([yes, yes, no], true),
        ([yes, yes, None], true),
        ([yes, no, no], false),
        ([yes, None, Some("-LOADING\r\n")], false),
        ([yes, Some(":1"), Some("-ERR\r\n")], false),
    ] {
        let mut nodes = Vec::new();
        for vote in votes {
            nodes.push(server((Ipv4Addr::LOCALHOST, 0), vec![("SET", vote)]).await);
        }
        let ended = session(&nodes, &redlock).perform(&acquire).await;
        let held = matches!(&ended, Outcome::Ok(Answer::Grant(grant)) if grant.lease_ms < 2_000);
        assert_eq!(held, is_held, "{votes:?}: {ended:?}");
        assert!(
            held || failed(&ended, "temporarily-unavailable"),
            "{ended:?}"
        );
    }
    let release = Operation::Release {
        lock: "a".into(),
        token: 7,
    };
    let (had, not) = (Some(":1\r\n"), Some(":0\r\n"));
    for (votes, expected) in [
        ([had, not, None], "ok"),
        ([not, not, not], "fail"),
        ([not, not, None], "info"),
    ] {
        let mut nodes = Vec::new();
        for vote in votes {
            nodes.push(server((Ipv4Addr::LOCALHOST, 0), vec![("EVAL", vote)]).await);
        }
        let ended = match session(&nodes, &redlock).perform(&release).await {
            Outcome::Ok(_) => "ok",
            Outcome::Fail(_) => "fail",
            Outcome::Info(_) => "info",
        };
        assert_eq!(ended, expected, "{votes:?}");
    }
}

/// Real servers, which end with the test.
struct Servers(Vec<(Child, tempfile::TempDir, SocketAddr)>);

impl Drop for Servers {
    fn drop(&mut self) {
        for (server, ..) in &mut self.0 {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Servers {
    /// So many, once they are ready; `None`, and why, where Redis is not installed.
    async fn start(count: usize, options: &Json) -> Option<Self> {
        let target = tribunal_targets::find("redis").unwrap();
        if let Err(missing) = target.installed(&Json::Null) {
            eprintln!("skipped: {missing}");
            return None;
        }
        let target = System::new(target, options).unwrap();
        let mut servers = Self(Vec::new());
        for _ in 0..count {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let listen = free.local_addr().unwrap();
            drop(free);
            let folder = tempfile::tempdir().unwrap();
            let launch = target.launch(&NodeSpec {
                id: "n1".into(),
                listen,
                peers: Vec::new(),
                advertised: None,
                nodes: vec!["n1".into()],
                data: folder.path().to_owned(),
                bug: None,
                options: options.clone(),
            });
            let mut command = Command::new(launch.program.unwrap());
            command.args(launch.args).stdout(Stdio::null());
            servers.0.push((command.spawn().unwrap(), folder, listen));
        }
        for (_, _, listen) in &servers.0 {
            let ready = async {
                // Whoever asks bounds the time.
                let ask = || tokio::time::timeout(Duration::from_secs(1), target.status(*listen));
                while !matches!(ask().await, Ok(Ok(status)) if status.ready) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let waited = tokio::time::timeout(Duration::from_secs(20), ready).await;
            assert!(waited.is_ok(), "Redis is not ready within 20 s");
        }
        Some(servers)
    }

    fn session(&self, options: &Json) -> Session {
        let nodes: Vec<SocketAddr> = self.0.iter().map(|(.., listen)| *listen).collect();
        session(&nodes, options)
    }
}

#[tokio::test]
async fn a_real_redis_keeps_registers_and_sets() {
    let options = json!({ "appendonly": true, "fsync": "always" });
    let Some(servers) = Servers::start(1, &options).await else {
        return;
    };
    let mut session = servers.session(&options);
    let key = || "k".into();
    let read = Operation::Read { key: key() };
    let mut cas = async |from: i64, to: i64| {
        let (from, to) = (from.into(), to.into());
        session
            .perform(&Operation::Cas {
                key: key(),
                from,
                to,
            })
            .await
    };
    assert!(failed(&cas(1, 2).await, "precondition-failed"));
    let value = 1.into();
    let mut session = servers.session(&options);
    assert_eq!(
        session.perform(&read).await,
        Outcome::Ok(Answer::Value(None))
    );
    let write = Operation::Write { key: key(), value };
    assert_eq!(session.perform(&write).await, Outcome::Ok(Answer::Done));
    let swap = Operation::Cas {
        key: key(),
        from: 1.into(),
        to: "two".into(),
    };
    assert_eq!(session.perform(&swap).await, Outcome::Ok(Answer::Done));
    let two = Outcome::Ok(Answer::Value(Some("two".into())));
    assert_eq!(session.perform(&read).await, two);
    assert_eq!(session.perform(&add()).await, Outcome::Ok(Answer::Done));
    let one = Outcome::Ok(Answer::Values(vec![1.into()]));
    assert_eq!(session.perform(&members()).await, one);
}

#[tokio::test]
async fn on_real_instances_redlock_excludes_others_until_it_is_released() {
    let options = json!({ "mode": "redlock", "lock_ttl": "60s" });
    let Some(servers) = Servers::start(3, &options).await else {
        return;
    };
    let (mut first, mut second) = (servers.session(&options), servers.session(&options));
    let acquire = Operation::Acquire {
        lock: "a".into(),
        ticket: Some(1),
    };
    let granted = first.perform(&acquire).await;
    let Outcome::Ok(Answer::Grant(grant)) = granted else {
        panic!("{granted:?}");
    };
    assert!(failed(
        &second.perform(&acquire).await,
        "temporarily-unavailable"
    ));
    let (lock, token) = ("a".into(), grant.token);
    let renew = Operation::Renew { lock, token };
    assert!(matches!(
        first.perform(&renew).await,
        Outcome::Ok(Answer::Grant(_))
    ));
    let lock = "a".into();
    let release = Operation::Release { lock, token };
    assert_eq!(first.perform(&release).await, Outcome::Ok(Answer::Done));
    assert!(failed(
        &first.perform(&release).await,
        "precondition-failed"
    ));
    assert!(failed(&first.perform(&renew).await, "precondition-failed"));
    assert!(matches!(
        second.perform(&acquire).await,
        Outcome::Ok(Answer::Grant(_))
    ));
}
