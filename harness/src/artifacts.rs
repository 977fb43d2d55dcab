//! What a pipeline keeps of its runs: what is small always, and whole runs that failed up to a
//! budget.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tribunal_results::ResultClass;

use crate::recorded::Recorded;

/// What is kept of every run.
const SMALL: [&str; 5] = [
    "run.json",
    "verdict.json",
    "plan.yaml",
    "junit.xml",
    "summary.md",
];
/// The report, kept of runs that did not pass, and of others while there is room.
const REPORT: &str = "report.html";
/// Room for reports, in bytes.
const REPORTS_BYTES_MAX: u64 = 100_000_000;
/// What says which runs are not whole.
pub const LEFT_OUT: &str = "left-out.txt";
/// Endings of what commands wrote beside the runs.
const BESIDE: [&str; 4] = ["xml", "md", "json", "yaml"];

/// What was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Bytes of whole runs.
    pub full: u64,
    /// Runs that are whole.
    pub whole: usize,
    /// Runs that did not pass, and of which something is missing, with the reason.
    pub left_out: Vec<String>,
}

/// Copies what is small of all runs below `from`, and what lies at its top, to `small`.
///
/// # Errors
/// If something cannot be copied.
pub fn small(from: &Path, to: &Path, runs: &[Recorded]) -> anyhow::Result<u64> {
    let mut bytes = 0;
    std::fs::create_dir_all(to).with_context(|| format!("cannot write {}", to.display()))?;
    for file in files(from, 0)? {
        let ending = file.path.extension().unwrap_or_default().to_string_lossy();
        if BESIDE.contains(&ending.as_ref()) {
            bytes += copy(from, to, &file)?;
        }
    }
    let mut room = REPORTS_BYTES_MAX;
    for run in by_weight(runs) {
        for file in files(run.dir.path(), 0)? {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            let report = name == REPORT && file.bytes <= room;
            if report || SMALL.contains(&name.as_ref()) {
                room -= if report { file.bytes } else { 0 };
                bytes += copy(from, to, &file)?;
            }
        }
    }
    Ok(bytes)
}

/// Copies whole directories of runs that did not pass to `to`, the gravest first, while they fit
/// into the budget, in bytes. Of the first that does not fit its smallest files are copied. Makes
/// nothing if all passed.
///
/// # Errors
/// If something cannot be copied.
pub fn full(from: &Path, to: &Path, runs: &[Recorded], budget: u64) -> anyhow::Result<Kept> {
    let mut kept = Kept::default();
    let mut cut = false;
    for run in by_weight(runs).filter(|run| run.class() != ResultClass::Pass) {
        let mut all = files(run.dir.path(), usize::MAX)?;
        let bytes: u64 = all.iter().map(|file| file.bytes).sum();
        let fits = kept.full + bytes <= budget;
        let shown = relative(from, run.dir.path());
        let why = format!(
            "{} ({bytes} bytes, {})",
            shown.display(),
            run.class().name()
        );
        if fits {
            kept.whole += 1;
        } else if cut {
            kept.left_out.push(format!("{why}: left out"));
            continue;
        } else {
            cut = true;
            all.sort_by_key(|file| file.bytes);
        }
        let mut missing = Vec::new();
        for file in &all {
            match kept.full + file.bytes <= budget {
                true => kept.full += copy(from, to, file)?,
                false => missing.push(relative(run.dir.path(), &file.path).display().to_string()),
            }
        }
        if !missing.is_empty() {
            let missing = missing.join(", ");
            kept.left_out.push(format!("{why}: without {missing}"));
        }
    }
    if !kept.left_out.is_empty() {
        std::fs::create_dir_all(to).with_context(|| format!("cannot write {}", to.display()))?;
        let mut text = format!("Not whole, as more than {budget} bytes are not kept:\n");
        kept.left_out.iter().for_each(|line| {
            text.push_str(line);
            text.push('\n');
        });
        let file = to.join(LEFT_OUT);
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(kept)
}

/// Refuses directories to write to that lie within what is read: what is kept would be found as
/// runs of its own.
///
/// # Errors
/// If it is so.
pub fn apart(from: &Path, to: &Path) -> anyhow::Result<()> {
    let absolute =
        std::path::absolute(to).with_context(|| format!("where is {}?", to.display()))?;
    // As far as it exists, without links.
    let real = absolute.ancestors().find_map(|above| {
        let rest = absolute.strip_prefix(above).ok()?;
        Some(above.canonicalize().ok()?.join(rest))
    });
    ensure!(
        !real.unwrap_or(absolute).starts_with(from),
        "{} lies within {}; choose a directory outside",
        to.display(),
        from.display()
    );
    Ok(())
}

/// The gravest first.
fn by_weight(runs: &[Recorded]) -> impl Iterator<Item = &Recorded> {
    let of = |class| runs.iter().filter(move |run| run.class() == class);
    ResultClass::BY_WEIGHT.into_iter().flat_map(of)
}

/// A file and its size.
struct File {
    path: PathBuf,
    bytes: u64,
}

/// The files of a directory and, so deep, below, in order. Links and what is no file are left out.
fn files(folder: &Path, depth: usize) -> anyhow::Result<Vec<File>> {
    let advice = || format!("cannot read {}", folder.display());
    let (mut found, mut inner) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).with_context(advice)? {
        let entry = entry.with_context(advice)?;
        let (kind, path) = (entry.file_type().with_context(advice)?, entry.path());
        if kind.is_file() {
            let bytes = entry.metadata().with_context(advice)?.len();
            found.push(File { path, bytes });
        } else if kind.is_dir() && depth > 0 {
            inner.push(path);
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    inner.sort();
    for folder in inner {
        found.extend(files(&folder, depth - 1)?);
    }
    Ok(found)
}

fn relative<'a>(from: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(from).unwrap_or(path)
}

fn copy(from: &Path, to: &Path, file: &File) -> anyhow::Result<u64> {
    let target = to.join(relative(from, &file.path));
    let advice = || format!("cannot write {}", target.display());
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder).with_context(advice)?;
    }
    std::fs::copy(&file.path, &target).with_context(advice)
}
