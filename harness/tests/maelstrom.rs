//! Nodes written for Maelstrom, from the command line: every workload with a correct node and with
//! broken ones, and nodes that behave badly. The nodes are one Python file, so this needs python3.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may panic, and says why it was skipped"
)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Run, processes_of, text_of, tribunal};
use serde_json::Value as Json;

fn node() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/maelstrom/node.py")
}

/// Whether the nodes can be started here.
fn can_run() -> bool {
    let can = Command::new("python3").arg("--version").output().is_ok();
    if !can {
        eprintln!("skipped: python3 is not in PATH");
    }
    can
}

/// What came of a run: its exit code, all that it printed, and the anomalies found.
struct Outcome {
    code: Option<i32>,
    text: String,
    anomalies: BTreeSet<String>,
    run: Run,
}

impl Outcome {
    fn file(&self, path: &str) -> String {
        let file = self.run.latest("maelstrom").join(path);
        std::fs::read_to_string(&file)
            .unwrap_or_else(|e| panic!("{}: {e}\n{}", file.display(), self.text))
    }
}

/// Tests a node for two seconds, with more arguments for the command line.
fn test(workload: &str, mistake: &str, more: &[&str]) -> Outcome {
    let run = Run::new();
    let (out, node) = (run.out(), node().display().to_string());
    let mut words = vec![
        "maelstrom",
        "test",
        "-w",
        workload,
        "--bin",
        &node,
        "--out",
        &out,
    ];
    words.extend([
        "--node-count",
        "3",
        "--time-limit",
        "2",
        "--rate",
        "150",
        "--quiet",
    ]);
    words.extend(["--concurrency", "3n", "--seed", "3", "--settle", "1"]);
    words.extend(more);
    words.extend(["--", workload]);
    words.extend((!mistake.is_empty()).then_some(mistake));
    let output = tribunal(&words);
    assert_eq!(processes_of(&run), [""; 0]);
    let verdict = std::fs::read(run.latest("maelstrom").join("verdict.json")).unwrap_or_default();
    let verdict: Json = serde_json::from_slice(&verdict).unwrap_or_default();
    let checkers = verdict["verdicts"].as_array().cloned().unwrap_or_default();
    let anomalies = checkers
        .iter()
        .flat_map(|one| one["anomalies"].as_array().into_iter().flatten());
    Outcome {
        code: output.status.code(),
        text: text_of(&output),
        anomalies: anomalies
            .filter_map(|anomaly| Some(anomaly["name"].as_str()?.to_owned()))
            .collect(),
        run,
    }
}

/// The correct node passes, and each mistake is caught by one of its anomalies.
fn judge(workload: &str, more: &[&str], mistakes: &[(&str, &[&str])]) {
    if !can_run() {
        return;
    }
    let right = test(workload, "", more);
    assert_eq!(right.code, Some(0), "{}", right.text);
    for (mistake, anomalies) in mistakes {
        let wrong = test(workload, mistake, more);
        let Outcome {
            code,
            text,
            anomalies: found,
            ..
        } = &wrong;
        assert_eq!(*code, Some(1), "{mistake}: {text}");
        let is_why = anomalies.iter().any(|name| found.contains(*name));
        assert!(is_why, "{mistake}: {found:?}: {text}");
    }
}

#[test]
fn an_echo_is_what_was_said() {
    judge("echo", &[], &[("shouts", &["wrong-echo"])]);
}

#[test]
fn identifiers_are_unique_and_large_ones_differ_to_the_last_digit() {
    let wrong: &[&str] = &["duplicate-id"];
    judge("unique-ids", &[], &[("no-node", wrong), ("rounds", wrong)]);
}

#[test]
fn what_is_broadcast_reaches_everybody_and_nothing_else_does() {
    let lost: &[&str] = &[
        "lost-element",
        "diverged",
        "lost-update-after-settling",
        "never-read",
    ];
    judge(
        "broadcast",
        &["--topology", "line"],
        &[
            ("keeps-to-itself", lost),
            ("forgets", lost),
            ("invents", &["unexpected-element"]),
        ],
    );
}

