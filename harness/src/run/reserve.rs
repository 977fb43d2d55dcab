//! Room on the disk for the reports, taken when a run begins: however full the disk gets meanwhile,
//! what happened can still be told.

use std::fs::File;
use std::path::PathBuf;

use nix::fcntl::posix_fallocate;
use tribunal_results::run::RunDir;

/// What the reports of a run take at most, but for a page about a very long one, in bytes.
const BYTES: i64 = 4 << 20;

/// Space that is taken; given back when dropped.
#[derive(Debug)]
pub(super) struct Reserve(PathBuf);

impl Reserve {
    /// Takes the space. Where that is not possible nothing is taken, and the run goes on.
    pub(super) fn take(dir: &RunDir) -> Self {
        let path = dir.path().join(".reserve");
        let taken = File::create(&path).and_then(|file| Ok(posix_fallocate(&file, 0, BYTES)?));
        if let Err(e) = taken {
            tracing::warn!("cannot reserve space for the reports: {e}");
        }
        Self(path)
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_file(&self.0) {
            tracing::warn!("cannot give back the space for the reports: {e}");
        }
    }
}
