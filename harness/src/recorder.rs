//! The one recorder of a run: stamps what happens and brings it to disk.
//!
//! [`Recorder::record`] gives an event its index and time under one lock, so that the order of
//! indexes is the order of times. A writer thread takes what has gathered every
//! [`FLUSH_INTERVAL`] and writes it; a second one fsyncs, so that a slow disk never delays the
//! write. SIGKILL of the controller loses at most what gathered since the last flush.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tribunal_nemesis::schedule::{Cues, Sight};
use tribunal_results::journal::{Header, JournalWriter};
use tribunal_results::{Body, Event, Nanos, NodeId, Outcome, Process};

use crate::clock::Clock;
use crate::status::Scene;

/// How often gathered events are written: a fifth of what may be lost, for slow wake-ups.
const FLUSH_INTERVAL: Duration = Duration::from_millis(20);
/// How often the file is fsynced.
const SYNC_INTERVAL: Duration = Duration::from_millis(800);
/// Beyond so many gathered bytes the recorder waits for the disk.
const PENDING_BYTES_MAX: usize = 64 << 20;

/// Totals of a run so far, for the live status.
#[derive(Debug, Default)]
pub struct Totals {
    /// Operations that took effect.
    pub ok: AtomicU64,
    /// Operations that definitely did not.
    pub fail: AtomicU64,
    /// Operations whose outcome is unknown.
    pub info: AtomicU64,
}

/// Stamps and journals what happens in a run.
#[derive(Debug)]
pub struct Recorder {
    clock: Clock,
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    written: Condvar,
    wake: Condvar,
    closing: AtomicBool,
    /// Set with [`State::error`], to be asked often without the lock.
    lost: AtomicBool,
    totals: Totals,
    scene: Mutex<Scene>,
    /// Who waits for acknowledged operations.
    cues: OnceLock<Arc<Cues>>,
}

#[derive(Debug)]
struct State {
    journal: JournalWriter,
    error: Option<String>,
}

impl Recorder {
    /// Begins the history file at `path`; its times count from the clock's origin.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: &Path, header: &Header, clock: Clock) -> std::io::Result<Self> {
        let file = File::create_new(path)?;
        let synced = file.try_clone()?;
        let journal = JournalWriter::new(header)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                journal,
                error: None,
            }),
            written: Condvar::new(),
            wake: Condvar::new(),
            closing: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            totals: Totals::default(),
            scene: Mutex::default(),
            cues: OnceLock::new(),
        });
        let (sync, due) = sync_channel::<()>(1);
        let in_writer = Arc::clone(&shared);
        let in_syncer = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || write_until_closed(&in_writer, file, &sync))?;
        let syncer = std::thread::Builder::new()
            .name("journal-sync".into())
            .spawn(move || {
                while due.recv().is_ok() {
                    if let Err(e) = synced.sync_data() {
                        in_syncer.fail(&format!("cannot sync the history: {e}"));
                    }
                }
            })?;
        Ok(Self {
            clock,
            shared,
            threads: Mutex::new(vec![writer, syncer]),
        })
    }

    /// The run's clock.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// From now on tells of each acknowledged operation; to one listener, the first.
    pub fn tell(&self, cues: Arc<Cues>) {
        let _ = self.shared.cues.set(cues);
    }

    /// Totals so far.
    pub fn totals(&self) -> &Totals {
        &self.shared.totals
    }

    /// Nodes and faults now.
    pub fn scene(&self) -> MutexGuard<'_, Scene> {
        let scene = self.shared.scene.lock();
        scene.unwrap_or_else(PoisonError::into_inner)
    }

    /// What went wrong with the file, if anything did. The record is then incomplete, and the
    /// run must end as a harness error.
    pub fn error(&self) -> Option<String> {
        self.shared.lock().error.clone()
    }

    /// Whether [`error`](Self::error) says something: it is no use to go on.
    pub fn is_lost(&self) -> bool {
        self.shared.lost.load(Ordering::Acquire)
    }

    /// Stamps and journals; returns the time of the stamp. Once the file is lost, nothing is
    /// journalled any more: there is nobody to take it.
    pub fn record(&self, process: Process, node: Option<NodeId>, body: Body) -> Nanos {
        self.count(&body);
        let mut state = self.shared.lock();
        while state.journal.pending_bytes() > PENDING_BYTES_MAX && state.error.is_none() {
            self.shared.wake.notify_one();
            state = self
                .shared
                .written
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let time = self.clock.now();
        let event = Event {
            index: state.journal.next_index(),
            time,
            process,
            node,
            body,
        };
        if state.error.is_some() {
            return time;
        }
        if let Err(e) = state.journal.append(&event) {
            drop(state);
            self.shared
                .fail(&format!("cannot put an event into JSON: {e}"));
        }
        time
    }

    /// Writes and fsyncs everything, and ends the file.
    ///
    /// # Errors
    /// What went wrong with the file during the run or now.
    pub fn close(&self) -> Result<(), String> {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.wake.notify_one();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                self.shared
                    .fail("the thread that writes the history panicked");
            }
        }
        self.error().map_or(Ok(()), Err)
    }

    fn count(&self, body: &Body) {
        if let (Body::Complete(operation, Outcome::Ok(_)), Some(cues)) =
            (body, self.shared.cues.get())
        {
            cues.saw(&Sight::Ok(operation.kind()));
        }
        let totals = &self.shared.totals;
        let counter = match body {
            Body::Complete(_, Outcome::Ok(_)) => &totals.ok,
            Body::Complete(_, Outcome::Fail(_)) => &totals.fail,
            Body::Complete(_, Outcome::Info(_)) => &totals.info,
            Body::Invoke(_) | Body::Machine(_) => return,
            Body::Fault(_) | Body::Node(_) | Body::Leader(_) => {
                return self.scene().see(self.clock.now(), body);
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!("{error}");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: &str) {
        self.lock().error.get_or_insert_with(|| error.to_owned());
        self.lost.store(true, Ordering::Release);
        self.written.notify_all();
    }
}

fn write_until_closed(shared: &Shared, mut file: File, sync: &SyncSender<()>) {
    let clock = Clock::start();
    let mut synced: Nanos = 0;
    loop {
        let closing = shared.closing.load(Ordering::Acquire);
        let bytes = shared.lock().journal.take();
        shared.written.notify_all();
        if let Err(e) = file.write_all(&bytes) {
            shared.fail(&format!(
                "cannot write the history: {e}; free some space and run again"
            ));
            return;
        }
        if closing {
            if let Err(e) = file.sync_all() {
                shared.fail(&format!("cannot sync the history: {e}"));
            }
            return;
        }
        let now = clock.now();
        if now - synced > SYNC_INTERVAL.as_nanos() as u64 {
            match sync.try_send(()) {
                Ok(()) => synced = now,
                Err(TrySendError::Full(())) => {}
                Err(TrySendError::Disconnected(())) => return,
            }
        }
        pause_between_flushes(shared);
    }
}

/// Lets events gather for one interval, unless the run ends or too much has gathered.
fn pause_between_flushes(shared: &Shared) {
    let state = shared.lock();
    if shared.closing.load(Ordering::Acquire) || state.journal.pending_bytes() > PENDING_BYTES_MAX {
        return;
    }
    drop(shared.wake.wait_timeout(state, FLUSH_INTERVAL));
}
