//! One proxied link: carries what `from` dials to `to`.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::counters::count;
use super::lane::Lane;
use super::part::{Ends, parted};
use super::pump::{Aborted, CHUNK_BYTES, Pump};

/// How long dialling the node may take.
const DIAL_MAX: Duration = Duration::from_secs(5);

/// Where a link leads, and the rules of both its directions.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) dial: SocketAddr,
    /// The bytes of whoever dialled.
    pub(super) forth: Arc<Lane>,
    /// The bytes of whoever accepted.
    pub(super) back: Arc<Lane>,
}

impl Link {
    /// One connection from its first byte to its last.
    pub(super) async fn admit(&self, client: TcpStream) {
        let mut ends = Ends {
            client: Some(client),
            node: None,
        };
        let ended = if self.forth.rule().borrow().refuse {
            count(&self.forth.tally.refused, 1);
            Err(Aborted)
        } else {
            self.live(&mut ends).await
        };
        if ended.is_err() {
            ends.reset();
        }
    }

    /// Attempt, dial, carry: until both ends have closed, or either is to be reset.
    async fn live(&self, ends: &mut Ends) -> Result<(), Aborted> {
        let client = ends.client.as_mut().ok_or(Aborted)?;
        let mut doomed = pin!(self.doomed());
        let parted = parted(&self.forth, &self.back);
        let early = tokio::select! {
            biased;
            () = &mut doomed => return Err(Aborted),
            early = self.attempt(client) => early?,
        };
        // Nothing interrupts the dial: a socket dropped meanwhile would be closed, not reset.
        let dialled = timeout(DIAL_MAX, TcpStream::connect(self.dial)).await;
        let node = ends
            .node
            .insert(dialled.map_err(|_| Aborted)?.map_err(|_| Aborted)?);
        count(&self.forth.tally.opened, 1);
        let parting = tokio::select! {
            biased;
            () = &mut doomed => return Err(Aborted),
            parting = parted => parting,
            ended = self.carry(client, node, early) => return ended,
        };
        tokio::select! {
            biased;
            () = doomed => Err(Aborted),
            ended = parting.outlive(ends) => ended,
        }
    }

    async fn carry(
        &self,
        client: &mut TcpStream,
        node: &mut TcpStream,
        early: Vec<u8>,
    ) -> Result<(), Aborted> {
        for socket in [&*client, &*node] {
            socket.set_nodelay(true).map_err(|_| Aborted)?;
        }
        let (client_reader, client_writer) = client.split();
        let (node_reader, node_writer) = node.split();
        let forth = Pump::new(client_reader, node_writer, &self.forth, &self.back);
        let back = Pump::new(node_reader, client_writer, &self.back, &self.forth);
        tokio::try_join!(forth.run(early), back.run(Vec::new()))?;
        Ok(())
    }

    /// Ends when the rule of either direction resets the connection that asks.
    async fn doomed(&self) {
        tokio::select! {
            biased;
            () = doomed(&self.forth) => {}
            () = doomed(&self.back) => {}
        }
    }

    /// Waits until neither direction is cut; returns what the client sent meanwhile. An attempt
    /// that the client gives up meanwhile never reaches the node, just as its SYN would not have.
    async fn attempt(&self, client: &mut TcpStream) -> Result<Vec<u8>, Aborted> {
        let mut early = Vec::new();
        let (mut forth, mut back) = (self.forth.rule(), self.back.rule());
        if !forth.borrow().cut && !back.borrow().cut {
            return Ok(early);
        }
        count(&self.forth.tally.attempts_while_cut, 1);
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            if !forth.borrow_and_update().cut && !back.borrow_and_update().cut {
                return Ok(early);
            }
            let free = CHUNK_BYTES - early.len();
            tokio::select! {
                changed = forth.changed() => changed.map_err(|_| Aborted)?,
                changed = back.changed() => changed.map_err(|_| Aborted)?,
                got = client.read(&mut buffer[..free]), if free > 0 => match got {
                    Ok(n) if n > 0 => {
                        count(&self.forth.tally.bytes_held, n);
                        early.extend_from_slice(&buffer[..n]);
                    }
                    _ => return Err(Aborted),
                },
            }
        }
    }
}

/// Ends when the lane's rule resets the connection that asks.
async fn doomed(lane: &Lane) {
    let mut rule = lane.rule();
    let mut age = rule.borrow_and_update().reset;
    loop {
        let old_enough = async {
            match age {
                Some(age) => sleep(age).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = old_enough => break,
            changed = rule.changed() => {
                if changed.is_err() || rule.borrow_and_update().reset.is_some() {
                    break;
                }
                age = None;
            }
        }
    }
    count(&lane.tally.reset, 1);
}
