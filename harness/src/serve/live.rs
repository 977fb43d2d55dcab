//! A run that is going on: its history followed as it grows, told by server-sent events.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::fs::File;
use std::io::{BufReader, Seek as _, SeekFrom};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::sse::{Event as Told, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_core::Stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tribunal_results::event::{Body, LineType};
use tribunal_results::run::{RunDir, RunInfo};
use tribunal_results::verdict::Counts;
use tribunal_results::{FaultEvent, Nanos, NodeState, Phase};

use super::line::{self, Lean, Who};
use super::refusal::Refusal;
use super::shelf::{Concluded, Run};
use super::{Shared, html, reading, run, text};
use crate::follow::Growth;
use crate::{leftovers, show};

/// At most so often something is told.
const INTERVAL: Duration = Duration::from_millis(250);
/// After so long without a change it is looked whether the run is still on.
const QUIET: Duration = Duration::from_secs(2);
/// Seconds whose rates are told.
const SECONDS: usize = 120;
/// The most that look at once.
pub(super) const WATCHERS_MAX: usize = 16;

#[derive(Template)]
#[template(path = "serve/live.html")]
struct Page {
    run: Arc<Run>,
    path: String,
}

/// `/run/SUITE/NAME/live`
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

/// `/live.js`
pub(super) async fn script() -> Response {
    let script = include_str!("../../templates/serve/live.js");
    text("text/javascript; charset=utf-8", script)
}

/// What is known of a run so far.
#[derive(Debug, Default, Serialize)]
struct News {
    /// Time of the last event.
    time: Nanos,
    /// For how long operations are invoked, if the run says so.
    of: Option<Nanos>,
    total: Counts,
    /// Operations invoked and not completed.
    outstanding: u64,
    /// The second of the first entry of `rates`.
    since: u64,
    /// What completed in each second: ok, fail, info.
    rates: VecDeque<[u64; 3]>,
    nodes: BTreeMap<String, NodeState>,
    /// Faults in force, by number.
    faults: BTreeMap<u64, String>,
    /// Faults that were injected.
    injected: u64,
    /// Whether the run is over.
    over: bool,
    class: &'static str,
    sign: &'static str,
    reason: String,
    claim: String,
}

impl News {
    fn take(&mut self, line: &[u8], lean: &Lean<'_>) {
        self.time = self.time.max(lean.time);
        match (&lean.process, lean.kind) {
            (Who::Nemesis(_), _) => self.nemesis(line),
            (Who::Client(_), LineType::Invoke) => self.outstanding += 1,
            (Who::Client(_), LineType::Ok) => self.complete(lean.time, 0),
            (Who::Client(_), LineType::Fail) => self.complete(lean.time, 1),
            (Who::Client(_), LineType::Info) => self.complete(lean.time, 2),
        }
    }

    fn complete(&mut self, time: Nanos, outcome: usize) {
        self.outstanding = self.outstanding.saturating_sub(1);
        match outcome {
            0 => self.total.ok += 1,
            1 => self.total.fail += 1,
            _ => self.total.info += 1,
        }
        let second = time / 1_000_000_000;
        if self.rates.is_empty() {
            self.since = second;
        }
        while self.since + (self.rates.len() as u64) <= second {
            self.rates.push_back([0; 3]);
            if self.rates.len() > SECONDS {
                self.rates.pop_front();
                self.since += 1;
            }
        }
        if let Some(count) = self.rates.back_mut().and_then(|rate| rate.get_mut(outcome)) {
            *count += 1;
        }
    }

    fn nemesis(&mut self, line: &[u8]) {
        match line::event(line).map(|event| event.body) {
            Some(Body::Node(node)) => {
                self.nodes.insert(node.node.to_string(), node.state);
            }
            Some(Body::Fault(fault)) => self.fault(fault),
            _ => {}
        }
    }

    fn fault(&mut self, fault: FaultEvent) {
        match fault.phase {
            Phase::Injected if fault.skipped.is_none() => {
                self.injected += 1;
                let what = if fault.what.is_empty() {
                    fault.fault
                } else {
                    fault.what
                };
                self.faults.insert(fault.id, what);
            }
            Phase::Healed => {
                self.faults.remove(&fault.id);
            }
            _ => {}
        }
    }
}

/// A history that is read on.
struct Tail {
    dir: RunDir,
    at: u64,
    news: News,
}

impl Tail {
    fn of(dir: RunDir) -> Self {
        let info = show::read_json::<RunInfo>(&dir.info()).ok();
        let of = info.and_then(|info| Some(info.time_ms? * 1_000_000));
        let news = News {
            of,
            ..News::default()
        };
        Self { dir, at: 0, news }
    }

    /// Reads what was written since the last time.
    fn advance(&mut self) -> std::io::Result<()> {
        // Asked before the last bytes are read, so that none are missed.
        let judged = show::read_json::<Concluded>(&self.dir.verdict()).ok();
        let is_on = leftovers::is_on(&self.dir);
        let mut file = match File::open(self.dir.history()) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && is_on => return Ok(()),
            Err(e) => return Err(e),
        };
        file.seek(SeekFrom::Start(self.at))?;
        let news = &mut self.news;
        self.at = line::each(
            BufReader::with_capacity(1 << 16, file),
            self.at,
            |_, line| {
                if let Some(lean) = line::lean(line) {
                    news.take(line, &lean);
                }
            },
        )?;
        news.over = judged.is_some() || !is_on;
        if let Some(judged) = judged {
            (news.reason, news.claim) = (judged.reason, judged.claim);
        }
        Ok(())
    }
}

