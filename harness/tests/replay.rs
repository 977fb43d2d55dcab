//! Schedules, `tribunal replay`, `tribunal shrink`, the corpus and liveness, over real processes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{Run, text_of, tribunal};
use serde_json::Value as Json;
use tribunal_results::{Phase, RunVerdict, Validity, journal};

fn suite(run: &Run, body: &str) -> String {
    let path = run.folder().join("suite.yaml");
    std::fs::write(&path, body).unwrap();
    path.display().to_string()
}

fn history(dir: &Path) -> journal::Journal {
    let file = std::fs::File::open(dir.join("history.jsonl")).unwrap();
    journal::read(std::io::BufReader::new(file)).unwrap()
}

/// When each fault was in force, since the first operation, in milliseconds; by its number.
fn faults(dir: &Path) -> BTreeMap<u64, (String, u64, u64)> {
    let journal = history(dir);
    let calls = journal.history.calls().iter();
    let begun = calls.map(|call| call.invoked.time).min().unwrap();
    let mut found = BTreeMap::new();
    for (time, event) in journal.history.fault_events() {
        let at = time.saturating_sub(begun) / 1_000_000;
        match event.phase {
            Phase::Inject => drop(found.insert(event.id, (event.what.clone(), at, 0))),
            Phase::Heal => found.get_mut(&event.id).unwrap().2 = at,
            Phase::Injected | Phase::Healed => {}
        }
    }
    found
}

const BY_HAND: &str = "
suite: hand
runs:
  - name: hand
    target: paxos-kv
    workload: register
    nodes: 3
    clients: 6
    time: 4s
    evidence: { ok_operations: 10, cross_observations: 0 }
    nemesis:
      schedule:
        - { at: 1s, hold: 1s, type: pause, nodes: [n1] }
        - { after: { ok: write, count: 100 }, hold: 300ms, type: kill, nodes: [n2] }
        - { when: { log: 'n2 of paxos-kv listens*', node: n2 }, hold: 200ms, type: kill, nodes: [n3] }
";

#[test]
fn steps_come_at_their_times_and_cues_and_are_replayed_so() {
    let run = Run::new();
    let suite = suite(&run, BY_HAND);
    let done = tribunal(&["run", &suite, "--out", &run.out()]);
    assert_eq!(done.status.code(), Some(0), "{}", text_of(&done));
    let dir = run.only_run("hand");
    let first = faults(&dir);
    let (what, at, until) = &first[&0];
    assert_eq!(what, "pause n1");
    assert!((990..1500).contains(at), "{first:?}");
    assert!((900..2000).contains(&(until - at)), "{first:?}");
    // n3 is killed when n2 is back and says so: never before n2 was killed.
    let (kill, next) = (&first[&1], &first[&2]);
    assert_eq!((&*kill.0, &*next.0), ("kill n2", "kill n3"));
    assert!(next.1 >= kill.2, "{first:?}");
    let journal = history(&dir);
    let events = journal.history;
    let killed = events.fault_events().find(|(_, e)| e.id == 1).unwrap().0;
    let writes = events.calls().iter().filter(|call| {
        let is_write = matches!(call.operation, tribunal_results::Operation::Write { .. });
        is_write && call.is_ok() && call.completed.unwrap().time <= killed
    });
    let writes = writes.count();
    assert!((100..140).contains(&writes), "after {writes} writes");

    let again = run.folder().join("again").display().to_string();
    let dir = dir.display().to_string();
    let replayed = tribunal(&["replay", &dir, "--times", "1", "--out", &again]);
    assert_eq!(replayed.status.code(), Some(0), "{}", text_of(&replayed));
    let second = std::fs::read_dir(Path::new(&again).join("hand")).unwrap();
    let second: Vec<PathBuf> = second.map(|entry| entry.unwrap().path()).collect();
    let second = second.iter().find(|path| !path.is_symlink()).unwrap();
    let second = faults(second);
    // In the order in which they were executed.
    for (what, at, _) in first.values() {
        let again = second.values().find(|again| again.0 == *what).unwrap();
        let is_timed = what == "pause n1";
        assert!(
            !is_timed || again.1.abs_diff(*at) < 500,
            "{first:?} {second:?}"
        );
    }
}

/// A bug that shows at once, under faults that have nothing to do with it.
const FAILING: &str = "
suite: failing
runs:
  - name: failing
    target: { type: quorum-register, bug: read-one }
    workload: register
    nodes: 3
    clients: 6
    time: 4s
    nemesis: { faults: [kill, delay], quiet: 100ms..200ms, hold: 200ms..300ms }
    expect: valid
  - name: sound
    target: quorum-register
    workload: register
    nodes: 3
    clients: 6
    time: 3s
";

