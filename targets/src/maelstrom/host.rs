//! The threads behind the switchboard: one for the pipes of processes and what is done with nodes
//! by and by, one that waits for the next message that is late.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tribunal_results::NodeId;

use super::board::{At, Board};
use super::pipe::{self, Ends, Lines};

/// How often services do what they do by themselves.
const TICK: Duration = Duration::from_millis(10);

/// What the threads share.
pub(super) struct Shared {
    board: Mutex<Board>,
    /// Rung when a message is due earlier than any was.
    earlier: Condvar,
    /// Whether all is over.
    is_closed: Mutex<bool>,
}

impl Shared {
    /// The switchboard. Never held while anything is waited for.
    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the switchboard, and sees to it that what is late then comes in time.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Board) -> T) -> T {
        let mut board = self.board();
        let before = board.next_due();
        let done = act(&mut board);
        let after = board.next_due();
        drop(board);
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.earlier.notify_one();
        }
        done
    }

    /// A node's process printed this.
    pub(super) fn heard(&self, node: At, lines: &mut Lines, bytes: &[u8]) {
        self.with(|board| {
            lines.take(bytes, |number, line| match line {
                Ok(line) => board.heard(node, number, line),
                Err(wrong) => board.blame(node, number, &wrong),
            });
        });
    }

    /// That process of a node no longer reads or prints.
    pub(super) fn ended(&self, node: At, life: u64) {
        if let Some(inlet) = self.board().inlet(node).filter(|inlet| inlet.life == life) {
            inlet.life = 0;
            inlet.bytes = Vec::new();
            inlet.wake.notify_one();
        }
    }

    fn closed(&self) -> MutexGuard<'_, bool> {
        self.is_closed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers messages when they are due, until all is over.
    fn wait_and_deliver(&self) {
        let mut board = self.board();
        while !*self.closed() {
            let wait = match board.deliver_due() {
                Some(due) => due.saturating_duration_since(Instant::now()),
                None => Duration::from_secs(1),
            };
            let woken = self.earlier.wait_timeout(board, wait);
            board = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The threads; they end when this is dropped.
pub(super) struct Host {
    pub(super) shared: Arc<Shared>,
    pub(super) handle: Handle,
    nodes: Vec<NodeId>,
    _over: oneshot::Sender<()>,
}

impl Host {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the machine has no room for more.
    pub(super) fn start(board: Board, nodes: Vec<NodeId>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            board: Mutex::new(board),
            earlier: Condvar::new(),
            is_closed: Mutex::new(false),
        });
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (over, ended) = oneshot::channel::<()>();
        let (handle, ticking) = (runtime.handle().clone(), Arc::clone(&shared));
        std::thread::Builder::new()
            .name("router".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = ended => {}
                        () = tick(&ticking) => {}
                    }
                });
            })?;
        let waiting = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("router-timer".into())
            .spawn(move || waiting.wait_and_deliver())?;
        Ok(Self {
            shared,
            handle,
            nodes,
            _over: over,
        })
    }

    /// The nodes, in order.
    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.nodes.clone()
    }

    /// Lets a process of a node speak and hear from now on; returns which of its processes it is.
    pub(super) fn connect(&self, node: At, ends: Ends, life: u64) {
        if let Some(inlet) = self.shared.board().inlet(node) {
            inlet.wake.notify_one();
            *inlet = super::board::Inlet {
                life,
                ..Default::default()
            };
        }
        let Ends { to, from } = ends;
        let shared = || Arc::clone(&self.shared);
        self.handle.spawn(pipe::write(shared(), node, life, to));
        self.handle.spawn(pipe::read(shared(), node, life, from));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        *self.shared.closed() = true;
        self.shared.earlier.notify_one();
    }
}

async fn tick(shared: &Shared) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.board().tick();
    }
}
