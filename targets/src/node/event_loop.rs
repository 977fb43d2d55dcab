//! The loop of a node: takes what is ready, steps the machine, makes its records durable, and
//! only then sends its messages. Everything that became ready while the disk was busy shares the
//! next sync (group commit).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tribunal_results::NodeId;

use super::machine::{Input, Machine, Nanos, Outbox};
use super::network::Event;
use super::routes::Routes;
use super::stamp::{self, Stamper};
use super::stderr::note;
use super::wal::Wal;
use crate::Status;
use crate::wire::{Body, Code, Message, WireError};

/// The most inputs that share one sync.
const BATCH_MAX: usize = 256;

/// A running node.
pub(super) struct EventLoop {
    pub(super) id: NodeId,
    pub(super) machine: Box<dyn Machine>,
    pub(super) wal: Wal,
    pub(super) routes: Routes,
    /// What the machine asked for since the last sync.
    pub(super) out: Outbox,
    /// Timers that are set, the earliest on top.
    pub(super) timers: BinaryHeap<Reverse<(Nanos, u64)>>,
    /// The clocks that messages to peers are stamped with, if they are.
    pub(super) stamper: Option<Stamper>,
    /// When the machine's clock began.
    pub(super) origin: Instant,
}

impl EventLoop {
    /// Runs until `stop` is ready.
    ///
    /// # Errors
    /// The log could not be written: nothing more can be promised.
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Event>,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        tokio::pin!(stop);
        let mut events = Vec::with_capacity(BATCH_MAX);
        self.step(Input::Start);
        loop {
            self = self.flush().await?;
            tokio::select! {
                () = &mut stop => return Ok(()),
                received = inbox.recv_many(&mut events, BATCH_MAX) => if received == 0 {
                    return Ok(());
                },
                () = until(self.next_timer()) => {}
            }
            for event in events.drain(..) {
                self.take(event);
            }
            self.fire_timers();
        }
    }

    fn now(&self) -> Nanos {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn step(&mut self, input: Input) {
        self.machine.wall(wall());
        self.machine.step(input, self.now(), &mut self.out);
    }

    /// When the next timer is due.
    fn next_timer(&self) -> Option<Instant> {
        let Reverse((at, _)) = self.timers.peek()?;
        self.origin.checked_add(Duration::from_nanos(*at))
    }

    fn fire_timers(&mut self) {
        let now = self.now();
        while let Some(&Reverse((at, id))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            self.step(Input::Timer(id));
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Opened { connection, lines } => self.routes.opened(connection, lines),
            Event::Closed { connection } => self.routes.closed(connection),
            Event::Message {
                connection,
                message,
            } => self.take_message(connection, message),
            Event::Link { peer, lines } => {
                let up = lines.is_some();
                note(&format!(
                    "link to {peer} is {}",
                    if up { "up" } else { "down" }
                ));
                self.routes.linked(&peer, lines);
                self.step(Input::Link { peer, up });
            }
        }
    }

    /// The message as it leaves.
    fn stamped(&mut self, dest: &NodeId, body: Body) -> Body {
        let stamper = self.stamper.as_mut();
        let Some(stamper) = stamper.filter(|_| self.routes.reaches_peer(dest)) else {
            return body;
        };
        match stamper.stamp(body.clone()) {
            Ok(stamped) => stamped,
            Err(error) => {
                self.stop_stamping_unless(Some(error));
                body
            }
        }
    }

    /// Clocks that might run backwards one day are worse than none.
    fn stop_stamping_unless(&mut self, error: Option<io::Error>) {
        if let Some(error) = error {
            note(&format!("messages are no longer stamped: {error}"));
            self.stamper = None;
        }
    }

    /// Answers what concerns the node itself, and gives the rest to the machine.
    fn take_message(&mut self, connection: u64, mut message: Message) {
        match message.body.kind() {
            // Whoever probes knows an address and need not know whose it is.
            "status" => {
                let status = status_body(self.machine.status(self.now())).with("wall_ns", wall());
                self.routes.answer(connection, &message, status);
            }
            _ if message.dest != self.id => {
                let error = WireError::new(
                    Code::NodeNotFound,
                    format!("this is {}, not {:?}", self.id, message.dest),
                );
                self.routes.answer(connection, &message, error.body());
            }
            "hello" => self
                .routes
                .answer(connection, &message, Body::new("hello_ok")),
            _ => {
                self.routes.heard(connection, &message.src);
                let taken = match &mut self.stamper {
                    Some(stamper) => stamper.take(&mut message.body),
                    None => {
                        message.body.remove(stamp::FIELD);
                        Ok(())
                    }
                };
                self.stop_stamping_unless(taken.err());
                self.step(Input::Message(message));
            }
        }
    }

    /// Makes records durable, sends messages, sets timers: in this order.
    async fn flush(mut self) -> io::Result<Self> {
        let mut out = std::mem::take(&mut self.out);
        if out.compacted.is_some() || !out.records.is_empty() {
            let whole = out.compacted.take();
            let records = std::mem::take(&mut out.records);
            let mut wal = self.wal;
            let committing = move || {
                if let Some(whole) = whole {
                    wal.replace(&whole)?;
                }
                wal.commit(&records).map(|()| wal)
            };
            self.wal = tokio::task::spawn_blocking(committing)
                .await
                .map_err(io::Error::other)??;
        }
        for (dest, body) in out.messages.drain(..) {
            let body = self.stamped(&dest, body);
            self.routes.send(&dest, body);
        }
        self.timers.extend(out.timers.drain(..).map(Reverse));
        self.out = out;
        Ok(self)
    }
}

/// The time of day that this process is told, in nanoseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "a node reads its own clock, as any system does; nothing of it goes into the record"
)]
fn wall() -> Nanos {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The answer to `status`.
fn status_body(status: Status) -> Body {
    let body = Body::new("status_ok")
        .with("ready", status.ready)
        .with("role", status.role)
        .with("leader", status.leader.as_deref())
        .with("detail", status.detail);
    match status.members {
        Some(members) => body.with("members", serde_json::json!(members)),
        None => body,
    }
}
