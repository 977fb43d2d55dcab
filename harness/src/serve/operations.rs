//! All operations of one run: a page whose script fetches what is in view.

use std::fs::File;
use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use tribunal_results::report::window::{self, SCRIPTS, Window};
use tribunal_results::run::RunDir;

use super::indexes::{self, Loaded};
use super::refusal::Refusal;
use super::shelf::Run;
use super::window::{Filter, drawn, seen};
use super::{Shared, html, reading, run, text};

#[derive(Template)]
#[template(path = "serve/operations.html")]
struct Page {
    run: Arc<Run>,
    path: String,
}

/// `/run/SUITE/NAME/operations`
pub(super) async fn page(
    State(site): State<Shared>,
    Path((suite, name)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let (_, run) = run::named(site, suite, name).await?;
    html(&Page {
        path: run.id.path(),
        run,
    })
}

/// `/operations.js`: the report's scripts, and what fetches.
pub(super) async fn script() -> Response {
    let mut all = vec!["\"use strict\";"];
    all.extend(SCRIPTS);
    all.push(include_str!("../../templates/serve/operations.js"));
    text("text/javascript; charset=utf-8", all.join("\n"))
}

/// The index of the run that an address names, or the answer that tells how far it is.
async fn loaded(
    site: &Shared,
    suite: String,
    name: String,
) -> Result<Result<(RunDir, Arc<Loaded>), Response>, Refusal> {
    let (dir, run) = run::named(Arc::clone(site), suite, name).await?;
    Ok(match site.indexes.of(&dir, &run).await? {
        indexes::State::Ready(loaded) => Ok((dir, loaded)),
        indexes::State::Reading(read, of) => {
            let told = Json(serde_json::json!({"read": read, "of": of}));
            Err((StatusCode::ACCEPTED, told).into_response())
        }
    })
}

/// `/run/SUITE/NAME/frame.json`: all but the operations.
pub(super) async fn frame(
    State(site): State<Shared>,
    Path((suite, name)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    Ok(match loaded(&site, suite, name).await? {
        Ok((_, loaded)) => Json(&loaded.frame).into_response(),
        Err(progress) => progress,
    })
}

/// What a window is to show.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    from: u64,
    to: u64,
    pixels: usize,
    #[serde(default)]
    filter: String,
    /// An operation that is to be there in any case.
    op: Option<u64>,
}

/// Operations, and how many there are.
#[derive(Serialize)]
struct Answer {
    from: u64,
    to: u64,
    thinned: bool,
    /// How many the filter takes, of the whole run; absent without a filter.
    found: Option<usize>,
    #[serde(flatten)]
    window: Window,
}

/// `/run/SUITE/NAME/window.json`: the operations in a stretch of time.
pub(super) async fn stretch(
    State(site): State<Shared>,
    Path((suite, name)): Path<(String, String)>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(asked) = asked.map_err(|e| Refusal::Wrong(e.body_text()))?;
    if asked.to < asked.from {
        return Err(Refusal::Wrong(
            "a stretch of time ends after it begins".into(),
        ));
    }
    match loaded(&site, suite, name).await? {
        Ok((dir, loaded)) => {
            let answer = reading(move || Ok(answer(&dir, &loaded, &asked))).await?;
            Ok(Json(answer).into_response())
        }
        Err(progress) => Ok(progress),
    }
}

fn answer(dir: &RunDir, loaded: &Loaded, asked: &Asked) -> Answer {
    let index = &loaded.index;
    let filter = Filter::of(&asked.filter, index);
    let found = (!filter.is_empty()).then(|| {
        index
            .entries
            .iter()
            .filter(|entry| filter.takes(entry))
            .count()
    });
    let mut pinned = loaded.pinned.clone();
    pinned.extend(asked.op.and_then(|op| index.place(op)));
    let seen = seen(
        index,
        (asked.from, asked.to),
        asked.pixels,
        &filter,
        &pinned,
    );
    // Texts cost a look into the file each.
    let file = if seen.thinned {
        None
    } else {
        File::open(dir.history()).ok()
    };
    let entries = seen.places.iter().filter_map(|place| index.entry(*place));
    Answer {
        from: asked.from,
        to: asked.to,
        thinned: seen.thinned,
        found,
        window: window::window(entries.map(|entry| drawn(index, entry, file.as_ref()))),
    }
}

/// Which operation.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    op: u64,
}

/// `/run/SUITE/NAME/call.json`: one operation with its texts.
pub(super) async fn call(
    State(site): State<Shared>,
    Path((suite, name)): Path<(String, String)>,
    which: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(Which { op }) = which.map_err(|e| Refusal::Wrong(e.body_text()))?;
    let (dir, loaded) = match loaded(&site, suite, name).await? {
        Ok(found) => found,
        Err(progress) => return Ok(progress),
    };
    let window = reading(move || {
        let index = &loaded.index;
        let entry = index.place(op).and_then(|place| index.entry(place));
        let entry = entry.ok_or_else(|| Refusal::Missing(format!("event {op} invokes nothing")))?;
        let file = File::open(dir.history()).map_err(|e| Refusal::Failed(e.to_string()))?;
        Ok(window::window([drawn(index, entry, Some(&file))]))
    });
    Ok(Json(window.await?).into_response())
}
