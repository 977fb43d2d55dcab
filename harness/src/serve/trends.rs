//! How each test (a plan of a suite) fared from run to run.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use tribunal_results::ResultClass;
use tribunal_results::proof::Rate;
use tribunal_results::report::text::{counted, duration};
use tribunal_results::run::RunDir;

use super::chart::{self, Chart};
use super::refusal::Refusal;
use super::shelf::{Run, encoded};
use super::{Shared, html, reading};

/// The most tests that are listed.
const TESTS_MAX: usize = 500;
/// The most runs of which outcomes are drawn in a list.
const STRIP_MAX: usize = 60;
/// The most runs of one test that are drawn.
const RUNS_MAX: usize = 400;
/// The most runs whose histories are read for their latencies, the newest first, and their bytes.
const READ_MAX: usize = 100;
const READ_BYTES_MAX: u64 = 256 << 20;

/// Which test; all of them if it is not said.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    suite: String,
    plan: String,
}

/// The runs of one test, the oldest first.
struct Test {
    suite: String,
    plan: String,
    link: String,
    runs: Vec<Arc<Run>>,
    failures: Rate,
    unknown: Rate,
}

impl Test {
    fn of((suite, plan): (String, String), mut runs: Vec<Arc<Run>>) -> Self {
        runs.reverse();
        let link = format!("/trends?suite={}&plan={}", encoded(&suite), encoded(&plan));
        let rates = |of: fn(&[Arc<Run>]) -> Rate| of(&runs);
        Self {
            suite,
            plan,
            link,
            failures: rates(failures),
            unknown: rates(unknown),
            runs,
        }
    }

    /// How many runs there are.
    fn counted(&self) -> String {
        counted(self.runs.len() as u64, "run")
    }

    /// The newest runs.
    fn strip(&self) -> &[Arc<Run>] {
        let from = self.runs.len().saturating_sub(STRIP_MAX);
        self.runs.get(from..).unwrap_or_default()
    }

    /// The median of the times in which nodes came back, in the last run that measured any.
    fn recovery(&self) -> String {
        let last = self.runs.iter().rev().find_map(|run| recovery(run));
        last.map_or("–".into(), duration)
    }
}

fn is(run: &Run, classes: &[ResultClass]) -> bool {
    !run.is_on && run.class.is_some_and(|class| classes.contains(&class))
}

/// Violations, of the runs that came to a verdict.
fn failures(runs: &[Arc<Run>]) -> Rate {
    let count = |classes: &[ResultClass]| runs.iter().filter(|run| is(run, classes)).count() as u64;
    let hits = count(&[ResultClass::Violation]);
    Rate::of(hits, hits + count(&[ResultClass::Pass]))
}

/// Runs that came to their end without a verdict, of those that came to their end.
fn unknown(runs: &[Arc<Run>]) -> Rate {
    let count = |classes: &[ResultClass]| runs.iter().filter(|run| is(run, classes)).count() as u64;
    let hits = count(&[ResultClass::Inconclusive, ResultClass::Insufficient]);
    Rate::of(
        hits,
        hits + count(&[ResultClass::Pass, ResultClass::Violation]),
    )
}

/// The median time in which the nodes that faults had hit served again: the longest of all kinds
/// of faults.
fn recovery(run: &Run) -> Option<u64> {
    let all = run.verdict.evidence.recoveries.values();
    all.filter(|of| of.measured > 0).map(|of| of.median).max()
}

/// A rate with its interval, in words.
fn in_words(rate: &Rate) -> String {
    if rate.trials == 0 {
        return "–".into();
    }
    format!(
        "{:.1} % ({:.1}–{:.1} %)",
        rate.hits as f64 / rate.trials as f64 * 100.0,
        rate.low * 100.0,
        rate.high * 100.0
    )
}

#[derive(Template)]
#[template(path = "serve/trends.html")]
struct List {
    tests: Vec<Test>,
    cut: usize,
}

#[derive(Template)]
#[template(path = "serve/trend.html")]
struct One {
    test: Test,
    charts: Vec<Chart>,
    drawn: usize,
    latencies: usize,
}

/// `/trends`: all tests, or one.
pub(super) async fn page(
    State(site): State<Shared>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(asked) = asked.map_err(|e| Refusal::Wrong(e.body_text()))?;
    reading(move || {
        let mut tests = BTreeMap::<(String, String), Vec<Arc<Run>>>::new();
        for run in site.shelf.runs() {
            let test = (run.info.suite.clone(), run.info.plan.clone());
            tests.entry(test).or_default().push(run);
        }
        let one = (asked.suite, asked.plan);
        if one == (String::new(), String::new()) {
            let cut = tests.len().saturating_sub(TESTS_MAX);
            let tests = tests.into_iter().take(TESTS_MAX);
            let tests = tests.map(|(test, runs)| Test::of(test, runs)).collect();
            return html(&List { tests, cut });
        }
        let found = tests.remove_entry(&one);
        let found = found.ok_or_else(|| Refusal::Missing("there is no run of that test".into()));
        let (test, runs) = found?;
        html(&trend(&site, Test::of(test, runs)))
    })
    .await
}

fn trend(site: &Shared, test: Test) -> One {
    let runs = test
        .runs
        .get(test.runs.len().saturating_sub(RUNS_MAX)..)
        .unwrap_or_default();
    let so_far = |of: fn(&[Arc<Run>]) -> Rate| -> Vec<Rate> {
        (1..=runs.len())
            .filter_map(|n| runs.get(..n))
            .map(of)
            .collect()
    };
    let told: Vec<(String, String)> = runs
        .iter()
        .map(|run| {
            (
                run.id.path(),
                format!("{}, seed {}", run.info.started, run.info.seed),
            )
        })
        .collect();
    let latencies = latencies(site, runs);
    let p50: Vec<_> = latencies.iter().map(|of| of.map(|l| l.p50)).collect();
    let p99: Vec<_> = latencies.iter().map(|of| of.map(|l| l.p99)).collect();
    let measured = p50.iter().flatten().count();
    let back: Vec<_> = runs.iter().map(|run| recovery(run)).collect();
    let charts = vec![
        chart::rates(
            "Failure rate",
            "violations of the runs that came to a verdict, so far, with the 95 % interval",
            &so_far(failures),
        ),
        chart::rates(
            "Unknown rate",
            "inconclusive and insufficient runs, so far, with the 95 % interval",
            &so_far(unknown),
        ),
        chart::times(
            "Latency",
            "of the operations that were ok",
            &[("p50", p50), ("p99", p99)],
            &told,
        ),
        chart::times(
            "Recovery",
            "median time until the nodes that a fault had hit served again, of the slowest kind of fault",
            &[("median", back)],
            &told,
        ),
    ];
    One {
        charts,
        drawn: runs.len(),
        latencies: measured,
        test,
    }
}

/// The latencies of the newest runs, as many as may be read.
fn latencies(site: &Shared, runs: &[Arc<Run>]) -> Vec<Option<super::latency::Latency>> {
    let mut found = vec![None; runs.len()];
    let (mut left, mut bytes) = (READ_MAX, READ_BYTES_MAX);
    for (run, slot) in runs.iter().zip(&mut found).rev() {
        let dir = RunDir::at(site.shelf.out().join(&run.id.suite).join(&run.id.name));
        let length = std::fs::metadata(dir.history()).map_or(0, |file| file.len());
        let Some(rest) = bytes.checked_sub(length) else {
            break;
        };
        if left == 0 {
            break;
        }
        (left, bytes) = (left - 1, rest);
        *slot = site.latencies.of(&dir.history());
    }
    found
}
