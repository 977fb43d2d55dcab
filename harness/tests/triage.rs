//! After many runs: known issues, triage, baselines, and what a pipeline keeps.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::Path;
use std::process::Output;

use common::{Run, text_of, tribunal};
use serde_json::{Value as Json, json};

/// A run as it lies on disk, without history: enough for what never judges again.
struct Fake<'a> {
    plan: &'a str,
    seed: u64,
    class: &'a str,
    anomalies: &'a [&'a str],
    /// How many were found; more than are listed if not all are.
    total: usize,
    /// When the finding was complete, in seconds.
    after: u64,
    latency_ms: u64,
    /// How long it asked, and at which rate; not known of old runs.
    asked: Option<(u64, f64)>,
}

impl Default for Fake<'_> {
    fn default() -> Self {
        Self {
            plan: "p",
            seed: 1,
            class: "pass",
            anomalies: &[],
            total: 0,
            after: 1,
            latency_ms: 10,
            asked: None,
        }
    }
}

impl Fake<'_> {
    fn violation(seed: u64, anomalies: &'static [&'static str]) -> Self {
        Self {
            seed,
            class: "violation",
            anomalies,
            total: anomalies.len(),
            ..Self::default()
        }
    }

    fn write(&self, out: &str) -> String {
        let folder = Path::new(out)
            .join("s")
            .join(format!("{}-{}", self.plan, self.seed));
        std::fs::create_dir_all(folder.join("nodes/n1")).unwrap();
        let save = |name: &str, value: &Json| {
            std::fs::write(folder.join(name), value.to_string()).unwrap();
        };
        let day = self.seed % 28 + 1;
        let mut info = json!({
                "class": self.class, "suite": "s", "plan": self.plan, "target": "store",
                "workload": "register", "faults": ["kill"], "seed": self.seed, "nodes": ["n1"],
                "clients": 3, "started": format!("2026-01-{day:02}T00:00:00.000Z"), "command": [],
                "reproduce": format!("tribunal run s --only {} --seed {}", self.plan, self.seed),
                "version": "1", "machine": {}, "phases": [],
        });
        if let Some((time_ms, rate)) = self.asked {
            info["time_ms"] = time_ms.into();
            info["rate"] = rate.into();
        }
        save("run.json", &info);
        let anomalies: Vec<Json> = self
            .anomalies
            .iter()
            .map(|name| {
                json!({"name": name, "sentence": format!("It was a {name}."),
                       "span": [0, self.after * 1_000_000_000]})
            })
            .collect();
        let validity = if anomalies.is_empty() {
            "valid"
        } else {
            "invalid"
        };
        save(
            "verdict.json",
            &json!({
                "class": self.class, "reason": self.anomalies.first().unwrap_or(&"valid"),
                "claim": "A claim.",
                "verdicts": [{"checker": "linearizable", "validity": validity, "summary": "",
                    "anomalies": anomalies, "anomalies_total": self.total}],
                "evidence": {
                    "operations": {}, "total": {"ok": 1000, "fail": 0, "info": 0},
                    "cross_observations": 9, "concurrency_peak": 3, "faults_bitten": {"kill": 2},
                    "faults_idle": {}, "faults_skipped": {}, "overlap": 0.5, "final_reads": 3,
                    "latency": {"median": 1_000_000, "p99": self.latency_ms * 1_000_000},
                },
            }),
        );
        std::fs::write(folder.join("history.jsonl"), "x".repeat(10_000)).unwrap();
        std::fs::write(folder.join("nodes/n1/stderr"), "a log").unwrap();
        folder.display().to_string()
    }
}

