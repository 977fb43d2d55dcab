//! Faults on real clients and processes, judged by the history that they leave.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod common;

use common::{Run, text_of, tribunal};
use serde_json::Value as Json;

/// Runs a suite of one run; returns its exit code and the lines of its history.
fn history(suite: &str) -> (Option<i32>, Vec<Json>) {
    let run = Run::new();
    let file = run.folder().join("suite.yaml");
    std::fs::write(&file, suite).unwrap();
    let out = run.out();
    let output = tribunal(&["run", &file.display().to_string(), "--out", &out, "-q"]);
    let text = std::fs::read_to_string(run.latest("faults").join("history.jsonl"));
    let text = text.unwrap_or_else(|e| panic!("{e}: {}", text_of(&output)));
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    (output.status.code(), lines.collect())
}

/// The events of a phase of any fault.
fn phase<'a>(lines: &'a [Json], phase: &str) -> Vec<&'a Json> {
    let is_meant = |line: &&Json| line["value"]["phase"] == phase;
    lines.iter().filter(is_meant).collect()
}

#[test]
fn a_client_that_is_held_begins_nothing_before_it_is_healed() {
    let (_, lines) = history(
        "
suite: faults
runs:
  - target: lock-manager
    workload: lock
    nodes: 3
    clients: 6
    nemesis: { faults: [hold], quiet: 100ms..200ms, hold: 700ms..900ms }
    time: 4s
",
    );
    let mut kept = 0;
    for injected in phase(&lines, "injected") {
        let value = &injected["value"];
        let is_heal =
            |line: &&Json| line["value"]["phase"] == "heal" && line["value"]["id"] == value["id"];
        let healed = lines.iter().find(is_heal).unwrap();
        let times = injected["time"].as_u64()..healed["time"].as_u64();
        let process = &value["proof"]["clients"][0]["process"];
        let begun = lines.iter().filter(|line| {
            let within = times.contains(&line["time"].as_u64());
            line["process"] == *process && line["type"] == "invoke" && within
        });
        // At the end of the load all clients go on, a moment before the fault is healed.
        let begun: Vec<&Json> = begun.collect();
        let is_last = phase(&lines, "injected").last() == Some(&injected);
        assert!(begun.is_empty() || is_last, "{injected} {begun:?}");
        kept += usize::from(!is_last);
    }
    assert!(kept > 0, "nobody was held");
    let bit = |healed: &&Json| {
        let client = &healed["value"]["proof"]["clients"][0];
        healed["value"]["bit"] == true && client["kept_ms"].as_u64() > Some(0)
    };
    assert!(phase(&lines, "healed").iter().any(bit));
}

#[test]
fn where_no_client_has_a_critical_section_a_hold_is_skipped_and_the_run_is_insufficient() {
    let (code, lines) = history(
        "
suite: faults
runs:
  - { target: quorum-register, workload: register, nodes: 3, nemesis: [hold], time: 2s }
",
    );
    assert_eq!(code, Some(3));
    for injected in phase(&lines, "injected") {
        let why = injected["value"]["skipped"].as_str().unwrap();
        assert!(why.contains("no client entered"), "{why}");
    }
}
