//! The clients of PostgreSQL and MariaDB against servers that close or refuse at each step: nothing
//! but a lost answer to `commit` leaves open what happened.
#![cfg(all(feature = "mariadb", feature = "postgres"))]
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
use tribunal_results::{Micro, Operation, Outcome};
use tribunal_targets::client::Session;
use tribunal_targets::{ClientSpec, System, Target, mariadb, postgres};

/// What a server does with statements that begin so; it does all others.
#[derive(Clone, Copy, Debug)]
enum Does {
    Close,
    Hang,
    /// Refuses with a code.
    Refuse(&'static str),
}

type Script = (&'static str, Does);

async fn at(listener: TcpListener, serve: impl AsyncFn(&mut TcpStream) -> std::io::Result<()>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        // Clients may go when they like.
        let _ = serve(&mut stream).await;
    }
}

mod pg {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32 + 4).to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    pub(super) async fn serve(
        stream: &mut TcpStream,
        (begins, does): Script,
    ) -> std::io::Result<()> {
        let length = stream.read_u32().await? as usize;
        let mut startup = vec![0; length - 4];
        stream.read_exact(&mut startup).await?;
        let ready = message(b'Z', b"I");
        let hello = [message(b'R', &[0; 4]), ready.clone()].concat();
        stream.write_all(&hello).await?;
        loop {
            let kind = stream.read_u8().await?;
            let mut body = vec![0; stream.read_u32().await? as usize - 4];
            stream.read_exact(&mut body).await?;
            if kind != b'Q' {
                return Ok(());
            }
            let said = match (body.starts_with(begins.as_bytes()), does) {
                (true, Does::Close) => return Ok(()),
                (true, Does::Hang) => continue,
                (true, Does::Refuse(code)) => {
                    let fields = format!("SERROR\0VERROR\0C{code}\0Mno\0\0");
                    message(b'E', fields.as_bytes())
                }
                (false, _) => message(b'C', b"DONE\0"),
            };
            stream.write_all(&[said, ready.clone()].concat()).await?;
        }
    }
}

mod maria {
    use super::*;

    fn packet(number: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32).to_le_bytes();
        [&length[..3], &[number], body].concat()
    }

    const OK: [u8; 7] = [0, 0, 0, 2, 0, 0, 0];

    /// Protocol 10, by native password, whose proof is empty where the password is.
    fn greeting() -> Vec<u8> {
        let mut hello = b"\x0a5.5.5-10.11.0-MariaDB\0".to_vec();
        hello.extend([1, 0, 0, 0]);
        hello.extend(b"abcdefgh\0");
        let capabilities: u32 = 0x0008_0000 | 0x0000_8000 | 0x200 | 0x2000 | 0x8 | 0x1;
        hello.extend(&capabilities.to_le_bytes()[..2]);
        hello.extend([33, 2, 0]);
        hello.extend(&capabilities.to_le_bytes()[2..]);
        hello.push(21);
        hello.extend([0; 10]);
        hello.extend(b"abcdefghijkl\0mysql_native_password\0");
        packet(0, &hello)
    }

    pub(super) async fn serve(
        stream: &mut TcpStream,
        (begins, does): Script,
    ) -> std::io::Result<()> {
        stream.write_all(&greeting()).await?;
        let login = read(stream).await?;
        stream.write_all(&packet(login.0 + 1, &OK)).await?;
        loop {
            let (number, body) = read(stream).await?;
            let Some((3, statement)) = body.split_first() else {
                return Ok(());
            };
            let said = match (statement.starts_with(begins.as_bytes()), does) {
                (true, Does::Close) => return Ok(()),
                (true, Does::Hang) => continue,
                (true, Does::Refuse(code)) => {
                    let code: u16 = code.parse().unwrap();
                    [&[0xff], &code.to_le_bytes()[..], b"#HY000no"].concat()
                }
                (false, _) => OK.to_vec(),
            };
            stream.write_all(&packet(number + 1, &said)).await?;
        }
    }

    async fn read(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
        let head = stream.read_u32_le().await?;
        let mut body = vec![0; (head & 0xff_ffff) as usize];
        stream.read_exact(&mut body).await?;
        Ok(((head >> 24) as u8, body))
    }
}

fn spec(address: SocketAddr) -> ClientSpec {
    ClientSpec {
        process: 1,
        node: "n1".into(),
        address,
        nodes: [("n1".into(), address)].into(),
        timeout: Duration::from_millis(800),
    }
}