fn exits(output: &Output, code: i32) -> String {
    let text = text_of(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

/// The anomaly that the tests know of, by the checker that finds it.
const SIGNATURE: &str = "linearizable/non-linearizable/register/store";

fn issues(run: &Run, signature: &str, expires: &str, more: &str) -> String {
    let path = run.folder().join("known-issues.yaml");
    let text = format!(
        "issues:\n  - signature: {signature}\n    ticket: S-417\n    owner: ann\n    \
         expires: {expires}\n{more}"
    );
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_known_issue_is_told_and_counted_and_red_again_when_it_expires_or_rises() {
    let (run, out) = with_violations(1, 1);
    let merge = |file: &str| tribunal(&["report", "merge", &out, "--known-issues", file]);
    exits(&tribunal(&["report", "merge", &out]), 1);

    let text = exits(&merge(&issues(&run, SIGNATURE, "2999-12-31", "")), 0);
    let line =
        "known issue S-417 (ann): linearizable/non-linearizable/register/store in 1 of 2 runs";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("known until 2999-12-31"), "{text}");
    let text = exits(&merge(&issues(&run, SIGNATURE, "2020-01-01", "")), 1);
    assert!(text.contains("it expired on 2020-01-01"), "{text}");
    let other = "linearizable/non-linearizable/register/other";
    exits(&merge(&issues(&run, other, "2999-12-31", "")), 1);
    // One of two may be rare: only what is surely more often counts.
    let rarely = issues(&run, SIGNATURE, "2999-12-31", "    max_rate: 10%\n");
    exits(&merge(&rarely), 0);
    for seed in 10..20 {
        Fake::violation(seed, &["non-linearizable"]).write(&out);
    }
    let text = exits(&merge(&rarely), 1);
    assert!(text.contains("more than 10 % of runs show it"), "{text}");
}

/// So many violations, and passes, of the same plan.
fn with_violations(violations: u64, passes: u64) -> (Run, String) {
    let run = Run::new();
    let out = run.out();
    for seed in 0..violations {
        Fake::violation(seed + 1, &["non-linearizable"]).write(&out);
    }
    for seed in 0..passes {
        let seed = seed + 100;
        Fake {
            seed,
            ..Fake::default()
        }
        .write(&out);
    }
    (run, out)
}

#[test]
fn a_known_issue_hides_nothing_else_of_the_same_run() {
    let (run, out) = with_violations(1, 0);
    let file = issues(&run, SIGNATURE, "2999-12-31", "");
    let merge = || tribunal(&["report", "merge", &out, "--known-issues", &file]);
    exits(&merge(), 0);
    Fake::violation(2, &["non-linearizable", "something-new"]).write(&out);
    let text = exits(&merge(), 1);
    let new = "not known, in p @ 2: linearizable/something-new/register/store";
    assert!(text.contains(new), "{text}");
}

#[test]
fn a_known_issue_is_skipped_in_junit_and_marked_in_markdown() {
    let (run, out) = with_violations(1, 1);
    let file = issues(&run, SIGNATURE, "2999-12-31", "");
    let (junit, summary) = (format!("{out}/j.xml"), format!("{out}/s.md"));
    let files = ["--junit", &junit, "--summary", &summary];
    let merge = ["report", "merge", &out, "--known-issues", &file];
    exits(&tribunal(&[&merge[..], &files[..]].concat()), 0);
    let junit = std::fs::read_to_string(junit).unwrap();
    assert!(
        junit.contains("<skipped message=\"known issue S-417"),
        "{junit}"
    );
    assert!(!junit.contains("<failure"), "{junit}");
    let root = junit.lines().nth(1).unwrap();
    assert!(!root.contains("skipped"), "{root}");
    let summary = std::fs::read_to_string(summary).unwrap();
    assert!(summary.contains("(known: S-417)"), "{summary}");
}

#[test]
fn wrong_known_issues_are_shown_on_their_line_before_anything_runs() {
    let run = Run::new();
    let file = issues(&run, "stale-read", "2999-12-31", "");
    let text = exits(
        &tribunal(&["run", "demo", "--known-issues", &file, "--dry-run"]),
        64,
    );
    assert!(text.contains("known-issues.yaml:2"), "{text}");
    assert!(text.contains("is no signature"), "{text}");
    let missing = format!("{file}.none");
    exits(
        &tribunal(&["run", "demo", "--known-issues", &missing, "--dry-run"]),
        64,
    );
}

/// What a real run finds, with the signature as it prints it.
#[test]
fn the_signature_that_a_run_prints_makes_it_known() {
    let run = Run::new();
    let suite = run.folder().join("wrong.yaml");
    let text = "suite: wrong\nruns:\n  - name: wrong\n    target: { type: quorum-register, bug: read-one }\n    \
                workload: register\n    nodes: 3\n    clients: 6\n    time: 5s\n    nemesis: [partition]\n    expect: valid\n";
    std::fs::write(&suite, text).unwrap();
    let suite = suite.display().to_string();
    let arguments = ["run", &suite, "--out", &run.out(), "--fail-fast"];
    let text = exits(&tribunal(&arguments), 1);
    let signatures: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("signature "))
        .map(str::trim)
        .collect();
    assert!(!signatures.is_empty(), "{text}");
    for signature in &signatures {
        assert!(
            signature.ends_with("/register/quorum-register/read-one"),
            "{text}"
        );
    }
    let file = |name: &str| std::fs::read_to_string(run.latest("wrong").join(name)).unwrap();
    for name in ["verdict.json", "junit.xml", "summary.md"] {
        assert!(file(name).contains(signatures[0]), "{name}: {}", file(name));
    }
    let mut known = "issues:\n".to_owned();
    for signature in &signatures {
        known += &format!(
            "  - {{ signature: {signature}, ticket: S-1, owner: ann, expires: 2999-12-31 }}\n"
        );
    }
    // Found by itself beside the profiles.
    std::fs::write(run.folder().join("known-issues.yaml"), known).unwrap();
    std::fs::write(run.folder().join(".tribunal.yaml"), "profiles: {}\n").unwrap();
    let here = |words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tribunal"));
        command.args(words).current_dir(run.folder());
        command.env_remove("GITHUB_ACTIONS").output().unwrap()
    };
    let text = exits(&here(&["report", "merge", "runs"]), 0);
    assert!(text.contains("known issue S-1 (ann)"), "{text}");
    // The file of the run still says what it is.
    assert!(file("verdict.json").contains("\"violation\""));
}

