//! The disk of one node: a layer between its process and its directory that can be broken.
//!
//! | module | what it does |
//! |---|---|
//! | `fault` | what faults that break disks share |
//! | [`damage`] | bits flipped in files |
//! | [`unsynced`] | what was written and not yet synced, so that it can be lost |
//! | `tree` | the numbers under which the kernel knows files |
//! | `files` | the real files: what each call comes to, unless it is to fail |
//! | `passthrough` | answers the kernel (FUSE), call by call |
//!
//! What a process writes is in the real directory at once, so that everybody else sees it. A loss
//! of power is played by taking back, after the process has ended, every change of a file's
//! content that came after its last fsync. Names (creation, renaming, removal) are durable at
//! once, as with a journalling file system that writes names in order.

pub mod damage;
mod fault;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod passthrough;
#[cfg(target_os = "linux")]
mod tree;
pub mod unsynced;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use fault::DiskFault;
pub(crate) use fault::TIER;
#[cfg(target_os = "linux")]
pub use files::PassThrough;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tribunal_results::options::TimeRange;
pub use unsynced::Lost;

/// What a process asks of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Call {
    /// To read from a file.
    Read,
    /// To write to a file, or to make one.
    Write,
    /// To make what was written durable.
    Fsync,
}

/// How a disk is broken; not at all by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rules {
    /// Whatever takes space is refused (`ENOSPC`).
    pub full: bool,
    /// What fails (`EIO`).
    pub failing: Vec<Call>,
    /// How long an fsync takes besides what it takes.
    pub fsync_takes: Option<TimeRange>,
}

/// What a disk did since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Writes that were done.
    pub writes: u64,
    /// Calls of fsync that were done.
    pub fsyncs: u64,
    /// Calls refused for want of space.
    pub refused: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls of fsync that were held back.
    pub slowed: u64,
}

/// The disk of one node, whichever process it has.
#[derive(Debug)]
pub struct Disk {
    root: PathBuf,
    rules: Mutex<Rules>,
    tally: Mutex<Tally>,
    /// What the tally was when a fault began, by its name.
    begun: Mutex<BTreeMap<String, Tally>>,
    #[cfg(target_os = "linux")]
    content: Mutex<files::Content>,
    /// How many processes use it.
    users: watch::Sender<usize>,
}

impl Disk {
    /// A disk that is not broken, whose files are in that directory.
    pub fn new(root: PathBuf) -> Self {
        Self {
            #[cfg(target_os = "linux")]
            content: Mutex::new(files::Content::default()),
            root,
            rules: Mutex::default(),
            tally: Mutex::default(),
            begun: Mutex::default(),
            users: watch::Sender::new(0),
        }
    }

    /// Where its files really are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How it is broken.
    pub fn rules(&self) -> Rules {
        locked(&self.rules).clone()
    }

    /// Changes how it is broken.
    pub fn change(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut locked(&self.rules));
    }

    /// Breaks it by a fault of that name.
    pub fn begin(&self, fault: &str, change: impl FnOnce(&mut Rules)) {
        let tally = self.tally();
        locked(&self.begun).insert(fault.to_owned(), tally);
        self.change(change);
    }

    /// How far a count rose since the fault of that name began.
    pub fn since(&self, fault: &str, count: fn(&Tally) -> u64) -> u64 {
        let before = locked(&self.begun).get(fault).map_or(0, count);
        count(&self.tally()).saturating_sub(before)
    }

    /// What it did.
    pub fn tally(&self) -> Tally {
        *locked(&self.tally)
    }

    /// Somebody uses it, until the answer is dropped.
    pub fn in_use(self: &std::sync::Arc<Self>) -> InUse {
        self.users.send_modify(|users| *users += 1);
        InUse(std::sync::Arc::clone(self))
    }

    /// Waits until no process uses it any more; says whether that came about in time.
    pub async fn idle(&self, within: Duration) -> bool {
        let mut users = self.users.subscribe();
        let idle = users.wait_for(|users| *users == 0);
        tokio::time::timeout(within, idle).await.is_ok()
    }

    /// Takes back whatever was written and not synced. To be called when no process uses it.
    ///
    /// # Errors
    /// A file that can't be restored.
    pub fn lose_unsynced(&self) -> io::Result<BTreeMap<PathBuf, Lost>> {
        #[cfg(target_os = "linux")]
        return locked(&self.content).lose(&self.root);
        #[cfg(not(target_os = "linux"))]
        Ok(BTreeMap::new())
    }

    #[cfg(target_os = "linux")]
    fn count(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut locked(&self.tally));
    }
}

/// Somebody uses a disk.
#[derive(Debug)]
pub struct InUse(std::sync::Arc<Disk>);

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.users.send_modify(|users| *users -= 1);
    }
}

fn locked<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
