//! Suites run again and again: several at a time, in shards, until there are enough runs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeSet;

use common::{Run, nodes_of, processes_of, text_of, tribunal, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A right target, and one whose bug shows at once though nobody expects it.
const SUITE: &str = "
suite: again
defaults: { workload: register, nodes: 3, clients: 6, time: 1s }
runs:
  - { name: right, target: quorum-register, nemesis: [kill] }
  - name: wrong
    target: { type: quorum-register, bug: read-one }
    nemesis: [partition]
    time: 5s
    expect: valid
";

fn suite(run: &Run) -> String {
    let path = run.folder().join("again.yaml");
    std::fs::write(&path, SUITE).unwrap();
    path.display().to_string()
}

/// The seeds of the runs in a directory of runs, by their names.
fn seeds(out: &str) -> BTreeSet<String> {
    let folder = std::path::Path::new(out).join("again");
    let entries = std::fs::read_dir(folder).unwrap();
    let seed = |name: String| name.rsplit_once('-').map(|(_, seed)| seed.to_owned());
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.is_symlink())
        .filter_map(|path| seed(path.file_name().unwrap().to_string_lossy().into_owned()))
        .collect()
}

#[test]
fn repeated_runs_have_seeds_of_their_own_and_say_what_they_can_claim() {
    let run = Run::new();
    let (suite, out) = (suite(&run), run.out());
    let output = tribunal(&[
        "run", &suite, "--only", "right", "--repeat", "3", "--jobs", "2", "--out", &out,
    ]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    // 1 − 0.05^(1/3)
    let claim = "0 of 3 runs failed: a failure rate below 63 % at 95 % confidence";
    assert!(text.contains(claim), "{text}");
    assert_eq!(seeds(&out).len(), 3, "{text}");
}

#[test]
fn until_fail_stops_at_the_first_violation_and_leaves_nothing() {
    let run = Run::new();
    let (suite, out) = (suite(&run), run.out());
    let output = tribunal(&["run", &suite, "--until-fail", "--jobs", "2", "--out", &out]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("VIOLATION wrong"), "{text}");
    assert!(text.contains("95 % interval"), "{text}");
    wait_until("every process has ended", || processes_of(&run).is_empty());
}

#[test]
fn a_claim_that_the_runs_do_not_show_is_insufficient() {
    let run = Run::new();
    let (suite, out) = (suite(&run), run.out());
    let claim = |share, repeat| {
        let only = ["run", &suite, "--only", "right", "--out", &out];
        let rest = ["--jobs", "2", "--claim", share, "--repeat", repeat];
        tribunal(&[&only[..], &rest[..]].concat())
    };
    let short = claim("1%", "2");
    assert_eq!(short.status.code(), Some(3), "{}", text_of(&short));
    let lacks = "297 more runs without a failure";
    assert!(text_of(&short).contains(lacks), "{}", text_of(&short));
    // Two runs show that fewer than 78 % fail: 1 − 0.05^(1/2) = 0.776.
    let enough = claim("78%", "50");
    assert_eq!(enough.status.code(), Some(0), "{}", text_of(&enough));
    assert!(
        text_of(&enough).contains("the claim holds"),
        "{}",
        text_of(&enough)
    );
}

#[test]
fn nothing_is_begun_after_the_time_given_and_a_claim_is_lost_with_a_violation() {
    let run = Run::new();
    let (suite, out) = (suite(&run), run.out());
    let output = tribunal(&[
        "run", &suite, "--only", "right", "--for", "1s", "--out", &out,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    assert_eq!(seeds(&out).len(), 1);
    let lost = tribunal(&[
        "run", &suite, "--only", "wrong", "--claim", "10%", "--out", &out,
    ]);
    assert_eq!(lost.status.code(), Some(1), "{}", text_of(&lost));
    assert!(
        text_of(&lost).contains("the claim is not shown"),
        "{}",
        text_of(&lost)
    );
}

/// A file of known issues that has all that the wrong target is found by.
fn known_issues(run: &Run, expires: &str) -> String {
    let path = run.folder().join(format!("known-{expires}.yaml"));
    let names = [
        "non-linearizable",
        "stale-read",
        "lost-write",
        "future-read",
    ];
    let issue = |name: &str| {
        format!(
            "  - {{ signature: linearizable/{name}/register/quorum-register/read-one, \
             ticket: S-7, owner: ann, expires: {expires} }}\n"
        )
    };
    let issues: String = names.into_iter().map(issue).collect();
    std::fs::write(&path, format!("issues:\n{issues}")).unwrap();
    path.display().to_string()
}

#[test]
fn a_known_issue_ends_no_search_and_breaks_no_claim_and_is_counted_apart() {
    let run = Run::new();
    let (suite, out) = (suite(&run), run.out());
    let known = known_issues(&run, "2999-12-31");
    let base = [
        "run",
        &suite,
        "--out",
        &out,
        "--fail-fast",
        "--known-issues",
    ];
    let search = |file: &str, more: &[&str]| tribunal(&[&base[..], &[file], more].concat());
    let wrong = ["--only", "wrong", "--until-fail", "--repeat", "2"];
    let text = text_of(&search(&known, &wrong));
    assert!(
        text.contains("2 more runs showed known issues only"),
        "{text}"
    );
    assert!(text.contains("known: S-7"), "{text}");
    assert!(text.contains("known issue S-7 (ann)"), "{text}");
    assert_eq!(seeds(&out).len(), 2, "the search went on: {text}");

    // The right target's runs alone make the claim: 1 − 0.05^(1/2) is below 78 %.
    let claim = search(&known, &["--claim", "78%", "--repeat", "9"]);
    let text = text_of(&claim);
    assert_eq!(claim.status.code(), Some(0), "{text}");
    let holds = "fewer than 78 % of runs fail, those with known issues apart";
    assert!(text.contains(holds), "{text}");
    assert!(text.contains("0 of 2 runs failed"), "{text}");
    let merged = tribunal(&["report", "merge", &out, "--known-issues", &known]);
    let text = text_of(&merged);
    assert!(text.contains("showed known issues only"), "{text}");

    // Once its time is over it is a failure again.
    let expired = search(&known_issues(&run, "2020-01-01"), &wrong);
    let text = text_of(&expired);
    assert_eq!(expired.status.code(), Some(1), "{text}");
    assert!(text.contains("1 of 1 runs failed"), "{text}");
}

#[test]
fn an_interrupted_campaign_ends_its_runs_well() {
    let run = Run::new();
    let (suite, out) = (suite(&run), run.out());
    let long = [
        "run", &suite, "--only", "right", "--time", "60s", "--repeat", "9",
    ];
    let mut child = run.start(&[&long[..], &["--jobs", "2", "--out", &out]].concat());
    wait_until("both runs have their nodes", || nodes_of(&run).len() >= 6);
    wait_until("something is recorded", || run.recorded("again") > 1_000);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(processes_of(&run).is_empty(), "{:?}", processes_of(&run));
    let merged = tribunal(&["report", "merge", &out]);
    assert_eq!(merged.status.code(), Some(130), "{}", text_of(&merged));
    assert!(
        text_of(&merged).contains("2 interrupted"),
        "{}",
        text_of(&merged)
    );
}

#[test]
fn shards_do_each_run_once_and_are_put_together() {
    let run = Run::new();
    let (suite, out) = (suite(&run), run.out());
    let shard = |index: &str, only: &str| {
        let part = format!("{out}/{index}");
        let shard = format!("{index}/2");
        let arguments = [
            "run", &suite, "--only", only, "--out", &part, "--shard", &shard,
        ];
        tribunal(&[&arguments[..], &["--repeat", "3"]].concat())
    };
    assert_eq!(shard("1", "right").status.code(), Some(0));
    let incomplete = tribunal(&["report", "merge", &out]);
    assert_eq!(
        incomplete.status.code(),
        Some(3),
        "{}",
        text_of(&incomplete)
    );
    let missing = "shard 2/2 left nothing";
    assert!(
        text_of(&incomplete).contains(missing),
        "{}",
        text_of(&incomplete)
    );

    assert_eq!(shard("2", "right").status.code(), Some(0));
    let (junit, summary) = (format!("{out}/junit.xml"), format!("{out}/summary.md"));
    let merge = [
        "report",
        "merge",
        &out,
        "--junit",
        &junit,
        "--summary",
        &summary,
    ];
    let merged = tribunal(&merge);
    assert_eq!(merged.status.code(), Some(0), "{}", text_of(&merged));
    assert!(
        text_of(&merged).contains("0 of 3 runs failed"),
        "{}",
        text_of(&merged)
    );
    let junit = std::fs::read_to_string(junit).unwrap();
    assert_eq!(junit.matches("<testcase ").count(), 3, "{junit}");
    assert!(std::fs::read_to_string(summary).unwrap().contains("3 pass"));
    let (first, second) = (seeds(&format!("{out}/1")), seeds(&format!("{out}/2")));
    assert_eq!((first.len(), second.len()), (2, 1));
    assert!(first.is_disjoint(&second));

    // What one shard found decides about all.
    assert_eq!(shard("1", "wrong").status.code(), Some(1));
    let merged = tribunal(&["report", "merge", &out]);
    assert_eq!(merged.status.code(), Some(1), "{}", text_of(&merged));
}

#[test]
fn a_shard_without_runs_and_what_is_no_shard_are_refused() {
    let run = Run::new();
    let (suite, out) = (suite(&run), run.out());
    let empty = tribunal(&["run", &suite, "--shard", "3/3", "--out", &out]);
    assert_eq!(empty.status.code(), Some(3), "{}", text_of(&empty));
    for wrong in ["4/3", "0/3", "1"] {
        let refused = tribunal(&["run", &suite, "--shard", wrong, "--out", &out]);
        assert_eq!(refused.status.code(), Some(64), "{}", text_of(&refused));
    }
    let nothing = tribunal(&["report", "merge", &run.folder().display().to_string()]);
    assert_eq!(nothing.status.code(), Some(3), "{}", text_of(&nothing));
}
