//! Waits until a file has grown, or something new lies beside it.

use std::path::Path;

#[cfg(target_os = "linux")]
pub use linux::Growth;
#[cfg(not(target_os = "linux"))]
pub use portable::Growth;

/// By inotify(7): no time passes between the change and the news of it.
#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsFd as _, AsRawFd, RawFd};

    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
    use tokio::io::unix::AsyncFd;

    use super::Path;

    struct Watches(Inotify);

    impl AsRawFd for Watches {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }
    }

    /// Watches a file and its directory.
    pub struct Growth(AsyncFd<Watches>);

    impl Growth {
        /// Begins to watch; whatever happens from now on is told. Must be called in a runtime.
        ///
        /// # Errors
        /// If the file does not exist, or the system has no more watches.
        pub fn of(path: &Path) -> io::Result<Self> {
            let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
            inotify.add_watch(path, AddWatchFlags::IN_MODIFY)?;
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            inotify.add_watch(
                folder,
                AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO,
            )?;
            // SAFETY: the descriptor is owned by the watches, always the same, and open for as
            // long as they are, which `AsyncFd` keeps until it has let go of it.
            #[expect(unsafe_code, reason = "tokio wants the descriptor's life vouched for")]
            let watched = unsafe { AsyncFd::register(Watches(inotify)) };
            Ok(Self(watched?))
        }

        /// Returns when something has changed since it last returned.
        ///
        /// # Errors
        /// If the watch is lost.
        pub async fn next(&mut self) -> io::Result<()> {
            loop {
                let mut guard = self.0.readable_mut().await?;
                let read = guard.try_io(|watches| Ok(watches.get_ref().0.read_events()?));
                if let Ok(events) = read {
                    return events.map(drop);
                }
            }
        }
    }
}

/// By looking again and again, where there is nothing better.
#[cfg(not(target_os = "linux"))]
mod portable {
    use std::io;
    use std::time::Duration;

    use super::Path;

    /// How often it is looked again.
    const INTERVAL: Duration = Duration::from_millis(50);

    /// Stands for the watch of a file.
    pub struct Growth;

    impl Growth {
        /// Begins to watch.
        ///
        /// # Errors
        /// None.
        pub fn of(_: &Path) -> io::Result<Self> {
            Ok(Self)
        }

        /// Returns when it is time to look again.
        ///
        /// # Errors
        /// None.
        pub async fn next(&mut self) -> io::Result<()> {
            tokio::time::sleep(INTERVAL).await;
            Ok(())
        }
    }
}
