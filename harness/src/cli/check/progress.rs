//! What is being done, on standard error, when it takes more than a second.

use std::io::{BufRead, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// When it is first told; then after twice as long each time.
const FIRST: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Shared {
    doing: Mutex<String>,
    bytes: AtomicU64,
    total: AtomicU64,
}

/// Tells what is being done until it is dropped.
#[derive(Debug)]
pub(in crate::cli) struct Progress {
    shared: Arc<Shared>,
    /// Dropped to end the thread.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins with `doing`.
    pub(in crate::cli) fn of(doing: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let (alive, ended) = channel::<()>();
        let watched = Arc::clone(&shared);
        let watch = move || {
            let (mut wait, mut seconds) = (FIRST, 0);
            while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                seconds += wait.as_secs();
                anstream::eprintln!("{seconds} s: {}", tell(&watched));
                wait = Duration::from_secs(seconds);
            }
        };
        let thread = std::thread::Builder::new()
            .name("progress".into())
            .spawn(watch);
        let progress = Self {
            shared,
            alive: Some(alive),
            thread: thread.ok(),
        };
        progress.now(doing);
        progress
    }

    /// Goes on to something else.
    pub(super) fn now(&self, doing: &str) {
        let mut now = self
            .shared
            .doing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        doing.clone_into(&mut now);
        self.shared.bytes.store(0, Ordering::Relaxed);
        self.shared.total.store(0, Ordering::Relaxed);
    }

    /// Counts what is read, of so many bytes if that is known.
    pub(in crate::cli) fn counting<R>(&self, input: R, total: Option<u64>) -> Counting<R> {
        self.shared
            .total
            .store(total.unwrap_or(0), Ordering::Relaxed);
        Counting {
            input,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            // It can only have panicked if standard error is gone.
            let _ended = thread.join();
        }
    }
}

fn tell(shared: &Shared) -> String {
    let doing = shared
        .doing
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let bytes = |count: &AtomicU64| count.load(Ordering::Relaxed) / 1_000_000;
    match (bytes(&shared.bytes), bytes(&shared.total)) {
        (0, _) => doing,
        (bytes, 0) => format!("{doing}, {bytes} MB so far"),
        (bytes, total) => format!("{doing}, {bytes} of {total} MB"),
    }
}

/// An input whose bytes are counted.
#[derive(Debug)]
pub(in crate::cli) struct Counting<R> {
    input: R,
    shared: Arc<Shared>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.shared.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counting<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.shared
            .bytes
            .fetch_add(amount as u64, Ordering::Relaxed);
        self.input.consume(amount);
    }
}
