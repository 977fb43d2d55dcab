//! The threads of control of a run.

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};

/// Threads that carry bytes between nodes.
const FABRIC_THREADS: usize = 2;

/// One runtime carries bytes; the other, of the thread that blocks on it alone, drives clients and
/// stamps.
#[derive(Debug)]
pub struct Threads {
    /// Carries bytes between nodes.
    pub fabric: Runtime,
    /// Does everything else.
    pub scheduler: Runtime,
}

impl Threads {
    /// Starts them.
    ///
    /// # Errors
    /// If the system has none left.
    pub fn start() -> anyhow::Result<Self> {
        let fabric = Builder::new_multi_thread()
            .worker_threads(FABRIC_THREADS)
            .thread_name("fabric")
            .enable_all()
            .build()
            .context("cannot start threads")?;
        let scheduler = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the scheduler")?;
        Ok(Self { fabric, scheduler })
    }
}
