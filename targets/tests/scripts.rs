//! Every script under `tests/scripts`: what the nodes do is what is written there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "everything here is a test"
)]

mod script;

use std::path::{Path, PathBuf};

/// The scripts, by folder and name.
fn scripts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let folders = std::fs::read_dir(root).unwrap();
    let mut found: Vec<PathBuf> = folders
        .flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    found.sort();
    found
}

/// Whether the scripts are to be written anew.
fn rewrites() -> bool {
    std::env::var_os("TRIBUNAL_SCRIPTS").is_some_and(|what| what == "write")
}

#[test]
fn nodes_do_what_the_scripts_say() {
    let mut wrong = Vec::new();
    for path in scripts() {
        let written = std::fs::read_to_string(&path).unwrap();
        let played = script::play(&written);
        if rewrites() {
            std::fs::write(&path, played).unwrap();
        } else if played != written {
            let line = written
                .lines()
                .zip(played.lines())
                .position(|(a, b)| a != b);
            let line = line.unwrap_or_else(|| written.lines().count().min(played.lines().count()));
            wrong.push(format!(
                "{}:{}: the script says {:?}, the nodes do {:?}",
                path.display(),
                line + 1,
                written.lines().nth(line).unwrap_or("nothing more"),
                played.lines().nth(line).unwrap_or("nothing more"),
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_script_that_says_something_else_is_noticed() {
    if rewrites() {
        // It may be only half written.
        return;
    }
    let path = scripts().into_iter().next().unwrap();
    let written = std::fs::read_to_string(path).unwrap();
    let wrong = written.replacen("  n1 → ", "  n9 → ", 1);
    assert_ne!(wrong, written);
    assert_ne!(script::play(&wrong), wrong);
}
