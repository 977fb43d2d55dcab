//! What people see: each `tests/suites/NAME.yaml` is refused with exactly `NAME.txt`. A missing
//! `NAME.txt` is written, for the author to read and judge, and the test fails once.

use std::path::{Path, PathBuf};

use tribunal::suite::{Overrides, Source, load};

use crate::catalogue::catalogue;

fn suites() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("tests/suites").unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    paths.sort();
    paths
}

/// What is wrong with the message for a suite, if anything.
fn complaint(path: &Path) -> Option<String> {
    let source = Source::File(path.to_owned());
    let message = match load(&source, &catalogue(), &Overrides::default()) {
        Ok(plans) => return Some(format!("{} is accepted: {plans:#?}", path.display())),
        Err(error) => format!("{error}\n"),
    };
    let golden = path.with_extension("txt");
    match std::fs::read_to_string(&golden) {
        Ok(expected) if expected == message => None,
        Ok(expected) => Some(format!("expected:\n{expected}\nfound:\n{message}")),
        Err(_) => {
            std::fs::write(&golden, &message).unwrap();
            Some(format!("written, read it: {}\n{message}", golden.display()))
        }
    }
}

#[test]
fn each_wrong_suite_is_refused_with_its_message() {
    let suites = suites();
    assert!(suites.len() >= 20, "golden suites are missing");
    let complaints: Vec<String> = suites.iter().filter_map(|path| complaint(path)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn colour_changes_nothing_but_colour() {
    let source = Source::File("tests/suites/unknown-fault.yaml".into());
    let error = load(&source, &catalogue(), &Overrides::default()).unwrap_err();
    let coloured = error.render(true);
    assert!(coloured.contains("\u{1b}["));
    let mut plain = String::new();
    let mut escape = false;
    for c in coloured.chars() {
        match c {
            '\u{1b}' => escape = true,
            'm' if escape => escape = false,
            _ if escape => {}
            _ => plain.push(c),
        }
    }
    assert_eq!(plain, error.to_string());
}