#[test]
fn triage_groups_by_signature_with_rates_and_the_fastest_reproducer() {
    let (_run, out) = with_violations(2, 2);
    Fake {
        after: 7,
        ..Fake::violation(9, &["rare"])
    }
    .write(&out);
    Fake {
        after: 0,
        ..Fake::violation(3, &["non-linearizable"])
    }
    .write(&out);
    let text = exits(&tribunal(&["triage", &out]), 1);
    let often = format!("{SIGNATURE}  3 of 6 runs (50 %, 95 % interval 12 % to 88 %)");
    assert!(text.contains(&often), "{text}");
    assert!(
        text.contains("reproduce  tribunal run s --only p --seed 3"),
        "{text}"
    );
    assert!(
        text.find(SIGNATURE) < text.find("linearizable/rare"),
        "{text}"
    );
    assert!(text.contains("6 runs, 2 groups"), "{text}");

    let json = exits(&tribunal(&["triage", &out, "--format", "json"]), 1);
    let lines: Vec<Json> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["count"], &lines[0]["runs"]),
        (&json!(3), &json!(6))
    );
    assert_eq!(lines[0]["first_seen"], "2026-01-02T00:00:00.000Z");
    assert_eq!(lines[0]["last_seen"], "2026-01-04T00:00:00.000Z");
    assert_eq!(lines[1]["fastest"]["seconds"], 7.0);

    let only = ["triage", &out, "--only", "linearizable/rare/register/store"];
    let text = exits(&tribunal(&only), 1);
    assert!(!text.contains("non-linearizable"), "{text}");
    exits(&tribunal(&["triage", &out, "--only", "a/b/c/d"]), 3);
    exits(&tribunal(&["triage", &out, "--only", "rare"]), 64);
}

#[test]
fn a_text_for_an_issue_is_bounded_however_much_there_is() {
    let (_run, out) = with_violations(1, 0);
    let text = exits(&tribunal(&["triage", &out, "--format", "issue-md"]), 1);
    assert!(text.starts_with("## non-linearizable: It was"), "{text}");
    assert!(text.contains("tribunal replay"), "{text}");
    let plans: Vec<String> = (0..150)
        .map(|n| format!("finding-{n}-{}", "y".repeat(150)))
        .collect();
    for (seed, name) in plans.iter().enumerate() {
        let names = [name.as_str()];
        let fake = Fake {
            seed: seed as u64 + 10,
            class: "violation",
            anomalies: &names,
            total: 1,
            ..Fake::default()
        };
        fake.write(&out);
    }
    let text = exits(&tribunal(&["triage", &out, "--format", "issue-md"]), 1);
    assert!(text.len() < 60_000, "{}", text.len());
    assert!(
        text.contains("more groups"),
        "{}",
        &text[text.len() - 200..]
    );
}

