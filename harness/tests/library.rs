//! Tests written in Rust: with parts of the catalogue, and with parts of one's own.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../examples/own_system/scores/mod.rs"]
mod scores;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use scores::{CrashTwice, HighScore, Play, Version, board};
use tribunal::results::ResultClass;
use tribunal::{Test, own};

/// The variable by which a node of ours is told what to serve.
const NODE: &str = "SCORES_NODE";

/// Not a test, but the server: a test's program cannot be anything else.
#[test]
fn node_of_ours() {
    if let Ok(arguments) = std::env::var(NODE) {
        let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
        scores::server::serve(arguments.into_iter()).unwrap();
    }
}

/// A shell passes the arguments on by a variable, as the test's program takes none of its own.
fn ours(version: Version) -> Test {
    let script = format!("{NODE}=\"$*\" exec \"$0\" --exact node_of_ours --nocapture");
    let this = std::env::current_exe().unwrap().display().to_string();
    let arguments = vec!["-c".to_owned(), script, this];
    let board = board(version, "/bin/sh".into(), arguments);
    Test::new(own(board), own(Play))
        .checker(HighScore)
        .fault(CrashTwice)
        .nodes(1)
        .clients(5)
        .time(Duration::from_secs(4))
        .evidence(scores::SHOWN)
        .program(env!("CARGO_BIN_EXE_tribunal"))
}

fn of_the_catalogue(workload: &str) -> Test {
    Test::new("quorum-register", workload)
        .nodes(3)
        .clients(6)
        .time(Duration::from_secs(2))
        .program(env!("CARGO_BIN_EXE_tribunal"))
}

fn panic_of(fails: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(fails)).unwrap_err();
    *panic.downcast::<String>().unwrap()
}

#[test]
fn a_system_workload_checker_and_fault_of_ones_own_find_the_bug_and_pass_when_it_is_mended() {
    let out = tempfile::tempdir().unwrap();
    // Both at once, and both called `score-board`: each is its own.
    let out_path = out.path();
    let (hasty, mended) = std::thread::scope(|scope| {
        let [hasty, mended] = [Version::Hasty, Version::Mended]
            .map(|version| scope.spawn(move || ours(version).out(out_path).run().unwrap()));
        (hasty.join().unwrap(), mended.join().unwrap())
    });
    mended.assert_pass();
    assert!(mended.evidence().faults_bitten["crash-twice"] > 0);
    assert!(mended.verdict.claim.contains("high-score"), "{mended}");

    assert_eq!(hasty.class(), ResultClass::Violation, "{hasty}");
    hasty.assert_finds("forgotten-score");
    let told = panic_of(|| {
        hasty.assert_pass();
    });
    let sentence = &hasty.violations().next().unwrap().sentence;
    assert!(told.contains(sentence), "{told}");
    assert!(told.contains("report.html"), "{told}");
    assert!(told.contains("TRIBUNAL_SEED="), "{told}");
    let html = std::fs::read_to_string(hasty.report()).unwrap();
    assert!(html.contains("forgotten-score") && html.contains("#b5179e"));
    let plan = std::fs::read_to_string(hasty.directory.plan()).unwrap();
    assert!(
        plan.contains("score-board") && plan.contains("crash-twice"),
        "{plan}"
    );
}

#[test]
fn a_target_of_the_catalogue_passes_and_its_bug_is_found_and_each_assertion_fails_without() {
    let out = tempfile::tempdir().unwrap();
    let right = of_the_catalogue("register").nemesis(["kill"]).seed(7);
    let right = right.out(out.path()).run().unwrap();
    right.assert_pass();
    assert_eq!(right.info.seed, 7);
    assert!(right.evidence().faults_bitten["kill"] > 0);
    let told = panic_of(|| {
        right.assert_finds("stale-read");
    });
    assert!(told.starts_with("stale-read was not found\nPASS"), "{told}");

    let bug = of_the_catalogue("register")
        .bug("read-one")
        .time(Duration::from_secs(4));
    let bug = bug.nemesis(["partition"]).out(out.path()).run().unwrap();
    bug.assert_pass();
    assert_eq!(bug.verdict.reason, "expected-anomaly", "{bug}");
    assert!(bug.violations().count() > 0);
}

#[tokio::test]
async fn a_test_runs_within_an_asynchronous_one() {
    let out = tempfile::tempdir().unwrap();
    let test = of_the_catalogue("register").time(Duration::from_secs(1));
    let ran = test.out(out.path()).run_async().await.unwrap();
    ran.assert_pass();
    assert_eq!(ran.info.plan, "a_test_runs_within_an_asynchronous_one");
    assert!(ran.path().starts_with(out.path().canonicalize().unwrap()));
    assert!(
        ran.reproduce()
            .ends_with(" cargo test -p tribunal a_test_runs_within_an_asynchronous_one -- --exact"),
        "{}",
        ran.reproduce()
    );
}

#[test]
fn what_is_wrong_with_a_test_is_said_before_anything_starts() {
    let error = |test: Test| test.plan().unwrap_err().to_string();
    let said = error(of_the_catalogue("regster"));
    assert!(
        said.contains("regster") && said.contains("register"),
        "{said}"
    );
    let said = error(of_the_catalogue("lock"));
    assert!(said.contains("does not understand"), "{said}");
    let said = error(of_the_catalogue("register").nemesis(["kil"]));
    assert!(said.contains("kil"), "{said}");
    let said = error(of_the_catalogue("register").set("colour", "red".into()));
    assert!(said.contains("colour"), "{said}");
    let said = error(of_the_catalogue("register").evidence([("ok_operation", 1)]));
    assert!(said.contains("`ok_operations`"), "{said}");
    let said = error(of_the_catalogue("register").expect(["overtaking"]));
    assert!(said.contains("overtaking"), "{said}");
    // Of one's own, too: nobody finds that.
    let said = error(ours(Version::Mended).expect(["forgoten-score"]));
    assert!(said.contains("forgotten-score"), "{said}");
}

#[test]
fn a_test_without_the_program_says_how_to_get_it() {
    let out = tempfile::tempdir().unwrap();
    let run = |program: &Path| {
        let test = of_the_catalogue("register").program(program);
        format!("{:#}", test.out(out.path()).run().unwrap_err())
    };
    let missing = run(&out.path().join("none"));
    assert!(
        missing.contains("cannot run") && missing.contains("TRIBUNAL_BIN"),
        "{missing}"
    );
    let other = run(Path::new("/bin/echo"));
    assert!(other.contains("this test needs tribunal"), "{other}");
    assert_eq!(
        std::fs::read_dir(out.path()).unwrap().count(),
        0,
        "nothing was begun"
    );
}
