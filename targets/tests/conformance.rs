//! What every target in the catalogue must do, whatever it is.
//!
//! Reference nodes run as tasks of the test on loopback ports. Aborting a task is the crash of a
//! node: its sockets close, its log stays as it is.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tribunal_results::{Answer, Grant, Kind, Micro, NodeId, Operation, Outcome, Scalar, Seen};
use tribunal_targets::node::{self, NodeError};
use tribunal_targets::{ALL, ClientSpec, NodeSpec, Session, Target, find};

/// The targets whose nodes are reference nodes.
fn references() -> impl Iterator<Item = &'static &'static dyn Target> {
    ALL.iter().filter(|target| target.reference().is_some())
}

const PATIENCE: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(3);

/// Nodes of one target, each a task.
struct Cluster {
    target: &'static dyn Target,
    specs: Vec<NodeSpec>,
    tasks: Vec<JoinHandle<Result<(), NodeError>>>,
    _data: TempDir,
}

impl Cluster {
    async fn start(target: &'static dyn Target, count: usize) -> Self {
        let data = tempfile::tempdir().unwrap();
        let nodes: Vec<NodeId> = (1..=count).map(|n| format!("n{n}").into()).collect();
        let addresses = free_addresses(count);
        let specs: Vec<NodeSpec> = (0..count)
            .map(|own| NodeSpec {
                id: nodes[own].clone(),
                listen: addresses[own],
                peers: (0..count)
                    .filter(|&n| n != own)
                    .map(|n| (nodes[n].clone(), addresses[n]))
                    .collect(),
                advertised: None,
                nodes: nodes.clone(),
                data: data.path().join(&*nodes[own]),
                bug: None,
                options: json!(null),
            })
            .collect();
        let tasks = specs.iter().map(|spec| spawn(target, spec)).collect();
        let cluster = Self {
            target,
            specs,
            tasks,
            _data: data,
        };
        cluster.until_ready().await;
        cluster
    }

    async fn until_ready(&self) {
        let all = async {
            for spec in &self.specs {
                while !self.target.status(spec.listen).await.is_ok_and(|s| s.ready) {
                    sleep(Duration::from_millis(10)).await;
                }
            }
        };
        timeout(PATIENCE, all)
            .await
            .expect("every node becomes ready");
    }

    /// Crashes every node and starts it again on the data that it left.
    async fn crash_and_restart(&mut self) {
        for task in &mut self.tasks {
            task.abort();
            let _ = task.await;
        }
        self.tasks = self
            .specs
            .iter()
            .map(|spec| spawn(self.target, spec))
            .collect();
        self.until_ready().await;
    }

