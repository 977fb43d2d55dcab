//! The switch fabric: every node in a network namespace of its own, with one network interface,
//! and this process between them.
//!
//! For systems that are used as they are: whatever they send, over TCP or UDP and to whatever
//! address, passes the switch as packets. So a cut is silence, lost packets are sent again by the
//! kernels, and half-open connections are real. The controller is a member too: its clients'
//! packets are governed by the rules of their links, and what it asks nodes by itself by none.
//!
//! | module | what it does |
//! |---|---|
//! | `namespace` | network namespaces, of this process and of nodes |
//! | `device` | TUN devices |
//! | `subnet` | addresses, and where packets go |
//! | `packet` | what packets say, and how to spoil them |
//! | `flows` | connections, so that they can be reset |
//! | `queue` | packets that wait |
//! | `engine` | the thread that does it |
//! | `refusal` | why a machine does not allow it, and what to set |
//!
//! Only IPv4 is carried.
//!
//! All of it lives as long as some process is in it: after a SIGKILL of the controller nothing is
//! left once the nodes are gone.

mod device;
mod engine;
mod flows;
mod namespace;
mod packet;
mod queue;
mod refusal;
mod subnet;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tribunal_results::NodeId;

use self::device::Tun;
use self::engine::Engine;
use self::subnet::{NODES_MAX, Subnet};
use super::lane::Lane;

pub use namespace::{Namespace, Private, enter};
pub use refusal::Refusal;

/// Where a node lives.
#[derive(Clone, Debug)]
pub struct Home {
    /// Where it is to listen, and where others reach it.
    pub listen: SocketAddr,
    /// Where the controller reaches it whatever rules are in force.
    pub probe: SocketAddr,
    /// Its network.
    pub namespace: Arc<Namespace>,
}

/// A switch at work. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) homes: BTreeMap<NodeId, Home>,
    /// Closing it ends the thread.
    bell: Mutex<Option<UnixStream>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Switch {
    /// Makes the networks of the nodes, and begins to carry packets. `lane` gives the rules from
    /// one to another; `None` stands for the clients.
    pub(super) fn start(
        _: Private,
        nodes: &[NodeId],
        lane: impl Fn(Option<&NodeId>, Option<&NodeId>) -> Option<Arc<Lane>>,
    ) -> io::Result<Self> {
        if nodes.len() > NODES_MAX {
            let many = format!(
                "a switch has room for {NODES_MAX} nodes, not {}",
                nodes.len()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, many));
        }
        let subnet = Subnet::next();
        let mut tuns =
            vec![Tun::open(subnet.of_port(0), Subnet::netmask()).map_err(io::Error::other)?];
        let mut homes = BTreeMap::new();
        for (i, node) in (1..).zip(nodes) {
            let (namespace, tun) = apart(subnet, i).map_err(io::Error::other)?;
            tuns.push(tun);
            let home = Home {
                listen: subnet.listen(i),
                probe: subnet.probe(i),
                namespace: Arc::new(namespace),
            };
            homes.insert(Arc::clone(node), home);
        }
        let name = |port: usize| port.checked_sub(1).and_then(|i| nodes.get(i));
        let engine = Engine::new(subnet, tuns, |from, to| {
            (from != to).then(|| lane(name(from), name(to)))?
        });
        let (bell, wake) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        wake.set_nonblocking(true)?;
        let thread = thread::Builder::new()
            .name("switch".into())
            .spawn(move || engine.run(&wake))?;
        Ok(Self {
            homes,
            bell: Mutex::new(Some(bell)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Tells the thread that rules have changed.
    pub(super) fn wake(&self) {
        let bell = self.bell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(e)) = bell.as_ref().map(|mut bell| bell.write(&[1]))
            // If it is full, the thread has reason enough to look.
            && e.kind() != io::ErrorKind::WouldBlock
        {
            tracing::error!("the switch does not listen any more: {e}");
        }
    }

    /// Ends the thread; returns when that is done. Idempotent.
    pub(super) async fn close(&self) {
        let take_bell = || {
            self.bell
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
        };
        let take_thread = || {
            self.thread
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
        };
        drop(take_bell());
        if let Some(thread) = take_thread() {
            let joined = tokio::task::spawn_blocking(|| thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the thread of the switch ended badly");
            }
        }
    }
}

/// Makes the network of the node at a port, in a thread that ends with that.
fn apart(subnet: Subnet, port: usize) -> Result<(Namespace, Tun), Refusal> {
    let make = move || {
        let namespace = Namespace::of_this_thread()?;
        let tun = Tun::open(subnet.of_port(port), Subnet::netmask())?;
        Ok((namespace, tun))
    };
    let made = thread::Builder::new()
        .name("network".into())
        .spawn(make)
        .map(|thread| thread.join());
    match made {
        Ok(Ok(made)) => made,
        Ok(Err(_)) => Err(refusal::no_thread(io::Error::other("it panicked"))),
        Err(e) => Err(refusal::no_thread(e)),
    }
}

/// Makes the network of a node and gives it up again.
fn try_one() -> Result<(), Refusal> {
    apart(Subnet::next(), 1).map(drop)
}