#[test]
fn a_failing_run_is_replayed_and_shrunk_to_a_suite_that_still_fails() {
    let run = Run::new();
    let suite = suite(&run, FAILING);
    let done = tribunal(&["run", &suite, "--only", "failing", "--out", &run.out()]);
    assert_eq!(done.status.code(), Some(1), "{}", text_of(&done));
    let dir = run.only_run("failing").display().to_string();
    let again = run.folder().join("again").display().to_string();
    let replayed = tribunal(&["replay", &dir, "--times", "3", "--out", &again]);
    let text = text_of(&replayed);
    assert_eq!(replayed.status.code(), Some(1), "{text}");
    assert!(
        text.contains("stale-read showed again in 3 of 3 trials (100 %"),
        "{text}"
    );
    let until = tribunal(&[
        "replay",
        &dir,
        "--until-fail",
        "9",
        "--jobs",
        "1",
        "--out",
        &again,
    ]);
    assert!(
        text_of(&until).contains("in 1 of 1 trials"),
        "{}",
        text_of(&until)
    );

    let shrunk = tribunal(&[
        "shrink",
        &dir,
        "--trials",
        "2",
        "--confirm",
        "2",
        "--out",
        &again,
    ]);
    let text = text_of(&shrunk);
    assert_eq!(shrunk.status.code(), Some(0), "{text}");
    assert!(text.contains("faults → 0, which show"), "{text}");
    let file = Path::new(&dir).join("shrunk.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    assert!(
        yaml.starts_with("# Made from ") && yaml.contains("in 2 of 2 trials"),
        "{yaml}"
    );
    let small: Json = serde_yaml::from_str(&yaml).unwrap();
    let small = &small["runs"][0];
    assert!(small["clients"].as_u64().unwrap() < 6, "{yaml}");
    let once_more = tribunal(&["run", file.to_str().unwrap(), "--out", &again]);
    assert_eq!(once_more.status.code(), Some(1), "{}", text_of(&once_more));
}

#[test]
fn what_found_nothing_is_not_shrunk_and_replays_to_nothing() {
    let run = Run::new();
    let suite = suite(&run, FAILING);
    let done = tribunal(&["run", &suite, "--only", "sound", "--out", &run.out()]);
    assert_eq!(done.status.code(), Some(0), "{}", text_of(&done));
    let dir = run.only_run("failing").display().to_string();
    let shrunk = tribunal(&["shrink", &dir, "--out", &run.out()]);
    assert_eq!(shrunk.status.code(), Some(3), "{}", text_of(&shrunk));
    let replayed = tribunal(&["replay", &dir, "--times", "1", "--out", &run.out()]);
    assert_eq!(replayed.status.code(), Some(0), "{}", text_of(&replayed));
    let missing = tribunal(&["replay", "nowhere", "--out", &run.out()]);
    assert_eq!(missing.status.code(), Some(64), "{}", text_of(&missing));
}

#[test]
fn a_failing_run_is_kept_in_the_corpus_and_run_first_next_time() {
    let run = Run::new();
    let suite = suite(&run, FAILING);
    let corpus = run.folder().join("corpus");
    let corpus = corpus.to_str().unwrap();
    let with = |seed: &str, only: &str| {
        let more = ["--seed-corpus", corpus, "--time", "2s", "--out", &run.out()];
        let arguments = [&["run", &suite, "--seed", seed, "--only", only][..], &more].concat();
        text_of(&tribunal(&arguments))
    };
    with("77", "*");
    let kept: Vec<_> = std::fs::read_dir(corpus).unwrap().collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let name = kept[0].as_ref().unwrap().file_name();
    assert_eq!(name, "failing.failing.77.yaml");
    let next = with("78", "*");
    let at = |seed: &str| next.find(&format!("failing  seed {seed}:"));
    assert!(at("77").unwrap() < at("78").unwrap(), "{next}");
    assert_eq!(std::fs::read_dir(corpus).unwrap().count(), 2);
    // Nothing of other runs.
    let sound = with("79", "sound");
    assert!(
        !sound.contains("seed 77") && sound.contains("seed 79"),
        "{sound}"
    );
}

/// Nobody gets an answer in time, although every node is ready: links take longer than clients wait.
const NOT_SERVING: &str = "
suite: slow
runs:
  - name: slow
    target: quorum-register
    workload: register
    nodes: 3
    clients: 4
    rate: 50
    time: 2s
    timeout: 150ms
    topology: { latency: 400ms }
    recovery: { within: 2s }
    nemesis: { faults: [pause], quiet: 100ms, hold: 200ms }
";

#[test]
fn a_system_that_does_not_serve_when_all_is_healed_fails_in_liveness_alone() {
    let run = Run::new();
    let suite = suite(&run, NOT_SERVING);
    let done = tribunal(&["run", &suite, "--out", &run.out()]);
    let text = text_of(&done);
    assert_eq!(done.status.code(), Some(1), "{text}");
    assert!(
        text.contains("liveness, not safety: after everything was healed"),
        "{text}"
    );
    let verdict = std::fs::read(run.only_run("slow").join("verdict.json")).unwrap();
    let verdict: RunVerdict = serde_json::from_slice(&verdict).unwrap();
    assert_eq!(verdict.reason, "not-serving");
    assert_ne!(verdict.safety(), Validity::Invalid);
    assert_eq!(verdict.liveness(), Validity::Invalid);
}