#[test]
fn what_is_told_only_once_does_not_survive_a_partition() {
    let lost: &[&str] = &["lost-element", "diverged", "lost-update-after-settling"];
    judge(
        "broadcast",
        &[
            "--nemesis",
            "partition",
            "--latency",
            "5",
            "--latency-dist",
            "exponential",
        ],
        &[("tells-once", lost)],
    );
}

#[test]
fn sets_only_grow() {
    judge(
        "g-set",
        &["--latency", "3", "--latency-dist", "uniform"],
        &[("forgets", &["lost-element", "lost-update-after-settling"])],
    );
}

#[test]
fn counters_count_each_addition_once() {
    let wrong: &[&str] = &[
        "unexplained-value",
        "lost-update-after-settling",
        "diverged",
    ];
    judge(
        "g-counter",
        &[],
        &[("adds-twice", wrong), ("keeps-to-itself", wrong)],
    );
    judge("pn-counter", &[], &[("only-up", wrong)]);
}

#[test]
fn keys_are_linearizable() {
    let wrong: &[&str] = &["not-linearizable", "stale-read"];
    judge(
        "lin-kv",
        &["--latency", "2"],
        &[("reads-cache", wrong), ("always-swaps", wrong)],
    );
}

#[test]
fn transactions_on_lists_are_strictly_serializable() {
    let wrong: &[&str] = &[
        "lost-update",
        "incompatible-order",
        "G-single",
        "G-single-realtime",
        "G0",
        "lost-append",
    ];
    judge(
        "txn-list-append",
        &["--latency", "2"],
        &[("blind-writes", wrong), ("local", wrong)],
    );
}

#[test]
fn transactions_on_registers_are_strictly_serializable() {
    let wrong: &[&str] = &[
        "lost-update",
        "G-single",
        "G-single-realtime",
        "G2-item",
        "not-strict-serializable",
    ];
    judge(
        "txn-rw-register",
        &["--latency", "2"],
        &[("blind-writes", wrong), ("local", wrong)],
    );
}

#[test]
fn logs_lose_nothing_and_keep_their_order() {
    judge(
        "kafka",
        &[],
        &[
            ("drops", &["lost-message"]),
            ("one-offset", &["inconsistent-offset"]),
            ("reversed", &["unordered-poll"]),
            ("commits-more", &["phantom-commit"]),
        ],
    );
}

#[test]
fn a_bad_line_is_told_with_its_number_and_what_helps_and_the_node_is_heard_on() {
    if !can_run() {
        return;
    }
    let told = test("echo", "bad-lines", &[]);
    assert_eq!(told.code, Some(0), "{}", told.text);
    let log = told.file("nodes/n0/stdout");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 5, "{log}");
    for (line, number, what) in [
        (lines[0], 2, "not JSON"),
        (lines[1], 3, "a blank line"),
        (lines[2], 4, "unknown field `more`"),
        (lines[3], 5, "\"nobody\", whom nobody knows"),
        (lines[4], 6, "not JSON"),
    ] {
        assert!(
            line.starts_with(&format!("protocol violation: line {number}, ")),
            "{line}"
        );
        assert!(line.contains(what) && line.contains("(hint: "), "{line}");
    }
    let strict = test("echo", "bad-lines", &["--strict-protocol"]);
    assert_eq!(strict.code, Some(1), "{}", strict.text);
    assert!(
        strict.anomalies.contains("protocol-violation"),
        "{:?}",
        strict.anomalies
    );
    assert_eq!(test("echo", "", &["--strict-protocol"]).code, Some(0));
}

#[test]
fn an_answer_that_comes_too_late_is_nobodys() {
    if !can_run() {
        return;
    }
    let late = test("echo", "late", &[]);
    assert_eq!(late.code, Some(0), "{}", late.text);
    let log = late.file("nodes/n0/stdout");
    assert!(log.contains("which is gone"), "{log}");
}

