//! `tribunal init`: the files that a test of one's own system begins with.
//!
//! Adapters and CI files are those under `docs/`, which are tested there; only their heads change.

mod files;
mod find;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

pub use files::{Ci, Language, Request, files};
pub use find::{LOOKED_FOR, Program};

/// The folder of the test within a project.
pub const FOLDER: &str = "tribunal";

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where, within the project.
    pub path: PathBuf,
    /// What it is, in a line for people.
    pub about: &'static str,
    /// Its contents.
    pub text: String,
    /// It is a program.
    pub executable: bool,
}

/// Those of the files that are there already.
pub fn in_the_way<'a>(project: &Path, files: &'a [File]) -> Vec<&'a Path> {
    let paths = files.iter().map(|file| file.path.as_path());
    paths.filter(|path| project.join(path).exists()).collect()
}

/// Writes the files; existing ones only if `force`.
///
/// # Errors
/// The first that can't be written, with its path.
pub fn write(project: &Path, files: &[File], force: bool) -> Result<(), (PathBuf, io::Error)> {
    files.iter().try_for_each(|file| {
        let path = project.join(&file.path);
        write_one(&path, file, force).map_err(|error| (path, error))
    })
}

fn write_one(path: &Path, file: &File, force: bool) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if force && path.exists() {
        fs::remove_file(path)?;
    }
    let mode = if file.executable { 0o755 } else { 0o644 };
    let mut options = OpenOptions::new();
    let mut opened = options.write(true).create_new(true).mode(mode).open(path)?;
    opened.write_all(file.text.as_bytes())
}