const BACK: &str = "
suite: back
runs:
  - name: back
    target: paxos-kv
    workload: register
    nodes: 3
    time: 5s
    recovery: { within: 5s }
    nemesis: { faults: [kill, pause], quiet: 400ms..600ms, hold: 200ms..300ms }
";

#[test]
fn recovery_is_measured_for_each_kind_of_fault_and_is_no_failure_in_time() {
    let run = Run::new();
    let suite = suite(&run, BACK);
    let done = tribunal(&["run", &suite, "--out", &run.out()]);
    let text = text_of(&done);
    assert_eq!(done.status.code(), Some(0), "{text}");
    assert!(
        text.contains("liveness held") && text.contains("served again after kill"),
        "{text}"
    );
    let verdict = std::fs::read(run.only_run("back").join("verdict.json")).unwrap();
    let verdict: RunVerdict = serde_json::from_slice(&verdict).unwrap();
    for fault in ["kill", "pause"] {
        let recovery = verdict.evidence.recoveries[fault];
        assert!(recovery.measured > 0, "{fault} {recovery:?}");
        assert!(recovery.slowest < 5_000_000_000, "{fault} {recovery:?}");
    }
}

/// The names of the runs of a suite.
fn names(suite: &str) -> Vec<String> {
    let plans = tribunal(&["run", suite, "--dry-run"]);
    let text = String::from_utf8(plans.stdout).unwrap();
    let heads = text.lines().filter_map(|line| line.strip_prefix("# "));
    let names = heads.filter(|head| !head.contains(' '));
    names.map(str::to_owned).collect()
}

/// Takes about ten minutes: `cargo test -p tribunal --test replay -- --ignored`.
#[test]
#[ignore = "takes about ten minutes"]
fn a_failing_run_of_each_planted_bug_fails_again_in_four_of_five_replays() {
    let mut failed = Vec::new();
    for name in names("planted") {
        let run = Run::new();
        let done = tribunal(&["run", "planted", "--only", &name, "--out", &run.out()]);
        assert_eq!(done.status.code(), Some(0), "{}", text_of(&done));
        let dir = run.only_run("planted").display().to_string();
        let again = run.folder().join("again").display().to_string();
        let replayed = tribunal(&["replay", &dir, "--times", "5", "--out", &again]);
        let text = text_of(&replayed);
        let rate = text.lines().find(|line| line.contains("showed again in"));
        let rate = rate.unwrap_or(&text).to_owned();
        if !rate.contains(" 5 of 5 ") && !rate.contains(" 4 of 5 ") {
            failed.push(format!("{name}: {rate}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

const MINUTE: &str = "
suite: minute
runs:
  - name: minute
    target: { type: paxos-kv, bug: stale-read, options: { election_ms: 60 } }
    workload: { type: register, group: 4, read_share: 0.7 }
    clients: 24
    rate: 600
    time: 60s
    nemesis:
      faults: [kill, pause, delay, reset, { type: partition, shape: majority }]
      quiet: 800ms..1600ms
      hold: 400ms..900ms
";

#[test]
#[ignore = "takes up to fifteen minutes"]
fn a_minute_of_twenty_faults_shrinks_to_three_that_show_it_in_four_of_five_trials() {
    let run = Run::new();
    let suite = suite(&run, MINUTE);
    let done = tribunal(&["run", &suite, "--out", &run.out()]);
    assert_eq!(done.status.code(), Some(0), "{}", text_of(&done));
    let dir = run.only_run("minute");
    assert!(faults(&dir).len() >= 20);
    let again = run.folder().join("again").display().to_string();
    let shrunk = tribunal(&["shrink", dir.to_str().unwrap(), "--out", &again]);
    let text = text_of(&shrunk);
    assert_eq!(shrunk.status.code(), Some(0), "{text}");
    let yaml = std::fs::read_to_string(dir.join("shrunk.yaml")).unwrap();
    let small: Json = serde_yaml::from_str(&yaml).unwrap();
    let steps = small["runs"][0]["nemesis"]["schedule"].as_array();
    assert!(
        steps.is_some_and(|steps| steps.len() <= 3),
        "{text}\n{yaml}"
    );
    let file = dir.join("shrunk.yaml").display().to_string();
    let mut shown = 0;
    for _ in 0..10 {
        let once = ["run", &file, "--fail-fast", "--out", &again];
        shown += u64::from(tribunal(&once).status.code() == Some(0));
    }
    assert!(shown >= 8, "{shown} of 10\n{text}\n{yaml}");
}
