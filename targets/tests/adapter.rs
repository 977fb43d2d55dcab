//! Adapters that behave and adapters that don't, as clients: whatever goes wrong, a write that may
//! have arrived is unknown, and no late answer meets a later operation.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "everything here is a test"
)]

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tribunal_results::{Answer, Operation, Outcome};
use tribunal_targets::adapter::exam::{Check, Exam, Mark};
use tribunal_targets::client::Session;
use tribunal_targets::{ClientSpec, System, command};

/// A shell adapter: `$id` and `$type` of each request, answered by what `case` says.
fn script(cases: &str) -> String {
    format!(
        r#"echo started >> "$LOG"
        while IFS= read -r line; do
            id=${{line#*:}}; id=${{id%%,*}}
            case "$line" in
                {cases}
                *'"type":"close"'*) echo close >> "$LOG"; echo "{{\"id\":$id,\"type\":\"ok\"}}" ;;
                *) echo "{{\"id\":$id,\"type\":\"ok\"}}" ;;
            esac
        done"#
    )
}

struct Ground {
    system: System,
    session: Session,
    dir: tempfile::TempDir,
}

impl Ground {
    /// A client of a system whose adapter is that script.
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let options = json!({
            "command": ["true"],
            "client": { "adapter": ["sh", "-c", script], "env": { "LOG": log } },
        });
        let system = System::new(&command::TARGET, &options).unwrap();
        let spec = ClientSpec {
            process: 1,
            node: "n1".into(),
            address: ([127, 0, 0, 1], 1).into(),
            nodes: [].into(),
            timeout: Duration::from_secs(2),
        };
        Self {
            session: Session::new(system.clone(), spec),
            system,
            dir,
        }
    }

    async fn write(&mut self) -> Outcome {
        let (key, value) = ("k1".into(), 5.into());
        self.session.perform(&Operation::Write { key, value }).await
    }

    async fn read(&mut self) -> Outcome {
        self.session
            .perform(&Operation::Read { key: "k1".into() })
            .await
    }

    /// What the adapters noted of themselves, one word each.
    fn log(&self) -> String {
        let text = std::fs::read_to_string(self.dir.path().join("log")).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn code(outcome: &Outcome) -> (&'static str, &str) {
    match outcome {
        Outcome::Ok(_) => ("ok", ""),
        Outcome::Fail(reason) => ("fail", &reason.code),
        Outcome::Info(reason) => ("info", &reason.code),
    }
}

#[tokio::test]
async fn an_adapter_that_behaves_carries_operations_in_one_process() {
    let read = r#"*'"f":"read"'*) echo "{\"id\":$id,\"type\":\"ok\",\"value\":7}" ;;"#;
    let mut ground = Ground::new(&script(read));
    for _ in 0..3 {
        assert_eq!(ground.write().await, Outcome::Ok(Answer::Done));
        assert_eq!(
            ground.read().await,
            Outcome::Ok(Answer::Value(Some(7.into())))
        );
    }
    assert_eq!(ground.log(), "started");
    ground.system.close().await;
}

#[tokio::test]
async fn what_goes_wrong_after_sending_is_unknown_of_a_write_and_a_failure_of_a_read() {
    for (what, case, expected) in [
        (
            "it crashes",
            "*invoke*) echo oh no >&2; exit 3 ;;",
            "adapter-ended",
        ),
        (
            "it prints noise",
            "*invoke*) echo connected ;;",
            "adapter-protocol",
        ),
        (
            "it answers another request",
            r#"*invoke*) echo '{"id":1,"type":"ok"}' ;;"#,
            "adapter-protocol",
        ),
        (
            "it says so",
            r#"*invoke*) echo "{\"id\":$id,\"type\":\"info\",\"error\":\"reset\"}" ;;"#,
            "reset",
        ),
    ] {
        let mut ground = Ground::new(&script(case));
        assert_eq!(code(&ground.write().await), ("info", expected), "{what}");
        assert_eq!(code(&ground.read().await), ("fail", expected), "{what}");
        ground.system.close().await;
    }
}

#[tokio::test]
async fn an_adapter_that_does_not_answer_is_killed_and_another_one_begins() {
    let case = r#"*'"f":"write"'*) sleep 1000 ;;"#;
    let mut ground = Ground::new(&script(case));
    assert_eq!(code(&ground.write().await), ("info", "timeout"));
    ground.session.renumber(11);
    assert_eq!(code(&ground.read().await), ("ok", ""));
    assert_eq!(ground.log(), "started started");
    ground.system.close().await;
}

/// Whether a process runs: one that has ended and was not waited for yet does not.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_that_hangs_when_it_opens_is_killed_with_its_children() {
    let hangs = "sleep 1000 & echo $$ $! > \"$LOG\"; wait";
    let mut ground = Ground::new(hangs);
    // Whoever waits no longer has given up on it.
    let tried = tokio::time::timeout(Duration::from_secs(2), ground.write()).await;
    assert!(tried.is_err(), "{tried:?}");
    let log = ground.log();
    let left = || log.split(' ').any(runs);
    for _ in 0..1000 {
        if !left() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!left(), "{log}");
    ground.system.close().await;
}

