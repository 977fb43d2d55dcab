//! What the client of NATS makes of servers that fail in every way; and, where it is installed, of a
//! real cluster.
#![cfg(feature = "nats")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says why")]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tribunal_results::{Answer, NodeId, Operation, Outcome};
use tribunal_targets::{ClientSpec, NodeSpec, Session, System};

/// What a server does when something is published.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// Answers with that payload.
    Say(&'static str),
    /// Says that nobody listens.
    Nobody,
    /// Sends just that, and closes the connection.
    Send(&'static str),
    /// Says nothing.
    Silence,
}
use Deed::{Nobody, Say, Send, Silence};

/// What is done about a subject that has that word in it; anything else closes the connection.
type Script = Vec<(&'static str, Deed)>;

const INFO: &str = "INFO {\"server_id\":\"NA7\",\"client_id\":7} \r\n";
const CREATED: (&str, Deed) = ("STREAM.CREATE.set_", Say(r#"{"config":{}}"#));
/// The stream of the set `s`.
const STORED: &str = r#"{"stream":"set_InMi","seq":1}"#;

/// A server that does what the script says, message by message.
async fn server(script: Script) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let script = Arc::new(Mutex::new(script));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(BufReader::new(stream), Arc::clone(&script)));
        }
    });
    address
}

async fn serve(mut stream: BufReader<TcpStream>, script: Arc<Mutex<Script>>) {
    stream.write_all(INFO.as_bytes()).await.unwrap();
    let mut line = String::new();
    while let Ok(1..) = stream.read_line(&mut line).await {
        let words: Vec<String> = line.split_whitespace().map(Into::into).collect();
        line.clear();
        let said = match words[0].as_str() {
            "PING" => "PING\r\nPONG\r\n".to_owned(),
            "PUB" => {
                let mut payload = vec![0; words[3].parse::<usize>().unwrap() + 2];
                stream.read_exact(&mut payload).await.unwrap();
                let Some(deed) = next(&script, &words[1]) else {
                    return;
                };
                let inbox = &words[2];
                match deed {
                    Say(text) => format!("MSG {inbox} 1 {}\r\n{text}\r\n", text.len()),
                    Nobody => format!("HMSG {inbox} 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n"),
                    Send(bytes) => {
                        stream.write_all(bytes.as_bytes()).await.unwrap();
                        return;
                    }
                    Silence => String::new(),
                }
            }
            _ => continue,
        };
        stream.write_all(said.as_bytes()).await.unwrap();
    }
}

fn next(script: &Mutex<Script>, subject: &str) -> Option<Deed> {
    let mut script = script.lock().unwrap();
    let is_expected = script
        .first()
        .is_some_and(|(word, _)| subject.contains(word));
    is_expected.then(|| script.remove(0).1)
}

fn session(address: SocketAddr, timeout: Duration) -> Session {
    let target = tribunal_targets::find("nats").unwrap();
    let spec = ClientSpec {
        process: 1,
        node: "n1".into(),
        address,
        nodes: [("n1".into(), address)].into(),
        timeout,
    };
    Session::new(System::new(target, &Json::Null).unwrap(), spec)
}

async fn outcome(script: Script, operation: &Operation) -> Outcome {
    let address = server(script).await;
    let mut session = session(address, Duration::from_millis(500));
    session.perform(operation).await
}

fn add(value: i64) -> Operation {
    Operation::Add {
        key: "s".into(),
        value: value.into(),
    }
}

fn members() -> Operation {
    Operation::Members { key: "s".into() }
}

fn failed(outcome: &Outcome, code: &str) -> bool {
    matches!(outcome, Outcome::Fail(reason) if reason.code == code)
}