    fn session(&self, process: u64, node: usize) -> Session {
        let spec = ClientSpec {
            process,
            node: self.specs[node].id.clone(),
            address: self.specs[node].listen,
            nodes: [].into(),
            timeout: TIMEOUT,
        };
        Session::new(self.target, spec)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Runs a node. A crashed one may still hold its log for the moment that its last write takes.
fn spawn(target: &'static dyn Target, spec: &NodeSpec) -> JoinHandle<Result<(), NodeError>> {
    let spec = spec.clone();
    tokio::spawn(async move {
        loop {
            match node::run(target.name(), spec.clone()).await {
                Err(NodeError::Log { .. } | NodeError::Listen { .. }) => {
                    sleep(Duration::from_millis(10)).await;
                }
                ended => return ended,
            }
        }
    })
}

/// Addresses that were free a moment ago, all different.
fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let listeners: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    listeners.iter().map(|l| l.local_addr().unwrap()).collect()
}

/// The answer of an operation that must succeed.
async fn ok(session: &mut Session, operation: Operation) -> Answer {
    match session.perform(&operation).await {
        Outcome::Ok(answer) => answer,
        other => panic!("{operation}: {other:?}"),
    }
}

/// The answer of an operation that others may stand in the way of: then it is refused for sure.
async fn decided(session: &mut Session, operation: Operation) -> Option<Answer> {
    match session.perform(&operation).await {
        Outcome::Ok(answer) => Some(answer),
        Outcome::Fail(_) => None,
        Outcome::Info(reason) => panic!("{operation}: {reason}"),
    }
}

async fn grant(session: &mut Session, operation: Operation) -> Grant {
    match ok(session, operation).await {
        Answer::Grant(grant) => grant,
        other => panic!("{other:?} is no grant"),
    }
}

/// Does one operation of a kind on the object `key`, with what must come before it, and checks
/// that it succeeds. A lock is left free.
async fn exercise(kind: Kind, session: &mut Session, key: &str) {
    let lock = || key.into();
    match kind {
        Kind::Read => {
            let answer = ok(session, Operation::Read { key: lock() }).await;
            assert!(matches!(answer, Answer::Value(_)), "{answer:?}");
        }
        Kind::Write => {
            let value = 5.into();
            ok(session, Operation::Write { key: lock(), value }).await;
        }
        Kind::Cas => {
            let (key, value) = (lock(), 5.into());
            ok(session, Operation::Write { key, value }).await;
            // All writes write this, so that it holds whoever else is there.
            let (key, from, to) = (lock(), 5.into(), 5.into());
            ok(session, Operation::Cas { key, from, to }).await;
        }
        Kind::Request | Kind::Acquire | Kind::Renew | Kind::Release => {
            let answer = ok(session, Operation::Request { lock: lock() }).await;
            let Answer::Ticket(ticket) = answer else {
                panic!("{answer:?} is no ticket")
            };
            let acquire = Operation::Acquire {
                lock: lock(),
                ticket: Some(ticket),
            };
            let Grant { token, .. } = grant(session, acquire).await;
            let (lock, renewed) = (lock(), lock());
            let renew = Operation::Renew {
                lock: renewed,
                token,
            };
            assert_eq!(grant(session, renew).await.token, token);
            ok(session, Operation::Release { lock, token }).await;
        }
        Kind::TryAcquire | Kind::GuardedWrite => {
            let Grant { token, .. } = grant(session, Operation::TryAcquire { lock: lock() }).await;
            let (key, value) = (lock(), 1.into());
            ok(session, Operation::GuardedWrite { key, value, token }).await;
            let lock = lock();
            ok(session, Operation::Release { lock, token }).await;
        }
        Kind::AcquirePermits | Kind::ReleasePermits => {
            let (key, permits) = (lock(), 1);
            let taken = grant(session, Operation::AcquirePermits { key, permits }).await;
            let (key, token) = (lock(), Some(taken.token));
            let back = Operation::ReleasePermits {
                key,
                permits,
                token,
            };
            ok(session, back).await;
        }
        Kind::Add | Kind::Remove | Kind::Contains | Kind::Members => {
            let (key, value) = (lock, || 7.into());
            ok(
                session,
                Operation::Add {
                    key: key(),
                    value: value(),
                },
            )
            .await;
            let asked = Operation::Contains {
                key: key(),
                value: value(),
            };
            assert_eq!(ok(session, asked).await, Answer::Flag(true));
            let members = ok(session, Operation::Members { key: key() }).await;
            assert_eq!(members, Answer::Values(vec![value()]));
            ok(
                session,
                Operation::Remove {
                    key: key(),
                    value: value(),
                },
            )
            .await;
            let members = ok(session, Operation::Members { key: key() }).await;
            assert_eq!(members, Answer::Values(Vec::new()));
        }
        Kind::Increment | Kind::Count => {
            let count = |answer| match answer {
                Answer::Value(Some(Scalar::Int(count))) => count,
                other => panic!("{other:?} is no count"),
            };
            let before = count(ok(session, Operation::Count { key: lock() }).await);
            ok(session, Operation::Increment { key: lock(), by: 3 }).await;
            let after = count(ok(session, Operation::Count { key: lock() }).await);
            assert_eq!(after, before + 3);
        }
        Kind::Generate => {
            let once = ok(session, Operation::Generate { key: lock() }).await;
            let again = ok(session, Operation::Generate { key: lock() }).await;
            assert_ne!(once, again);
        }
        Kind::Append | Kind::Elements => {
            let (key, value) = (lock(), 7.into());
            decided(session, Operation::Append { key, value }).await;
            decided(session, Operation::Elements { key: lock() }).await;
        }
        Kind::Txn => {
            // A list of its own: a key holds one type.
            let list = || format!("{key}-list").into();
            let append = Micro::Append {
                key: list(),
                value: 7.into(),
            };
            let read = Micro::Read {
                key: list(),
                seen: Seen::Nothing,
            };
            let micros = vec![append, read];
            decided(session, Operation::Txn { micros }).await;
        }
        Kind::Transfer | Kind::Balances => {
            let balances = decided(session, Operation::Balances { key: lock() }).await;
            let Some(Answer::Balances(accounts)) = balances else {
                return;
            };
            let [(from, _), (to, _), ..] = &accounts[..] else {
                panic!("{accounts:?} are too few accounts")
            };
            let transfer = Operation::Transfer {
                key: lock(),
                from: from.clone(),
                to: to.clone(),
                amount: 1,
            };
            decided(session, transfer).await;
        }
        Kind::Custom => {
            // What a node can be asked besides is its own affair; it says so or answers.
            let (name, value) = ("inspect".into(), serde_json::json!({ "key": key }));
            decided(session, Operation::Custom { name, value }).await;
        }
        kind => panic!("no conformance test for {kind} yet: write it"),
    }
}

#[test]
fn names_are_unique_and_in_kebab_case() {
    let mut names = BTreeSet::new();
    let kebab = |name: &str| {
        !name.is_empty()
            && name.split('-').all(|word| {
                !word.is_empty()
                    && word
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            })
    };
    for target in ALL {
        assert!(kebab(target.name()), "{}", target.name());
        assert!(names.insert(target.name()), "{} twice", target.name());
        assert!(find(target.name()).is_some_and(|found| found.name() == target.name()));
        let mut bugs = BTreeSet::new();
        for bug in target.bugs() {
            assert!(kebab(bug.name), "{}", bug.name);
            assert!(bugs.insert(bug.name), "{} twice", bug.name);
        }
    }
}

#[test]
fn an_unknown_option_is_refused_by_its_name() {
    for target in references() {
        target.check_options(&json!(null)).unwrap();
        target.check_options(&json!({})).unwrap();
        let error = target.check_options(&json!({ "no_such": 1 })).unwrap_err();
        assert!(
            error.to_string().contains("no_such"),
            "{}: {error}",
            target.name()
        );
    }
}

fn lone_spec(data: &TempDir) -> NodeSpec {
    NodeSpec {
        id: "n1".into(),
        listen: free_addresses(1)[0],
        peers: Vec::new(),
        advertised: None,
        nodes: vec!["n1".into()],
        data: data.path().join("n1"),
        bug: None,
        options: json!(null),
    }
}

#[tokio::test]
async fn a_node_with_a_wrong_spec_does_not_start_and_says_why() {
    let data = tempfile::tempdir().unwrap();
    let error = node::run("no-such", lone_spec(&data))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no-such") && error.contains("lock-manager"),
        "{error}"
    );
    for target in references() {
        let refused = async |change: fn(&mut NodeSpec), part: &str| {
            let mut spec = lone_spec(&data);
            change(&mut spec);
            let error = node::run(target.name(), spec)
                .await
                .unwrap_err()
                .to_string();
            assert!(error.contains(part), "{}: {error}", target.name());
        };
        refused(
            |spec| spec.bug = Some("no-such-bug".to_owned()),
            "no-such-bug",
        )
        .await;
        refused(|spec| spec.options = json!({ "no_such": 1 }), "no_such").await;
        refused(|spec| spec.nodes.push("n2".into()), "n2").await;
    }
}

