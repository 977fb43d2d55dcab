//! Histories written by hand, and how they are read: see `histories.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use tribunal_results::verdict::EvidenceFloor;
use tribunal_results::{Messages, NodeLog, Record, journal, message};

/// A hand-written history and what it is to be judged as.
pub(crate) struct Case {
    pub(crate) checker: String,
    pub(crate) expected: String,
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// Where they are.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories")
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry.expect("an entry")))
        .collect();
    names.sort();
    names
}

/// All of them, in order.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for checker in names_in(&root()) {
        for expected in names_in(&root().join(&checker)) {
            let folder = root().join(&checker).join(&expected);
            for file in names_in(&folder) {
                if let Some(name) = file.strip_suffix(".jsonl") {
                    cases.push(Case {
                        checker: checker.clone(),
                        expected: expected.clone(),
                        name: name.to_owned(),
                        path: folder.join(&file),
                    });
                }
            }
        }
    }
    cases
}

/// What is judged: the history with what lies beside it.
pub(crate) fn record(case: &Case) -> Record {
    let file = fs::File::open(&case.path).expect("a file");
    let journal = journal::read(std::io::BufReader::new(file))
        .unwrap_or_else(|e| panic!("{}: {e}", case.path.display()));
    let folder = case.path.parent().expect("a folder");
    let prefix = format!("{}.", case.name);
    let log = |file: &String| {
        let node = file.strip_prefix(&prefix)?.strip_suffix(".log")?;
        let text = fs::read_to_string(folder.join(file)).expect("a log");
        Some(NodeLog {
            node: node.into(),
            lines: text.lines().map(str::to_owned).collect(),
        })
    };
    Record {
        history: journal.history,
        assume: journal.header.assume,
        messages: messages(&case.path.with_extension("messages")),
        logs: names_in(folder).iter().filter_map(log).collect(),
        floor: EvidenceFloor {
            ok_operations: 4,
            cross_observations: 1,
            concurrency: 2,
            faults_of_each: 1,
            final_reads: 0,
        },
        faults: Vec::new(),
        recovery: Some(10_000_000_000),
        is_run: true,
    }
}

/// The message journal beside a history, if there is one.
fn messages(path: &Path) -> Messages {
    let Ok(file) = fs::File::open(path) else {
        return Messages::default();
    };
    message::read(std::io::BufReader::new(file))
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
