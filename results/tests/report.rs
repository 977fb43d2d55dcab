//! Reports of empty, violating, large and hostile runs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "report")]

mod pages;

use std::io::Read as _;

use base64::Engine as _;
use pages::{HOSTILE, anomaly, history, info, messages, page, page_with, verdict};
use serde_json::{Value as Json, json};
use tribunal_results::report::{junit, markdown};
use tribunal_results::{History, ResultClass};

/// The data that a page embeds, taken out as its script does.
fn embedded(page: &str) -> Json {
    let (_, after) = page.split_once("id=\"data\">").unwrap();
    let (base64, _) = after.split_once('<').unwrap();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(base64)
        .unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..])
        .read_to_string(&mut text)
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_page_of_an_empty_history_says_that_nothing_happened() {
    let info = info(ResultClass::Insufficient, "");
    let verdict = verdict(ResultClass::Insufficient, "", vec![]);
    let page = page(&History::default(), &info, &verdict, "");
    assert!(page.contains("No operation was invoked."));
    assert!(page.contains("Nothing was broken in this run."));
    assert!(!page.contains("id=\"contradictions\""));
    assert_eq!(embedded(&page)["calls"]["index"], json!([]));
}

#[test]
fn the_page_of_a_violation_draws_its_calls_without_scripts() {
    let history = history(9, "");
    let info = info(ResultClass::Violation, "");
    let found = vec![anomaly("", vec![3, 7, 999])];
    let verdict = verdict(ResultClass::Violation, "", found);
    let page = page(&history, &info, &verdict, "");
    assert!(page.contains("p1 read an old value"));
    assert!(page.contains("id=\"contradiction-1\""));
    assert!(page.contains("<rect class=\"bar ok\""));
    assert!(page.contains("<rect class=\"bar info\""));
    assert!(page.contains(&format!("write  = {}", i64::MAX)));
    assert!(page.contains("19 more were counted but are not listed."));
}

#[test]
fn the_page_asks_the_network_for_nothing() {
    let info = info(ResultClass::Pass, "");
    let page = page(
        &history(9, ""),
        &info,
        &verdict(ResultClass::Pass, "", vec![]),
        "",
    );
    assert!(page.contains("default-src 'none'"));
    for outside in ["http://", "https://", "src=", "@import", "url(", "fetch("] {
        let allowed = page.matches("url(#hatch-").count() + page.matches("-src '").count();
        let found = page.matches(outside).count();
        assert!(
            found == 0 || outside == "url(" && found <= allowed,
            "{outside}"
        );
    }
}

#[test]
fn hostile_text_stays_text() {
    let history = history(9, HOSTILE);
    let info = info(ResultClass::Violation, HOSTILE);
    let found = vec![anomaly(HOSTILE, vec![3, 5, 7])];
    let verdict = verdict(ResultClass::Violation, HOSTILE, found);
    let journal = messages(HOSTILE);
    let page = page_with(&history, Some(&journal), &info, &verdict, HOSTILE);
    assert!(page.contains("class=\"message lost\""));
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script").count(), 2);
    assert!(!page.contains("<b>\u{20}\u{0}"));
    assert!(page.contains("&#60;script&#62;alert(1)"));
    let texts = embedded(&page)["texts"].to_string();
    assert!(texts.contains("alert(1)"));
}

#[test]
fn ten_thousand_operations_are_all_embedded_exactly() {
    let history = history(10_000, "k");
    let info = info(ResultClass::Pass, "k");
    let page = page(
        &history,
        &info,
        &verdict(ResultClass::Pass, "k", vec![]),
        "k",
    );
    assert!(page.len() < 1_000_000, "{}", page.len());
    let data = embedded(&page);
    let asked = data["calls"]["asked"].as_array().unwrap();
    assert_eq!(asked.len(), 10_000);
    let last = asked[9_999].as_u64().unwrap() as usize;
    let value = i64::MAX - 9_999;
    assert_eq!(data["texts"][last], json!(format!("write k = {value}")));
    let outcomes = data["calls"]["outcome"].as_array().unwrap();
    assert_eq!(outcomes[..3], [json!(0), json!(1), json!(2)]);
}

#[test]
fn a_page_is_bounded_and_says_so_whatever_the_history() {
    let text: String = (0..60_000_u32)
        .filter_map(|n| char::from_u32(n % 5_000 + 700))
        .collect();
    let history = history(210_000, "k");
    let info = info(ResultClass::Violation, &text);
    let mut found = vec![anomaly(&text, (3..2_000).step_by(2).collect()); 40];
    found[0].facts = vec![text.clone(); 100];
    let verdict = verdict(ResultClass::Violation, &text, found);
    let page = page(&history, &info, &verdict, &text);
    assert!(page.len() < 5_000_000, "{}", page.len());
    assert!(page.contains("an even sample of the rest"));
    let data = embedded(&page);
    let index = data["calls"]["index"].as_array().unwrap();
    // The operations of the contradiction come first, and all of them are there.
    let first: Vec<u64> = index
        .iter()
        .take(900)
        .map(|n| n.as_u64().unwrap())
        .collect();
    assert_eq!(first[0], 3);
    assert!(first[1..].iter().all(|difference| *difference == 2));
}

