//! The binary as its user meets it: wrong input, exit codes, interruption, kill.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::Path;

use common::{Run, nodes_of, processes_of, text_of, tribunal, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A suite with one run of `seconds`.
fn suite(run: &Run, body: &str) -> String {
    let path = run.folder().join("suite.yaml");
    std::fs::write(&path, body).unwrap();
    path.display().to_string()
}

const SHORT: &str = "
suite: short
runs:
  - name: short
    target: quorum-register
    workload: register
    nodes: 3
    clients: 6
    nemesis: [kill]
    time: 2s
";

#[test]
fn help_teaches_and_lists_name_everything() {
    let help = tribunal(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text_of(&help).contains("Exit codes"));
    let list = tribunal(&["list"]);
    assert_eq!(list.status.code(), Some(0));
    for name in [
        "demo",
        "lock-manager",
        "paxos-kv",
        "quorum-register",
        "register",
        "partition",
        "linearizable",
    ] {
        assert!(text_of(&list).contains(name), "{name} is not listed");
    }
}

#[test]
fn an_anomaly_is_explained_and_a_misspelt_one_is_guessed() {
    let told = tribunal(&["explain", "G2-item"]);
    assert_eq!(told.status.code(), Some(0), "{}", text_of(&told));
    let shown = [
        "Write skew",
        "├",
        "cannot be put in any order",
        "repeatable-read",
    ];
    for words in shown {
        assert!(
            text_of(&told).contains(words),
            "{words}: {}",
            text_of(&told)
        );
    }
    let told = tribunal(&["explain", "stale-raed"]);
    assert_eq!(told.status.code(), Some(64));
    let guess = "did you mean `stale-read`?";
    assert!(text_of(&told).contains(guess), "{}", text_of(&told));
}

#[test]
fn doctor_finds_this_machine_fit() {
    let run = Run::new();
    let doctor = tribunal(&["doctor", "--out", &run.out()]);
    assert_eq!(doctor.status.code(), Some(0), "{}", text_of(&doctor));
}

#[test]
fn usage_errors_exit_64() {
    assert_eq!(tribunal(&["run", "--no-such-flag"]).status.code(), Some(64));
    assert_eq!(tribunal(&["frobnicate"]).status.code(), Some(64));
    assert_eq!(tribunal(&["run", "no-such-suite"]).status.code(), Some(64));
}

#[test]
fn a_name_that_selects_nothing_exits_3() {
    let run = Run::new();
    let none = tribunal(&["run", "demo", "--only", "no-such-run", "--out", &run.out()]);
    assert_eq!(none.status.code(), Some(3), "{}", text_of(&none));
}

#[test]
fn an_unknown_key_is_shown_with_its_line() {
    let run = Run::new();
    let path = suite(&run, &SHORT.replace("clients:", "cleints:"));
    let output = tribunal(&["run", &path, "--out", &run.out()]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("suite.yaml:8"), "{text}");
    assert!(text.contains("clients"), "no suggestion: {text}");
}

#[test]
fn a_wrong_type_is_shown_with_its_line() {
    let run = Run::new();
    let path = suite(&run, &SHORT.replace("nodes: 3", "nodes: three"));
    let output = tribunal(&["run", &path, "--out", &run.out()]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        text_of(&output).contains("suite.yaml:7"),
        "{}",
        text_of(&output)
    );
}

#[test]
fn a_target_that_cannot_do_what_the_workload_needs_is_refused() {
    let run = Run::new();
    let path = suite(&run, &SHORT.replace("workload: register", "workload: lock"));
    let output = tribunal(&["run", &path, "--out", &run.out()]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(
        text.contains("lock-manager"),
        "does not say which target can: {text}"
    );
}

#[test]
fn an_output_directory_that_cannot_be_written_is_refused_before_anything_starts() {
    let run = Run::new();
    let file = run.folder().join("file");
    std::fs::write(&file, "").unwrap();
    let output = tribunal(&[
        "run",
        "demo",
        "--out",
        &file.join("runs").display().to_string(),
    ]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("--out"), "{text}");
}

#[test]
fn nodes_that_are_never_ready_are_a_harness_error_with_a_report() {
    let run = Run::new();
    let path = suite(&run, &format!("{SHORT}    ready: 1ms\n"));
    let output = tribunal(&["run", &path, "--out", &run.out()]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(70), "{text}");
    assert!(text.contains("ready"), "{text}");
    assert!(run.latest("short").join("report.html").exists());
    assert_eq!(processes_of(&run), Vec::<String>::new());
}

#[test]
fn a_run_that_needs_more_files_than_allowed_is_refused_before_anything_starts() {
    let run = Run::new();
    let line = format!(
        "ulimit -n 100; exec {} run demo --out {}",
        env!("CARGO_BIN_EXE_tribunal"),
        run.out()
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &line])
        .output()
        .unwrap();
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("ulimit -n"), "{text}");
}

