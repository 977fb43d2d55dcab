//! The list of runs: filtered and paged on the server.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use tribunal_results::report::text::{count, duration};

use super::refusal::Refusal;
use super::shelf::{Run, encoded};
use super::{Shared, html, reading};

/// Runs on one page.
const PAGE: usize = 100;
/// The most entries of a choice.
const CHOICES_MAX: usize = 500;
/// The classes that can be chosen.
const CLASSES: [&str; 8] = [
    "pass",
    "violation",
    "inconclusive",
    "insufficient",
    "harness-error",
    "interrupted",
    "running",
    "unreadable",
];

/// What is asked for; nothing narrows nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    class: String,
    suite: String,
    target: String,
    /// Words that must all occur somewhere.
    q: String,
    /// From 1.
    page: usize,
}

impl Asked {
    /// Whether a run is among what is asked for.
    fn takes(&self, run: &Run, words: &[String]) -> bool {
        let is = |asked: &str, name: &str| asked.is_empty() || asked == name;
        is(&self.class, run.class_name())
            && is(&self.suite, &run.info.suite)
            && is(&self.target, &run.info.target)
            && (words.is_empty() || holds(run, words))
    }

    /// The address of a page of the same.
    fn address(&self, page: usize) -> String {
        let mut address = format!("/?page={page}");
        for (name, value) in [
            ("class", &self.class),
            ("suite", &self.suite),
            ("target", &self.target),
            ("q", &self.q),
        ] {
            if !value.is_empty() {
                address.push_str(&format!("&{name}={}", encoded(value)));
            }
        }
        address
    }
}

/// Whether each word occurs in what is written of a run.
fn holds(run: &Run, words: &[String]) -> bool {
    let info = &run.info;
    let text = [
        run.id.suite.as_str(),
        &run.id.name,
        &info.plan,
        &run.target(),
        &info.workload,
        &info.faults.join(" "),
        &info.seed.to_string(),
        &info.started,
        &run.verdict.reason,
        &run.verdict.claim,
        run.class_name(),
    ]
    .join("\n")
    .to_lowercase();
    words.iter().all(|word| text.contains(word.as_str()))
}

/// One row.
struct Row {
    run: Arc<Run>,
    path: String,
    took: String,
    started: String,
}

#[derive(Template)]
#[template(path = "serve/list.html")]
struct Page {
    place: String,
    asked: Asked,
    rows: Vec<Row>,
    classes: &'static [&'static str],
    suites: Vec<String>,
    targets: Vec<String>,
    found: String,
    all: String,
    from: usize,
    to: usize,
    previous: Option<String>,
    next: Option<String>,
}

/// `/`: the list.
pub(super) async fn page(
    State(site): State<Shared>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(asked) = asked.map_err(|e| Refusal::Wrong(e.body_text()))?;
    let page = reading(move || {
        Ok(of(
            site.shelf.runs(),
            asked,
            site.shelf.out().display().to_string(),
        ))
    })
    .await?;
    html(&page)
}

fn of(runs: Vec<Arc<Run>>, asked: Asked, place: String) -> Page {
    let names = |of: fn(&Run) -> &String| {
        let names: BTreeSet<&String> = runs.iter().map(|run| of(run)).collect();
        names
            .into_iter()
            .filter(|n| !n.is_empty())
            .take(CHOICES_MAX)
            .cloned()
            .collect()
    };
    let (suites, targets) = (names(|run| &run.info.suite), names(|run| &run.info.target));
    let words: Vec<String> = asked
        .q
        .to_lowercase()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let all = runs.len();
    let found: Vec<_> = runs
        .into_iter()
        .filter(|run| asked.takes(run, &words))
        .collect();
    let pages = found.len().div_ceil(PAGE).max(1);
    let page = asked.page.clamp(1, pages);
    let from = (page - 1) * PAGE;
    let rows: Vec<Row> = found.iter().skip(from).take(PAGE).map(row).collect();
    Page {
        place,
        previous: (page > 1).then(|| asked.address(page - 1)),
        next: (page < pages).then(|| asked.address(page + 1)),
        asked,
        from: if rows.is_empty() { 0 } else { from + 1 },
        to: from + rows.len(),
        rows,
        classes: &CLASSES,
        suites,
        targets,
        found: count(found.len() as u64),
        all: count(all as u64),
    }
}

fn row(run: &Arc<Run>) -> Row {
    let started = run
        .info
        .started
        .get(..19)
        .map(|text| text.replace('T', " "));
    Row {
        path: run.id.path(),
        took: match run.took_ms() {
            ms if ms > 0.0 => duration((ms * 1e6) as u64),
            _ => "–".into(),
        },
        started: started.unwrap_or_else(|| run.info.started.clone()),
        run: Arc::clone(run),
    }
}