#[test]
fn a_node_may_speak_in_the_name_of_a_client() {
    if !can_run() {
        return;
    }
    let relayed = test("echo", "relays", &["--strict-protocol"]);
    assert_eq!(relayed.code, Some(0), "{}", relayed.text);
    let messages = relayed.file("messages.jsonl");
    assert!(
        messages.contains("echo in the name of another"),
        "{messages}"
    );
}

#[test]
fn a_node_that_dies_is_told_with_its_status_and_last_words_and_the_run_goes_on() {
    if !can_run() {
        return;
    }
    let died = test("echo", "dies", &[]);
    assert_eq!(died.code, Some(1), "{}", died.text);
    assert!(
        died.anomalies.contains("unexpected-exit"),
        "{:?}",
        died.anomalies
    );
    let history = died.file("history.jsonl");
    assert!(
        history.contains("exit code 3") && history.contains("giving up"),
        "{}",
        died.text
    );
}

#[test]
fn nothing_that_a_node_forks_is_left_behind() {
    if !can_run() {
        return;
    }
    let forked = test("echo", "forks", &[]);
    assert!(forked.text.contains("left process"), "{}", forked.text);
}

#[test]
fn a_node_that_never_answers_init_and_a_file_that_is_no_program_are_told() {
    if !can_run() {
        return;
    }
    let run = Run::new();
    let suite = run.folder().join("mine.yaml");
    let text = format!(
        "suite: mine\nruns:\n  - workload: echo\n    nodes: 1\n    clients: 1\n    ready: 1500ms\n    \
         target:\n      type: maelstrom\n      options: {{ bin: {:?}, args: [echo, never-ready], speaks: echo }}\n",
        node()
    );
    std::fs::write(&suite, text).unwrap();
    let output = tribunal(&["run", &suite.display().to_string(), "--out", &run.out()]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(70), "{text}");
    assert!(text.contains("has not answered `init` yet"), "{text}");
    let file = run.folder().join("plain");
    std::fs::write(&file, "").unwrap();
    let file = file.display().to_string();
    let output = tribunal(&[
        "maelstrom",
        "test",
        "-w",
        "echo",
        "--bin",
        &file,
        "--out",
        &run.out(),
    ]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("chmod +x"), "{text}");
    assert_eq!(processes_of(&run), [""; 0]);
}

#[test]
fn every_lost_message_is_in_the_journal_with_its_reason() {
    if !can_run() {
        return;
    }
    let parted = test("broadcast", "", &["--nemesis", "partition"]);
    assert_eq!(parted.code, Some(0), "{}", parted.text);
    let messages = parted.file("messages.jsonl");
    assert!(messages.contains("the link was cut"));
    assert!(parted.file("run.json").contains("\"n0\""));
}

#[test]
fn what_cannot_be_asked_for_is_refused_with_what_can() {
    for (words, expected) in [
        (&["-w", "eko", "--bin", "sh"][..], "txn-list-append"),
        (&["-w", "echo", "--bin", "sh", "--concurrency", "0n"], "2n"),
        (
            &["-w", "echo", "--bin", "sh", "--availability", "2"],
            "total",
        ),
        (&["-w", "echo", "--bin", "sh", "--rate", "0"], "--rate"),
        (
            &["-w", "echo", "--bin", "sh", "--nemesis", "partitoin"],
            "partition",
        ),
        (&["-w", "echo", "--bin", "no-such-program-x"], "PATH"),
        (
            &[
                "-w",
                "txn-rw-register",
                "--bin",
                "sh",
                "--consistency-models",
                "x",
            ],
            "read-committed",
        ),
    ] {
        let run = Run::new();
        let out = run.out();
        let output = tribunal(&[&["maelstrom", "test", "--out", &out], words].concat());
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(64), "{words:?}: {text}");
        assert!(text.contains(expected), "{words:?}: {text}");
    }
}
