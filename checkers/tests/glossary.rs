//! Everything that a checker can find is explained, by an example that shows it.
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;

use tribunal_checkers::glossary::{self, Order};
use tribunal_checkers::{ALL, Budget, find};

#[test]
fn every_anomaly_is_explained_and_nothing_else() {
    let mut explained = BTreeSet::new();
    for checker in ALL {
        for name in checker.anomalies() {
            let (entry, _) = glossary::find(name).unwrap_or_else(|| panic!("{name}: no entry"));
            explained.insert(entry.name);
        }
    }
    let entries: Vec<&str> = glossary::entries().map(|entry| entry.name).collect();
    let once: BTreeSet<&str> = entries.iter().copied().collect();
    assert_eq!(entries.len(), once.len());
    assert_eq!(once, explained);
}

#[test]
fn every_example_shows_what_it_is_an_example_of() {
    for entry in glossary::entries() {
        let checker = find(entry.example.checker).expect("a checker");
        let record = entry.example.record().expect("a record");
        let verdict = checker.check(&record, Budget::default());
        let shows = verdict.anomalies.iter().any(|it| it.name == entry.name);
        assert!(shows, "{}: {verdict:#?}", entry.name);
    }
}

#[test]
fn variants_are_explained_by_what_they_are_variants_of() {
    let found = |name| glossary::find(name).map(|(entry, order)| (entry.name, order));
    assert_eq!(found("G1c-process"), Some(("G1c", Order::Sessions)));
    assert_eq!(
        found("not-serializable-realtime"),
        Some(("not-serializable", Order::RealTime))
    );
    let own_name = Some(("off-order-in-process", Order::Data));
    assert_eq!(found("off-order-in-process"), own_name);
    assert_eq!(found("G1c-proces"), None);
}

#[test]
fn the_weakest_models_that_forbid_an_anomaly_are_the_textbooks() {
    let weakest = glossary::forbidden_by;
    assert_eq!(weakest("G1a"), ["read-committed"]);
    assert_eq!(weakest("G2-item"), ["repeatable-read"]);
    assert_eq!(
        weakest("lost-update"),
        ["parallel-snapshot-isolation", "repeatable-read"]
    );
    assert_eq!(
        weakest("G-single-realtime"),
        [
            "strong-parallel-snapshot-isolation",
            "strong-repeatable-read"
        ]
    );
    assert!(weakest("stale-read").is_empty());
}
