//! Delays alone keep consensus from deciding, over real sockets, and no longer than they last.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{Run, text_of, tribunal};
use serde_json::Value as Json;

const SECOND: u64 = 1_000_000_000;
/// What was proposed before messages were late may still be decided, two messages of at most 600 ms
/// later.
const UNDER_WAY: u64 = SECOND / 4 * 5;

#[test]
fn paxos_decides_nothing_while_messages_are_late_and_goes_on_when_they_are_not() {
    let run = Run::new();
    let output = tribunal(&["run", "flp", "--out", &run.out()]);
    let text = text_of(&output);
    assert!(output.status.success(), "{text}");
    let history = std::fs::read_to_string(run.latest("flp").join("history.jsonl")).unwrap();
    let events: Vec<Json> = history
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let time = |event: &Json| event["time"].as_u64().unwrap();
    let phase = |name: &str| -> Vec<u64> {
        let in_it = events
            .iter()
            .filter(|e| e["f"] == "delay" && e["value"]["phase"] == name);
        in_it.map(time).collect()
    };
    let done: Vec<u64> = events
        .iter()
        .filter(|e| e["type"] == "ok" && e["f"] == "write")
        .map(time)
        .collect();
    let between = |from: u64, to: u64| done.iter().filter(|at| (from..to).contains(at)).count();
    let (injected, heal) = (phase("injected"), phase("heal"));
    assert_eq!(injected.len(), heal.len(), "{text}");
    // The end of the run may cut the last one short.
    let windows = injected.into_iter().zip(heal);
    let windows: Vec<_> = windows
        .filter(|(from, to)| *to > from + 2 * SECOND)
        .collect();
    assert!(!windows.is_empty(), "{text}");
    for (from, to) in windows {
        assert_eq!(between(from + UNDER_WAY, to), 0, "decided meanwhile");
        let end = time(events.last().unwrap());
        let after = between(to, to + 2 * SECOND);
        assert!(after > 0 || end < to + SECOND, "undecided for good");
    }
}
