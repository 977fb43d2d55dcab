//! Two runs side by side.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde_json::Value as Json;
use tribunal_results::report::text::{clip, count, duration, evidence_line, percent};
use tribunal_results::run::RunDir;
use tribunal_results::verdict::Evidence;
use tribunal_results::{Anomaly, RunVerdict};

use super::refusal::Refusal;
use super::shelf::{Id, Run};
use super::{Shared, html, reading, run};
use crate::show;

/// The longest text in a cell, in characters.
const CELL_MAX: usize = 600;
/// The most facts of a contradiction that are shown.
const FACTS_MAX: usize = 12;

/// One figure of both runs.
struct Row {
    name: String,
    values: [String; 2],
    differs: bool,
}

fn row(name: impl Into<String>, values: [String; 2]) -> Row {
    let [a, b] = &values;
    Row {
        name: name.into(),
        differs: a != b,
        values: values.map(|text| clip(&text, CELL_MAX).into_owned()),
    }
}

/// One of the two.
struct Side {
    run: std::sync::Arc<Run>,
    path: String,
    dir: RunDir,
    verdict: Option<RunVerdict>,
    contradiction: Option<Contradiction>,
}

/// What was found first.
struct Contradiction {
    name: String,
    sentence: String,
    facts: Vec<String>,
}

