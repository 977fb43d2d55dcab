//! Rules about the source that no compiler checks: layering, registration, module docs, sizes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What each crate may use of its siblings.
const LAYERS: [(&str, &[&str]); 6] = [
    ("results", &[]),
    ("checkers", &["results"]),
    ("workloads", &["results", "checkers"]),
    ("targets", &["results"]),
    ("nemesis", &["results", "targets"]),
    (
        "harness",
        &["results", "checkers", "workloads", "targets", "nemesis"],
    ),
];

/// Production lines that a file may have.
const FILE_LINES_MAX: usize = 600;
/// Lines that a function may have.
const FUNCTION_LINES_MAX: usize = 70;
/// What may lie at the top of the repository, besides dotfiles.
const TOP_LEVEL: [&str; 16] = [
    "ARCHITECTURE.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "README.zh-CN.md",
    "checkers",
    "docs",
    "harness",
    "nemesis",
    "results",
    "target",
    "targets",
    "workloads",
    "CHANGELOG.md",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return files;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Every source file of every crate, with its text and the part of it that is not tests.
fn sources() -> Vec<(PathBuf, String)> {
    let crates = LAYERS.iter().map(|(name, _)| root().join(name).join("src"));
    let files = crates.flat_map(|folder| rust_files(&folder));
    files
        .map(|file| (file.clone(), std::fs::read_to_string(&file).unwrap()))
        .collect()
}

fn production(text: &str) -> &str {
    text.find("#[cfg(test)]").map_or(text, |at| &text[..at])
}

#[test]
fn crates_use_only_the_layers_below_them() {
    for (name, allowed) in LAYERS {
        let manifest = std::fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        for (other, _) in LAYERS {
            let uses = manifest.contains(&format!("tribunal-{other}.workspace"))
                || manifest.contains(&format!("tribunal-{other} ="));
            assert!(
                !uses || allowed.contains(&other),
                "{name} must not use {other}"
            );
        }
    }
}

#[test]
fn the_record_and_the_checkers_touch_nothing_outside() {
    let banned = [
        "std::net",
        "std::process",
        "std::thread",
        "tokio",
        "Instant",
        "SystemTime",
        "rand",
    ];
    // Threads that end before their caller goes on touch nothing outside.
    let scoped = ["std::thread::scope(", "std::thread::available_parallelism("];
    for (file, text) in sources() {
        let shown = file.display().to_string();
        if shown.contains("/results/src") || shown.contains("/checkers/src") {
            for word in banned {
                let used = production(&text).lines().any(|line| {
                    !line.trim_start().starts_with("//")
                        && line.contains(&format!("{word}::"))
                        && !scoped.iter().any(|allowed| line.contains(allowed))
                });
                assert!(!used, "{shown} uses {word}");
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    for (file, text) in sources() {
        assert!(
            text.starts_with("//!"),
            "{} has no //! at its head",
            file.display()
        );
    }
}

#[test]
fn files_and_functions_stay_small() {
    let mut long = Vec::new();
    for (file, text) in sources() {
        let production = production(&text);
        let lines = production.lines().count();
        if lines > FILE_LINES_MAX {
            long.push(format!("{} has {lines} lines", file.display()));
        }
        for (name, lines) in functions(production) {
            if lines > FUNCTION_LINES_MAX {
                long.push(format!("{}: fn {name} has {lines} lines", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "too long:\n{}", long.join("\n"));
}

/// Each function with its length: from its `fn` line to the brace that closes it, which rustfmt
/// puts at the same indentation.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let is_fn = [
            "fn ",
            "pub fn ",
            "async fn ",
            "pub async fn ",
            "pub const fn ",
            "const fn ",
        ]
        .iter()
        .any(|start| trimmed.starts_with(start));
        if !is_fn || trimmed.ends_with(';') {
            continue;
        }
        let indent = &line[..line.len() - trimmed.len()];
        let close = format!("{indent}}}");
        let end = lines[at..]
            .iter()
            .position(|line| **line == close)
            .unwrap_or(0);
        let name = trimmed
            .split("fn ")
            .nth(1)
            .unwrap_or("")
            .split('(')
            .next()
            .unwrap_or("");
        found.push((name.to_owned(), end + 1));
    }
    found
}

#[test]
fn the_top_level_is_fixed() {
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = name.starts_with('.') || TOP_LEVEL.contains(&name.as_str());
        assert!(known, "{name} does not belong at the top level");
    }
}

/// The names in a registry must be unique, kebab-case, and those of files of the crate.
fn check_registry(folder: &str, names: Vec<&str>) {
    let mut seen = BTreeMap::new();
    for name in &names {
        let kebab = name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        assert!(
            kebab && !name.is_empty(),
            "{folder}: {name:?} is not kebab-case"
        );
        assert!(
            seen.insert(*name, ()).is_none(),
            "{folder}: {name} is registered twice"
        );
        let stem = root().join(folder).join("src").join(name.replace('-', "_"));
        let exists = stem.with_extension("rs").exists() || stem.join("mod.rs").exists();
        assert!(exists, "{folder}: {name} has no file of its name");
    }
    assert!(!names.is_empty(), "{folder} registers nothing");
}

#[test]
fn registries_and_files_agree() {
    check_registry(
        "targets",
        tribunal_targets::ALL.iter().map(|x| x.name()).collect(),
    );
    check_registry(
        "workloads",
        tribunal_workloads::ALL.iter().map(|x| x.name()).collect(),
    );
    check_registry(
        "nemesis",
        tribunal_nemesis::ALL.iter().map(|x| x.name()).collect(),
    );
    check_registry(
        "checkers",
        tribunal_checkers::ALL.iter().map(|x| x.name()).collect(),
    );
}

#[test]
fn every_part_refers_to_parts_that_exist() {
    for workload in tribunal_workloads::ALL {
        for checker in workload.checkers() {
            assert!(
                tribunal_checkers::find(checker).is_some(),
                "no checker {checker}"
            );
        }
    }
    for checker in tribunal::judge::ALWAYS {
        assert!(
            tribunal_checkers::find(checker).is_some(),
            "no checker {checker}"
        );
    }
    let anomalies: Vec<&str> = tribunal_checkers::ALL
        .iter()
        .flat_map(|c| c.anomalies())
        .copied()
        .collect();
    for target in tribunal_targets::ALL {
        for fault in target.survives() {
            let known = tribunal_nemesis::find(fault).is_some()
                || tribunal::explore::MESSAGE_FAULTS.contains(fault);
            assert!(known, "no fault {fault}");
        }
        for bug in target.bugs() {
            assert!(
                tribunal_workloads::find(bug.workload).is_some(),
                "no {}",
                bug.workload
            );
            assert!(
                bug.faults
                    .iter()
                    .all(|f| tribunal_nemesis::find(f).is_some())
            );
            assert!(
                bug.anomalies.iter().all(|a| anomalies.contains(a)),
                "{:?}",
                bug.anomalies
            );
            assert!(!bug.anomalies.is_empty());
        }
    }
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    for (file, text) in sources() {
        for path in ["root", "home"].map(|folder| format!("/{folder}/")) {
            assert!(!text.contains(&path), "{} contains {path}", file.display());
        }
    }
}

/// The fenced code of a page, without comments, which are in the page's language.
fn code_of(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let fenced = text.split("\n```").skip(1).step_by(2);
    let lines = fenced.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>());
    let code = lines.map(|line| line.split(" #").next().unwrap_or("").trim_end().to_owned());
    code.collect()
}

#[test]
fn the_readmes_name_the_same_commands_and_each_other() {
    let (english, chinese) = (code_of("README.md"), code_of("README.zh-CN.md"));
    assert!(english.len() > 20, "{english:?}");
    assert_eq!(english, chinese);
    let read = |page: &str| std::fs::read_to_string(root().join(page)).unwrap();
    assert!(read("README.md").contains("(README.zh-CN.md)"));
    assert!(read("README.zh-CN.md").contains("(README.md)"));
}

/// Every Markdown page that people read.
fn pages() -> Vec<PathBuf> {
    let mut folders = vec![root().join("docs"), root().join("results")];
    let mut pages = Vec::new();
    for name in ["README.md", "README.zh-CN.md", "ARCHITECTURE.md"] {
        pages.push(root().join(name));
    }
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                Some(end) if end == "md" => pages.push(path),
                None if path.is_dir() && path.file_name() != Some("runs".as_ref()) => {
                    folders.push(path);
                }
                _ => {}
            }
        }
    }
    pages
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap_or("");
            let file = link.split('#').next().unwrap_or("");
            let elsewhere = file.is_empty() || file.contains("://");
            if !elsewhere && !page.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
