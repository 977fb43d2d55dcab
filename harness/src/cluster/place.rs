//! Where a node lives: on loopback addresses among others, or in a network of its own.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tribunal_nemesis::fabric::switch::Home;

use super::procfs;
use super::spawn::Spawner;

/// Sockets of this process's network.
const OWN_NETWORK: &str = "/proc/net";

/// Where a node lives, who starts it there, and how it is seen from outside.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Starts its processes.
    pub(super) spawner: Spawner,
    /// Where it listens.
    pub(super) listen: SocketAddr,
    /// Where it is asked whether it is ready, whatever is broken.
    pub(super) probe: SocketAddr,
    /// The kernel's lists of sockets there.
    network: PathBuf,
}

impl Place {
    /// Among others: `spawner` starts them all.
    pub(super) fn shared(spawner: &Spawner, listen: SocketAddr) -> Self {
        Self {
            spawner: spawner.clone(),
            listen,
            probe: listen,
            network: OWN_NETWORK.into(),
        }
    }

    /// In a network of its own, with a thread there that starts it.
    ///
    /// # Errors
    /// If the thread cannot be started, or not go there.
    pub(super) fn apart(home: &Home) -> io::Result<Self> {
        let (spawner, thread) = Spawner::start_in(home)?;
        Ok(Self {
            spawner,
            listen: home.listen,
            probe: home.probe,
            network: format!("/proc/self/task/{thread}/net").into(),
        })
    }

    /// The inode of the socket that listens at the node's address.
    pub(super) fn listener(&self) -> Option<u64> {
        procfs::listener(&self.network, self.listen)
    }

    /// Who listens at its address, for people.
    pub(super) fn holder(&self) -> String {
        match self.listener().and_then(procfs::owner) {
            Some(pid) => format!("process {pid} ({})", procfs::name(pid)),
            None => "a process of another user".into(),
        }
    }
}
