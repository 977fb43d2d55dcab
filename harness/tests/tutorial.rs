//! The commands of the tutorial, run as they stand there: exit codes as it says, and each line of
//! output that it shows is one that begins so.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Run, processes_of, text_of};

/// Words at the beginning of a line of output that must be as shown; the rest is another run's.
const WORDS_COMPARED: usize = 2;

/// A command of the tutorial.
#[derive(Debug)]
struct Step {
    command: String,
    /// What its comment says, `# exit 1`; otherwise 0.
    code: i32,
    /// The output that is shown below it.
    shown: Vec<String>,
}

/// The commands of all blocks of console lines, in order.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in page.split("\n```console\n").skip(1) {
        for line in block.split("\n```").next().unwrap().lines() {
            if let Some(line) = line.strip_prefix("$ ") {
                let code = line.split("# exit ").nth(1);
                let code = code.map_or(0, |code| code.trim().parse().unwrap());
                steps.push(Step {
                    command: line.to_owned(),
                    code,
                    shown: Vec::new(),
                });
            } else if line.trim() != "…" {
                steps.last_mut().unwrap().shown.push(line.to_owned());
            }
        }
    }
    steps
}

/// The first words of a line; what has digits in it is another in each run.
fn first_words(line: &str) -> Vec<&str> {
    let words = line.split_whitespace().take(WORDS_COMPARED);
    let varies = |word: &str| word.contains(|c: char| c.is_ascii_digit());
    words
        .map(|word| if varies(word) { "#" } else { word })
        .collect()
}

#[test]
fn every_command_of_the_tutorial_does_what_it_says() {
    if Command::new("python3").arg("--version").output().is_err() {
        return;
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = std::fs::read_to_string(docs.join("tutorial/README.md")).unwrap();
    let steps = steps(&page);
    assert!(steps.len() >= 10, "{steps:?}");
    let run = Run::new();
    std::os::unix::fs::symlink(docs.canonicalize().unwrap(), run.folder().join("docs")).unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_tribunal")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    for step in steps {
        let mut shell = Command::new("sh");
        shell.args(["-c", &step.command]).current_dir(run.folder());
        shell.env("PATH", &path).env_remove("TRIBUNAL_OUT");
        let output = shell.output().unwrap();
        let text = text_of(&output);
        assert_eq!(
            output.status.code(),
            Some(step.code),
            "{}\n{text}",
            step.command
        );
        for shown in &step.shown {
            let printed = text
                .lines()
                .any(|line| first_words(line) == first_words(shown));
            assert!(
                printed,
                "{}: no line such as {shown:?} in\n{text}",
                step.command
            );
        }
    }
    assert_eq!(processes_of(&run), [""; 0]);
}