#[tokio::test]
async fn one_that_does_not_know_is_asked_to_close_and_used_again() {
    let case = r#"*'"f":"write"'*) echo "{\"id\":$id,\"type\":\"info\"}" ;;
        *'"f":"read"'*) echo "{\"id\":$id,\"type\":\"ok\",\"value\":null}" ;;"#;
    let mut ground = Ground::new(&script(case));
    for process in 2..5 {
        assert_eq!(code(&ground.write().await), ("info", "unknown"));
        ground.session.renumber(process);
        assert_eq!(ground.read().await, Outcome::Ok(Answer::Value(None)));
    }
    assert_eq!(ground.log(), "started close close close");
    ground.system.close().await;
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let refusing =
        r#"*'"type":"open"'*) echo "{\"id\":$id,\"type\":\"fail\",\"error\":\"refused\"}" ;;"#;
    let mut ground = Ground::new(&script(refusing));
    assert_eq!(code(&ground.write().await), ("fail", "no-connection"));
    let mut ended = Ground::new("exit 1");
    assert_eq!(code(&ended.write().await), ("fail", "adapter-ended"));
    ground.system.close().await;
    assert_eq!(
        code(&ground.write().await),
        ("fail", "no-adapter"),
        "the run is over"
    );
}

/// The checks of an adapter, each as a sign and its text.
async fn examine(command: &[&str]) -> Vec<Check> {
    let exam = Exam {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        patience: Duration::from_millis(600),
    };
    exam.hold(|_| {}).await.unwrap()
}

fn faults(checks: &[Check]) -> Vec<&str> {
    let fault = |check: &Check| match &check.mark {
        Mark::Fault(_) => Some(check.name),
        _ => None,
    };
    checks.iter().filter_map(fault).collect()
}

fn has(program: &str) -> bool {
    tribunal_targets::program::find(program).is_ok()
}

#[tokio::test]
async fn the_samples_whose_interpreters_are_here_pass_every_check() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/adapters");
    let mut tried = 0;
    for (needs, file) in [
        (&["python3"][..], "client.py"),
        (&["node"], "client.js"),
        (&["bash", "curl"], "client.sh"),
    ] {
        if !needs.iter().all(|program| has(program)) {
            continue;
        }
        tried += 1;
        let path = samples.join(file).display().to_string();
        let checks = examine(&[needs[0], &path]).await;
        assert_eq!(faults(&checks), [""; 0], "{file}: {checks:#?}");
        assert!(
            checks
                .iter()
                .filter(|c| matches!(c.mark, Mark::Pass(_)))
                .count()
                >= 6,
            "{checks:#?}"
        );
    }
    assert!(tried > 0 || !has("bash"), "no sample was tried");
}

#[tokio::test]
async fn each_mistake_of_an_adapter_is_found() {
    let unsupported = r#"*no-such-function*) echo "{\"id\":$id,\"type\":\"fail\",\"error\":\"not-supported\"}" ;;"#;
    let with = |case: &str| script(&format!("{unsupported}\n{case}")).replace("echo started", ":");
    for (what, adapter, name) in [
        (
            "it calls a timeout a failure",
            with(r#"*invoke*) echo "{\"id\":$id,\"type\":\"fail\",\"error\":\"timeout\"}" ;;"#),
            "calls an operation without answer `info`",
        ),
        (
            "it says ok to everything",
            with(""),
            "never says `ok` where nobody listens",
        ),
        (
            "it prints noise",
            "echo hello; cat >/dev/null".to_owned(),
            "answers open, and invoke of what it does not know",
        ),
        (
            "it does not echo the id",
            "while read -r line; do echo '{\"id\":0,\"type\":\"ok\"}'; done".to_owned(),
            "answers open, and invoke of what it does not know",
        ),
        (
            "it crashes on what it does not know",
            script("*no-such-function*) exit 1 ;;").replace("echo started", ":"),
            "answers open, and invoke of what it does not know",
        ),
        (
            "it answers the last first",
            "read -r a; echo '{\"id\":1,\"type\":\"ok\"}'; read -r a; read -r b
             echo '{\"id\":3,\"type\":\"fail\"}'; echo '{\"id\":2,\"type\":\"fail\"}'; cat >/dev/null"
                .to_owned(),
            "answers in the order of the requests",
        ),
    ] {
        let adapter = adapter.replace("\"$LOG\"", "/dev/null");
        let checks = examine(&["sh", "-c", &adapter]).await;
        assert!(faults(&checks).contains(&name), "{what}: {checks:#?}");
    }
}
