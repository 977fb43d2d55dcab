//! A client of a hosted node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value as Json;
use tokio::sync::mpsc;
use tribunal_results::{NodeId, Operation, Outcome, Reason};

use super::board::At;
use super::dialect::Dialect;
use super::host::Shared;
use crate::client::unknown;
use crate::wire::Body;
use crate::{Client, Pending};

/// Numbers the requests of all clients: third-party nodes take a number for unique that, by the
/// protocol, only is for one sender.
static NEXT_MSG_ID: AtomicU64 = AtomicU64::new(1);

/// What one client and one node say to each other.
pub(super) struct Dialogue {
    shared: Arc<Shared>,
    node: NodeId,
    at: At,
    /// Which of the node's processes it began with.
    life: u64,
    number: u64,
    answers: mpsc::Receiver<Box<str>>,
    speaks: Dialect,
    /// The number of the last request.
    asked: u64,
}

impl Dialogue {
    /// Begins one; `None` if no process of the node runs.
    pub(super) fn open(shared: Arc<Shared>, at: At, node: NodeId, speaks: Dialect) -> Option<Self> {
        let (life, (number, answers)) = shared.with(|board| {
            let life = board.inlet(at).map_or(0, |inlet| inlet.life);
            (life > 0).then(|| (life, board.join(false)))
        })?;
        Some(Self {
            shared,
            node,
            at,
            life,
            number,
            answers,
            speaks,
            asked: 0,
        })
    }

    /// Whether the process that it began with still runs.
    fn is_there(&self) -> bool {
        let mut board = self.shared.board();
        board
            .inlet(self.at)
            .is_some_and(|inlet| inlet.life == self.life)
    }

    async fn perform(&mut self, operation: &Operation) -> Outcome {
        let Some(body) = self.speaks.request(operation) else {
            let text = format!("{} knows no {operation}", self.speaks.name());
            return Outcome::Fail(Reason::new("not-supported", text));
        };
        self.asked = NEXT_MSG_ID.fetch_add(1, Ordering::Relaxed);
        let text = Json::from(body.with("msg_id", self.asked)).to_string();
        let is_sent = self.shared.with(|board| {
            let is_there = board
                .inlet(self.at)
                .is_some_and(|inlet| inlet.life == self.life);
            if is_there {
                board.ask(self.number, self.at, &self.node, &text);
            }
            is_there
        });
        if !is_sent {
            let text = format!("{}'s process does not run", self.node);
            return Outcome::Fail(Reason::new("not-sent", text));
        }
        while let Some(answer) = self.answers.recv().await {
            let body: Option<Body> = serde_json::from_str(&answer).ok();
            if body.and_then(|body| body.in_reply_to()) == Some(self.asked) {
                return self.speaks.outcome(operation, &answer);
            }
        }
        unknown(
            operation,
            Reason::new("connection-lost", "the router has ended"),
        )
    }
}

impl Client for Dialogue {
    fn invoke<'a>(&'a mut self, operation: &'a Operation) -> Pending<'a, Outcome> {
        Box::pin(self.perform(operation))
    }

    fn is_usable(&mut self) -> bool {
        self.is_there()
    }
}

/// Whoever answers from now on answers nobody.
impl Drop for Dialogue {
    fn drop(&mut self) {
        self.shared.with(|board| board.leave(self.number));
    }
}
