//! The client of PostgreSQL against servers that answer what they are told to: of whom it asks what,
//! and what it makes of the answers.
#![cfg(feature = "postgres")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "everything here is a test"
)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tribunal_results::{Answer, Micro, NodeId, Operation, Outcome};
use tribunal_targets::client::Session;
use tribunal_targets::{ClientSpec, System, Target as _, postgres};

/// What a server answers to a statement.
#[derive(Clone, Debug)]
enum Says {
    /// One row of these cells.
    Row(Vec<Option<&'static str>>),
    /// It is done, after a message of that severity and code.
    Done(&'static str, &'static str),
    /// An error of that code.
    Error(&'static str),
    /// It ends the connection.
    Close,
    /// It is done, and ends the connection.
    Last,
    /// Nothing at all, not even hello if it is about the empty statement.
    Nothing,
}

/// Statements that begin so are answered so, the first that fits; all others are done.
type Script = Vec<(&'static str, Says)>;

/// A server that notes what it is asked.
struct Server {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is noted of a connection.
const HELLO: &str = "hello";
const WHO: &str = "select case when pg_is_in_recovery()";

fn primary(timeline: &'static str) -> (&'static str, Says) {
    (WHO, Says::Row(vec![Some(timeline)]))
}

fn standby() -> (&'static str, Says) {
    (WHO, Says::Row(vec![None]))
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[kind], &length[..], body].concat()
}

/// A row with its description before it: all columns are texts.
fn row(cells: &[Option<&str>]) -> Vec<u8> {
    let count = (cells.len() as u16).to_be_bytes();
    let (mut columns, mut row) = (count.to_vec(), count.to_vec());
    for cell in cells {
        columns.extend(b"c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0");
        match cell {
            Some(text) => {
                row.extend((text.len() as u32).to_be_bytes());
                row.extend(text.as_bytes());
            }
            None => row.extend([0xff; 4]),
        }
    }
    let done = message(b'C', b"SELECT 1\0");
    [message(b'T', &columns), message(b'D', &row), done].concat()
}

impl Server {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (script, asked) = (Arc::new(Mutex::new(script)), Arc::<Mutex<_>>::default());
        let (of_task, notes) = (Arc::clone(&script), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, asked) = (Arc::clone(&of_task), Arc::clone(&notes));
                // Clients may go when they like.
                tokio::spawn(async move { serve(stream, &script, &asked).await.ok() });
            }
        });
        Self {
            address,
            script,
            asked,
            task,
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Whether it was asked for a statement that begins so.
    fn was_asked(&self, begins: &str) -> bool {
        self.asked().iter().any(|said| said.starts_with(begins))
    }

    /// From now on it answers so, on connections that there are as well.
    fn becomes(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }
}

async fn serve(
    mut stream: TcpStream,
    script: &Mutex<Script>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let answer = |statement: &str| {
        let script = script.lock().unwrap();
        let fits = script.iter().find(|(begins, _)| match begins.is_empty() {
            true => statement.is_empty(),
            false => statement.starts_with(begins),
        });
        fits.map(|(_, says)| says.clone())
    };
    let length = stream.read_u32().await? as usize;
    let mut startup = vec![0; length - 4];
    stream.read_exact(&mut startup).await?;
    if matches!(answer(""), Some(Says::Nothing)) {
        std::future::pending::<()>().await;
    }
    let ready = message(b'Z', b"I");
    let hello = [message(b'R', &[0; 4]), ready.clone()].concat();
    asked.lock().unwrap().push(HELLO.into());
    stream.write_all(&hello).await?;
    loop {
        let kind = stream.read_u8().await?;
        let mut body = vec![0; stream.read_u32().await? as usize - 4];
        stream.read_exact(&mut body).await?;
        if kind != b'Q' {
            return Ok(());
        }
        let statement = String::from_utf8_lossy(&body[..body.len() - 1]).into_owned();
        asked.lock().unwrap().push(statement.clone());
        let fields = |severity: &str, code: &str| {
            format!("S{severity}\0V{severity}\0C{code}\0Mso it is\0\0").into_bytes()
        };
        let done = message(b'C', b"DONE\0");
        let said = match answer(&statement) {
            None => done,
            Some(Says::Row(cells)) => row(&cells),
            Some(Says::Done(severity, code)) => {
                [message(b'N', &fields(severity, code)), done].concat()
            }
            Some(Says::Error(code)) => message(b'E', &fields("ERROR", code)),
            Some(Says::Close) => return Ok(()),
            Some(Says::Last) => {
                stream.write_all(&[done, ready.clone()].concat()).await?;
                return Ok(());
            }
            Some(Says::Nothing) => continue,
        };
        stream.write_all(&[said, ready.clone()].concat()).await?;
    }
}

/// A client of the last of these nodes.
fn session(servers: &[&Server], options: &Json) -> Session {
    let name = |(n, server): (usize, &&Server)| (format!("n{}", n + 1).into(), server.address);
    let nodes: Vec<(NodeId, SocketAddr)> = servers.iter().enumerate().map(name).collect();
    let (node, address) = nodes.last().cloned().unwrap();
    let spec = ClientSpec {
        process: 1,
        node,
        address,
        nodes: nodes.into(),
        timeout: Duration::from_secs(2),
    };
    Session::new(System::new(&postgres::TARGET, options).unwrap(), spec)
}

fn write() -> Operation {
    let (key, value) = ("k1".into(), 5.into());
    Operation::Txn {
        micros: vec![Micro::Write { key, value }],
    }
}

fn read() -> Operation {
    let (key, seen) = ("k1".into(), Default::default());
    Operation::Txn {
        micros: vec![Micro::Read { key, seen }],
    }
}

fn add() -> Operation {
    Operation::Add {
        key: "s".into(),
        value: 7.into(),
    }
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok(_) => "ok".into(),
        Outcome::Fail(reason) => format!("fail {}", reason.code),
        Outcome::Info(reason) => format!("info {}", reason.code),
    }
}