/// `/run/SUITE/NAME/events`: what is known of the run, again whenever it changes, to its end.
pub(super) async fn events(
    State(site): State<Shared>,
    Path((suite, name)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let permit = Arc::clone(&site.watchers).try_acquire_owned();
    let permit =
        permit.map_err(|_| Refusal::Busy(format!("{WATCHERS_MAX} look already; close a page")))?;
    let (suite_too, name_too, shared) = (suite.clone(), name.clone(), Arc::clone(&site));
    let found = reading(move || {
        let (dir, _) = run::find(&shared, suite_too, name_too)?;
        Ok(Tail::of(dir))
    });
    let tail = found.await?;
    let (tell, told) = mpsc::channel(2);
    tokio::spawn(async move {
        if let Err(e) = follow(tail, &site, (suite, name), &tell, permit).await {
            tracing::debug!("a live view ended: {e:#}");
        }
    });
    Ok(Sse::new(Events(told)).into_response())
}

async fn follow(
    mut tail: Tail,
    site: &Shared,
    id: (String, String),
    tell: &mpsc::Sender<Told>,
    _permit: OwnedSemaphorePermit,
) -> anyhow::Result<()> {
    let history = tail.dir.history();
    let mut growth = None;
    loop {
        if growth.is_none() {
            growth = Growth::of(&history).ok();
        }
        let (site, id) = (Arc::clone(site), id.clone());
        tail = tokio::task::spawn_blocking(move || -> anyhow::Result<Tail> {
            tail.advance()?;
            let (_, run) = run::find(&site, id.0, id.1).map_err(|_| anyhow::anyhow!("gone"))?;
            (tail.news.class, tail.news.sign) = (run.class_name(), run.sign());
            Ok(tail)
        })
        .await??;
        let news = Told::default().event("news").json_data(&tail.news)?;
        tell.send(news).await?;
        if tail.news.over {
            return Ok(());
        }
        tokio::select! {
            () = tell.closed() => return Ok(()),
            () = changed(growth.as_mut()) => {}
        }
    }
}

/// Waits for a change, but neither too short nor for ever.
async fn changed(growth: Option<&mut Growth>) {
    tokio::time::sleep(INTERVAL).await;
    if let Some(growth) = growth {
        // Quiet or not, it is looked whether the run is still on.
        let _quiet = tokio::time::timeout(QUIET, growth.next()).await;
    }
}

/// What is told, as it comes.
struct Events(mpsc::Receiver<Told>);

impl Stream for Events {
    type Item = Result<Told, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|told| told.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_the_history_says_so_far() {
        let text = r#"{"index":0,"time":1,"process":"nemesis","node":"n1","type":"info","f":"node","value":{"state":"ready"}}
{"index":1,"time":1000000000,"process":0,"type":"invoke","f":"read","key":"k"}
{"index":2,"time":1100000000,"process":1,"type":"invoke","f":"read","key":"k"}
{"index":3,"time":1200000000,"process":0,"type":"ok","f":"read","key":"k","value":1}
{"index":4,"time":1300000000,"process":"nemesis","type":"invoke","f":"kill","value":{"id":0,"phase":"inject","nodes":["n1"]}}
{"index":5,"time":1300000001,"process":"nemesis","type":"info","f":"kill","value":{"id":0,"phase":"injected","nodes":["n1"],"what":"kill n1"}}
{"index":6,"time":3400000000,"process":1,"type":"fail","f":"read","key":"k","error":{"code":"refused"}}
"#;
        let mut news = News::default();
        let mut take = |text: &str| {
            line::each(text.as_bytes(), 0, |_, line| {
                news.take(line, &line::lean(line).unwrap());
            })
            .unwrap();
        };
        take(text);
        take(
            r#"{"index":7,"time":3500000000,"process":"nemesis","type":"info","f":"kill","value":{"id":0,"phase":"healed","bit":true}}
"#,
        );
        assert_eq!(
            (news.total.ok, news.total.fail, news.outstanding),
            (1, 1, 0)
        );
        assert_eq!(
            (news.since, news.rates.as_slices().0),
            (1, &[[1, 0, 0], [0; 3], [0, 1, 0]][..])
        );
        assert_eq!((news.faults.len(), news.injected), (0, 1));
        assert_eq!(news.nodes["n1"], NodeState::Ready);
    }
}
