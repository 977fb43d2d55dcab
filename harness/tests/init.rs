//! `tribunal init`, through the binary: what it finds, what it writes, and that this runs.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{Run, processes_of, text_of, tribunal};

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// A project with the tutorial's server.
fn project(run: &Run) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tutorial/server.py");
    let project = run.folder().join("project");
    fs::create_dir(&project).unwrap();
    fs::copy(docs, project.join("server.py")).unwrap();
    project.display().to_string()
}

fn init(project: &str, more: &[&str]) -> Output {
    tribunal(&[&["init", project], more].concat())
}

#[test]
fn what_it_writes_for_the_tutorials_server_finds_its_bug_and_passes_when_it_is_mended() {
    if !has("python3") {
        return;
    }
    let run = Run::new();
    let project = project(&run);
    let text = text_of(&init(&project, &[]));
    assert!(text.contains("found  server.py"), "{text}");
    assert!(text.contains("started by python3"), "{text}");
    let next = "tribunal adapter test -- python3 tribunal/client.py\n  \
                tribunal run tribunal/suite.yaml";
    assert!(text.contains(next), "{text}");
    let suite = format!("{project}/tribunal/suite.yaml");
    let output = tribunal(&["run", &suite, "--only", "load", "--out", &run.out()]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("VIOLATION load"), "{text}");
    assert!(text.contains("explain    tribunal explain "), "{text}");

    let fixed = ["--force", "--", "{{node.addr}}", "{{data_dir}}", "--fixed"];
    assert_eq!(init(&project, &fixed).status.code(), Some(0));
    let output = tribunal(&["run", &suite, "--out", &run.out()]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("kill") && text.contains("pause"), "{text}");
    assert_eq!(processes_of(&run), [""; 0]);
}

#[test]
fn every_language_and_ci_yields_a_suite_that_is_valid_and_profiles_that_are() {
    for (language, starter) in [
        ("python", "python3"),
        ("go", "go"),
        ("node", "node"),
        ("java", "java"),
        ("shell", "bash"),
    ] {
        for ci in ["github", "gitlab", "none"] {
            let run = Run::new();
            let project = project(&run);
            let output = init(&project, &["--lang", language, "--ci", ci]);
            let text = text_of(&output);
            assert_eq!(output.status.code(), Some(0), "{text}");
            // What is missing here is told by both.
            let missing = ["python3", starter].iter().any(|name| !has(name));
            assert_eq!(text.contains("not in PATH"), missing, "{text}");
            let suite = format!("{project}/tribunal/suite.yaml");
            let output = tribunal(&["run", &suite, "--dry-run"]);
            let expected = if missing { 64 } else { 0 };
            assert_eq!(output.status.code(), Some(expected), "{}", text_of(&output));
            if ci == "none" || missing {
                continue;
            }
            let mut profile = Command::new(env!("CARGO_BIN_EXE_tribunal"));
            profile.args(["run", "--profile", "nightly", "--dry-run"]);
            let output = profile.current_dir(&project).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
        }
    }
}

#[test]
fn nothing_is_overwritten_unless_forced() {
    let run = Run::new();
    let project = project(&run);
    let suite = format!("{project}/tribunal/suite.yaml");
    fs::create_dir(format!("{project}/tribunal")).unwrap();
    fs::write(&suite, "mine").unwrap();
    let output = init(&project, &["--ci", "github"]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(
        text.contains("tribunal/suite.yaml") && text.contains("--force"),
        "{text}"
    );
    assert_eq!(fs::read_to_string(&suite).unwrap(), "mine");
    let written = fs::read_dir(&project).unwrap().count();
    assert_eq!(written, 2, "something else was written");
    assert_eq!(init(&project, &["--force"]).status.code(), Some(0));
    assert!(
        fs::read_to_string(&suite)
            .unwrap()
            .contains("# yaml-language-server:")
    );
}

#[test]
fn a_directory_without_a_program_is_told_what_was_looked_for() {
    let run = Run::new();
    let output = init(&run.folder().display().to_string(), &[]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(
        text.contains("Cargo.toml") && text.contains("--bin FILE"),
        "{text}"
    );
    assert_eq!(fs::read_dir(run.folder()).unwrap().count(), 0);
}

#[test]
fn a_server_that_listens_elsewhere_is_told_where_it_must() {
    if !has("python3") {
        return;
    }
    let run = Run::new();
    let project = project(&run);
    let elsewhere = ["--", "127.0.0.1:{{node.port}}", "{{data_dir}}"];
    assert_eq!(init(&project, &elsewhere).status.code(), Some(0));
    let suite = format!("{project}/tribunal/suite.yaml");
    let output = tribunal(&["run", &suite, "--only", "load", "--out", &run.out()]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(70), "{text}");
    assert!(
        text.contains("given its host as well as its port"),
        "{text}"
    );
    assert_eq!(processes_of(&run), [""; 0]);
}

#[test]
fn the_schema_beside_the_suite_is_that_of_this_program() {
    let run = Run::new();
    let project = project(&run);
    assert_eq!(init(&project, &[]).status.code(), Some(0));
    let written = fs::read_to_string(format!("{project}/tribunal/suite.schema.json")).unwrap();
    let published = String::from_utf8(tribunal(&["schema", "suite"]).stdout).unwrap();
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(parse(&written), parse(&published));
}