#[tokio::test]
async fn a_commit_with_a_warning_is_unknown_and_with_a_notice_is_done() {
    for (severity, ended) in [("WARNING", "info 01000"), ("NOTICE", "ok")] {
        let server = Server::start(vec![("commit", Says::Done(severity, "01000"))]).await;
        let mut session = session(&[&server], &json!({}));
        assert_eq!(word(&session.perform(&add()).await), ended, "{severity}");
    }
    // One that belongs to another statement says nothing of the commit.
    let server = Server::start(vec![("begin", Says::Done("WARNING", "25001"))]).await;
    let mut session = session(&[&server], &json!({}));
    assert_eq!(word(&session.perform(&add()).await), "ok");
}

#[tokio::test]
async fn reads_are_asked_of_the_primary_or_of_the_own_node_and_writes_of_the_primary() {
    for (reads, at_standby) in [("primary", false), ("local", true)] {
        let (first, own) = (Server::start(vec![]).await, Server::start(vec![]).await);
        let options = json!({ "isolation": "repeatable-read", "reads": reads });
        let mut session = session(&[&first, &own], &options);
        assert_eq!(word(&session.perform(&read()).await), "ok");
        assert_eq!(own.was_asked("select"), at_standby, "{reads}");
        assert_eq!(first.was_asked("select"), !at_standby, "{reads}");
        assert_eq!(word(&session.perform(&write()).await), "ok");
        assert!(first.was_asked("insert") && !own.was_asked("insert"));
        let begin = "begin isolation level repeatable read";
        assert!(first.asked().contains(&begin.to_owned()));
    }
}

#[tokio::test]
async fn a_write_that_a_standby_refuses_has_failed_and_is_rolled_back() {
    let server = Server::start(vec![("insert", Says::Error("25006"))]).await;
    let mut session = session(&[&server], &json!({}));
    assert_eq!(word(&session.perform(&write()).await), "fail 25006");
    assert_eq!(server.asked().last().unwrap(), "rollback");
    assert!(!server.was_asked("commit"));
}

#[tokio::test]
async fn a_connection_that_cannot_be_rolled_back_is_not_used_again() {
    let broken = vec![
        ("insert", Says::Error("40001")),
        ("rollback", Says::Error("XX000")),
    ];
    for nodes in [1, 2] {
        let servers = [
            Server::start(broken.clone()).await,
            Server::start(vec![]).await,
        ];
        let mut session = session(&servers.each_ref()[..nodes], &json!({}));
        assert_eq!(word(&session.perform(&write()).await), "fail 40001");
        servers[0].becomes(vec![]);
        assert_eq!(word(&session.perform(&write()).await), "ok", "{nodes}");
        // On the same connection, it would still be in the transaction that failed.
        let asked = servers[0].asked();
        assert_eq!(asked.iter().filter(|said| *said == HELLO).count(), 2);
    }
}

#[tokio::test]
async fn a_primary_that_went_is_connected_to_again() {
    let (first, own) = (Server::start(vec![]).await, Server::start(vec![]).await);
    let mut session = session(&[&first, &own], &json!({}));
    first.becomes(vec![("insert", Says::Close)]);
    assert_eq!(
        word(&session.perform(&write()).await),
        "fail connection-lost"
    );
    first.becomes(vec![]);
    assert_eq!(word(&session.perform(&write()).await), "ok");
}

