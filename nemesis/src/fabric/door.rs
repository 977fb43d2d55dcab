//! One listening address, and the links that begin there: one, or, of a node that all dial at the
//! same address, one for each who may dial it. Whose connection it is then says the owner of its
//! other end's socket.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tribunal_results::NodeId;

use super::link::Link;

/// The most connections of one address at once; more wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 1024;

/// How long to wait after the machine could not accept (no more file descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Knows whose sockets are whose.
pub trait SocketOwners: Send + Sync + fmt::Debug {
    /// Who has the socket at `near` that is connected to `far`: a node, or `clients` if it is no
    /// node's; `None` if there is no such socket any more. Called on a thread that may wait.
    fn owner(&self, near: SocketAddr, far: SocketAddr) -> Option<NodeId>;
}

/// A listening address.
#[derive(Debug, Default)]
pub(super) struct Door {
    /// By who dials.
    pub(super) links: Vec<(NodeId, Arc<Link>)>,
    /// Who says who dials, if that may be several.
    pub(super) owners: Option<Arc<dyn SocketOwners>>,
}

impl Door {
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
                    Ok((client, near)) => {
                        let door = Arc::clone(&self);
                        connections.spawn(async move {
                            door.lead(client, near).await;
                            drop(permit);
                        });
                    }
                    Err(e) => {
                        let to = self.links.first().map(|(_, link)| link.dial);
                        tracing::warn!("fabric could not accept a connection to {to:?}: {e}");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
        drop(listener);
        connections.shutdown().await;
    }

    /// One connection from its first byte to its last; reset if nobody has dialled it.
    async fn lead(&self, client: TcpStream, near: SocketAddr) {
        if let Some(link) = self.link(&client, near).await {
            link.admit(client).await;
        } else {
            tracing::debug!("fabric resets a connection of {near}, which is nobody's");
            // Fails only if the socket is dead already.
            let _ = client.set_zero_linger();
        }
    }

    /// The link of whoever dialled.
    async fn link(&self, client: &TcpStream, near: SocketAddr) -> Option<&Arc<Link>> {
        if let [(_, only)] = &self.links[..] {
            return Some(only);
        }
        let far = client.local_addr().ok()?;
        let owners = Arc::clone(self.owners.as_ref()?);
        let asked = tokio::task::spawn_blocking(move || owners.owner(near, far));
        let dialled = asked.await.ok()??;
        let mut links = self.links.iter();
        links
            .find(|(from, _)| *from == dialled)
            .map(|(_, link)| link)
    }
}

/// Ends when the fabric is closed or dropped.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that it was dropped.
    let _ = stop.wait_for(|stopped| *stopped).await;
}
