//! Systems of others as they are installed here: started as a run starts them, asked as its clients
//! ask. What is not installed is skipped, and said.
#![cfg(all(feature = "mariadb", feature = "postgres", feature = "zookeeper"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "everything here is a test"
)]

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value as Json, json};
use tokio::time::{sleep, timeout};
use tribunal_results::{Answer, Micro, Operation, Outcome, Scalar, Seen};
use tribunal_targets::client::Session;
use tribunal_targets::{ClientSpec, NodeSpec, Stop, System, Target, mariadb, postgres, zookeeper};

/// How long one question may take.
const ASK_WITHIN: Duration = Duration::from_secs(1);
/// How long a server may take to start on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// A server that ends with the test.
struct Server {
    system: System,
    address: SocketAddr,
    child: Child,
    stop: Stop,
    dir: tempfile::TempDir,
}

impl Server {
    /// Starts one that listens where nobody does; `None`, and why on standard error, if it is not
    /// installed.
    async fn start(target: &'static dyn Target, options: Json) -> Option<Self> {
        match target.installed(&options) {
            Ok(version) => eprintln!("{}: {}", target.name(), version.unwrap()),
            Err(why) => {
                eprintln!("skipped: {why}");
                return None;
            }
        }
        let system = System::new(target, &options).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let address = {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap()
        };
        let spec = NodeSpec {
            id: "n1".into(),
            listen: address,
            peers: Vec::new(),
            advertised: None,
            nodes: vec!["n1".into()],
            data: dir.path().join("data"),
            bug: None,
            options,
        };
        let launch = system.launch(&spec);
        fs::create_dir_all(&spec.data).unwrap();
        for (path, content) in &launch.files {
            fs::write(path, content).unwrap();
        }
        let log = File::create(dir.path().join("log")).unwrap();
        let child = Command::new(launch.program.unwrap())
            .args(&launch.args)
            .envs(launch.env)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let server = Self {
            system,
            address,
            child,
            stop: launch.stop,
            dir,
        };
        let serving = async {
            // Whoever asks bounds the time: one that is asked too early may never answer.
            let ready = async || {
                let asked = timeout(ASK_WITHIN, server.system.status(address)).await;
                asked.is_ok_and(|status| status.is_ok_and(|status| status.ready))
            };
            while !ready().await {
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(READY_WITHIN, serving).await.is_err() {
            let log = fs::read_to_string(server.dir.path().join("log")).unwrap();
            panic!("{} is not ready: {log}", target.name());
        }
        Some(server)
    }

    fn signal(&self, signal: Signal) {
        let group = Pid::from_raw(self.child.id().try_into().unwrap());
        killpg(group, signal).unwrap();
    }

    fn session(&self, process: u64) -> Session {
        let spec = ClientSpec {
            process,
            node: "n1".into(),
            address: self.address,
            nodes: [("n1".into(), self.address)].into(),
            timeout: Duration::from_secs(10),
        };
        Session::new(self.system.clone(), spec)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let signal = match self.stop {
            Stop::Signal(number) => Signal::try_from(number).unwrap(),
            _ => Signal::SIGTERM,
        };
        self.signal(signal);
        self.child.wait().unwrap();
    }
}

fn done(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Ok(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn write(key: &str, value: impl Into<Scalar>) -> Operation {
    Operation::Write {
        key: key.into(),
        value: value.into(),
    }
}

fn cas(key: &str, from: i64, to: i64) -> Operation {
    Operation::Cas {
        key: key.into(),
        from: from.into(),
        to: to.into(),
    }
}

#[tokio::test]
async fn zookeeper_keeps_registers() {
    for reads in ["plain", "sync"] {
        let options = json!({ "reads": reads });
        let Some(server) = Server::start(&zookeeper::TARGET, options).await else {
            return;
        };
        let (mut one, mut other) = (server.session(1), server.session(2));
        let key = "it's a/key";
        let read = Operation::Read { key: key.into() };
        assert_eq!(done(one.perform(&read).await), Answer::Value(None));
        done(one.perform(&write(key, 4)).await);
        done(other.perform(&cas(key, 4, 5)).await);
        let outcome = one.perform(&cas(key, 4, 6)).await;
        assert!(matches!(outcome, Outcome::Fail(r) if r.code == "other-value"));
        done(one.perform(&write(key, "text")).await);
        let text = Answer::Value(Some("text".into()));
        assert_eq!(done(other.perform(&read).await), text);
        // A stopped server answers nobody, and goes on where it was.
        server.signal(Signal::SIGSTOP);
        let asked = timeout(Duration::from_millis(300), one.perform(&read)).await;
        assert!(asked.is_err(), "it is stopped");
        server.signal(Signal::SIGCONT);
        assert_eq!(done(other.perform(&read).await), text);
    }
}

fn txn(micros: Vec<Micro>) -> Operation {
    Operation::Txn { micros }
}

fn append(key: &str, value: i64) -> Micro {
    Micro::Append {
        key: key.into(),
        value: value.into(),
    }
}

fn set(key: &str, value: Scalar) -> Micro {
    Micro::Write {
        key: key.into(),
        value,
    }
}

fn seen(key: &str, seen: Seen) -> Micro {
    Micro::Read {
        key: key.into(),
        seen,
    }
}

/// Lists, registers and a bank, at a server that may hold any of them already.
async fn keeps_what_transactions_do(server: &Server) {
    let (mut one, mut other) = (server.session(1), server.session(2));
    let get = |key| seen(key, Seen::Nothing);
    done(
        one.perform(&txn(vec![append("l", 1), append("l", 2)]))
            .await,
    );
    done(other.perform(&txn(vec![append("l", 3)])).await);
    let text: Scalar = r#"it's "5" \ ü"#.into();
    // The second takes the place of the first.
    for value in [0.into(), text.clone()] {
        done(one.perform(&txn(vec![set("r", value)])).await);
    }
    let saw = done(
        other
            .perform(&txn(vec![get("l"), get("r"), get("x")]))
            .await,
    );
    let list = Seen::List(vec![1.into(), 2.into(), 3.into()]);
    let expected = vec![
        seen("l", list),
        seen("r", Seen::Value(text)),
        seen("x", Seen::Nothing),
    ];
    assert_eq!(saw, Answer::Txn(expected));
    let transfer = |amount| Operation::Transfer {
        key: "bank".into(),
        from: 0.into(),
        to: 1.into(),
        amount,
    };
    done(one.perform(&transfer(4)).await);
    let outcome = other.perform(&transfer(7)).await;
    assert!(matches!(outcome, Outcome::Fail(r) if r.code == "insufficient-funds"));
    let balances = Operation::Balances { key: "bank".into() };
    let Answer::Balances(accounts) = done(other.perform(&balances).await) else {
        panic!("no balances");
    };
    assert_eq!(accounts[..2], [(0.into(), Some(6)), (1.into(), Some(14))]);
    assert_eq!(accounts.len(), 8);
}

#[tokio::test]
async fn postgres_keeps_what_transactions_do() {
    if let Some(server) = Server::start(&postgres::TARGET, json!({})).await {
        keeps_what_transactions_do(&server).await;
    }
}

#[tokio::test]
async fn mariadb_keeps_what_transactions_do() {
    if let Some(server) = Server::start(&mariadb::TARGET, json!({})).await {
        keeps_what_transactions_do(&server).await;
    }
}
