//! Runs found on disk: in the directories of several machines, or of several days.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tribunal_results::run::{RunDir, RunInfo};
use tribunal_results::{ResultClass, RunVerdict};

use crate::campaign::shard::Part;
use crate::show;

/// How deep below a given directory runs are looked for.
const DEPTH_MAX: usize = 6;

/// A run that lies on disk.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Where.
    pub dir: RunDir,
    /// What was run.
    pub info: RunInfo,
    /// What it came to; none if it was cut off.
    pub verdict: Option<RunVerdict>,
}

impl Recorded {
    /// How it ended: a run that was cut off was interrupted.
    pub fn class(&self) -> ResultClass {
        let verdict = self.verdict.as_ref();
        verdict.map_or(ResultClass::Interrupted, |verdict| verdict.class)
    }
}

/// Everything that was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Runs, in the order of their directories.
    pub runs: Vec<Recorded>,
    /// What parts of campaigns say of themselves.
    pub parts: Vec<Part>,
}

/// Looks for runs in directories and below. Links are not followed; a run that is reached twice
/// counts once.
///
/// # Errors
/// If one of the directories, or a run in it, cannot be read.
pub fn find(folders: &[PathBuf]) -> anyhow::Result<Found> {
    let mut seen = BTreeSet::new();
    let mut found = Found::default();
    for folder in folders {
        let folder = folder
            .canonicalize()
            .with_context(|| format!("cannot read {}", folder.display()))?;
        look(&folder, DEPTH_MAX, &mut seen, &mut found)?;
    }
    Ok(found)
}

fn look(
    folder: &Path,
    depth: usize,
    seen: &mut BTreeSet<PathBuf>,
    found: &mut Found,
) -> anyhow::Result<()> {
    if !seen.insert(folder.to_owned()) {
        return Ok(());
    }
    let dir = RunDir::at(folder);
    if dir.info().is_file() {
        let info = show::read_json(&dir.info())?;
        let verdict = match dir.verdict().is_file() {
            true => Some(show::read_json(&dir.verdict())?),
            false => None,
        };
        found.runs.push(Recorded { dir, info, verdict });
        return Ok(());
    }
    let mut inner = Vec::new();
    let advice = || format!("cannot read {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(advice)? {
        let entry = entry.with_context(advice)?;
        let kind = entry.file_type().with_context(advice)?;
        let path = entry.path();
        if kind.is_dir() && depth > 0 {
            inner.push(path);
        } else if kind.is_file() && Part::is_file(&path) {
            found.parts.push(show::read_json(&path)?);
        }
    }
    inner.sort();
    inner
        .iter()
        .try_for_each(|path| look(path, depth - 1, seen, found))
}
