//! One proxied link: accepts what `from` dials and carries it to `to`.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::counters::count;
use super::lane::Lane;
use super::part::{Ends, parted};
use super::pump::{Aborted, CHUNK_BYTES, Pump};

/// The most connections of one link at once; more wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 1024;

/// How long dialling the node may take.
const DIAL_MAX: Duration = Duration::from_secs(5);

/// How long to wait after the machine could not accept (no more file descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

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
    /// Accepts until `stop` says so; ends when every connection has ended.
    pub(super) async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        mut stop: watch::Receiver<bool>,
    ) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let accept = async {
                let permit = Arc::clone(&room).acquire_owned().await;
                (listener.accept().await, permit)
            };
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                Some(_) = connections.join_next() => {}
                (accepted, permit) = accept => match accepted {
                    Ok((client, _)) => {
                        let link = Arc::clone(&self);
                        connections.spawn(async move {
                            link.admit(client).await;
                            drop(permit);
                        });
                    }
                    Err(e) => {
                        tracing::warn!("fabric could not accept a connection to {}: {e}", self.dial);
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
        drop(listener);
        connections.shutdown().await;
    }

    /// One connection from its first byte to its last.
    async fn admit(&self, client: TcpStream) {
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

/// Ends when the fabric is closed or dropped.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that it was dropped.
    let _ = stop.wait_for(|stopped| *stopped).await;
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
