//! Connections of which only one end is left, without knowing it.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::counters::count;
use super::lane::Lane;
use super::pump::{Aborted, CHUNK_BYTES};
use super::rule::Rule;
use super::tap::Passage;

/// Both ends of a connection, as long as they are there.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Towards whoever dialled.
    pub(super) client: Option<TcpStream>,
    /// Towards whoever accepted.
    pub(super) node: Option<TcpStream>,
}

impl Ends {
    /// Resets what is left.
    pub(super) fn reset(&mut self) {
        for socket in [self.client.take(), self.node.take()].into_iter().flatten() {
            // Fails only if the socket is dead already.
            let _ = socket.set_zero_linger();
        }
    }
}

/// What a rule does to a connection that exists when it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Only the receiver of the bytes is gone.
    HalfOpen,
    /// The sender closes, and the receiver is told so much later.
    SlowClose(Duration),
}

impl How {
    fn of(rule: &Rule) -> Option<Self> {
        let half_open = rule.half_open.then_some(Self::HalfOpen);
        half_open.or(rule.slow_close.map(Self::SlowClose))
    }
}

/// One end goes, the other stays.
#[derive(Debug)]
pub(super) struct Parting {
    how: How,
    /// The lane whose rule it is.
    by: Arc<Lane>,
    /// The lane of what the end that stays goes on to send.
    void: Arc<Lane>,
    /// Whether the end that stays is whoever dialled.
    client_stays: bool,
}

/// Ends when a rule that parts connections is set on either lane after this was called.
pub(super) fn parted(forth: &Arc<Lane>, back: &Arc<Lane>) -> impl Future<Output = Parting> {
    let (forth, back) = (Arc::clone(forth), Arc::clone(back));
    let (by_forth, by_back) = (imposed(forth.rule()), imposed(back.rule()));
    async move {
        let (how, is_forth) = tokio::select! {
            biased;
            how = by_forth => (how, true),
            how = by_back => (how, false),
        };
        let (by, other) = if is_forth {
            (forth, back)
        } else {
            (back, forth)
        };
        // Of a connection that is half open the sender of the lane's bytes stays, of one that
        // closes slowly their receiver.
        let sender_stays = how == How::HalfOpen;
        Parting {
            how,
            void: if sender_stays { Arc::clone(&by) } else { other },
            by,
            client_stays: is_forth == sender_stays,
        }
    }
}

/// Ends when the rule begins to part connections; never if it did so all the time.
fn imposed(mut rule: watch::Receiver<Rule>) -> impl Future<Output = How> {
    let mut before = How::of(&rule.borrow_and_update());
    async move {
        while rule.changed().await.is_ok() {
            let now = How::of(&rule.borrow_and_update());
            if let Some(how) = now.filter(|_| now != before) {
                return how;
            }
            before = now;
        }
        std::future::pending().await
    }
}

impl Parting {
    /// Takes one end away and swallows what the other sends, until it is told.
    pub(super) async fn outlive(self, ends: &mut Ends) -> Result<(), Aborted> {
        let tally = &self.by.tally;
        count(
            match self.how {
                How::HalfOpen => &tally.half_opened,
                How::SlowClose(_) => &tally.slowly_closed,
            },
            1,
        );
        let (stays, goes) = match self.client_stays {
            true => (&mut ends.client, &mut ends.node),
            false => (&mut ends.node, &mut ends.client),
        };
        if let Some(socket) = goes.take()
            && self.how == How::HalfOpen
        {
            // Fails only if the socket is dead already.
            let _ = socket.set_zero_linger();
        }
        let stays = stays.as_mut().ok_or(Aborted)?;
        let mut rule = self.by.rule();
        // An error means that the fabric is gone, and then the connection is too.
        let lifted = rule.wait_for(|rule| How::of(rule) != Some(self.how));
        let swallowed = swallow(stays, &self.void);
        match self.how {
            How::HalfOpen => {
                tokio::select! {
                    _ = lifted => {}
                    () = swallowed => {}
                }
                Err(Aborted)
            }
            How::SlowClose(late) => {
                let told = timeout(late, lifted);
                tokio::select! {
                    _ = told => {}
                    () = swallowed => {}
                }
                stays.shutdown().await.map_err(|_| Aborted)
            }
        }
    }
}

/// Takes what the end sends, until it closes.
async fn swallow(end: &mut TcpStream, lane: &Lane) {
    let mut passage = lane.origin.tapped.clone().map(Passage::new);
    if let Some(passage) = &mut passage {
        passage.half_open();
    }
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(n @ 1..) = end.read(&mut buffer).await {
        count(&lane.tally.bytes_swallowed, n);
        if let Some(passage) = &mut passage {
            passage.came(buffer.get(..n).unwrap_or_default());
        }
    }
}