#[test]
fn junit_is_well_formed_and_tells_the_classes_apart() {
    use quick_junit::{NonSuccessKind, TestCaseStatus};
    let classes = ResultClass::BY_WEIGHT;
    let infos = classes.map(|class| info(class, HOSTILE));
    let verdicts = classes.map(|class| verdict(class, HOSTILE, vec![anomaly(HOSTILE, vec![])]));
    let runs: Vec<_> = infos.iter().zip(&verdicts).collect();
    let xml = junit::render(&runs).unwrap();
    let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert_eq!((read.tests, read.failures, read.errors), (7, 4, 2));
    for (case, class) in read.test_suites[0].test_cases.iter().zip(classes) {
        match (&case.status, class) {
            (TestCaseStatus::Success { .. }, ResultClass::Pass) => {}
            (TestCaseStatus::NonSuccess { kind, ty, .. }, _) => {
                assert_eq!(ty.as_ref().unwrap().as_str(), class.name());
                let ours = [ResultClass::HarnessError, ResultClass::Interrupted];
                assert_eq!(*kind == NonSuccessKind::Error, ours.contains(&class));
            }
            other => panic!("{other:?}"),
        }
        let told = case.system_out.as_ref().unwrap().as_str();
        assert!(told.starts_with("seed: 42\nbundle: /runs/"), "{told}");
    }
    assert!(junit::render(&[]).unwrap().contains("tests=\"0\""));
}

#[test]
fn markdown_is_bounded_and_counts_what_it_leaves_out() {
    let long = HOSTILE.repeat(200);
    let info = info(ResultClass::Violation, &long);
    let verdict = verdict(ResultClass::Violation, &long, vec![anomaly(&long, vec![])]);
    let runs = vec![(&info, &verdict); 10_000];
    let text = markdown::render(&runs);
    assert!(text.len() < 200_000, "{}", text.len());
    assert!(text.contains("## Tribunal: 10000 violation"));
    assert!(text.contains(" more runs that did not pass"));
    assert!(text.contains(" more runs\n"));
    // What stands in a code span is taken literally.
    let spans = ["- reproduce: `", "- bundle: `", "- signature: `"];
    let quoted = text
        .lines()
        .filter(|line| !spans.iter().any(|span| line.starts_with(span)));
    assert!(quoted.clone().count() > 100);
    assert!(quoted.into_iter().all(|line| !line.contains("<script>")));
}

#[test]
fn a_run_with_ten_thousand_violations_fits_everywhere() {
    let long = HOSTILE.repeat(100);
    let all = vec![anomaly(&long, vec![3, 7]); 10_000];
    let (info, history) = (info(ResultClass::Violation, ""), history(30, ""));
    let mut found = verdict(ResultClass::Violation, "", all.clone());
    // As no checker gives them: all listed.
    found.verdicts[0].anomalies = all;
    found.verdicts[0].anomalies_total = 10_000;
    let runs = vec![(&info, &found); 50];
    let text = markdown::render(&runs);
    assert!(text.len() < 200_000, "{}", text.len());
    assert_eq!(text.matches("- and 9,999 more contradictions").count(), 50);
    assert!(markdown::render(&runs[..1]).len() < 5_000);
    assert!(junit::render(&runs[..1]).unwrap().len() < 100_000);
    assert!(page(&history, &info, &found, "").len() < 5_000_000);
}

#[test]
fn markdown_names_what_failed_and_how_to_repeat_it() {
    let (bad, good) = (
        info(ResultClass::Violation, ""),
        info(ResultClass::Pass, ""),
    );
    let found = verdict(ResultClass::Violation, "", vec![anomaly("", vec![])]);
    let fine = verdict(ResultClass::Pass, "", vec![]);
    let text = markdown::render(&[(&bad, &found), (&good, &fine)]);
    assert!(text.starts_with("## Tribunal: 1 violation, 1 pass\n"));
    assert_eq!(text.matches("\n### ").count(), 1);
    assert!(text.contains("- **stale-read**: p1 read an old value"));
    assert!(text.contains("- reproduce: ` tribunal run --seed 42  `"));
    assert_eq!(markdown::render(&[]), "## Tribunal: no runs\n\n");
}
