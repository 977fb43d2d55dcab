//! One run: what it came to, and its files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path as Segments, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use tower_http::services::ServeFile;
use tribunal_results::report::text::count;
use tribunal_results::run::RunDir;

use super::refusal::Refusal;
use super::shelf::{Id, Run, encoded, is_plain};
use super::{Shared, html, reading};

/// The most files that are listed.
const FILES_MAX: usize = 500;
/// How deep they are looked for.
const DEPTH_MAX: usize = 5;
/// What other files than the report may do in a browser: nothing.
const NOTHING: &str = "default-src 'none'; sandbox";

/// A file of a run.
struct File {
    name: String,
    link: String,
    size: String,
    what: &'static str,
}

#[derive(Template)]
#[template(path = "serve/run.html")]
struct Page {
    run: Arc<Run>,
    path: String,
    trend: String,
    has_report: bool,
    has_history: bool,
    total: [String; 3],
    files: Vec<File>,
    cut: bool,
}

/// Finds the run that an address names.
pub(super) fn find(
    site: &Shared,
    suite: String,
    name: String,
) -> Result<(RunDir, Arc<Run>), Refusal> {
    let id = Id { suite, name };
    let found = site.shelf.find(&id);
    found.ok_or_else(|| Refusal::Missing(format!("there is no run {}/{}", id.suite, id.name)))
}

/// The same, apart from the threads that answer.
pub(super) async fn named(
    site: Shared,
    suite: String,
    name: String,
) -> Result<(RunDir, Arc<Run>), Refusal> {
    reading(move || find(&site, suite, name)).await
}

/// `/run/SUITE/NAME`
pub(super) async fn page(
    State(site): State<Shared>,
    Segments((suite, name)): Segments<(String, String)>,
) -> Result<Response, Refusal> {
    let page = reading(move || {
        let (dir, run) = find(&site, suite, name)?;
        Ok(of(&dir, run))
    });
    html(&page.await?)
}

fn of(dir: &RunDir, run: Arc<Run>) -> Page {
    let mut found = Vec::new();
    gather(dir.path(), Path::new(""), 0, &mut found);
    let cut = found.len() > FILES_MAX;
    found.truncate(FILES_MAX);
    let total = run.verdict.evidence.total;
    Page {
        path: run.id.path(),
        trend: format!(
            "/trends?suite={}&plan={}",
            encoded(&run.info.suite),
            encoded(&run.info.plan)
        ),
        has_report: dir.report().exists(),
        has_history: dir.history().exists(),
        total: [total.ok, total.fail, total.info].map(count),
        files: found
            .iter()
            .map(|(path, bytes)| file_row(path, *bytes))
            .collect(),
        run,
        cut,
    }
}

/// The files below a directory, by name; links are left out.
fn gather(root: &Path, below: &Path, depth: usize, found: &mut Vec<(PathBuf, u64)>) {
    let Ok(entries) = fs::read_dir(root.join(below)) else {
        return;
    };
    let mut entries: Vec<_> = entries.flatten().take(10 * FILES_MAX).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    let kind = |entry: &fs::DirEntry| entry.file_type().ok();
    for entry in entries
        .iter()
        .filter(|e| kind(e).is_some_and(|k| k.is_file()))
    {
        if found.len() <= FILES_MAX {
            let bytes = entry.metadata().map_or(0, |file| file.len());
            found.push((below.join(entry.file_name()), bytes));
        }
    }
    for entry in entries
        .iter()
        .filter(|e| kind(e).is_some_and(|k| k.is_dir()))
    {
        if depth < DEPTH_MAX && found.len() <= FILES_MAX {
            gather(root, &below.join(entry.file_name()), depth + 1, found);
        }
    }
}

fn file_row(path: &Path, bytes: u64) -> File {
    let name = path.display().to_string();
    let parts: Vec<String> = path
        .iter()
        .map(|part| encoded(&part.to_string_lossy()))
        .collect();
    File {
        what: what(&name),
        link: parts.join("/"),
        size: size(bytes),
        name,
    }
}

fn what(name: &str) -> &'static str {
    match name {
        "report.html" => "to look at",
        "history.jsonl" => "what happened, an event a line",
        "messages.jsonl" => "what the nodes sent each other",
        "verdict.json" => "what it came to",
        "run.json" => "what was run, on what",
        "plan.yaml" => "every choice; a suite that repeats the run",
        "replay.yaml" => "what was executed; a suite",
        "shrunk.yaml" => "the least of it that still fails; a suite",
        "junit.xml" => "for CI",
        "summary.md" => "for pull requests",
        "tribunal.log" => "what the controller logged",
        _ if name.ends_with("/stderr") => "what the node wrote",
        _ => "",
    }
}

/// A number of bytes in words.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// `/run/SUITE/NAME/file/PATH`: a file as it is. Only the report is a page; nothing that a node
/// wrote ever is.
pub(super) async fn file(
    State(site): State<Shared>,
    Segments((suite, name, path)): Segments<(String, String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let is_report = path == "report.html";
    let path = reading(move || {
        let (dir, _) = find(&site, suite, name)?;
        inside(&dir, &path).ok_or_else(|| Refusal::Missing(format!("the run has no file {path}")))
    });
    let path = path.await?;
    let kind = if is_report {
        "text/html; charset=utf-8"
    } else {
        "text/plain; charset=utf-8"
    };
    let served = ServeFile::new(path).try_call(request).await;
    let mut response = served
        .map_err(|e| Refusal::Failed(e.to_string()))?
        .into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // The report brings its own policy, which forbids it the network.
    let policy = if is_report {
        "frame-ancestors 'none'"
    } else {
        NOTHING
    };
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(policy),
    );
    Ok(response)
}

/// The regular file of that name in a run; nothing that leads out of it, by name or by link.
fn inside(dir: &RunDir, path: &str) -> Option<PathBuf> {
    if !path.split('/').all(is_plain) {
        return None;
    }
    let path = dir.path().join(path).canonicalize().ok()?;
    (path.starts_with(dir.path()) && path.is_file()).then_some(path)
}
