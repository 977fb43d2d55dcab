//! `tribunal check` on histories that others recorded: verdicts, exit codes, what is said.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::{text_of, tribunal};

/// The path of a history in `tests/histories`.
fn history(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    folder.join(name).display().to_string()
}

fn stdout_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn histories_of_every_format_get_their_verdict() {
    for (name, format, code, said) in [
        ("valid.jsonl", "jsonl", 0, "valid "),
        ("valid.edn", "jepsen-edn", 0, "valid "),
        ("valid.json", "jepsen-json", 0, "valid "),
        ("valid.log", "porcupine", 0, "valid "),
        ("stale-read.edn", "jepsen-edn", 1, "invalid "),
        ("aborted-read.json", "jepsen-json", 1, "invalid "),
        ("phantom-read.log", "porcupine", 1, "invalid "),
        ("nothing-read.edn", "jepsen-edn", 2, "unknown "),
        (
            "only-nothing-known.edn",
            "jepsen-edn",
            3,
            "no checker applies",
        ),
    ] {
        let told = tribunal(&["check", &history(name)]);
        let text = text_of(&told);
        assert_eq!(told.status.code(), Some(code), "{name}: {text}");
        assert!(text.contains(said), "{name}: {text}");
        let named = tribunal(&["check", &history(name), "--format", format]);
        assert_eq!(text_of(&named), text, "{name}");
    }
}

#[test]
fn anomalies_of_outside_histories_have_their_names() {
    for (name, anomaly) in [
        ("stale-read.edn", "stale-read"),
        ("aborted-read.json", "aborted-read"),
        ("phantom-read.log", "phantom-read"),
    ] {
        let output = tribunal(&["check", &history(name), "--json"]);
        let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(verdict["anomalies"][0]["name"], anomaly, "{verdict}");
    }
}

#[test]
fn corrupt_histories_are_refused_with_their_place() {
    for (name, place) in [
        (
            "corrupt.edn",
            "line 2, column 2: a map with a key that has no value",
        ),
        ("corrupt.json", "line 2, column 25: expected value"),
        ("corrupt.log", "line 2: the text ends where ] is missing"),
        ("no-such-file.edn", "cannot open"),
    ] {
        let output = tribunal(&["check", &history(name)]);
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(64), "{text}");
        assert!(text.contains(name) && text.contains(place), "{text}");
    }
}

#[test]
fn a_file_of_no_known_format_is_refused_with_the_formats_that_there_are() {
    let output = tribunal(&["check", &history("../check.rs")]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(
        text.contains("jsonl, plume, porcupine, jepsen-json, jepsen-edn"),
        "{text}"
    );
    let output = tribunal(&["check", &history("valid.edn"), "--format", "csv"]);
    assert_eq!(output.status.code(), Some(64), "{}", text_of(&output));
}

#[test]
fn several_histories_get_a_verdict_each_and_one_exit_code() {
    let [valid, invalid, corrupt, unknown] = [
        "valid.log",
        "stale-read.edn",
        "corrupt.edn",
        "nothing-read.edn",
    ]
    .map(history);
    for (records, code) in [
        ([&valid, &valid], 0),
        ([&valid, &unknown], 2),
        ([&corrupt, &valid], 64),
        ([&corrupt, &unknown], 64),
        ([&corrupt, &invalid], 1),
        ([&invalid, &valid], 1),
    ] {
        let output = tribunal(&["check", records[0], records[1]]);
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        for record in records {
            assert!(
                text.contains(record.as_str()),
                "{record} is not named: {text}"
            );
        }
    }
    let output = tribunal(&["check", &valid, &invalid, "--json"]);
    let stdout = stdout_of(&output);
    let lines: Vec<serde_json::Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{stdout}");
    assert_eq!(lines[0]["record"], valid);
    assert_eq!(lines[0]["validity"], "valid");
    assert_eq!(lines[1]["record"], invalid);
    assert_eq!(lines[1]["validity"], "invalid");
}

#[test]
fn standard_input_may_be_of_any_format() {
    for (name, code) in [
        ("valid.jsonl", 0),
        ("stale-read.edn", 1),
        ("phantom-read.log", 1),
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tribunal"))
            .args(["check", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let bytes = std::fs::read(history(name)).unwrap();
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{name}: {}",
            text_of(&output)
        );
    }
}

#[test]
fn what_is_left_out_of_a_history_is_said_beside_the_verdict() {
    let output = tribunal(&["check", &history("valid.log")]);
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(notes.contains("unknown outcome: 1\n"), "{notes}");
    assert!(notes.contains("no events: 1\n"), "{notes}");
    assert_eq!(stdout_of(&output).lines().count(), 1);
    let output = tribunal(&["check", &history("valid.edn")]);
    assert!(
        text_of(&output).contains("is no client: 1\n"),
        "{}",
        text_of(&output)
    );
}