#[test]
fn a_corrupt_history_is_refused_with_its_line() {
    let run = Run::new();
    let path = run.folder().join("history.jsonl");
    let header = r#"{"format":"tribunal-history","version":1}"#;
    std::fs::write(&path, format!("{header}\n{{\"index\":0,\n")).unwrap();
    let output = tribunal(&["check", &path.display().to_string()]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("line 2"), "{text}");
}

#[test]
fn a_dry_run_prints_plans_that_can_be_run() {
    let run = Run::new();
    let output = tribunal(&["run", "demo", "--dry-run"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text_of(&output).contains("seed:"), "{}", text_of(&output));
    assert!(!Path::new(&run.out()).exists());
}

#[test]
fn a_whole_name_selects_one_run_though_another_contains_it() {
    let run = Run::new();
    let again = SHORT.split("runs:\n").nth(1).unwrap();
    let longer = again.replace("name: short", "name: short-too");
    let path = suite(&run, &format!("{SHORT}{longer}"));
    let selected = |only: &str| {
        let output = tribunal(&["run", &path, "--dry-run", "--only", only]);
        text_of(&output).matches("- name:").count()
    };
    assert_eq!(selected("short"), 1);
    assert_eq!(selected("sho"), 2);
}

#[test]
fn a_run_leaves_every_file_and_can_be_judged_again() {
    let run = Run::new();
    let path = suite(&run, SHORT);
    let output = tribunal(&["run", &path, "--out", &run.out(), "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    let latest = run.latest("short");
    for file in [
        "plan.yaml",
        "run.json",
        "history.jsonl",
        "verdict.json",
        "report.html",
    ] {
        assert!(latest.join(file).exists(), "{file} is missing");
    }
    for file in ["junit.xml", "summary.md", "tribunal.log"] {
        assert!(latest.join(file).exists(), "{file} is missing");
    }
    let again = tribunal(&["check", &latest.display().to_string()]);
    assert_eq!(again.status.code(), Some(0), "{}", text_of(&again));
    let drawn = tribunal(&["report", &latest.display().to_string()]);
    assert_eq!(drawn.status.code(), Some(0), "{}", text_of(&drawn));
    a_message_journal_in_the_run_is_found(&latest);
    assert_eq!(processes_of(&run), Vec::<String>::new());
}

/// A journal that somebody put into the run's folder.
fn a_message_journal_in_the_run_is_found(latest: &Path) {
    let header = r#"{"format":"tribunal-messages","version":1,"nodes":["n1","n2"]}"#;
    let sent = r#"{"time":1,"type":"send","node":"n1","step":0,"message":1,"to":"n2","lamport":5}"#;
    let received = r#"{"time":2,"type":"receive","node":"n2","step":0,"message":1,"lamport":3}"#;
    let (path, journal) = (latest.display().to_string(), latest.join("messages.jsonl"));
    for (lines, code, said) in [
        ([header, sent, received], 1, "invalid  lamport-clocks"),
        (
            [header, sent, "{"],
            64,
            "messages.jsonl is not a message journal: line 3",
        ),
    ] {
        std::fs::write(&journal, format!("{}\n", lines.join("\n"))).unwrap();
        let judged = tribunal(&["check", &path, "--model", "lamport-clocks"]);
        assert_eq!(judged.status.code(), Some(code), "{}", text_of(&judged));
        assert!(text_of(&judged).contains(said), "{}", text_of(&judged));
    }
}

#[test]
fn an_interrupted_run_is_judged_and_leaves_nothing_running() {
    let run = Run::new();
    let path = suite(&run, &SHORT.replace("time: 2s", "time: 60s"));
    let mut controller = run.start(&["run", &path, "--out", &run.out()]);
    wait_until("operations are recorded", || run.recorded("short") > 4096);
    kill(
        Pid::from_raw(i32::try_from(controller.id()).unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let status = controller.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(run.latest("short").join("report.html").exists());
    assert!(run.latest("short").join("verdict.json").exists());
    assert_eq!(processes_of(&run), Vec::<String>::new());
}

#[test]
fn a_run_that_still_waits_for_its_nodes_ends_soon_when_told_to() {
    let run = Run::new();
    let path = suite(&run, &format!("{SHORT}    ready: 10m\n"));
    let mut controller = run.start(&["run", &path, "--out", &run.out()]);
    wait_until("there is a node", || !nodes_of(&run).is_empty());
    for node in nodes_of(&run) {
        // Stopped, it does not become ready.
        kill(node, Signal::SIGSTOP).unwrap();
    }
    let controller_pid = Pid::from_raw(i32::try_from(controller.id()).unwrap());
    kill(controller_pid, Signal::SIGTERM).unwrap();
    wait_until("the run ends", || controller.try_wait().unwrap().is_some());
    assert_eq!(controller.wait().unwrap().code(), Some(130));
    assert_eq!(processes_of(&run), Vec::<String>::new());
}

#[test]
fn a_node_that_ends_by_itself_is_a_violation() {
    let run = Run::new();
    let path = suite(&run, &SHORT.replace("nemesis: [kill]", "nemesis: none"));
    let mut controller = run.start(&["run", &path, "--out", &run.out()]);
    wait_until("operations are recorded", || run.recorded("short") > 4096);
    kill(nodes_of(&run)[0], Signal::SIGKILL).unwrap();
    assert_eq!(controller.wait().unwrap().code(), Some(1));
    let verdict = std::fs::read_to_string(run.latest("short").join("verdict.json")).unwrap();
    assert!(verdict.contains("unexpected-exit"), "{verdict}");
}

#[test]
fn a_killed_controller_leaves_no_process_and_a_history_that_can_be_judged() {
    let run = Run::new();
    let path = suite(&run, &SHORT.replace("time: 2s", "time: 60s"));
    let mut controller = run.start(&["run", &path, "--out", &run.out()]);
    wait_until("operations are recorded", || run.recorded("short") > 4096);
    controller.kill().unwrap();
    controller.wait().unwrap();
    wait_until("nothing is left", || processes_of(&run).is_empty());
    let directory = run.only_run("short");
    let check = tribunal(&["check", &directory.display().to_string()]);
    assert_eq!(check.status.code(), Some(130), "{}", text_of(&check));
    let history = directory.join("history.jsonl");
    let check = tribunal(&[
        "check",
        &history.display().to_string(),
        "--model",
        "linearizable",
    ]);
    assert_eq!(check.status.code(), Some(0), "{}", text_of(&check));
}

#[test]
fn runs_at_the_same_time_never_meet() {
    let runs = [Run::new(), Run::new()];
    let children = runs.each_ref().map(|run| {
        let path = suite(run, SHORT);
        run.start(&["run", &path, "--out", &run.out()])
    });
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    for run in &runs {
        assert_eq!(processes_of(run), Vec::<String>::new());
    }
}
