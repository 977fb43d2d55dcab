//! What continuous integration sees: gates, profiles, GitHub's commands, and recipes that are true.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{Run, text_of, tribunal};

const SUITE: &str = "
suite: gated
runs:
  - name: gated
    target: quorum-register
    workload: register
    nodes: 3
    clients: 6
    time: 1s
    gates:
      ok_operations: { min: LEAST }
      info_rate: { max: 50% }
";

fn write(run: &Run, name: &str, text: &str) -> String {
    let path = run.folder().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Runs the binary in the test's folder, with these variables.
fn there(run: &Run, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tribunal"));
    command.args(arguments).current_dir(run.folder());
    command.stdin(Stdio::null()).env_remove("TRIBUNAL_OUT");
    command
        .env_remove("GITHUB_ACTIONS")
        .env_remove("GITHUB_STEP_SUMMARY");
    command.envs(variables.iter().copied());
    command.output().unwrap()
}

#[test]
fn a_missed_gate_exits_4_and_is_shown_everywhere() {
    let run = Run::new();
    let suite = write(&run, "gated.yaml", &SUITE.replace("LEAST", "1000000"));
    let output = tribunal(&["run", &suite, "--out", &run.out()]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("REGRESSION gated"), "{text}");
    assert!(text.contains("✗ ok_operations"), "{text}");
    assert!(text.contains("✓ info_rate"), "{text}");
    let latest = run.latest("gated");
    let file = |name: &str| std::fs::read_to_string(latest.join(name)).unwrap();
    assert!(
        file("summary.md").contains("- gate: ✗ ok\\_operations"),
        "{}",
        file("summary.md")
    );
    assert!(file("report.html").contains("✗ ok_operations"));
    assert!(file("verdict.json").contains("gate-missed"));
    // Judged again, it comes to the same; the plan has the gates.
    let again = tribunal(&["check", &latest.display().to_string()]);
    assert_eq!(again.status.code(), Some(4), "{}", text_of(&again));

    let suite = write(&run, "gated.yaml", &SUITE.replace("LEAST", "1"));
    let output = tribunal(&["run", &suite, "--out", &run.out()]);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
}

#[test]
fn a_gate_that_cannot_be_judged_is_never_green() {
    let run = Run::new();
    // Nothing is broken, so nothing recovers.
    let text = SUITE.replace("ok_operations: { min: LEAST }", "recovery_p99: { max: 1h }");
    let suite = write(&run, "gated.yaml", &text);
    let output = tribunal(&["run", &suite, "--out", &run.out()]);
    assert_eq!(output.status.code(), Some(3), "{}", text_of(&output));
    assert!(
        text_of(&output).contains("? recovery_p99 not measured"),
        "{}",
        text_of(&output)
    );
}

#[test]
fn wrong_gates_are_shown_on_their_lines() {
    let run = Run::new();
    for (wrong, expected) in [
        ("ok_operation: { min: 1 }", "did you mean `ok_operations`?"),
        ("ok_operations: { least: 1 }", "has no `least`"),
        ("ok_operations: {}", "needs a `min` or a `max`"),
        ("ok_operations: { min: 5s }", "is not a whole number"),
        ("ok_operations: { min: 5, max: 4 }", "nothing can meet"),
        ("ok_operations: 5", "must be a mapping"),
    ] {
        let text = SUITE.replace("ok_operations: { min: LEAST }", wrong);
        let suite = write(&run, "gated.yaml", &text);
        let output = tribunal(&["run", &suite, "--dry-run"]);
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(64), "{wrong}: {text}");
        assert!(text.contains("gated.yaml:11"), "{wrong}: {text}");
        assert!(text.contains(expected), "{wrong}: {text}");
    }
}

const PROFILES: &str = "
x-base: &base { time: 1s, quiet: true }
profiles:
  short: { <<: *base, suite: gated.yaml, nodes: 3 }
  many: { <<: *base, suite: gated.yaml, repeat: 2, until-fail: false }
";

