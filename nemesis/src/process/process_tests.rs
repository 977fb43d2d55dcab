//! Every process fault on pretended processes and real files.

use super::fake::{Fake, field, field_of, names};
use super::*;
use crate::chance::stream;
use crate::kill::Kill;
use crate::kill_starting::KillStarting;
use crate::pause::Pause;
use crate::restart::Restart;
use crate::tear::Tear;
use crate::terminate::Terminate;
use crate::truncate::Truncate;
use crate::wipe::Wipe;

const ALL: [&dyn Fault; 8] = [
    &Kill,
    &KillStarting,
    &Terminate,
    &Restart,
    &Pause,
    &Wipe,
    &Tear,
    &Truncate,
];

fn resolved(fault: &dyn Fault, options: &Json, field: &Field) -> Injection {
    fault.resolve(options, field, &mut stream(1, &[])).unwrap()
}

/// The proof of an injection that took hold.
async fn installed(fault: &dyn Fault, injection: &Injection, field: &Field) -> Json {
    match fault.inject(injection, field).await {
        Injected::Installed(proof) => proof,
        Injected::Skipped(why) => panic!("skipped: {why}"),
    }
}

async fn skipped(fault: &dyn Fault, injection: &Injection, field: &Field) -> String {
    match fault.inject(injection, field).await {
        Injected::Installed(proof) => panic!("installed: {proof}"),
        Injected::Skipped(why) => why,
    }
}

#[tokio::test]
async fn only_running_nodes_are_broken() {
    let (field, fake) = field(4).await;
    fake.put("n1", NodeState::Killed, None);
    fake.put("n2", NodeState::Paused, Some(7));
    fake.put("n3", NodeState::Starting, Some(8));
    for fault in ALL {
        let injection = resolved(fault, &json!({ "nodes": "all" }), &field);
        assert_eq!(injection.nodes.join(","), "n3,n4", "{}", fault.name());
    }
}

#[tokio::test]
async fn what_is_injected_can_be_stored_and_injected_again() {
    let (field, _) = field(3).await;
    for fault in ALL {
        let injection = resolved(fault, &Json::Null, &field);
        let stored = serde_json::to_string(&injection).unwrap();
        assert_eq!(
            serde_json::from_str::<Injection>(&stored).unwrap(),
            injection
        );
        let again = resolved(fault, &Json::Null, &field);
        assert_eq!(injection, again, "equal streams of chance choose the same");
    }
}

#[tokio::test]
async fn a_restart_runs_again_at_once_and_bit_by_its_pid() {
    let (field, fake) = field(3).await;
    let old = fake.pid("n2");
    let injection = resolved(&Restart, &json!({ "nodes": ["n2"] }), &field);
    installed(&Restart, &injection, &field).await;
    assert_eq!(fake.calls(), ["terminate n2", "start n2"]);
    for _ in 0..2 {
        let healed = Restart.heal(&injection, &field).await;
        assert!(healed.bit);
        assert_eq!(healed.proof["n2"]["old_pid"], json!(old));
    }
    assert_eq!(fake.calls().len(), 2, "it runs already");
}

