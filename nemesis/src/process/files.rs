//! The files of a node that does not run: counted, emptied, lengthened, cut.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use rand::{Rng, RngExt};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use tribunal_results::options::OptionError;

use crate::aim::Aim;
use crate::chance::stream;

/// The most bytes that are added or cut off.
const BYTES_MAX: u64 = 1 << 20;
/// The most files of a node that are looked at.
const FILES_MAX: usize = 10_000;

/// The options of a fault that changes the end of a file.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TailOptions {
    nodes: Aim,
    /// How many bytes at most; the number is drawn.
    bytes: u64,
    /// The file, by its path in the node's directory; otherwise the one written last.
    file: Option<String>,
}

impl Default for TailOptions {
    fn default() -> Self {
        Self {
            nodes: Aim::default(),
            bytes: 64,
            file: None,
        }
    }
}

impl AsRef<Aim> for TailOptions {
    fn as_ref(&self) -> &Aim {
        &self.nodes
    }
}

impl TailOptions {
    pub(crate) fn check(&self) -> Result<(), OptionError> {
        if !(1..=BYTES_MAX).contains(&self.bytes) {
            let message = format!("from 1 to {BYTES_MAX}");
            return Err(OptionError::new("bytes", message));
        }
        match &self.file {
            Some(file) if !is_inside(file) => Err(OptionError::new(
                "file",
                "a path within the node's own directory, such as wal",
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn draw(&self, rng: &mut Pcg64Mcg) -> Map<String, Json> {
        Map::from_iter([
            ("bytes".to_owned(), json!(rng.random_range(1..=self.bytes))),
            ("file".to_owned(), json!(self.file)),
        ])
    }
}

fn is_inside(file: &str) -> bool {
    let is_name = |part| matches!(part, Component::Normal(_));
    !file.is_empty() && Path::new(file).components().all(is_name)
}

/// What is in a directory and below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Content {
    /// How many regular files.
    pub files: u64,
    /// How many bytes they hold.
    pub bytes: u64,
}

/// Counts what is in a directory and below.
///
/// # Errors
/// If it cannot be read, in words.
pub fn content(dir: &Path) -> Result<Content, String> {
    let files = regular(dir)?;
    Ok(Content {
        files: files.len() as u64,
        bytes: files.iter().map(|file| file.bytes).sum(),
    })
}

/// Removes everything in a directory, but not itself.
///
/// # Errors
/// What could not be removed.
pub fn empty(dir: &Path) -> Result<(), String> {
    for entry in entries(dir)? {
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let path = entry.path();
        let removed = match is_dir {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.map_err(|e| format!("cannot remove {}: {e}", path.display()))?;
    }
    Ok(())
}

/// The file of that name in the directory, or the one written last.
///
/// # Errors
/// If there is none.
pub fn chosen(dir: &Path, name: Option<String>) -> Result<PathBuf, String> {
    if let Some(name) = name {
        let path = dir.join(&name);
        return match is_inside(&name) && path.is_file() {
            true => Ok(path),
            false => Err(format!("it has no file {name}")),
        };
    }
    regular(dir)?
        .into_iter()
        .max_by_key(|file| (file.written, file.bytes))
        .map(|file| file.path)
        .ok_or_else(|| "its directory holds no file".into())
}

/// The path of a file within the directory, for people.
pub fn within(dir: &Path, file: &Path) -> String {
    file.strip_prefix(dir).unwrap_or(file).display().to_string()
}

/// Adds so many bytes of chance; returns the file's length before and after.
///
/// # Errors
/// Those of the file system, in words.
pub fn append(file: &Path, bytes: u64, seed: u64) -> Result<(u64, u64), String> {
    let mut junk = vec![0; usize::try_from(bytes.min(BYTES_MAX)).unwrap_or_default()];
    stream(seed, &["torn"]).fill_bytes(&mut junk);
    changed(file, |_| {
        let mut open = OpenOptions::new().append(true).open(file)?;
        open.write_all(&junk)?;
        open.sync_all()
    })
}

/// Cuts so many bytes off, or as many as there are; returns the file's length before and after.
///
/// # Errors
/// Those of the file system, in words; also if the file is empty.
pub fn cut(file: &Path, bytes: u64) -> Result<(u64, u64), String> {
    changed(file, |length| {
        let open = OpenOptions::new().write(true).open(file)?;
        open.set_len(length.saturating_sub(bytes))?;
        open.sync_all()
    })
}

/// The file's length before and after a change, both asked of the file system; an error if it is
/// the same.
fn changed(
    file: &Path,
    change: impl FnOnce(u64) -> std::io::Result<()>,
) -> Result<(u64, u64), String> {
    let length = || fs::metadata(file).map(|metadata| metadata.len());
    let lengths = length().and_then(|before| {
        change(before)?;
        Ok((before, length()?))
    });
    match lengths {
        Ok((before, after)) if before == after => {
            Err(format!("{} still has {before} bytes", file.display()))
        }
        Ok(lengths) => Ok(lengths),
        Err(e) => Err(format!("cannot change {}: {e}", file.display())),
    }
}

struct Regular {
    path: PathBuf,
    bytes: u64,
    written: Option<SystemTime>,
}

/// The regular files in a directory and below.
fn regular(dir: &Path) -> Result<Vec<Regular>, String> {
    let mut files = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in entries(&dir)? {
            // It is not followed if it is a link.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                left.push(entry.path());
            } else if metadata.is_file() {
                files.push(Regular {
                    path: entry.path(),
                    bytes: metadata.len(),
                    written: metadata.modified().ok(),
                });
            }
        }
        if files.len() + left.len() > FILES_MAX {
            return Err(format!("it has more than {FILES_MAX} files"));
        }
    }
    Ok(files)
}

fn entries(dir: &Path) -> Result<Vec<fs::DirEntry>, String> {
    fs::read_dir(dir)
        .and_then(Iterator::collect)
        .map_err(|e| format!("cannot read {}: {e}", dir.display()))
}