#[test]
fn a_profile_gives_what_the_command_line_does_not() {
    let run = Run::new();
    write(&run, ".tribunal.yaml", PROFILES);
    write(
        &run,
        "gated.yaml",
        &SUITE.replace("LEAST", "1").replace("time: 1s", "time: 9s"),
    );
    let shown = there(&run, &["config", "show", "--resolved"], &[]);
    let text = text_of(&shown);
    assert_eq!(shown.status.code(), Some(0), "{text}");
    // Maps are kept in the order of their names or of the file: both are right.
    for words in [
        "gated.yaml",
        "--nodes=3",
        "--time=1s",
        "--repeat=2",
        "--quiet",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(
        !text.contains("until-fail"),
        "what is off is not said: {text}"
    );
    let dry = |more: &[&str]| {
        let arguments = [&["run", "--profile", "short", "--dry-run"], more].concat();
        text_of(&there(&run, &arguments, &[]))
    };
    assert!(dry(&[]).contains("time: 1s"), "{}", dry(&[]));
    assert!(
        dry(&["--time", "2s"]).contains("time: 2s"),
        "{}",
        dry(&["--time", "2s"])
    );
    assert!(dry(&["flp"]).contains("suite: flp"), "{}", dry(&["flp"]));
    let many = [
        "run",
        "--profile",
        "many",
        "--out",
        "runs",
        "--junit",
        "j.xml",
    ];
    let many = there(&run, &many, &[]);
    assert_eq!(many.status.code(), Some(0), "{}", text_of(&many));
    assert!(
        text_of(&many).contains("0 of 2 runs failed"),
        "{}",
        text_of(&many)
    );
    // Each run knows its profile, also those that a campaign did in other processes.
    let junit = std::fs::read_to_string(run.folder().join("j.xml")).unwrap();
    assert!(
        junit.contains("<testsuite name=\"register × many\""),
        "{junit}"
    );
    let merge = ["report", "merge", "runs", "--junit", "m.xml"];
    assert_eq!(there(&run, &merge, &[]).status.code(), Some(0));
    let merged = std::fs::read_to_string(run.folder().join("m.xml")).unwrap();
    assert!(
        merged.contains("<testsuite name=\"register × many\""),
        "{merged}"
    );
    let hidden = text_of(&tribunal(&["run", "--help"]));
    assert!(!hidden.contains("--of-profile"), "{hidden}");
}

#[test]
fn wrong_profiles_are_shown_on_their_lines() {
    let run = Run::new();
    for (wrong, expected) in [
        ("nodes: 3", "nodse: 3", "did you mean `nodes`?"),
        ("nodes: 3", "nodes: three", "invalid value"),
        (
            "nodes: 3",
            "nodes: [3]",
            "must be text, a number, true or false",
        ),
        (
            "short:",
            "short: &a\n  other: *a\n  more:",
            "must be a mapping",
        ),
    ]
    .map(|(right, wrong, expected)| (PROFILES.replace(right, wrong), expected))
    {
        write(&run, ".tribunal.yaml", &wrong);
        let output = there(&run, &["run", "--profile", "short"], &[]);
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(64), "{wrong}: {text}");
        assert!(text.contains(".tribunal.yaml:4"), "{wrong}: {text}");
        assert!(text.contains(expected), "{wrong}: {text}");
    }
    write(&run, ".tribunal.yaml", PROFILES);
    let output = there(&run, &["run", "--profile", "shrot"], &[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        text_of(&output).contains("did you mean `short`?"),
        "{}",
        text_of(&output)
    );
}

#[test]
fn github_gets_groups_annotations_and_a_summary_and_nobody_else_does() {
    let run = Run::new();
    let suite = write(&run, "gated.yaml", &SUITE.replace("LEAST", "1000000"));
    let summary = run.folder().join("step.md");
    std::fs::write(&summary, "before\n").unwrap();
    let arguments = ["run", &suite, "--out", "runs"];
    let shown = summary.display().to_string();
    let here = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_STEP_SUMMARY", shown.as_str()),
    ];
    let text = text_of(&there(&run, &arguments, &here));
    assert!(text.contains("::group::gated\n"), "{text}");
    assert!(text.contains("::endgroup::\n"), "{text}");
    assert_eq!(text.matches("::error ").count(), 1, "{text}");
    let summary = std::fs::read_to_string(summary).unwrap();
    assert!(
        summary.starts_with("before\n## Tribunal: 1 regression"),
        "{summary}"
    );
    let text = text_of(&there(&run, &arguments, &[]));
    assert!(!text.contains("::"), "{text}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The options of `tribunal run` and `tribunal report merge` that a recipe names.
fn options(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter(|line| {
        let line = line.trim_start();
        line.contains("tribunal run")
            || line.contains("report merge")
            || line.contains("arguments:")
    });
    let words = lines.flat_map(|line| line.split(|c: char| c.is_whitespace() || c == '`'));
    words.filter_map(|word| word.strip_prefix("--"))
}

#[test]
fn recipes_are_yaml_and_name_only_options_that_exist() {
    let help = [&["run", "--help"][..], &["report", "merge", "--help"]];
    let help: String = help.iter().map(|words| text_of(&tribunal(words))).collect();
    let mut named = 0;
    for entry in std::fs::read_dir(root().join("docs/ci")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        if path.extension().is_some_and(|e| e == "yml" || e == "yaml") {
            let yaml: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
            assert!(yaml.is_mapping(), "{}", path.display());
        }
        for option in options(&text) {
            let option = option.trim_end_matches([',', ';', '.', ')', '"']);
            let known =
                help.contains(&format!("--{option} ")) || help.contains(&format!("--{option}\n"));
            assert!(known, "{} names --{option}", path.display());
            named += 1;
        }
    }
    assert!(named > 20, "only {named} options were found");
}

#[test]
fn the_profiles_of_this_repository_can_be_read() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tribunal"));
    command
        .args(["config", "show", "--resolved"])
        .current_dir(root());
    let output = command.output().unwrap();
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for name in ["smoke:", "pr:", "nightly:", "soak:"] {
        assert!(text.contains(name), "{name} {text}");
    }
}
