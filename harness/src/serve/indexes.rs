//! The indexes of the histories that were looked at last, each built once, on a thread of its own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use serde_json::Value as Json;
use tokio::sync::watch;
use tribunal_results::report::{Report, window};
use tribunal_results::run::{RunDir, RunInfo};
use tribunal_results::{ResultClass, RunVerdict};

use super::index::Index;
use super::refusal::Refusal;
use super::shelf::Run;
use crate::show;

/// The most indexes that are kept.
const KEPT_MAX: usize = 3;
/// How long a request waits for an index before it is told how far it is.
const WAIT: Duration = Duration::from_millis(400);

/// All that the page of a run's operations needs.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Where every operation lies.
    pub index: Index,
    /// What they are drawn into.
    pub frame: Json,
    /// The places of the operations of contradictions.
    pub pinned: Vec<u32>,
}

type Built = Option<Result<Arc<Loaded>, String>>;

/// One history as it was at some time.
struct Slot {
    path: std::path::PathBuf,
    stamp: Option<(SystemTime, u64)>,
    read: Arc<AtomicU64>,
    built: watch::Receiver<Built>,
}

/// An index, or how far it is.
pub(super) enum State {
    /// It is there.
    Ready(Arc<Loaded>),
    /// So many bytes of so many were read.
    Reading(u64, u64),
}

/// The indexes that were asked for last; the oldest goes first.
#[derive(Default)]
pub(super) struct Indexes(Mutex<VecDeque<Slot>>);

impl Indexes {
    /// The index of a run, built if it is not there or the history has changed.
    pub(super) async fn of(&self, dir: &RunDir, run: &Run) -> Result<State, Refusal> {
        let (read, mut built, length) = self.slot(dir, run)?;
        let waited = tokio::time::timeout(WAIT, built.wait_for(Option::is_some)).await;
        match waited {
            Err(_) => Ok(State::Reading(read.load(Ordering::Relaxed), length)),
            Ok(Ok(built)) => match built.as_ref() {
                Some(Ok(loaded)) => Ok(State::Ready(Arc::clone(loaded))),
                Some(Err(why)) => Err(Refusal::Failed(why.clone())),
                None => Err(Refusal::Failed("the index was not built".into())),
            },
            Ok(Err(_)) => Err(Refusal::Failed("the index could not be built".into())),
        }
    }

    /// The slot of a history; begins to build its index if there is none.
    fn slot(
        &self,
        dir: &RunDir,
        run: &Run,
    ) -> Result<(Arc<AtomicU64>, watch::Receiver<Built>, u64), Refusal> {
        let path = dir.history();
        let file = std::fs::metadata(&path)
            .map_err(|_| Refusal::Missing("the run has no history yet".into()))?;
        let stamp = file.modified().ok().map(|time| (time, file.len()));
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = slots.iter().position(|slot| slot.path == path);
        let kept = at.and_then(|at| slots.remove(at));
        // While an index is being built, it is not begun again because more was written.
        let fits = |slot: &Slot| slot.stamp == stamp || slot.built.borrow().is_none();
        let slot = match kept.filter(fits) {
            Some(slot) => slot,
            None => begin(dir.clone(), run.info.clients, stamp),
        };
        let given = (Arc::clone(&slot.read), slot.built.clone(), file.len());
        slots.push_back(slot);
        while slots.len() > KEPT_MAX {
            slots.pop_front();
        }
        Ok(given)
    }
}

fn begin(dir: RunDir, clients: usize, stamp: Option<(SystemTime, u64)>) -> Slot {
    let read = Arc::new(AtomicU64::new(0));
    let (done, built) = watch::channel(None);
    let slot = Slot {
        path: dir.history(),
        stamp,
        read: Arc::clone(&read),
        built,
    };
    tokio::task::spawn_blocking(move || {
        let loaded = load(&dir, clients, &read);
        done.send_replace(Some(loaded.map(Arc::new).map_err(|e| format!("{e:#}"))));
    });
    slot
}

fn load(dir: &RunDir, clients: usize, read: &AtomicU64) -> anyhow::Result<Loaded> {
    let path = dir.history();
    let index = Index::read(&path, clients, read)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let info: RunInfo = show::read_json(&dir.info())?;
    let verdict = show::read_json(&dir.verdict()).unwrap_or_else(|_| unjudged());
    let logs: Vec<_> = info
        .nodes
        .iter()
        .take(100)
        .map(|node| show::last_lines(dir, node))
        .collect();
    let colours = show::colours();
    let report = Report {
        info: &info,
        verdict: &verdict,
        history: &index.nemesis,
        messages: None,
        logs: &logs,
        plan_yaml: "",
        colours: &colours,
    };
    let mut frame = window::frame(&report)?;
    frame["end"] = index.end.into();
    frame["lanes"] = index.lanes.len().into();
    frame["series"] = density(&index);
    frame["total"] = index.entries.len().into();
    frame["cut"] = index.cut.into();
    let anomalies = verdict
        .verdicts
        .iter()
        .flat_map(|verdict| &verdict.anomalies);
    let calls = anomalies.flat_map(|anomaly| &anomaly.calls);
    let pinned = calls
        .take(10_000)
        .filter_map(|call| index.place(*call))
        .collect();
    Ok(Loaded {
        index,
        frame,
        pinned,
    })
}

/// The verdict on a run that has none yet.
fn unjudged() -> RunVerdict {
    RunVerdict {
        class: ResultClass::Interrupted,
        ..RunVerdict::default()
    }
}

/// How many operations ended in each stretch of time, as the overview draws it.
fn density(index: &Index) -> Json {
    const STRETCHES: u64 = 240;
    let width = index.end / STRETCHES + 1;
    let mut counts = [const { [0_u64; STRETCHES as usize] }; 3];
    for entry in &index.entries {
        let at = usize::try_from(entry.until / width).unwrap_or(0);
        let count = counts
            .get_mut(usize::from(entry.outcome))
            .and_then(|of| of.get_mut(at));
        if let Some(count) = count {
            *count += 1;
        }
    }
    let [ok, fail, info] = counts.map(|of| of.to_vec());
    serde_json::json!({"width": width, "kinds": {"all": {"ok": ok, "fail": fail, "info": info}}})
}