#[tokio::test]
async fn an_addition_is_done_only_if_its_stream_says_that_it_has_it() {
    for deed in [
        Silence,
        Send(""),
        Send("MSG _INBOX.NA7.7.1 1 29\r\n{\"stream\""),
        Send("MSG _INBOX.NA7.7.0 1 29\r\n{\"stream\":\"set_InMi\",\"seq\":1}\r\n"),
        Send("MSG _INBOX.NA7.6.1 1 29\r\n{\"stream\":\"set_InMi\",\"seq\":1}\r\n"),
        Send("-ERR 'Stale Connection'\r\n"),
        Say(""),
        Say("{}"),
        Say("[]"),
        Say(r#"{"stream":"set_InMi"}"#),
        Say(r#"{"stream":"set_InMi","seq":0}"#),
        Say(r#"{"stream":"other","seq":1}"#),
        Say(r#"{"error":{"code":503,"description":"not leader"}}"#),
        Say(r#"{"error":{"code":503,"err_code":10077}}"#),
    ] {
        let ended = outcome(vec![CREATED, ("set.InMi", deed)], &add(1)).await;
        assert!(matches!(ended, Outcome::Info(_)), "{deed:?}: {ended:?}");
    }
    for (deed, code) in [
        (Nobody, "no-responders"),
        (
            Say(r#"{"error":{"code":400,"err_code":10054}}"#),
            "jetstream-10054",
        ),
        (
            Say(r#"{"error":{"code":503,"err_code":10076}}"#),
            "jetstream-10076",
        ),
    ] {
        let ended = outcome(vec![CREATED, ("set.InMi", deed)], &add(1)).await;
        assert!(failed(&ended, code), "{deed:?}: {ended:?}");
    }
    let ended = outcome(vec![CREATED, ("set.InMi", Say(STORED))], &add(1)).await;
    assert_eq!(ended, Outcome::Ok(Answer::Done));
}

#[tokio::test]
async fn nothing_is_added_to_a_stream_that_could_not_be_created() {
    for deed in [
        Send(""),
        Nobody,
        Say("{}"),
        Say(r#"{"error":{"code":503,"err_code":10008}}"#),
    ] {
        let script = vec![("STREAM.CREATE", deed), ("set.InMi", Say(STORED))];
        let ended = outcome(script, &add(1)).await;
        assert!(matches!(ended, Outcome::Fail(_)), "{deed:?}: {ended:?}");
    }
}

#[tokio::test]
async fn a_connection_creates_a_stream_once() {
    let added = ("set.InMi", Say(STORED));
    let address = server(vec![CREATED, added, added]).await;
    let mut session = session(address, Duration::from_millis(500));
    for value in 1..=2 {
        let ended = session.perform(&add(value)).await;
        assert_eq!(ended, Outcome::Ok(Answer::Done));
    }
}

#[tokio::test]
async fn a_set_is_read_whole_or_not_at_all() {
    const GET: &str = "STREAM.MSG.GET.set_InMi";
    let holds = |messages: &'static str| ("STREAM.INFO.set_InMi", Say(messages));
    let three = holds(r#"{"state":{"first_seq":1,"last_seq":3,"messages":3}}"#);
    let two = holds(r#"{"state":{"first_seq":1,"last_seq":3,"messages":2}}"#);
    let first = (GET, Say(r#"{"message":{"seq":1,"data":"MQ=="}}"#));
    let third = (GET, Say(r#"{"message":{"seq":3,"data":"ImEi"}}"#));
    let none = (GET, Say(r#"{"error":{"code":404,"err_code":10037}}"#));
    let whole = Outcome::Ok(Answer::Values(vec![1.into(), "a".into()]));
    let read = async |script| outcome(script, &members()).await;
    assert_eq!(read(vec![two, first, none, third]).await, whole);
    let nothing = Outcome::Ok(Answer::Values(Vec::new()));
    let empty = holds(r#"{"state":{"first_seq":0,"last_seq":0,"messages":0}}"#);
    assert_eq!(read(vec![empty]).await, nothing);
    // As the leader of all says of a stream that nobody leads.
    let led =
        holds(r#"{"state":{"first_seq":0,"last_seq":0,"messages":0},"cluster":{"leader":"n1"}}"#);
    assert_eq!(read(vec![led]).await, nothing);
    let unled =
        holds(r#"{"state":{"first_seq":0,"last_seq":0,"messages":0},"cluster":{"name":"c"}}"#);
    let ended = read(vec![unled]).await;
    assert!(failed(&ended, "no-leader"), "{ended:?}");
    let absent = holds(r#"{"error":{"code":404,"err_code":10059}}"#);
    assert_eq!(read(vec![absent]).await, nothing);
    let ended = read(vec![three, first, none, third]).await;
    assert!(failed(&ended, "not-whole"), "{ended:?}");
    for script in [
        vec![two, first, none],
        vec![two, first, none, (GET, Silence)],
        vec![two, first, none, (GET, Nobody)],
        vec![two, first, none, first],
        vec![two, first, none, (GET, Say(r#"{"error":{"code":503}}"#))],
        vec![holds(r#"{"error":{"code":503,"err_code":10008}}"#)],
        vec![holds("{}")],
        vec![("INFO", Nobody)],
    ] {
        let ended = read(script.clone()).await;
        assert!(matches!(ended, Outcome::Fail(_)), "{script:?}: {ended:?}");
    }
}

/// A real cluster, which ends with the test.
struct Cluster {
    nodes: Vec<(Child, SocketAddr)>,
    folder: tempfile::TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for (server, _) in &mut self.nodes {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Cluster {
    /// Three servers at addresses that no other test has, once they are ready; `None`, and why,
    /// where NATS is not installed.
    async fn start() -> Option<Self> {
        let target = tribunal_targets::find("nats").unwrap();
        if let Err(missing) = target.installed(&Json::Null) {
            eprintln!("skipped: {missing}");
            return None;
        }
        let target = System::new(target, &json!({ "replicas": 3 })).unwrap();
        let own = std::process::id().to_be_bytes();
        let at = |last| SocketAddr::from(([127, 100 + own[2] % 100, own[3], last], 21_000));
        let ids: Vec<NodeId> = ["n1", "n2", "n3"].map(NodeId::from).into();
        let all: Vec<_> = ids.iter().cloned().zip((1..).map(at)).collect();
        let mut cluster = Self {
            nodes: Vec::new(),
            folder: tempfile::tempdir().unwrap(),
        };
        for (id, listen) in &all {
            let data = cluster.folder.path().join(id.to_string());
            std::fs::create_dir(&data).unwrap();
            let launch = target.launch(&NodeSpec {
                id: id.clone(),
                listen: *listen,
                peers: all.iter().filter(|(it, _)| it != id).cloned().collect(),
                advertised: None,
                nodes: ids.clone(),
                data,
                bug: None,
                options: Json::Null,
            });
            for (path, content) in &launch.files {
                std::fs::write(path, content).unwrap();
            }
            let mut command = Command::new(launch.program.unwrap());
            command.args(launch.args).stdout(Stdio::null());
            command.stderr(Stdio::null());
            cluster.nodes.push((command.spawn().unwrap(), *listen));
        }
        for (_, listen) in &cluster.nodes {
            let ready = async {
                // Whoever asks bounds the time.
                let ask = || tokio::time::timeout(Duration::from_secs(1), target.status(*listen));
                while !matches!(ask().await, Ok(Ok(status)) if status.ready) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            let waited = tokio::time::timeout(Duration::from_secs(60), ready).await;
            assert!(waited.is_ok(), "NATS is not ready within 60 s");
        }
        Some(cluster)
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_real_cluster_keeps_sets_that_every_node_reads() {
    let Some(mut cluster) = Cluster::start().await else {
        return;
    };
    let session =
        |cluster: &Cluster, node: usize| session(cluster.nodes[node].1, Duration::from_secs(20));
    let nothing = Outcome::Ok(Answer::Values(Vec::new()));
    assert_eq!(session(&cluster, 1).perform(&members()).await, nothing);
    // More than are read at once.
    let mut writer = session(&cluster, 0);
    for value in 0..600 {
        let mut ended = writer.perform(&add(value)).await;
        while failed(&ended, "no-responders") || failed(&ended, "jetstream-10008") {
            tokio::time::sleep(Duration::from_millis(50)).await;
            ended = writer.perform(&add(value)).await;
        }
        assert_eq!(ended, Outcome::Ok(Answer::Done), "{value}");
    }
    let all = Outcome::Ok(Answer::Values((0..600).map(Into::into).collect()));
    for node in 0..3 {
        assert_eq!(session(&cluster, node).perform(&members()).await, all);
    }
    let (server, _) = &mut cluster.nodes[0];
    server.kill().unwrap();
    server.wait().unwrap();
    let ended = writer.perform(&add(600)).await;
    assert!(!matches!(ended, Outcome::Ok(_)), "it is gone: {ended:?}");
}
