//! Histories written by hand, `histories/CHECKER/VERDICT/NAME.jsonl`: the path is the verdict.
//!
//! An invalid one is called after its anomaly, an unknown one after its code: the name begins
//! with it. `NAME.NODE.log` beside a history is what that node wrote, `NAME.messages` the message
//! journal. All are judged as runs, with
//! a low floor of evidence.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

mod files;

use std::collections::BTreeSet;

use files::{Case, cases, record, root};
use tribunal_checkers::{ALL, Budget, applicable, find};
use tribunal_results::{Validity, Verdict};

fn judge(case: &Case) -> Verdict {
    let checker = find(&case.checker).unwrap_or_else(|| panic!("no checker {}", case.checker));
    checker.check(&record(case), Budget::default())
}

#[test]
fn the_path_of_every_history_is_its_verdict() {
    let cases = cases();
    assert!(cases.len() > 40);
    for case in &cases {
        let verdict = judge(case);
        let path = case.path.display();
        let said = serde_json::to_value(verdict.validity).expect("a form");
        assert_eq!(said, *case.expected, "{path}: {verdict:#?}");
        assert_eq!(verdict.checker, case.checker);
        assert!(!verdict.summary.is_empty(), "{path}");
        if verdict.validity == Validity::Unknown {
            let code = verdict.unknown.expect("a reason").code;
            assert!(case.name.starts_with(&code), "{path}: {code}");
        }
        if verdict.validity == Validity::Invalid {
            let first = &verdict.anomalies[0];
            assert!(case.name.starts_with(&first.name), "{path}: {first:#?}");
            assert!(!first.facts.is_empty(), "{path}");
        }
    }
}

#[test]
fn every_checker_has_its_histories_and_every_anomaly_an_invalid_one() {
    let cases = cases();
    for checker in ALL {
        let mine = || cases.iter().filter(|case| case.checker == checker.name());
        assert!(
            mine().any(|case| case.expected == "valid"),
            "{}",
            checker.name()
        );
        let mut found = BTreeSet::new();
        for case in mine().filter(|case| case.expected == "invalid") {
            found.extend(
                judge(case)
                    .anomalies
                    .into_iter()
                    .map(|anomaly| anomaly.name),
            );
        }
        let registered: BTreeSet<String> = checker
            .anomalies()
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        assert_eq!(found, registered, "{}", checker.name());
    }
}

#[test]
fn checker_names_are_unique_and_found() {
    let names: BTreeSet<&str> = ALL.iter().map(|checker| checker.name()).collect();
    assert_eq!(names.len(), ALL.len());
    for name in names {
        assert_eq!(find(name).map(|checker| checker.name()), Some(name));
    }
}

#[test]
fn the_operations_of_a_history_tell_which_checkers_apply() {
    for case in cases() {
        let names: Vec<&str> = applicable(&record(&case).history)
            .iter()
            .map(|checker| checker.name())
            .collect();
        match case.checker.as_str() {
            "stats" if case.name.starts_with("vacuous") => assert!(names.is_empty()),
            // Transactions are for the checkers of isolation, unless somebody asks.
            "linearizable"
                if !case.name.ends_with("no-register") && !case.name.contains("transaction") =>
            {
                assert!(names.contains(&"linearizable"), "{}", case.name);
            }
            "mutual-exclusion" | "fencing" | "fifo" => {
                assert_eq!(
                    names,
                    ["mutual-exclusion", "fencing", "fifo"],
                    "{}",
                    case.name
                );
            }
            _ => {}
        }
    }
}

fn sentence(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').expect("a path");
    let (checker, expected) = folder.split_once('/').expect("a path");
    let case = Case {
        checker: checker.into(),
        expected: expected.into(),
        name: name.into(),
        path: root().join(format!("{path}.jsonl")),
    };
    judge(&case).summary
}

#[test]
fn anomalies_are_told_in_the_words_of_the_domain() {
    let told = [
        (
            "linearizable/invalid/stale-read-after-ack",
            "p4 read the old value x → 3 at 0.070 s (n2), after p1's write x = 5 was acknowledged at 0.040 s (n2)",
        ),
        (
            "linearizable/invalid/stale-read-after-newer-was-read",
            "p4 read the old value x → 3 at 0.100 s (n2), after p3 had read 5 at 0.060 s (n1)",
        ),
        (
            "mutual-exclusion/invalid/double-hold-of-two-clients",
            "p1 and p2 both held lock a from 0.040 s to 0.050 s, with tokens 1 and 2",
        ),
        (
            "set/invalid/unexpected-element-of-refused-add",
            "p4 read s at 0.070 s (n2) and got 2, though p2's add 2 to s was refused at 0.040 s (n3)",
        ),
        (
            "set-full/invalid/lost-element-after-it-was-read",
            "element 1 of s is lost: p2 read s at 0.030 s (n3) and got 1, and p3 read s at 0.050 s (n1) without it",
        ),
        (
            "counter/invalid/non-monotonic-count-within-bounds",
            "counter c fell from 3, which p3 read at 0.040 s (n1), to 1, which p4 read at 0.060 s (n2)",
        ),
        (
            "bank/invalid/wrong-total-seen-by-half",
            "p1 read b at 0.050 s (n2) and found 15 in all, 5 too little, as if 1 transfer under way had been seen by half",
        ),
        (
            "crash-log/invalid/unexpected-exit-with-status",
            "n2 ended by itself at 1.234 s: exit status: 101",
        ),
    ];
    for (path, expected) in told {
        assert_eq!(sentence(path), expected);
    }
}
