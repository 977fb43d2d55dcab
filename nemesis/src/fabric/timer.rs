//! Wakes tasks at instants of sub-millisecond resolution.
//!
//! The runtime's own timer ticks in whole milliseconds. This one is a thread that waits on a
//! condition variable until the earliest instant; the kernel ends such a wait within its timer
//! slack (50 µs unless set otherwise), and no core spins.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::pending;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};

use tokio::sync::Notify;
use tokio::time::Instant;

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Timer {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    /// When each is to be woken, and its number; the earliest on top.
    dues: BinaryHeap<Reverse<Due>>,
    closed: bool,
}

#[derive(Debug)]
struct Due {
    at: Instant,
    /// Gone if nobody waits any more.
    whom: Weak<Notify>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl Timer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the machine has no room for one more.
    pub(super) fn start() -> io::Result<Arc<Self>> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("fabric-timer".into())
            .spawn(move || theirs.run())?;
        Ok(Arc::new(Self { shared }))
    }

    fn wake(&self, at: Instant, whom: &Arc<Notify>) {
        let due = Due {
            at,
            whom: Arc::downgrade(whom),
        };
        let mut waiting = self.shared.lock();
        let is_earliest = waiting.dues.peek().is_none_or(|first| at < first.0.at);
        waiting.dues.push(Reverse(due));
        drop(waiting);
        if is_earliest {
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut waiting = self.lock();
        while !waiting.closed {
            let now = Instant::now();
            let Some(first) = waiting.dues.peek().map(|first| first.0.at) else {
                let woken = self.changed.wait(waiting);
                waiting = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if first > now {
                let woken = self.changed.wait_timeout(waiting, first - now);
                waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            if let Some(Reverse(due)) = waiting.dues.pop()
                && let Some(whom) = due.whom.upgrade()
            {
                whom.notify_one();
            }
        }
    }
}

/// What one task sleeps by. It has one instant at a time in the timer, unless it changes its mind.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: Arc<Timer>,
    bell: Arc<Notify>,
    set: Option<Instant>,
}

impl Alarm {
    pub(super) fn new(timer: &Arc<Timer>) -> Self {
        Self {
            timer: Arc::clone(timer),
            bell: Arc::default(),
            set: None,
        }
    }

    /// Ends at that instant, or earlier: whoever waits looks at the time again. Never, of none.
    pub(super) async fn at(&mut self, due: Option<Instant>) {
        let Some(due) = due else {
            return pending().await;
        };
        if self.set != Some(due) {
            self.timer.wake(due, &self.bell);
            self.set = Some(due);
        }
        self.bell.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_alarm_never_rings_early_once_and_for_all_and_rarely_late() {
        let timer = Timer::start().unwrap();
        let mut alarm = Alarm::new(&timer);
        let mut late = Vec::new();
        for step in 0..200 {
            let due = Instant::now() + Duration::from_micros(100 + step * 7);
            while Instant::now() < due {
                alarm.at(Some(due)).await;
            }
            late.push(due.elapsed());
        }
        late.sort();
        // The runtime's own timer would be 500 µs late in the middle.
        assert!(
            late[late.len() / 4] < Duration::from_micros(450),
            "{late:?}"
        );
    }

    #[tokio::test]
    async fn a_later_alarm_does_not_keep_an_earlier_one_waiting() {
        let timer = Timer::start().unwrap();
        let (mut far, mut near) = (Alarm::new(&timer), Alarm::new(&timer));
        let start = Instant::now();
        let late = start + Duration::from_secs(600);
        tokio::select! {
            biased;
            () = far.at(Some(late)) => panic!("too early"),
            () = near.at(Some(start + Duration::from_millis(5))) => {}
        }
        assert!(start.elapsed() >= Duration::from_millis(5));
    }

    #[tokio::test]
    async fn the_thread_ends_with_the_timer() {
        let timer = Timer::start().unwrap();
        let shared = Arc::downgrade(&timer.shared);
        drop(timer);
        while shared.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
