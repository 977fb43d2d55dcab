//! Notices when the machine itself stands still, so that nobody is blamed for it.
//!
//! A tick of the controller's own runtime that comes late shows that the processors were not to be
//! had; an append to a file of the run's own disk that takes long shows that the disk was not.
//! Both go on the record, and who waits for the system gives it that time back.

use std::fs::File;
use std::io::Write as _;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tribunal_results::fault::covered;
use tribunal_results::run::RunDir;
use tribunal_results::{Body, Nanos, Process, Standstill};

use crate::clock::{Clock, nanos};
use crate::recorder::Recorder;

/// How often each is tried.
const EVERY: Duration = Duration::from_millis(200);
/// What takes no longer than this is no standstill: a loaded machine, an ordinary disk.
const LEAST: Duration = Duration::from_millis(500);
/// What is waited for gets at most so many times its bound.
const PATIENCE: u32 = 4;

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Standstills {
    clock: Clock,
    pulses: [Arc<Pulse>; 2],
    ticks: AbortHandle,
    /// Dropped, it ends the thread that writes.
    _writes: Sender<()>,
}

/// One thing that is tried again and again.
#[derive(Debug)]
struct Pulse {
    what: &'static str,
    recorder: Arc<Recorder>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// When what is being tried now should be done; none between two tries.
    due: Option<Nanos>,
    /// From when to when it stood still.
    past: Vec<(Nanos, Nanos)>,
}

impl Pulse {
    fn new(what: &'static str, recorder: &Arc<Recorder>) -> Arc<Self> {
        Arc::new(Self {
            what,
            recorder: Arc::clone(recorder),
            seen: Mutex::default(),
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is tried that should be done after so long.
    fn begin(&self, takes: Duration) {
        self.seen().due = Some(self.recorder.clock().now() + nanos(takes));
    }

    /// It is done.
    fn end(&self) {
        let now = self.recorder.clock().now();
        let mut seen = self.seen();
        let Some(span) = seen.due.take().and_then(|due| standstill(due, now)) else {
            return;
        };
        seen.past.push(span);
        drop(seen);
        let lasted = span.1 - span.0;
        tracing::warn!(
            "the {} stood still for {} ms",
            self.what,
            lasted / 1_000_000
        );
        let standstill = Standstill {
            what: self.what.into(),
            lasted,
        };
        self.recorder
            .record(Process::Nemesis, None, Body::Machine(standstill));
    }

    /// All spans, with the one that has not ended.
    fn spans(&self, now: Nanos) -> Vec<(Nanos, Nanos)> {
        let seen = self.seen();
        let open = seen.due.and_then(|due| standstill(due, now));
        seen.past.iter().copied().chain(open).collect()
    }
}

/// What was due then and is done now is late by a standstill, or by nothing to speak of.
fn standstill(due: Nanos, now: Nanos) -> Option<(Nanos, Nanos)> {
    (now >= due + nanos(LEAST)).then_some((due, now))
}

impl Standstills {
    /// Begins to watch the processors and the disk of a run.
    ///
    /// # Errors
    /// If no file can be made in the run's directory, or no thread started.
    pub fn watch(recorder: &Arc<Recorder>, dir: &RunDir) -> std::io::Result<Self> {
        let [ticking, writing] = ["processor", "disk"].map(|what| Pulse::new(what, recorder));
        // It has no name in the directory, and goes when it is closed.
        let file = tempfile::tempfile_in(dir.path())?;
        let (writes, ended) = channel::<()>();
        let pulse = Arc::clone(&writing);
        // A disk that stands still cannot be interrupted: nobody waits for this thread.
        std::thread::Builder::new()
            .name("disk-pulse".into())
            .spawn(move || {
                while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                    pulse.begin(Duration::ZERO);
                    let written = append(&file);
                    pulse.end();
                    if let Err(e) = written {
                        tracing::warn!("the disk is not watched any more: {e}");
                        return;
                    }
                }
            })?;
        let pulse = Arc::clone(&ticking);
        let ticks = tokio::spawn(async move {
            loop {
                pulse.begin(EVERY);
                tokio::time::sleep(EVERY).await;
                pulse.end();
            }
        });
        Ok(Self {
            clock: *recorder.clock(),
            pulses: [ticking, writing],
            ticks: ticks.abort_handle(),
            _writes: writes,
        })
    }

    /// The time on the recorder's clock.
    pub fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// How much of `bound` is left since `from`, on the recorder's clock; time in which the machine
    /// stood still does not count, up to [`PATIENCE`] times the bound in all.
    pub fn left(&self, from: Nanos, bound: Duration) -> Duration {
        let now = self.now();
        let spans = self.pulses.iter().flat_map(|pulse| pulse.spans(now));
        let still = covered(spans.collect(), from, now);
        let due = (from + nanos(bound) + still).min(from + nanos(bound * PATIENCE));
        Duration::from_nanos(due.saturating_sub(now))
    }
}

impl Drop for Standstills {
    fn drop(&mut self) {
        self.ticks.abort();
        for pulse in &self.pulses {
            pulse.end();
        }
    }
}

fn append(mut file: &File) -> std::io::Result<()> {
    file.write_all(b"tribunal")?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tribunal_results::journal::{self, Header};

    fn recorder() -> (tempfile::TempDir, Arc<Recorder>) {
        let dir = tempfile::tempdir().unwrap();
        let header = Header::new(None, vec!["n1".into()]);
        let path = dir.path().join("history.jsonl");
        let recorder = Recorder::create(&path, &header, Clock::start()).unwrap();
        (dir, Arc::new(recorder))
    }

    #[tokio::test]
    async fn a_runtime_that_stood_still_is_on_the_record_and_its_time_is_given_back() {
        let (dir, recorder) = recorder();
        let run = RunDir::at(dir.path());
        let standstills = Standstills::watch(&recorder, &run).unwrap();
        // The first tick has begun.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let since = standstills.now();
        // Nothing else runs on this thread: for the runtime the processors are gone.
        #[expect(
            clippy::disallowed_methods,
            reason = "standing still is what is tested"
        )]
        std::thread::sleep(Duration::from_millis(1_000));
        // 1,000 ms have passed of 1,500, but about 800 of them did not count.
        let left = standstills.left(since, Duration::from_millis(1_500));
        assert!(left > Duration::from_millis(1_100), "{left:?}");
        assert!(left < Duration::from_millis(1_500), "{left:?}");
        // At most four times the bound in all, and it is over.
        let none = standstills.left(since, Duration::from_millis(200));
        assert!(none.is_zero(), "{none:?}");
        drop(standstills);
        let last = recorder.clock().now();
        recorder.close().unwrap();
        let file = std::fs::read(run.history()).unwrap();
        let history = journal::read(file.as_slice()).unwrap().history;
        let still = history.stood_still(0, last);
        assert!((500_000_000..last).contains(&still), "{still} of {last}");
    }

    #[test]
    fn what_is_late_by_little_is_no_standstill_and_what_has_not_ended_is_one() {
        let (_dir, recorder) = recorder();
        let pulse = Pulse::new("disk", &recorder);
        pulse.begin(Duration::ZERO);
        pulse.end();
        let now = recorder.clock().now();
        assert_eq!(pulse.spans(now), []);
        pulse.begin(Duration::ZERO);
        let begun = pulse.seen().due.unwrap();
        assert_eq!(pulse.spans(begun + 499_000_000), []);
        let later = begun + 3_000_000_000;
        assert_eq!(pulse.spans(later), [(begun, later)]);
        pulse.end();
        assert_eq!(pulse.spans(later), []);
    }
}