#[test]
fn triage_of_passing_runs_is_green_and_of_none_is_not() {
    let (run, out) = with_violations(0, 2);
    exits(&tribunal(&["triage", &out]), 0);
    let empty = run.folder().join("empty");
    std::fs::create_dir(&empty).unwrap();
    exits(&tribunal(&["triage", &empty.display().to_string()]), 3);
}

/// Runs of a plan with these latencies, in a directory.
fn latencies(run: &Run, name: &str, plan: &str, latencies: &[u64]) -> String {
    let out = run.folder().join(name).display().to_string();
    for (seed, latency_ms) in latencies.iter().enumerate() {
        let fake = Fake {
            plan,
            seed: seed as u64,
            latency_ms: *latency_ms,
            ..Fake::default()
        };
        fake.write(&out);
    }
    out
}

#[test]
fn figures_are_compared_with_a_baseline_and_a_worse_one_exits_4() {
    let run = Run::new();
    let then = latencies(&run, "then", "p", &[10, 11, 12, 13, 14]);
    let file = run.folder().join("baseline.json").display().to_string();
    let text = exits(&tribunal(&["compare", "--save", &file, &then]), 0);
    assert!(text.contains("s/p  5 runs"), "{text}");

    let text = exits(&tribunal(&["compare", &file, &then]), 0);
    assert!(text.contains("✓ latency_p99"), "{text}");
    assert!(text.contains("PASS"), "{text}");

    let slow = latencies(&run, "slow", "p", &[20, 21, 22, 23, 24]);
    let summary = run.folder().join("s.md").display().to_string();
    let text = exits(
        &tribunal(&["compare", &file, &slow, "--summary", &summary]),
        4,
    );
    assert!(text.contains("✗ latency_p99"), "{text}");
    assert!(text.contains("12.00 ms → 22.00 ms     +83.3 % ("), "{text}");
    assert!(text.contains("✓ ok_operations"), "{text}");
    let summary = std::fs::read_to_string(summary).unwrap();
    assert!(summary.contains("| ✗ | latency\\_p99 |"), "{summary}");

    // As much noise as that, for this figure alone.
    exits(
        &tribunal(&["compare", &file, &slow, "--noise", "latency_p99=90%"]),
        0,
    );
    exits(&tribunal(&["compare", &file, &slow, "--noise", "90%"]), 0);
    // Better is never worse.
    let fast = latencies(&run, "fast", "p", &[1, 1, 1, 1, 1]);
    exits(&tribunal(&["compare", &file, &fast]), 0);
    // The median alone says worse, the interval that it may be chance.
    let mixed = latencies(&run, "mixed", "p", &[9, 10, 15, 16, 17]);
    exits(&tribunal(&["compare", &file, &mixed]), 0);
    // One run has no interval.
    let one = latencies(&run, "one", "p", &[15]);
    let text = exits(&tribunal(&["compare", &file, &one]), 4);
    assert!(text.contains("too few runs for an interval"), "{text}");
}

#[test]
fn figures_of_another_time_or_rate_are_not_compared_and_it_is_said() {
    let run = Run::new();
    let asked = |folder: &str, asked: Option<(u64, f64)>| {
        let out = run.folder().join(folder).display().to_string();
        let fake = Fake {
            asked,
            ..Fake::default()
        };
        fake.write(&out);
        out
    };
    let file = run.folder().join("baseline.json").display().to_string();
    let then = asked("then", Some((5_000, 1_000.0)));
    exits(&tribunal(&["compare", "--save", &file, &then]), 0);
    exits(&tribunal(&["compare", &file, &then]), 0);
    let longer = asked("longer", Some((10_000, 1_000.0)));
    let text = exits(&tribunal(&["compare", &file, &longer]), 3);
    let why = "another plan now (time 5 s then, 10 s now)";
    assert!(text.contains(why), "{text}");
    let faster = asked("faster", Some((5_000, 2_000.0)));
    let text = exits(&tribunal(&["compare", &file, &faster]), 3);
    assert!(text.contains("(rate 1000/s then, 2000/s now)"), "{text}");
    // Runs of older versions do not say it; nor do baselines of these.
    let old = asked("old", None);
    exits(&tribunal(&["compare", &file, &old]), 0);
    exits(&tribunal(&["compare", "--save", &file, &old]), 0);
    exits(&tribunal(&["compare", &file, &longer]), 0);
}