#[tokio::test]
async fn a_connection_that_ended_between_operations_is_not_tried() {
    for (nodes, options) in [(1, json!({})), (2, json!({})), (2, failover())] {
        let script = || vec![primary("00000001"), ("commit", Says::Last)];
        let servers = [
            Server::start(script()).await,
            Server::start(vec![standby()]).await,
        ];
        let mut session = session(&servers.each_ref()[..nodes], &options);
        for _ in 0..3 {
            assert_eq!(
                word(&session.perform(&add()).await),
                "ok",
                "{nodes} {options}"
            );
            // Time to hear of the end: nobody tells when that is.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn a_primary_that_says_no_hello_has_been_asked_nothing() {
    let first = Server::start(vec![("", Says::Nothing)]).await;
    let own = Server::start(vec![]).await;
    let mut session = session(&[&first, &own], &json!({}));
    assert_eq!(word(&session.perform(&write()).await), "fail no-connection");
}

fn failover() -> Json {
    json!({ "failover": "2s" })
}

#[tokio::test]
async fn with_failover_all_is_asked_of_the_node_that_says_it_is_the_primary() {
    for at in [0, 1] {
        let mut servers = [
            Server::start(vec![standby()]).await,
            Server::start(vec![standby()]).await,
        ];
        servers[at] = Server::start(vec![primary("00000002")]).await;
        let mut session = session(&servers.each_ref(), &failover());
        for operation in [add(), read()] {
            assert_eq!(word(&session.perform(&operation).await), "ok");
        }
        assert!(servers[at].was_asked("insert") && servers[at].was_asked("select 'list'"));
        assert!(!servers[1 - at].was_asked("begin"));
    }
}

#[tokio::test]
async fn of_two_primaries_the_one_that_was_promoted_last_is_asked() {
    for timelines in [["00000002", "0000000A"], ["0000000A", "00000002"]] {
        let servers = [
            Server::start(vec![primary(timelines[0])]).await,
            Server::start(vec![primary(timelines[1])]).await,
        ];
        let mut session = session(&servers.each_ref(), &failover());
        assert_eq!(word(&session.perform(&add()).await), "ok");
        let late = usize::from(timelines[1] > timelines[0]);
        assert!(servers[late].was_asked("insert") && !servers[1 - late].was_asked("insert"));
    }
}

#[tokio::test]
async fn where_nobody_is_the_primary_nothing_is_asked() {
    let silent = Server::start(vec![("", Says::Nothing)]).await;
    let follows = Server::start(vec![standby()]).await;
    let mut session = session(&[&silent, &follows], &failover());
    let ended = word(&session.perform(&add()).await);
    assert_eq!(ended, "fail no-primary");
    assert!(!follows.was_asked("begin"));
}

#[tokio::test]
async fn a_client_stays_with_its_primary_until_the_connection_ends() {
    let (old, new) = (
        Server::start(vec![primary("00000001")]).await,
        Server::start(vec![standby()]).await,
    );
    let mut session = session(&[&old, &new], &failover());
    assert_eq!(word(&session.perform(&add()).await), "ok");
    new.becomes(vec![primary("00000002")]);
    assert_eq!(word(&session.perform(&add()).await), "ok");
    assert!(!new.was_asked("begin"), "it has no reason to ask");
    old.becomes(vec![("commit", Says::Close), primary("00000001")]);
    let ended = word(&session.perform(&add()).await);
    assert_eq!(ended, "info connection-lost");
    assert_eq!(word(&session.perform(&add()).await), "ok");
    assert!(new.was_asked("insert"));
}

#[tokio::test]
async fn a_standby_is_ready_if_it_streams_and_only_primaries_lead() {
    let ask = "select pg_is_in_recovery(),";
    for (cells, ready, role) in [
        (["f", "0", "1"], true, "primary"),
        (["t", "1", "0"], true, "standby"),
        (["t", "0", "0"], false, "standby"),
    ] {
        let server = Server::start(vec![(ask, Says::Row(cells.map(Some).into()))]).await;
        let node = NodeId::from("n1");
        let status = postgres::TARGET.status_of(&node, server.address).await;
        let status = status.unwrap();
        assert_eq!((status.ready, &*status.role), (ready, role), "{cells:?}");
        assert_eq!(status.leader, (role == "primary").then_some(node));
    }
}

#[tokio::test]
async fn elements_of_a_set_are_read_as_they_were_added() {
    let server = Server::start(vec![("select v from elements", Says::Row(vec![Some("7")]))]).await;
    let mut session = session(&[&server], &json!({}));
    assert_eq!(word(&session.perform(&add()).await), "ok");
    let insert = "insert into elements (k, v) values ('\"s\"', '7') on conflict do nothing";
    assert!(server.was_asked(insert), "{:?}", server.asked());
    let members = Operation::Members { key: "s".into() };
    let outcome = session.perform(&members).await;
    assert!(matches!(outcome, Outcome::Ok(Answer::Values(v)) if v == [7.into()]));
    let not_json = ("select v from elements", Says::Row(vec![Some("seven")]));
    server.becomes(vec![not_json]);
    assert_eq!(word(&session.perform(&members).await), "fail bad-answer");
}