async fn sessions(script: Script) -> [Session; 2] {
    let bound = async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    };
    let session = |target: &'static dyn Target, address| {
        Session::new(System::new(target, &json!({})).unwrap(), spec(address))
    };
    let (listener, of_postgres) = bound().await;
    tokio::spawn(at(listener, async move |stream| {
        pg::serve(stream, script).await
    }));
    let (listener, of_mariadb) = bound().await;
    tokio::spawn(at(listener, async move |stream| {
        maria::serve(stream, script).await
    }));
    [
        session(&postgres::TARGET, of_postgres),
        session(&mariadb::TARGET, of_mariadb),
    ]
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

/// How both end.
async fn ends(operation: Operation, script: Script) -> [String; 2] {
    let [mut postgres, mut mariadb] = sessions(script).await;
    [
        word(&postgres.perform(&operation).await),
        word(&mariadb.perform(&operation).await),
    ]
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok(_) => "ok".into(),
        Outcome::Fail(reason) => format!("fail {}", reason.code),
        Outcome::Info(reason) => format!("info {}", reason.code),
    }
}

#[tokio::test]
async fn a_transaction_that_is_committed_is_done() {
    let nothing = ("no such statement", Does::Close);
    assert_eq!(ends(write(), nothing).await, ["ok", "ok"]);
    assert_eq!(ends(read(), nothing).await, ["ok", "ok"]);
}

#[tokio::test]
async fn a_lost_answer_to_commit_leaves_open_what_was_written() {
    for does in [Does::Close, Does::Hang] {
        for ended in ends(write(), ("commit", does)).await {
            assert!(ended.starts_with("info"), "{does:?}: {ended}");
        }
    }
    for ended in ends(read(), ("commit", Does::Close)).await {
        assert!(ended.starts_with("fail"), "{ended}");
    }
}

#[tokio::test]
async fn a_connection_lost_before_commit_is_a_failure() {
    for begins in ["insert", "begin", "start transaction"] {
        for ended in ends(write(), (begins, Does::Close)).await {
            assert!(
                ended == "ok" || ended.starts_with("fail"),
                "{begins}: {ended}"
            );
        }
    }
    let [postgres, mariadb] = ends(write(), ("insert", Does::Close)).await;
    assert_eq!([postgres, mariadb], ["fail connection-lost"; 2]);
}

#[tokio::test]
async fn codes_decide_what_a_refused_commit_means() {
    for (code, ended) in [
        ("40001", "fail 40001"),
        ("40P01", "fail 40P01"),
        ("40003", "info 40003"),
        ("57P01", "info 57P01"),
    ] {
        let [mut postgres, _] = sessions(("commit", Does::Refuse(code))).await;
        assert_eq!(word(&postgres.perform(&write()).await), ended);
    }
    for (code, ended) in [
        ("1213", "fail 1213"),
        ("1020", "fail 1020"),
        ("1205", "info 1205"),
        ("1047", "info 1047"),
        ("1180", "info 1180"),
        ("1317", "info 1317"),
    ] {
        let [_, mut mariadb] = sessions(("commit", Does::Refuse(code))).await;
        assert_eq!(word(&mariadb.perform(&write()).await), ended);
    }
}

#[tokio::test]
async fn a_statement_that_is_refused_ends_its_transaction_and_not_the_connection() {
    let [_, mut mariadb] = sessions(("insert", Does::Refuse("1213"))).await;
    for _ in 0..2 {
        assert_eq!(word(&mariadb.perform(&write()).await), "fail 1213");
    }
    assert_eq!(word(&mariadb.perform(&read()).await), "ok");
    let [mut postgres, _] = sessions(("insert", Does::Refuse("40001"))).await;
    for _ in 0..2 {
        assert_eq!(word(&postgres.perform(&write()).await), "fail 40001");
    }
    assert_eq!(word(&postgres.perform(&read()).await), "ok");
}

#[tokio::test]
async fn a_client_names_its_isolation_level_before_it_asks_for_anything() {
    let says = "set session transaction isolation level repeatable read";
    let [_, mut mariadb] = sessions((says, Does::Refuse("1064"))).await;
    assert_eq!(word(&mariadb.perform(&write()).await), "fail no-connection");
}