#[tokio::test]
async fn every_bug_can_be_asked_for() {
    for target in references() {
        for bug in target.bugs() {
            let data = tempfile::tempdir().unwrap();
            let mut spec = lone_spec(&data);
            spec.bug = Some(bug.name.to_owned());
            let address = spec.listen;
            let node = spawn(*target, &spec);
            let ready = async {
                while !target.status(address).await.is_ok_and(|s| s.ready) {
                    assert!(!node.is_finished(), "{}", bug.name);
                    sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(PATIENCE, ready).await.expect(bug.name);
            node.abort();
        }
    }
}

#[tokio::test]
async fn every_declared_operation_is_answered_by_every_node() {
    for target in references() {
        let cluster = Cluster::start(*target, 3).await;
        for node in 0..3 {
            let mut session = cluster.session(node as u64, node);
            for kind in target.operations() {
                exercise(*kind, &mut session, "a").await;
            }
        }
    }
}

#[tokio::test]
async fn an_operation_that_is_not_declared_definitely_fails() {
    for target in references() {
        let cluster = Cluster::start(*target, 1).await;
        let mut session = cluster.session(0, 0);
        let operations = [
            Operation::Read { key: 1.into() },
            Operation::Cas {
                key: 1.into(),
                from: 1.into(),
                to: 2.into(),
            },
            Operation::TryAcquire { lock: 1.into() },
            Operation::Custom {
                name: "dance".to_owned(),
                value: json!(1),
            },
        ];
        for operation in operations {
            if !target.operations().contains(&operation.kind()) {
                let outcome = session.perform(&operation).await;
                assert!(
                    matches!(&outcome, Outcome::Fail(reason) if reason.code == "not-supported"),
                    "{operation}: {outcome:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn garbage_does_not_kill_a_node() {
    let garbage: Vec<Vec<u8>> = vec![
        b"\n\n\n".to_vec(),
        b"\xff\xfe\x00 not json\n".to_vec(),
        b"[1,2,3]\n{}\nnull\n".to_vec(),
        br#"{"src":1,"dest":2,"body":{}}"#.to_vec(),
        b"{\"src\":\"c1\",\"dest\":\"n1\",\"body\":{}}\n".to_vec(),
        b"{\"src\":\"c1\",\"dest\":\"n9\",\"body\":{\"type\":\"read\"}}\n".to_vec(),
        b"{\"src\":\"c1\",\"dest\":\"n1\",\"body\":{\"type\":\"write\",\"key\":{},\"value\":[]}}\n".to_vec(),
        b"{\"src\":\"c1\",\"dest\":\"n1\",\"body\":{\"type\":\"acquire\",\"lock\":1,\"ticket\":-1}}\n".to_vec(),
        b"{\"src\":\"n2\",\"dest\":\"n1\",\"body\":{\"type\":\"store\",\"key\":1,\"counter\":\"x\"}}\n".to_vec(),
        b"{\"src\":\"n2\",\"dest\":\"n1\",\"body\":{\"type\":\"relay\",\"body\":7}}\n".to_vec(),
        b"{\"src\":\"n2\",\"dest\":\"n1\",\"body\":{\"type\":\"query_ok\",\"request\":18446744073709551615}}\n".to_vec(),
        vec![b'['; 2 << 20],
        b"{\"src\":\"cut off".to_vec(),
    ];
    for target in references() {
        let cluster = Cluster::start(*target, 3).await;
        for bytes in &garbage {
            for spec in &cluster.specs {
                let mut stream = tokio::net::TcpStream::connect(spec.listen).await.unwrap();
                // The node may close on us in the middle: that is its right.
                let _ = stream.write_all(bytes).await;
                let _ = stream.shutdown().await;
                let mut answers = Vec::new();
                let _ = timeout(TIMEOUT, stream.read_to_end(&mut answers)).await;
            }
        }
        assert!(cluster.tasks.iter().all(|task| !task.is_finished()));
        cluster.until_ready().await;
        let mut session = cluster.session(1, 0);
        for kind in target.operations() {
            exercise(*kind, &mut session, "after").await;
        }
    }
}

#[tokio::test]
async fn what_was_promised_survives_the_crash_of_all_nodes() {
    for target in references() {
        let mut cluster = Cluster::start(*target, 3).await;
        // A cache promises to forget.
        if target.operations().contains(&Kind::Write) && target.name() != "cache" {
            values_survive(&mut cluster).await;
        }
        if target.operations().contains(&Kind::TryAcquire) {
            holds_survive(&mut cluster).await;
        }
    }
}

async fn values_survive(cluster: &mut Cluster) {
    let key = || "kept".into();
    let mut writer = cluster.session(1, 0);
    for value in 0..20 {
        let value = value.into();
        ok(&mut writer, Operation::Write { key: key(), value }).await;
    }
    cluster.crash_and_restart().await;
    for node in 0..3 {
        let mut reader = cluster.session(10 + node as u64, node);
        let answer = ok(&mut reader, Operation::Read { key: key() }).await;
        assert_eq!(answer, Answer::Value(Some(19.into())));
    }
}

async fn holds_survive(cluster: &mut Cluster) {
    let lock = || "kept".into();
    let (mut owner, mut other) = (cluster.session(1, 1), cluster.session(2, 0));
    let held = grant(&mut owner, Operation::TryAcquire { lock: lock() }).await;
    let token = held.token;
    let (key, value) = (lock(), 1.into());
    ok(
        &mut owner,
        Operation::GuardedWrite {
            key,
            value,
            token: token + 5,
        },
    )
    .await;

    cluster.crash_and_restart().await;
    let taken = other.perform(&Operation::TryAcquire { lock: lock() }).await;
    assert!(
        matches!(&taken, Outcome::Fail(reason) if reason.code == "temporarily-unavailable"),
        "{taken:?}"
    );
    ok(
        &mut owner,
        Operation::Release {
            lock: lock(),
            token,
        },
    )
    .await;
    let next = grant(&mut other, Operation::TryAcquire { lock: lock() }).await;
    assert!(next.token > token);
    let (key, value, token) = (lock(), 2.into(), next.token);
    let stale = other
        .perform(&Operation::GuardedWrite { key, value, token })
        .await;
    assert!(
        matches!(&stale, Outcome::Fail(reason) if reason.code == "precondition-failed"),
        "{stale:?}"
    );
}

#[tokio::test]
async fn a_dead_node_is_a_definite_failure() {
    for target in references() {
        let cluster = Cluster::start(*target, 1).await;
        let mut session = cluster.session(1, 0);
        exercise(target.operations()[0], &mut session, "a").await;
        cluster.tasks[0].abort();
        let gone = async {
            while target.status(cluster.specs[0].listen).await.is_ok() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, gone).await.unwrap();
        session.renumber(2);
        let outcome = session
            .perform(&Operation::TryAcquire { lock: 1.into() })
            .await;
        assert!(
            matches!(&outcome, Outcome::Fail(r) if r.code == "refused"),
            "{outcome:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_at_once_are_all_answered() {
    for target in references() {
        let cluster = Cluster::start(*target, 3).await;
        let clients: Vec<_> = (0..12_usize)
            .map(|client| {
                let mut session = cluster.session(client as u64, client % 3);
                tokio::spawn(async move {
                    for kind in target.operations().iter().cycle().take(40) {
                        exercise(*kind, &mut session, &format!("k{client}")).await;
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    }
}
