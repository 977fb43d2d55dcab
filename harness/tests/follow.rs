//! What is still being written is judged all the same, and a run stands still when asked to.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{Run, processes_of, text_of, tribunal};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Appends one event.
fn event(file: &mut File, index: u64, process: u64, kind: &str, f: &str, value: &str) {
    let time = index * 1_000_000;
    writeln!(
        file,
        r#"{{"index":{index},"time":{time},"process":{process},"type":"{kind}","f":"{f}","key":"k","value":{value}}}"#
    )
    .unwrap();
}

fn begin(path: &Path) -> File {
    let mut file = File::create(path).unwrap();
    writeln!(file, r#"{{"format":"tribunal-history","version":1}}"#).unwrap();
    file
}

fn follow(path: &Path, flags: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tribunal"))
        .args(["check", "--follow"])
        .args(flags)
        .arg(path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A write of 1, one of 2, and then a read of 1.
fn stale_read(file: &mut File) {
    for (at, (kind, f, value)) in [
        ("invoke", "write", "1"),
        ("ok", "write", "1"),
        ("invoke", "write", "2"),
        ("ok", "write", "2"),
        ("invoke", "read", "null"),
        ("ok", "read", "1"),
    ]
    .into_iter()
    .enumerate()
    {
        event(file, at as u64, 0, kind, f, value);
    }
}

#[test]
fn a_contradiction_is_told_while_the_history_is_still_written() {
    let run = Run::new();
    let path = run.folder().join("history.jsonl");
    let mut file = begin(&path);
    let mut following = follow(&path, &[]);
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    stale_read(&mut file);
    // Nothing ends the file: the line comes while it is open.
    let told = lines.next().unwrap().unwrap();
    assert!(told.contains("invalid"), "{told}");
    event(&mut file, 6, 1, "invoke", "read", "null");
    kill(Pid::from_raw(following.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(following.wait().unwrap().code(), Some(1));
}

#[test]
fn fail_fast_ends_with_the_first_contradiction() {
    let run = Run::new();
    let path = run.folder().join("history.jsonl");
    let mut file = begin(&path);
    let following = follow(&path, &["--fail-fast", "--model", "linearizable"]);
    stale_read(&mut file);
    let output = following.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text_of(&output));
}

#[test]
fn following_that_is_stopped_says_what_there_is_and_exits_130() {
    let run = Run::new();
    let path = run.folder().join("history.jsonl");
    let mut file = begin(&path);
    event(&mut file, 0, 0, "invoke", "write", "1");
    event(&mut file, 1, 0, "ok", "write", "1");
    let mut following = follow(&path, &["--model", "linearizable"]);
    let mut errors = BufReader::new(following.stderr.take().unwrap()).lines();
    let ready = errors.next().unwrap().unwrap();
    assert!(ready.contains("following"), "{ready}");
    kill(Pid::from_raw(following.id() as i32), Signal::SIGINT).unwrap();
    let output = following.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text_of(&output));
}

#[test]
fn a_run_is_frozen_at_its_first_contradiction_and_leaves_nothing_behind() {
    let run = Run::new();
    let path = run.folder().join("suite.yaml");
    let suite = "
suite: frozen
runs:
  - name: frozen
    target: { type: quorum-register, bug: read-one }
    workload: register
    nodes: 5
    clients: 10
    nemesis: [partition, delay]
    time: 60s
";
    std::fs::write(&path, suite).unwrap();
    let path = path.display().to_string();
    let output = tribunal(&["run", &path, "--fail-fast", "--out", &run.out()]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("frozen at the first contradiction"), "{text}");
    let history = std::fs::read_to_string(run.latest("frozen").join("history.jsonl")).unwrap();
    let paused = history
        .lines()
        .filter(|l| l.contains(r#""state":"paused""#));
    assert!(paused.count() >= 5, "not every node was stopped");
    assert_eq!(processes_of(&run), Vec::<String>::new());
}
