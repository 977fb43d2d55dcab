//! Pages on loopback that browse the runs of an output directory.
//!
//! Everything is drawn on the server from the files that runs leave; nothing is written, and
//! nothing is asked of anybody. Whatever a file holds is hostile until a template has escaped it,
//! and pages may only load what this server gives (content security policy).
//!
//! | module | what it does |
//! |---|---|
//! | `shelf` | the runs, each read once for as long as it stays as it is |
//! | `list` | the list, filtered and paged |
//! | `run` | one run: what it came to, and its files |
//! | `operations`, `window` | all operations of a run, fetched as they come into view |
//! | `live` | a run that is going on |
//! | `trends`, `chart`, `latency` | each test from run to run |
//! | `compare` | two runs side by side |
//! | `index`, `indexes`, `line` | where each lies in its file |
//! | `guard` | who is answered, and what pages may do |
//! | `refusal` | what cannot be shown, and why |

mod chart;
mod compare;
mod guard;
mod index;
mod indexes;
mod latency;
mod line;
mod list;
mod live;
mod operations;
mod refusal;
mod run;
mod shelf;
mod trends;
mod window;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use self::indexes::Indexes;
use self::latency::Latencies;
use self::refusal::Refusal;
use self::shelf::Shelf;

/// What all requests share.
struct Site {
    shelf: Shelf,
    indexes: Indexes,
    latencies: Latencies,
    /// A permit for each page that looks at a run going on.
    watchers: Arc<Semaphore>,
}

type Shared = Arc<Site>;

/// Serves the runs below `out`, a canonical path, for as long as it is polled.
///
/// # Errors
/// If connections can no longer be accepted.
pub async fn serve(listener: TcpListener, out: PathBuf) -> anyhow::Result<()> {
    let site = Arc::new(Site {
        shelf: Shelf::of(out),
        indexes: Indexes::default(),
        latencies: Latencies::default(),
        watchers: Arc::new(Semaphore::new(live::WATCHERS_MAX)),
    });
    // Read ahead, so that the first who asks for the list finds it.
    let ahead = Arc::clone(&site);
    tokio::task::spawn_blocking(move || ahead.shelf.runs().len());
    axum::serve(listener, router(site))
        .await
        .context("cannot accept connections any more")
}

fn router(site: Shared) -> Router {
    Router::new()
        .route("/", get(list::page))
        .route("/style.css", get(style))
        .route("/run/{suite}/{name}", get(run::page))
        .route("/run/{suite}/{name}/file/{*path}", get(run::file))
        .route("/live.js", get(live::script))
        .route("/run/{suite}/{name}/live", get(live::page))
        .route("/run/{suite}/{name}/events", get(live::events))
        .route("/trends", get(trends::page))
        .route("/compare", get(compare::page))
        .route("/operations.js", get(operations::script))
        .route("/run/{suite}/{name}/operations", get(operations::page))
        .route("/run/{suite}/{name}/frame.json", get(operations::frame))
        .route("/run/{suite}/{name}/window.json", get(operations::stretch))
        .route("/run/{suite}/{name}/call.json", get(operations::call))
        .fallback(async || Refusal::Missing("there is no such page".into()))
        .layer(from_fn(guard::guard))
        .with_state(site)
}

async fn style() -> Response {
    const STYLES: [&str; 2] = [
        tribunal_results::report::html::STYLE,
        include_str!("../../templates/serve/serve.css"),
    ];
    text("text/css; charset=utf-8", STYLES.concat())
}

/// A text of that type.
fn text(kind: &'static str, body: impl Into<String>) -> Response {
    let mut response = body.into().into_response();
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A template filled in.
fn html(page: &impl askama::Template) -> Result<Response, Refusal> {
    let page = page.render().map_err(|e| Refusal::Failed(e.to_string()))?;
    Ok(text("text/html; charset=utf-8", page))
}

/// Does what reads files on a thread of its own.
async fn reading<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Refusal::Failed(e.to_string()))?
}
