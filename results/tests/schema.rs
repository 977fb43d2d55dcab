//! The published schemas and the description of the format say what the code does.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
use std::path::PathBuf;

use tribunal_results::journal::read;
use tribunal_results::{Kind, NodeState};
use tribunal_results::{message, reasons, schema};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Of verdicts the schema names all anomalies, which only the checkers know: the harness's tests
/// hold it.
fn schemas() -> impl Iterator<Item = (String, String)> {
    let published = schema::published(&[]).into_iter();
    let ours = published.filter(|published| published.name != "verdict");
    ours.map(|published| {
        let text = serde_json::to_string_pretty(&published.schema).unwrap();
        (format!("schema/{}", published.file), format!("{text}\n"))
    })
}

#[test]
fn the_schema_files_are_current() {
    for (name, schema) in schemas() {
        let stored = std::fs::read_to_string(path(&name)).unwrap_or_default();
        let hint = "write it anew: cargo test -p tribunal-results --test schema -- --ignored";
        // The order of keys depends on how the JSON library was built.
        let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        assert!(
            parsed(&stored) == parsed(&schema),
            "{name} is out of date; {hint}"
        );
    }
}

#[test]
#[ignore = "writes the schema files anew"]
fn write_the_schema_files() {
    for (name, schema) in schemas() {
        std::fs::write(path(&name), schema).unwrap();
    }
}

#[test]
fn every_operation_every_state_and_every_reason_is_described() {
    let text = std::fs::read_to_string(path("FORMAT.md")).unwrap();
    for kind in Kind::ALL {
        assert!(text.contains(&format!("\n| `{kind}` | ")), "{kind}");
    }
    use NodeState::{Died, Killed, Paused, Ready, Starting, Stopped, Unresponsive};
    for state in [Starting, Ready, Paused, Killed, Died, Unresponsive, Stopped] {
        let name = serde_json::to_value(state).unwrap();
        let row = format!("\n| `{}` | ", name.as_str().unwrap());
        assert!(text.contains(&row), "{row}");
    }
    for reason in reasons::all() {
        let row = format!("\n| `{}` | {} |", reason.code, reason.meaning);
        assert!(text.contains(&row), "{row}");
    }
}

#[test]
fn the_example_is_a_history() {
    let text = std::fs::read_to_string(path("FORMAT.md")).unwrap();
    let (_, after) = text.split_once("```json\n").unwrap();
    let (example, _) = after.split_once("```").unwrap();
    let journal = read(example.as_bytes()).unwrap();
    assert!(!journal.truncated);
    assert_eq!(journal.history.calls().len(), 3);
    assert_eq!(journal.history.fault_events().count(), 2);
    assert_eq!(journal.history.node_events().len(), 1);
}

#[test]
fn the_example_is_a_message_journal() {
    let text = std::fs::read_to_string(path("FORMAT.md")).unwrap();
    let (_, after) = text.split_once("```jsonl\n").unwrap();
    let (example, _) = after.split_once("```").unwrap();
    let messages = message::read(example.as_bytes()).unwrap();
    assert_eq!(messages.nodes.len(), 2);
    assert_eq!((messages.events.len(), messages.losses.len()), (3, 1));
}