#[tokio::test(start_paused = true)]
async fn a_rolling_restart_waits_for_each_node_before_the_next() {
    let (field, fake) = field(3).await;
    let options = json!({
        "nodes": "all", "order": "rolling", "signal": "kill", "down": "300ms",
    });
    let start = tokio::time::Instant::now();
    let injection = resolved(&Restart, &options, &field);
    let proof = installed(&Restart, &injection, &field).await;
    let calls = [
        "kill n1", "start n1", "ready n1", "kill n2", "start n2", "ready n2",
    ];
    assert_eq!(fake.calls()[..6], calls);
    assert_eq!(proof["n3"]["ready"], true);
    assert_eq!(start.elapsed().as_millis() / 100, 9);
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_all_at_once_has_them_down_together() {
    let (field, fake) = field(3).await;
    let options = json!({ "nodes": "all", "down": "300ms" });
    let start = tokio::time::Instant::now();
    let injection = resolved(&Restart, &options, &field);
    installed(&Restart, &injection, &field).await;
    let ended = |call: &String| call.starts_with("terminate");
    assert!(fake.calls()[..3].iter().all(ended), "{:?}", fake.calls());
    assert_eq!(start.elapsed().as_millis() / 100, 3);
    let error = Restart.check_options(&json!({ "down": "1s..3s" }));
    assert_eq!(error.unwrap_err().path, "down");
}

#[tokio::test]
async fn terminated_nodes_are_started_to_heal() {
    let (field, fake) = field(1).await;
    let injection = resolved(&Terminate, &Json::Null, &field);
    let proof = installed(&Terminate, &injection, &field).await;
    assert_eq!(proof["n1"]["status"], "ended by terminate");
    assert!(Terminate.heal(&injection, &field).await.bit);
    assert_eq!(fake.calls(), ["terminate n1", "start n1"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_is_killed_each_time_that_it_starts_and_then_lives() {
    let (field, fake) = field(1).await;
    let injection = resolved(&KillStarting, &json!({ "times": 2 }), &field);
    let proof = installed(&KillStarting, &injection, &field).await;
    let calls = ["kill n1", "start n1", "kill n1", "start n1", "kill n1"];
    assert_eq!(fake.calls(), calls);
    assert_eq!(proof["n1"]["killed_while_starting"], 2);
    assert!(KillStarting.heal(&injection, &field).await.bit);
    assert_eq!(fake.calls().len(), 6);
    let error = KillStarting.check_options(&json!({ "times": 0 }));
    assert_eq!(error.unwrap_err().path, "times");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_ready_before_it_was_killed_was_not_killed_while_it_started() {
    let nodes = names(1);
    let mut fake = Fake::new(&nodes);
    fake.is_quick = true;
    let field = field_of(nodes, Arc::new(fake), ([127, 0, 0, 1], 1).into()).await;
    let injection = resolved(&KillStarting, &Json::Null, &field);
    let why = skipped(&KillStarting, &injection, &field).await;
    assert!(why.contains("shorter `after`"), "{why}");
}

#[tokio::test]
async fn healing_does_not_start_a_node_that_died_by_itself() {
    let (field, fake) = field(1).await;
    for fault in ALL {
        fake.put("n1", NodeState::Ready, Some(9));
        let injection = resolved(fault, &Json::Null, &field);
        fake.put("n1", NodeState::Died, None);
        let healed = fault.heal(&injection, &field).await;
        assert!(!healed.bit, "{}", fault.name());
        assert!(fake.calls().is_empty());
    }
}

/// One node with two files in its directory: `old`, and `wal`, which was written later.
async fn with_files(folder: &std::path::Path) -> Field {
    let nodes = names(1);
    let mut fake = Fake::new(&nodes);
    fake.data = Some(folder.to_owned());
    let data = folder.join("n1");
    std::fs::create_dir_all(data.join("deep")).unwrap();
    std::fs::write(data.join("deep/old"), [1; 500]).unwrap();
    std::fs::write(data.join("wal"), [2; 100]).unwrap();
    let past = std::time::SystemTime::UNIX_EPOCH;
    let old = std::fs::File::options()
        .append(true)
        .open(data.join("deep/old"));
    old.unwrap().set_modified(past).unwrap();
    field_of(nodes, Arc::new(fake), ([127, 0, 0, 1], 1).into()).await
}

#[tokio::test]
async fn a_wiped_node_starts_with_an_empty_directory() {
    let folder = tempfile::tempdir().unwrap();
    let field = with_files(folder.path()).await;
    let injection = resolved(&Wipe, &Json::Null, &field);
    let proof = installed(&Wipe, &injection, &field).await;
    assert_eq!(proof["n1"]["before"], json!({ "files": 2, "bytes": 600 }));
    assert_eq!(proof["n1"]["after"], json!({ "files": 0, "bytes": 0 }));
    let data = folder.path().join("n1");
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0);
    assert!(Wipe.heal(&injection, &field).await.bit);
    let why = skipped(&Wipe, &injection, &field).await;
    assert!(why.contains("nothing to wipe"), "{why}");
}

#[tokio::test]
async fn a_torn_log_keeps_all_that_it_had_and_ends_in_junk() {
    let folder = tempfile::tempdir().unwrap();
    let field = with_files(folder.path()).await;
    let injection = resolved(&Tear, &json!({ "bytes": 64 }), &field);
    let proof = installed(&Tear, &injection, &field).await;
    let bytes = std::fs::read(folder.path().join("n1/wal")).unwrap();
    assert_eq!(bytes[..100], [2; 100]);
    assert!((101..=164).contains(&bytes.len()));
    assert_eq!(proof["n1"]["file"], "wal");
    assert_eq!(proof["n1"]["bytes_before"], 100);
    assert_eq!(proof["n1"]["bytes_after"], bytes.len());
    assert!(Tear.heal(&injection, &field).await.bit);
}

#[tokio::test]
async fn a_truncated_log_lacks_its_newest_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let field = with_files(folder.path()).await;
    let options = json!({ "bytes": 64, "file": "deep/old" });
    let injection = resolved(&Truncate, &options, &field);
    let proof = installed(&Truncate, &injection, &field).await;
    let left = std::fs::read(folder.path().join("n1/deep/old")).unwrap();
    assert!((436..500).contains(&left.len()));
    assert_eq!(proof["n1"]["bytes_before"], 500);
    assert_eq!(proof["n1"]["bytes_after"], left.len());
    assert!(Truncate.heal(&injection, &field).await.bit);
    std::fs::write(folder.path().join("n1/deep/old"), []).unwrap();
    let why = skipped(&Truncate, &injection, &field).await;
    assert!(why.contains("still has 0 bytes"), "{why}");
}

#[test]
fn only_files_of_the_node_are_torn() {
    for fault in [&Tear as &dyn Fault, &Truncate] {
        for file in ["../n2/wal", "/etc/passwd", "", "a/../b"] {
            let error = fault.check_options(&json!({ "file": file }));
            assert_eq!(error.unwrap_err().path, "file", "{file}");
        }
        assert_eq!(fault.check_options(&json!({ "file": "db/wal" })), Ok(()));
        let error = fault.check_options(&json!({ "bytes": 0 }));
        assert_eq!(error.unwrap_err().path, "bytes");
    }
}
