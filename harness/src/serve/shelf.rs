//! The runs below a directory, each read once for as long as its files stay as they are.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tribunal_results::ResultClass;
use tribunal_results::report::text::clip;
use tribunal_results::run::RunDir;
use tribunal_results::verdict::{Counts, Recovery};

use crate::leftovers;

/// The most runs that are listed: the first by name of directory.
pub(super) const RUNS_MAX: usize = 100_000;
/// The longest `run.json` or `verdict.json` that is read, in bytes.
const BYTES_MAX: u64 = 16 << 20;
/// The longest text that is kept of a run, in characters.
const TEXT_MAX: usize = 400;

/// Which run: its suite's directory and its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id {
    /// The directory in the output directory.
    pub suite: String,
    /// The directory in that.
    pub name: String,
}

impl Id {
    /// `suite/name`, as `compare` takes it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (suite, name) = text.split_once('/')?;
        Some(Self {
            suite: suite.into(),
            name: name.into(),
        })
    }

    /// The path of a run's page below `/run/`. Unusual characters are percent-encoded.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", encoded(&self.suite), encoded(&self.name))
    }
}

/// Percent-encodes all but what an address may hold anywhere (RFC 3986, unreserved).
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// What a list, a trend or a comparison shows of a run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Where it lies.
    pub id: Id,
    /// How it ended; `None` if its `run.json` cannot be read.
    pub class: Option<ResultClass>,
    /// Whether it is going on.
    pub is_on: bool,
    /// What `run.json` says.
    pub info: Info,
    /// What `verdict.json` says; empty as long as there is none.
    pub verdict: Concluded,
}

impl Run {
    /// How it ended, or that it did not: a result class, `running` or `unreadable`.
    pub(super) fn class_name(&self) -> &'static str {
        match (self.is_on, self.class) {
            (true, _) => "running",
            (false, Some(class)) => class.name(),
            (false, None) => "unreadable",
        }
    }

    /// A sign for that, so that colour is never alone.
    pub(super) fn sign(&self) -> &'static str {
        match self.class_name() {
            "pass" => "✓",
            "violation" => "✗",
            "inconclusive" => "?",
            "insufficient" => "∅",
            "running" => "▸",
            "interrupted" => "■",
            _ => "!",
        }
    }

    /// The target, with its planted bug.
    pub(super) fn target(&self) -> String {
        match &self.info.bug {
            Some(bug) => format!("{} ({bug})", self.info.target),
            None => self.info.target.clone(),
        }
    }

    /// How long it took, in milliseconds.
    pub(super) fn took_ms(&self) -> f64 {
        let all = self.info.phases.iter().map(|(_, ms)| *ms);
        all.filter(|ms| ms.is_finite() && *ms > 0.0).sum()
    }
}

/// What is read of `run.json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    class: Option<ResultClass>,
    /// The suite's name.
    pub suite: String,
    /// The plan's name.
    pub plan: String,
    /// The target.
    pub target: String,
    /// The planted bug.
    pub bug: Option<String>,
    /// The workload.
    pub workload: String,
    /// The faults asked for.
    pub faults: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// How many clients there were.
    pub clients: usize,
    /// When it began, in UTC.
    pub started: String,
    /// What each phase took, in milliseconds.
    pub phases: Vec<(String, f64)>,
}

/// What is read of `verdict.json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Concluded {
    /// The stable reason.
    pub reason: String,
    /// The claim.
    pub claim: String,
    /// What the run can show.
    pub evidence: Shown,
}

/// What is read of the evidence.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    /// Outcomes of all operations.
    pub total: Counts,
    /// How long the nodes that faults had hit took to serve again.
    pub recoveries: BTreeMap<String, Recovery>,
}

/// When the two files changed last, and how long they are.
type Stamp = [Option<(SystemTime, u64)>; 2];

/// The runs of an output directory.
pub(super) struct Shelf {
    out: PathBuf,
    read: Mutex<HashMap<Id, (Stamp, Arc<Run>)>>,
}

impl Shelf {
    /// Of that directory, whose path must be canonical.
    pub(super) fn of(out: PathBuf) -> Self {
        Self {
            out,
            read: Mutex::default(),
        }
    }

    /// The directory.
    pub(super) fn out(&self) -> &Path {
        &self.out
    }

    /// All runs, the newest first. Reads what has changed since the last time; blocks.
    pub(super) fn runs(&self) -> Vec<Arc<Run>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let ids = ids(&self.out);
        let known = std::mem::take(&mut *read);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let each = ids.len().div_ceil(threads).max(1);
        std::thread::scope(|scope| {
            let known = &known;
            let parts: Vec<_> = ids
                .chunks(each)
                .map(|part| scope.spawn(move || self.refreshed(part, known)))
                .collect();
            for part in parts {
                read.extend(part.join().unwrap_or_default());
            }
        });
        let mut runs: Vec<_> = read.values().map(|(_, run)| Arc::clone(run)).collect();
        runs.sort_by(|a, b| (&b.info.started, &b.id).cmp(&(&a.info.started, &a.id)));
        runs
    }

    /// One run; `None` if there is none of that name below the directory.
    pub(super) fn find(&self, id: &Id) -> Option<(RunDir, Arc<Run>)> {
        let dir = self.dir(id)?;
        let stamp = stamp(&dir);
        stamp[0]?;
        Some((dir.clone(), Arc::new(load(id, &dir))))
    }

    /// The directory of a run. Nothing that leads elsewhere is followed, by name or by link.
    fn dir(&self, id: &Id) -> Option<RunDir> {
        if ![&id.suite, &id.name].into_iter().all(|name| is_plain(name)) {
            return None;
        }
        let path = self.out.join(&id.suite).join(&id.name);
        let path = path.canonicalize().ok()?;
        path.starts_with(&self.out).then(|| RunDir::at(path))
    }

    fn refreshed(
        &self,
        ids: &[Id],
        known: &HashMap<Id, (Stamp, Arc<Run>)>,
    ) -> Vec<(Id, (Stamp, Arc<Run>))> {
        let runs = ids.iter().filter_map(|id| {
            let dir = RunDir::at(self.out.join(&id.suite).join(&id.name));
            let stamp = stamp(&dir);
            stamp[0]?;
            let run = match known.get(id) {
                // Whether a run is on, no file's time tells.
                Some((then, run)) if *then == stamp && !run.is_on => Arc::clone(run),
                _ => Arc::new(load(id, &dir)),
            };
            Some((id.clone(), (stamp, run)))
        });
        runs.collect()
    }
}

