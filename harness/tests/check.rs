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
        text.contains("jsonl, dbcop, plume, porcupine, jepsen-json, jepsen-edn"),
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

#[test]
fn a_history_with_operations_that_are_not_known_gets_no_verdict_unless_asked() {
    let text = r#"
{:type :invoke, :process 0, :f :write, :value 1}
{:type :ok, :process 0, :f :write, :value 1}
{:type :invoke, :process 0, :f :delete, :value nil}
{:type :ok, :process 0, :f :delete, :value nil}
{:type :invoke, :process 0, :f :read, :value nil}
{:type :ok, :process 0, :f :read, :value nil}
"#;
    let (code, said) = judged(text, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--ignore-unknown"), "{said}");
    let (code, said) = judged(text, &["--ignore-unknown"]);
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = judged(text, &["--strongest"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        !said.contains("holds ") && !said.contains("violated "),
        "{said}"
    );
}

#[test]
fn a_mutex_of_jepsens_may_be_given_back_by_anybody() {
    let text = r#"
{:type :invoke, :process 0, :f :acquire, :value nil}
{:type :info, :process 0, :f :acquire, :value nil, :error :timeout}
{:type :invoke, :process 5, :f :release, :value nil}
{:type :ok, :process 5, :f :release, :value nil}
{:type :invoke, :process 1, :f :acquire, :value nil}
{:type :ok, :process 1, :f :acquire, :value nil}
{:type :invoke, :process 2, :f :acquire, :value nil}
{:type :fail, :process 2, :f :acquire, :value nil}
{:type :invoke, :process 1, :f :release, :value nil}
{:type :ok, :process 1, :f :release, :value nil}
"#;
    let (_, said) = judged(text, &[]);
    assert!(!said.contains("invalid "), "{said}");
    let (code, said) = judged(text, &["--assume", "owned=true"]);
    assert_eq!(code, Some(1), "{said}");
}

/// Judges a text from standard input; exit code and all that was printed.
fn judged(text: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tribunal"))
        .args(["check", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What is refused by its arguments is never read.
    let _unread = child.stdin.take().unwrap().write_all(text.as_bytes());
    let output = child.wait_with_output().unwrap();
    (output.status.code(), text_of(&output))
}

/// Two transactions that each read what the other writes, too early: write skew.
const WRITE_SKEW: &str = r#"
{"index":0,"type":"invoke","process":0,"f":"txn","value":[["r","x",null],["append","y",1]]}
{"index":1,"type":"invoke","process":1,"f":"txn","value":[["r","y",null],["append","x",1]]}
{"index":2,"type":"ok","process":0,"f":"txn","value":[["r","x",[]],["append","y",1]]}
{"index":3,"type":"ok","process":1,"f":"txn","value":[["r","y",[]],["append","x",1]]}
{"index":4,"type":"invoke","process":0,"f":"txn","value":[["r","x",null],["r","y",null]]}
{"index":5,"type":"ok","process":0,"f":"txn","value":[["r","x",[1]],["r","y",[1]]]}
"#;

#[test]
fn an_isolation_level_decides_which_anomalies_count() {
    for (level, code, said) in [
        ("strict-serializable", 1, "invalid "),
        ("serializable", 1, "invalid "),
        ("repeatable-read", 1, "invalid "),
        (
            "snapshot-isolation",
            0,
            "snapshot-isolation allows all that was found: G2-item",
        ),
        (
            "strong-session-snapshot-isolation",
            0,
            "allows all that was found: G2-item",
        ),
        ("causal", 0, "valid "),
        ("read-committed", 0, "valid "),
        ("read-uncommitted", 0, "valid "),
        (
            "chaos",
            64,
            "no isolation level is called chaos; there are read-uncommitted, ",
        ),
    ] {
        let (is, text) = judged(WRITE_SKEW, &["--isolation", level]);
        assert_eq!(is, Some(code), "{level}: {text}");
        assert!(text.contains(said), "{level}: {text}");
    }
    let (code, text) = judged(WRITE_SKEW, &[]);
    assert_eq!(code, Some(1), "{text}");
}

#[test]
fn assumptions_are_taken_or_refused_with_their_fields() {
    let text = std::fs::read_to_string(history("valid.edn")).unwrap();
    let (code, said) = judged(
        &text,
        &["--assume", "permits=3", "--assume", "overdraft=true"],
    );
    assert_eq!(code, Some(0), "{said}");
    for (given, part) in [
        ("permit=3", "one of bank_total, "),
        ("permits", "must be FIELD=VALUE"),
        ("permits=x", "--assume permits=x: invalid type"),
    ] {
        let (code, said) = judged(&text, &["--assume", given]);
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn every_model_is_told_to_hold_or_be_violated() {
    let valid = std::fs::read_to_string(history("valid.edn")).unwrap();
    let (code, text) = judged(&valid, &["--strongest"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("holds    linearizable"), "{text}");
    assert!(text.contains("holds    pram"), "{text}");
    let stale = std::fs::read_to_string(history("stale-read.edn")).unwrap();
    let (_, text) = judged(&stale, &["--strongest", "--json"]);
    let line = text.lines().find(|line| line.starts_with('{')).unwrap();
    let report: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(report["models"][0]["model"], "linearizable", "{report}");
    assert_eq!(report["models"][0]["standing"], "violated", "{report}");
    let transaction = concat!(
        r#"{"format":"tribunal-history","version":1}"#,
        "\n",
        r#"{"index":0,"time":1,"process":1,"type":"invoke","f":"txn","value":[["w","x",1]]}"#,
        "\n",
        r#"{"index":1,"time":2,"process":1,"type":"ok","f":"txn","value":[["w","x",1]]}"#,
        "\n"
    );
    let (_, text) = judged(transaction, &["--strongest"]);
    assert!(text.contains(" strict-serializable "), "{text}");
    assert!(text.contains(" read-committed "), "{text}");
}

#[test]
fn a_user_may_say_what_the_objects_are() {
    let adds = "{:process 0 :type :invoke :f :add :value 1}{:process 0 :type :ok :f :add :value 1}";
    let (code, text) = judged(adds, &["--object", "register"]);
    assert_eq!(code, Some(64), "{text}");
    assert!(
        text.contains("line 1, column 1: an add of a number does not fit"),
        "{text}"
    );
    let (code, text) = judged(adds, &["--object", "teapot"]);
    assert_eq!(code, Some(64), "{text}");
}

#[test]
fn causal_reverse_of_jepsens_is_judged_by_its_name() {
    for (name, code, said) in [
        ("causal-order.edn", 0, "valid "),
        (
            "causal-reverse.edn",
            1,
            "saw 2 but not 1, which was acknowledged",
        ),
    ] {
        let output = tribunal(&["check", &history(name), "--model", "causal-reverse"]);
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(code), "{name}: {text}");
        assert!(text.contains(said), "{name}: {text}");
    }
}

/// Judges a history with a message journal beside it: a sends 1 to b, which answers with 2.
/// `clocks` are what the four events show.
fn with_messages(clocks: [&str; 4], arguments: &[&str]) -> (Option<i32>, String) {
    let events = [
        r#""type":"send","node":"a","step":0,"message":1"#,
        r#""type":"receive","node":"b","step":0,"message":1"#,
        r#""type":"send","node":"b","step":1,"message":2"#,
        r#""type":"deliver","node":"a","step":1,"message":2"#,
    ];
    let lines = events.iter().zip(clocks);
    let lines = lines.map(|(event, clocks)| format!(r#"{{"time":1,{event}{clocks}}}"#));
    judged_beside(&lines.collect::<Vec<_>>().join("\n"), arguments)
}

fn judged_beside(events: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sent.jsonl");
    let header = r#"{"format":"tribunal-messages","version":1,"nodes":["a","b"]}"#;
    std::fs::write(&path, format!("{header}\n{events}\n")).unwrap();
    let (history, path) = (history("exchange.jsonl"), path.display().to_string());
    let given = ["check", &history, "--messages", &path];
    let output = tribunal(&[&given, arguments].concat());
    (output.status.code(), text_of(&output))
}

#[test]
fn clocks_of_a_message_journal_are_judged_beside_its_history() {
    let lamport = [1, 2, 3, 4].map(|n| format!(r#","lamport":{n}"#));
    let back = [1, 1, 3, 4].map(|n| format!(r#","lamport":{n}"#));
    let vector = ["[1,0]", "[1,1]", "[1,2]", "[2,2]"].map(|v| format!(r#","vector":{v}"#));
    let unknowing = ["[1,0]", "[0,1]", "[0,2]", "[2,2]"].map(|v| format!(r#","vector":{v}"#));
    let hybrid = |walls: [u64; 4]| walls.map(|w| format!(r#","hybrid":[{w},0],"physical":{w}"#));
    for (checker, clocks, code) in [
        ("lamport-clocks", lamport, 0),
        ("lamport-clocks", back, 1),
        ("vector-clocks", vector, 0),
        ("vector-clocks", unknowing, 1),
        ("hybrid-clocks", hybrid([10, 20, 30, 40]), 0),
        ("hybrid-clocks", hybrid([10, 9, 30, 40]), 1),
    ] {
        let clocks = clocks.each_ref().map(String::as_str);
        let word = if code == 0 { "valid    " } else { "invalid  " };
        let (is, text) = with_messages(clocks, &["--model", checker]);
        assert_eq!(is, Some(code), "{checker}: {text}");
        assert!(text.contains(&format!("{word}{checker}")), "{text}");
        // Without a name, those that the journal is for judge too.
        let (is, text) = with_messages(clocks, &[]);
        assert_eq!(is, Some(code), "{checker}: {text}");
        assert!(text.contains(&format!("{word}{checker}")), "{text}");
        assert!(text.contains("valid    linearizable"), "{text}");
    }
}

#[test]
fn deliveries_of_a_message_journal_are_judged_beside_its_history() {
    let event = |kind: &str, node: &str, step: u8, message: u8| {
        format!(r#"{{"time":1,"type":"{kind}","node":"{node}","step":{step},"message":{message}}}"#)
    };
    let sent = [event("send", "a", 0, 1), event("send", "a", 1, 2)].join("\n");
    for (first, second, code) in [(1, 2, 0), (2, 1, 1)] {
        let delivered = [
            event("deliver", "b", 0, first),
            event("deliver", "b", 1, second),
        ];
        let events = format!("{sent}\n{}", delivered.join("\n"));
        let (is, text) = judged_beside(&events, &["--model", "causal-delivery"]);
        assert_eq!(is, Some(code), "{text}");
    }
}

#[test]
fn a_message_journal_that_is_none_is_refused_with_file_and_line() {
    let (code, text) = judged_beside(r#"{"time":1,"type":"send","node":"c","step":0}"#, &[]);
    assert_eq!(code, Some(64), "{text}");
    assert!(
        text.contains("sent.jsonl is not a message journal: line 2"),
        "{text}"
    );
    assert!(text.contains("the header names no node c"), "{text}");
    let (valid, missing) = (history("exchange.jsonl"), history("no-such.jsonl"));
    for (arguments, said) in [
        (vec!["--messages", &missing], "no-such.jsonl"),
        (
            vec!["--messages", &missing, &valid],
            "--messages takes one record",
        ),
        (
            vec!["--messages", &missing, "--isolation", "serializable"],
            "cannot be used with",
        ),
    ] {
        let output = tribunal(&[&["check", &valid], &arguments[..]].concat());
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(64), "{text}");
        assert!(text.contains(said), "{text}");
    }
}
