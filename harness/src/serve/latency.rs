//! How long operations took, by the history of a run: read once for as long as it stays as it is.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use rustc_hash::FxHashMap;
use tribunal_results::Nanos;
use tribunal_results::event::LineType;

use super::line::{self, Who};

/// The largest history that is read for this, in bytes.
pub(super) const BYTES_MAX: u64 = 64 << 20;
/// The most runs whose figures are kept.
const KEPT_MAX: usize = 20_000;

/// How long operations took that ended `ok`, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Latency {
    /// Half of them took at most so long.
    pub p50: Nanos,
    /// Of a hundred 99 took at most so long.
    pub p99: Nanos,
}

type Kept = HashMap<PathBuf, (Option<SystemTime>, u64, Option<Latency>)>;

/// What was read so far.
#[derive(Default)]
pub(super) struct Latencies(Mutex<Kept>);

impl Latencies {
    /// Those of a history; `None` if nothing was ok, or the file is too large. Blocks.
    pub(super) fn of(&self, history: &Path) -> Option<Latency> {
        let file = std::fs::metadata(history).ok()?;
        let (time, length) = (file.modified().ok(), file.len());
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(history).copied();
        if let Some((then, was, latency)) = known
            && (then, was) == (time, length)
        {
            return latency;
        }
        let latency = (length <= BYTES_MAX).then(|| read(history)).flatten();
        let mut kept = lock();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(history.to_owned(), (time, length, latency));
        latency
    }
}

fn read(history: &Path) -> Option<Latency> {
    let input = BufReader::with_capacity(1 << 17, File::open(history).ok()?);
    let mut outstanding = FxHashMap::default();
    let mut took: Vec<Nanos> = Vec::new();
    let read = line::each(input, 0, |_, line| {
        let Some(lean) = line::lean(line) else {
            return;
        };
        let Who::Client(process) = lean.process else {
            return;
        };
        if lean.kind == LineType::Invoke {
            outstanding.insert(process, lean.time);
        } else if let Some(from) = outstanding.remove(&process)
            && lean.kind == LineType::Ok
        {
            took.push(lean.time.saturating_sub(from));
        }
    });
    read.ok()?;
    took.sort_unstable();
    Some(Latency {
        p50: quantile(&took, 50)?,
        p99: quantile(&took, 99)?,
    })
}

/// The smallest value that so many percent of an ascending list do not exceed (nearest rank).
fn quantile(sorted: &[Nanos], percent: usize) -> Option<Nanos> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(
            (quantile(&hundred, 50), quantile(&hundred, 99)),
            (Some(50), Some(99))
        );
        assert_eq!(
            (quantile(&[7], 50), quantile(&[7], 99), quantile(&[], 50)),
            (Some(7), Some(7), None)
        );
    }

    #[test]
    fn only_what_was_ok_counts() {
        let file = super::super::index::tests::history(50);
        let latencies = Latencies::default();
        let found = latencies.of(file.path()).unwrap();
        assert_eq!(found, Latency { p50: 500, p99: 500 });
        assert_eq!(latencies.of(Path::new("/nowhere")), None);
    }
}