/// Whether that is the name of one entry of a directory.
pub(super) fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!(parts.next(), Some(Component::Normal(part)) if part.to_str() == Some(name))
        && parts.next().is_none()
        && !name.contains('\0')
}

/// Every directory two levels down, without links (`latest` is one).
fn ids(out: &Path) -> Vec<Id> {
    let mut ids = Vec::new();
    for suite in directories(out) {
        for name in directories(&out.join(&suite)) {
            ids.push(Id {
                suite: suite.clone(),
                name,
            });
        }
    }
    ids.truncate(RUNS_MAX);
    ids
}

fn directories(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn stamp(dir: &RunDir) -> Stamp {
    let of = |file: Metadata| Some((file.modified().ok()?, file.len()));
    [dir.info(), dir.verdict()].map(|path| fs::metadata(path).ok().and_then(of))
}

fn load(id: &Id, dir: &RunDir) -> Run {
    let info: Option<Info> = read(&dir.info());
    let verdict: Option<Concluded> = read(&dir.verdict());
    let is_on = verdict.is_none() && leftovers::is_on(dir);
    let mut info = info.unwrap_or_default();
    for text in [
        &mut info.suite,
        &mut info.plan,
        &mut info.target,
        &mut info.workload,
        &mut info.started,
    ] {
        shorten(text);
    }
    info.faults.truncate(100);
    info.faults.iter_mut().for_each(shorten);
    let mut verdict = verdict.unwrap_or_default();
    shorten(&mut verdict.reason);
    shorten(&mut verdict.claim);
    Run {
        id: id.clone(),
        class: info.class,
        is_on,
        info,
        verdict,
    }
}

fn shorten(text: &mut String) {
    if text.len() > TEXT_MAX {
        *text = clip(text, TEXT_MAX).into_owned();
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    if fs::metadata(path).ok()?.len() > BYTES_MAX {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(out: &Path, suite: &str, name: &str, class: &str, started: &str) -> PathBuf {
        let dir = out.join(suite).join(name);
        fs::create_dir_all(&dir).unwrap();
        let info =
            serde_json::json!({"class": class, "suite": suite, "plan": "p", "started": started});
        fs::write(dir.join("run.json"), info.to_string()).unwrap();
        dir
    }

    #[test]
    fn runs_come_newest_first_and_are_read_again_when_they_change() {
        let out = tempfile::tempdir().unwrap();
        let old = put(out.path(), "b", "1", "pass", "2026-01-01T00:00:00Z");
        put(out.path(), "a", "2", "violation", "2026-01-02T00:00:00Z");
        fs::create_dir(out.path().join("a/not-a-run")).unwrap();
        let shelf = Shelf::of(out.path().canonicalize().unwrap());
        let seen = |shelf: &Shelf| -> Vec<_> {
            let runs = shelf.runs();
            runs.iter()
                .map(|run| (run.id.name.clone(), run.class_name()))
                .collect()
        };
        assert_eq!(
            seen(&shelf),
            [("2".into(), "violation"), ("1".into(), "pass")]
        );
        let again = shelf.runs();
        assert!(
            Arc::ptr_eq(&again[0], &shelf.runs()[0]),
            "nothing was read twice"
        );
        fs::write(
            old.join("verdict.json"),
            r#"{"reason":"stale-read","verdicts":[]}"#,
        )
        .unwrap();
        assert_eq!(shelf.runs()[1].verdict.reason, "stale-read");
        fs::write(old.join("run.json"), "{").unwrap();
        assert_eq!(shelf.runs()[1].class_name(), "unreadable");
    }

    #[test]
    fn nothing_outside_is_found() {
        let out = tempfile::tempdir().unwrap();
        let below = out.path().join("below");
        put(&below, "a", "1", "pass", "");
        put(out.path(), "secret", "1", "pass", "");
        std::os::unix::fs::symlink(out.path().join("secret"), below.join("link")).unwrap();
        let shelf = Shelf::of(below.canonicalize().unwrap());
        let find = |suite: &str, name: &str| {
            let id = Id {
                suite: suite.into(),
                name: name.into(),
            };
            shelf.find(&id).is_some()
        };
        assert!(find("a", "1"));
        for (suite, name) in [
            ("..", "secret"),
            ("../secret", "1"),
            ("link", "1"),
            ("a", ".."),
            ("a", ""),
            ("", "a"),
            ("a/1", "."),
            ("/etc", "x"),
            ("a", "1\0"),
        ] {
            assert!(!find(suite, name), "{suite:?}/{name:?}");
        }
    }
}