#[derive(Template)]
#[template(path = "serve/compare.html")]
struct Page {
    sides: [Side; 2],
    groups: Vec<(&'static str, Vec<Row>)>,
}

/// `/compare?run=SUITE/NAME&run=SUITE/NAME`
pub(super) async fn page(
    State(site): State<Shared>,
    asked: Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(asked) = asked.map_err(|e| Refusal::Wrong(e.body_text()))?;
    let named: Vec<Id> = asked
        .iter()
        .filter(|(name, _)| name == "run")
        .filter_map(|(_, run)| Id::parse(run))
        .collect();
    let Ok([a, b]) = <[Id; 2]>::try_from(named) else {
        return Err(Refusal::Wrong(
            "two runs can be compared: tick two in the list of runs".into(),
        ));
    };
    reading(move || {
        let sides = [side(&site, a)?, side(&site, b)?];
        let groups = vec![
            ("Run", setting(&sides)),
            ("Figures", figures(&site, &sides)),
            ("Faults", faults(&sides)),
            ("Checkers", checkers(&sides)),
        ];
        html(&Page { sides, groups })
    })
    .await
}

fn side(site: &Shared, id: Id) -> Result<Side, Refusal> {
    let (dir, run) = run::find(site, id.suite, id.name)?;
    let verdict: Option<RunVerdict> = show::read_json(&dir.verdict()).ok();
    let first = verdict.as_ref().and_then(RunVerdict::headline);
    Ok(Side {
        path: run.id.path(),
        contradiction: first.map(contradiction),
        run,
        dir,
        verdict,
    })
}

fn contradiction(anomaly: &Anomaly) -> Contradiction {
    let clipped = |text: &String| clip(text, CELL_MAX).into_owned();
    Contradiction {
        name: clipped(&anomaly.name),
        sentence: clipped(&anomaly.sentence),
        facts: anomaly.facts.iter().take(FACTS_MAX).map(clipped).collect(),
    }
}

fn setting(sides: &[Side; 2]) -> Vec<Row> {
    let of = |name: &str, value: fn(&Run) -> String| {
        row(name, sides.each_ref().map(|side| value(&side.run)))
    };
    vec![
        of("outcome", |run| {
            format!("{} {}", run.sign(), run.class_name())
        }),
        of("reason", |run| run.verdict.reason.clone()),
        of("claim", |run| run.verdict.claim.clone()),
        of("test", |run| {
            format!("{} / {}", run.info.suite, run.info.plan)
        }),
        of("target", Run::target),
        of("workload", |run| run.info.workload.clone()),
        of("faults asked for", |run| run.info.faults.join(", ")),
        of("seed", |run| run.info.seed.to_string()),
        of("clients", |run| run.info.clients.to_string()),
        of("started", |run| run.info.started.clone()),
        of("took", |run| duration((run.took_ms() * 1e6) as u64)),
    ]
}

fn figures(site: &Shared, sides: &[Side; 2]) -> Vec<Row> {
    let none = || "–".to_owned();
    let of = |name: &str, value: fn(&Evidence) -> String| {
        let values = sides.each_ref().map(|side| {
            side.verdict
                .as_ref()
                .map_or_else(none, |verdict| value(&verdict.evidence))
        });
        row(name, values)
    };
    let latency = sides
        .each_ref()
        .map(|side| site.latencies.of(&side.dir.history()));
    let took = |value: fn(super::latency::Latency) -> u64| {
        latency.map(|of| of.map_or_else(none, |latency| duration(value(latency))))
    };
    vec![
        of("ok", |e| count(e.total.ok)),
        of("fail", |e| count(e.total.fail)),
        of("info", |e| count(e.total.info)),
        row("latency p50", took(|latency| latency.p50)),
        row("latency p99", took(|latency| latency.p99)),
        of("operations at once, at most", |e| count(e.concurrency_peak)),
        of("saw others' work", |e| count(e.cross_observations)),
        of("overlapped a fault", |e| percent(e.overlap)),
        of("final reads", |e| count(e.final_reads)),
        of("evidence", evidence_line),
    ]
}

/// A row for each kind of fault that either saw.
fn faults(sides: &[Side; 2]) -> Vec<Row> {
    let evidence = sides
        .each_ref()
        .map(|side| side.verdict.as_ref().map(|v| &v.evidence));
    let names = evidence.iter().flatten().flat_map(|e| {
        let counted = [&e.faults_bitten, &e.faults_idle, &e.faults_skipped];
        counted
            .into_iter()
            .flat_map(|of| of.keys())
            .chain(e.recoveries.keys())
    });
    let mut names: Vec<&String> = names.collect();
    names.sort();
    names.dedup();
    let told = |evidence: Option<&Evidence>, name: &String| {
        let Some(e) = evidence else {
            return "–".to_owned();
        };
        let n = |of: &std::collections::BTreeMap<String, u64>| of.get(name).copied().unwrap_or(0);
        let mut text = format!("{} bit", n(&e.faults_bitten));
        for (count, what) in [
            (n(&e.faults_idle), "idle"),
            (n(&e.faults_skipped), "skipped"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        if let Some(back) = e.recoveries.get(name).filter(|back| back.measured > 0) {
            let (median, slowest) = (duration(back.median), duration(back.slowest));
            text.push_str(&format!(", back after {median} (slowest {slowest})"));
        }
        text
    };
    let rows = names.into_iter().take(100);
    rows.map(|name| row(clip(name, 120), evidence.map(|e| told(e, name))))
        .collect()
}

/// A row for each checker that either asked.
fn checkers(sides: &[Side; 2]) -> Vec<Row> {
    let verdicts = sides.each_ref().map(|side| {
        side.verdict
            .as_ref()
            .map(|verdict| verdict.verdicts.as_slice())
            .unwrap_or_default()
    });
    let mut names: Vec<&String> = verdicts
        .iter()
        .copied()
        .flatten()
        .map(|v| &v.checker)
        .collect();
    names.sort();
    names.dedup();
    let told = |of: &[tribunal_results::Verdict], name: &String| {
        let found = of.iter().find(|verdict| verdict.checker == *name);
        found.map_or("–".into(), |verdict| {
            let validity = serde_json::to_value(verdict.validity).ok();
            let validity = validity.as_ref().and_then(Json::as_str).unwrap_or_default();
            format!("{validity}: {}", verdict.summary)
        })
    };
    let rows = names.into_iter().take(100);
    rows.map(|name| row(clip(name, 120), verdicts.map(|of| told(of, name))))
        .collect()
}
