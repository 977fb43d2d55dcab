//! SIGKILL of the controller in the middle of each fault: no process is left, none stopped, and
//! `doctor --clean` finds the run and removes its mark.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use tribunal_nemesis::fabric::Kind;
use tribunal_nemesis::{ALL, Fault};

use common::{Run, processes_of, text_of, tribunal, wait_until};

/// A lock, because some faults need clients with a critical section.
fn suite(fault: &str) -> String {
    format!(
        "
suite: killed
runs:
  - target: lock-manager
    workload: lock
    nodes: 3
    clients: 6
    rate: 300
    nemesis: {{ faults: [{{ type: {fault} }}], quiet: 1ms..1ms, hold: 60s..60s }}
    time: 60s
"
    )
}

#[test]
fn nothing_is_left_of_a_controller_that_is_killed_in_the_middle_of_any_fault() {
    // What only a switch can do leaves what a switch leaves: see `switch.rs`.
    let proxied = |fault: &&&dyn Fault| fault.works_on(Kind::Proxy);
    for fault in ALL.iter().filter(proxied) {
        kill_during(fault.name());
    }
}

fn kill_during(fault: &str) {
    let run = Run::new();
    let file = run.folder().join("killed.yaml");
    std::fs::write(&file, suite(fault)).unwrap();
    let mut controller = run.start(&["run", &file.display().to_string(), "--out", &run.out()]);
    wait_until(&format!("{fault} is injected"), || {
        let Ok(mut runs) = std::fs::read_dir(run.folder().join("runs/killed")) else {
            return false;
        };
        let history = |entry: std::fs::DirEntry| {
            std::fs::read_to_string(entry.path().join("history.jsonl")).ok()
        };
        runs.any(|entry| {
            let history = entry.ok().and_then(history).unwrap_or_default();
            history.contains(r#""phase":"injected""#)
        })
    });
    controller.kill().unwrap();
    controller.wait().unwrap();
    wait_until("no process is left", || processes_of(&run).is_empty());
    let found = doctor(&run, &[]);
    assert!(
        found.contains("the mark of the killed run"),
        "{fault}: {found}"
    );
    assert!(found.contains("--clean"), "{fault}: {found}");
    let removed = doctor(&run, &["--clean"]);
    assert!(removed.contains("removed: "), "{fault}: {removed}");
    let then = doctor(&run, &[]);
    assert!(
        !then.contains(&run.out().replace("/runs", "/runs/killed")),
        "{then}"
    );
}

fn doctor(run: &Run, arguments: &[&str]) -> String {
    let out = run.out();
    let output = tribunal(&[&["doctor", "--out", &out], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    text_of(&output)
}