#[test]
fn a_comparison_that_compares_nothing_is_never_green() {
    let run = Run::new();
    let then = latencies(&run, "then", "p", &[10]);
    let file = run.folder().join("baseline.json").display().to_string();
    exits(&tribunal(&["compare", "--save", &file, &then]), 0);
    let other = latencies(&run, "other", "q", &[10]);
    let text = exits(&tribunal(&["compare", &file, &other]), 3);
    assert!(text.contains("no run of it counts now"), "{text}");
    assert!(text.contains("s/q  is not in the baseline"), "{text}");
    // A violation is worse than any figure.
    Fake::violation(7, &["non-linearizable"]).write(&then);
    let text = exits(&tribunal(&["compare", &file, &then]), 1);
    assert!(text.contains("left out  1 run: violation"), "{text}");
    // What is no baseline, none, and a figure that does not exist.
    let wrong = format!("{then}/s/p-0/run.json");
    exits(&tribunal(&["compare", &wrong, &then]), 64);
    exits(&tribunal(&["compare", &file]), 64);
    let text = exits(
        &tribunal(&["compare", &file, &then, "--noise", "latency=1%"]),
        64,
    );
    assert!(text.contains("there are: ok_operations"), "{text}");
    let empty = run.folder().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let empty = empty.display().to_string();
    exits(&tribunal(&["compare", "--save", &file, &empty]), 3);
}

/// `tribunal report artifacts` of runs.
fn artifacts(out: &str, small: &Path, full: &Path, more: &[&str]) -> Output {
    let (small, full) = (small.display().to_string(), full.display().to_string());
    let words = [
        "report",
        "artifacts",
        out,
        "--small",
        &small,
        "--full",
        &full,
    ];
    tribunal(&[&words, more].concat())
}

#[test]
fn a_pipeline_keeps_what_is_small_always_and_failing_runs_up_to_its_budget() {
    let (run, out) = with_violations(2, 1);
    std::fs::write(format!("{out}/junit.xml"), "<testsuites/>").unwrap();
    let (small, full) = (run.folder().join("small"), run.folder().join("full"));
    let keep = |budget: &str| {
        for folder in [&small, &full] {
            let _absent = std::fs::remove_dir_all(folder);
        }
        artifacts(&out, &small, &full, &["--artifact-budget", budget])
    };
    let text = exits(&keep("1MB"), 0);
    assert!(text.contains(" 2 whole runs in "), "{text}");
    for (folder, file, there) in [
        (&small, "junit.xml", true),
        (&small, "s/p-1/verdict.json", true),
        (&small, "s/p-100/run.json", true),
        (&small, "s/p-1/history.jsonl", false),
        (&full, "s/p-1/history.jsonl", true),
        (&full, "s/p-2/nodes/n1/stderr", true),
        (&full, "s/p-100", false),
        (&full, "left-out.txt", false),
    ] {
        assert_eq!(folder.join(file).exists(), there, "{file}");
    }
    // One and a half runs: the second without what is large.
    let text = exits(&keep("15kB"), 0);
    assert!(text.contains(" 1 whole run in "), "{text}");
    assert!(text.contains("left out"), "{text}");
    assert!(full.join("s/p-1/history.jsonl").exists());
    assert!(!full.join("s/p-2/history.jsonl").exists());
    assert!(full.join("s/p-2/verdict.json").exists());
    let left = std::fs::read_to_string(full.join("left-out.txt")).unwrap();
    assert!(left.contains("s/p-2 ("), "{left}");
    assert!(left.contains("without history.jsonl"), "{left}");
    // What is kept is read like the whole.
    exits(
        &tribunal(&["report", "merge", &small.display().to_string()]),
        1,
    );

    let (_passed, out) = with_violations(0, 1);
    let (inside, full) = (Path::new(&out).join("keep"), run.folder().join("none"));
    let text = exits(&artifacts(&out, &inside, &full, &[]), 64);
    assert!(text.contains("choose a directory outside"), "{text}");
    let text = exits(&artifacts(&out, &small, &full, &[]), 0);
    assert!(text.contains("every run passed"), "{text}");
    assert!(!full.exists());
}
