//! `tribunal prove` and the message journal, as their user meets them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::{Path, PathBuf};

use common::{Run, text_of, tribunal};
use serde_json::Value as Json;
use tribunal_results::{RunVerdict, Validity, message};

fn suite(run: &Run, body: &str) -> String {
    let path = run.folder().join("suite.yaml");
    std::fs::write(&path, body).unwrap();
    path.display().to_string()
}

#[test]
fn a_bug_that_shows_is_proven_with_its_target_as_control() {
    let run = Run::new();
    let (json, html) = (run.folder().join("p.json"), run.folder().join("p.html"));
    let proven = tribunal(&[
        "prove",
        "--only",
        "read-one",
        "--seeds",
        "2",
        "--out",
        &run.out(),
        "--json",
        json.to_str().unwrap(),
        "--html",
        html.to_str().unwrap(),
    ]);
    assert_eq!(proven.status.code(), Some(0), "{}", text_of(&proven));
    let proof: Json = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let detection = &proof["detections"][0];
    assert_eq!(detection["bug"], "read-one");
    assert_eq!(
        (&detection["rate"]["hits"], &detection["rate"]["trials"]),
        (&2.into(), &2.into())
    );
    assert!(detection["median_s"].as_f64().unwrap() > 0.0);
    assert!(detection["median_operations"].as_u64().unwrap() > 0);
    let control = &proof["controls"][0];
    assert_eq!(
        (&control["alarms"]["hits"], &control["alarms"]["trials"]),
        (&0.into(), &2.into())
    );
    let page = std::fs::read_to_string(html).unwrap();
    assert!(page.contains("read-one") && page.contains("1 of 1 planted bugs"));
    let trials: Vec<_> = walk(Path::new(&run.out()));
    let named = |name: &str| trials.iter().filter(|path| path.ends_with(name)).count();
    assert_eq!(named("history.jsonl"), 4, "{trials:?}");
    assert_eq!(named("n1/stdout"), 4, "{trials:?}");
    assert_eq!(
        named("n1/data"),
        0,
        "what nodes wrote is dropped: {trials:?}"
    );
}

/// Everything below a folder; links are not followed.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let below = |entry: std::fs::DirEntry| {
        let path = entry.path();
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let inside = if is_link { Vec::new() } else { walk(&path) };
        std::iter::once(path).chain(inside)
    };
    entries.flatten().flat_map(below).collect()
}

/// The bug shows, but not as what is expected of it.
const MISSED: &str = "
suite: missed
runs:
  - name: missed
    target: { type: quorum-register, bug: read-one }
    workload: register
    nodes: 3
    clients: 6
    time: 2s
    expect: lost-element
";

#[test]
fn a_bug_that_is_missed_exits_1_and_says_how_to_see_it_again() {
    let run = Run::new();
    let suite = suite(&run, MISSED);
    let proven = tribunal(&["prove", &suite, "--seeds", "1", "--out", &run.out()]);
    let text = text_of(&proven);
    assert_eq!(proven.status.code(), Some(1), "{text}");
    assert!(text.contains("0 of 1"), "{text}");
    assert!(text.contains("--only missed --seed 1"), "{text}");
}

#[test]
fn a_suite_without_planted_bugs_has_nothing_to_prove() {
    let run = Run::new();
    let proven = tribunal(&["prove", "register", "--out", &run.out()]);
    assert_eq!(proven.status.code(), Some(3), "{}", text_of(&proven));
}

/// What was published about leases of a majority, and where it does not show.
const FINDINGS: &str = "
suite: findings
defaults:
  target: lock-quorum
  workload: { type: mutex, locks: 1, hold: 500ms..900ms, long_share: 0, abandon_share: 0 }
  nodes: 3
  time: 6s
runs:
  - name: two-holders
    nemesis: { faults: [pause], quiet: 100ms..300ms, hold: 600ms..900ms }
    expect: [double-hold]
    finding: { says: \"{version} grants a lock | twice\", source: Kleppmann 2016 }
  - name: no-fault
    nemesis: none
";

#[test]
fn a_published_finding_is_proven_with_the_runs_beside_it_as_controls() {
    let run = Run::new();
    let suite = suite(&run, FINDINGS);
    let record = run.folder().join("record.md");
    let proven = tribunal(&[
        "prove",
        &suite,
        "--seeds",
        "2",
        "--at-least",
        "0.5",
        "--out",
        &run.out(),
        "--markdown",
        record.to_str().unwrap(),
    ]);
    let text = text_of(&proven);
    assert_eq!(proven.status.code(), Some(0), "{text}");
    assert!(text.contains("1 of 1 published findings"), "{text}");
    let record = std::fs::read_to_string(record).unwrap();
    for words in [
        "| lock-quorum | two-holders | Kleppmann 2016 | ",
        "| lock-quorum | no-fault | 0 of 2 |",
        "- lock-quorum grants a lock \\| twice\n",
    ] {
        assert!(record.contains(words), "{words}: {record}");
    }
}

const MESSAGES: &str = "
suite: messages
runs:
  - name: messages
    target: quorum-register
    workload: register
    nodes: 3
    clients: 6
    nemesis: [kill, reset]
    time: 3s
    messages: true
    topology: { latency: 3ms, links: [{ from: n1, to: n2, latency: 30ms }] }
";

#[test]
fn messages_are_journalled_and_clocks_judged_even_when_nodes_are_killed() {
    let run = Run::new();
    let suite = suite(&run, MESSAGES);
    let done = tribunal(&["run", &suite, "--seed", "3", "--out", &run.out()]);
    assert_eq!(done.status.code(), Some(0), "{}", text_of(&done));
    let dir = run.only_run("messages");
    let verdict = std::fs::read(dir.join("verdict.json")).unwrap();
    let verdict: RunVerdict = serde_json::from_slice(&verdict).unwrap();
    for name in ["lamport-clocks", "vector-clocks"] {
        let clocks = verdict.verdicts.iter().find(|v| v.checker == name);
        assert_eq!(clocks.unwrap().validity, Validity::Valid, "{clocks:?}");
    }
    let file = std::fs::File::open(dir.join("messages.jsonl")).unwrap();
    let messages = message::read(std::io::BufReader::new(file)).unwrap();
    let mut sent = rustc_hash::FxHashMap::default();
    let mut took: [Vec<u64>; 2] = Default::default();
    for event in &messages.events {
        match event.act {
            message::Act::Send { message, to } => {
                sent.insert(message, (event.time, event.node, to));
            }
            message::Act::Receive { message } => {
                let Some((at, from, _)) = sent.get(&message) else {
                    continue;
                };
                let slow = usize::from((*from, event.node) == (0, 1));
                took[slow].push(event.time.saturating_sub(*at));
            }
            _ => {}
        }
    }
    // Each link is as late as the suite says, and only that one much later.
    // In the median: an answer may be seen before the delivery that it answers is noted, which then
    // dates it, and on a busy machine what is sent may be noted late.
    let [usual, slow] = took.map(|mut took| {
        took.sort_unstable();
        took[took.len() / 2]
    });
    assert!((3_000_000..29_000_000).contains(&usual), "{usual}");
    assert!(slow >= 29_000_000, "{slow}");
    assert!(!messages.losses.is_empty(), "connections were reset");
}
