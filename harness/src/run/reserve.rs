//! Room on the disk for the reports, taken when a run begins: however full the disk gets meanwhile,
//! what happened can still be told.

use std::fs::File;
use std::io::Write as _;

use tribunal_results::run::RunDir;

/// What the reports of a run take at most, but for a page about a very long one, in bytes.
const BYTES: usize = 4 << 20;

/// Space that is taken by a file without a name: given back when dropped, and also when the
/// controller is killed.
#[derive(Debug)]
pub(super) struct Reserve {
    _file: Option<File>,
}

impl Reserve {
    /// Takes the space. Where that is not possible nothing is taken, and the run goes on.
    pub(super) fn take(dir: &RunDir) -> Self {
        let taken = tempfile::tempfile_in(dir.path()).and_then(|mut file| {
            file.write_all(&vec![0; BYTES])?;
            Ok(file)
        });
        if let Err(e) = &taken {
            tracing::warn!("cannot reserve space for the reports: {e}");
        }
        Self { _file: taken.ok() }
    }
}
