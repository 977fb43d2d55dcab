//! What a node does against the protocol, in its own log: it goes on being heard.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use tokio::time::Instant;
use tribunal_results::record::VIOLATION;

use super::envelope::Wrong;

/// How many are written down in words; the rest are counted.
const TOLD_MAX: u64 = 1_000;

/// Where the violations of one node are written.
#[derive(Debug)]
pub(super) struct Violations {
    file: Option<File>,
    since: Instant,
    count: u64,
}

impl Violations {
    /// Goes on with the file at `path`; times count from `since`.
    pub(super) fn at(path: &Path, since: Instant) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Self {
            file: file.ok(),
            since,
            count: 0,
        }
    }

    /// Notes one: what line `number` of its output did wrong.
    pub(super) fn note(&mut self, number: u64, wrong: &Wrong) {
        self.count += 1;
        let at = self.since.elapsed().as_secs_f64();
        let Wrong { what, hint } = wrong;
        let text = match self.count {
            ..=TOLD_MAX => format!("{VIOLATION} line {number}, {at:.3} s: {what} (hint: {hint})\n"),
            _ if self.count.is_power_of_two() => {
                format!("{VIOLATION} {} until line {number}\n", self.count)
            }
            _ => return,
        };
        // The harness reserves room on the disk; a log that fails all the same is no reason to stop.
        let _written = self.file.as_mut().map(|f| f.write_all(text.as_bytes()));
    }
}
