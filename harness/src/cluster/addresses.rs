//! Addresses of one run: a block that no other run has, held by a listening socket.
//!
//! The lock is a socket and not a file, so that the kernel lets go of it when its last holder is
//! gone, whoever started the run. The guard process inherits it: a block is free only after
//! whatever lived in it has been killed.
//!
//! Ports lie below the range that the kernel hands out to outgoing connections.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

/// The most nodes that one block has room for.
pub const NODES_MAX: usize = 50;

/// Listeners of one node: its own, and one for each that dials it (clients and nodes).
const SLOTS: u16 = 1 + 1 + NODES_MAX as u16;

/// Second octets of blocks of addresses.
const OCTETS: std::ops::RangeInclusive<u8> = 64..=250;
/// Last octet of the address that holds a block of addresses.
const LOCK_HOST: u8 = 254;
/// First port in a block of addresses.
const ADDRESS_PORT: u16 = 21_000;

/// First port of the first block of ports.
const PORTS_FROM: u16 = 11_000;
/// Ports in a block of ports: the one that holds it comes first.
const PORTS_PER_BLOCK: u16 = 1 + NODES_MAX as u16 * SLOTS;
/// Blocks of ports.
const PORT_BLOCKS: u16 = 8;

/// How a block keeps nodes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Node i has the address 127.x.y.i, and every node the same port.
    Addresses,
    /// Every node has 127.0.0.1, and ports of its own: for platforms where loopback is one address.
    Ports,
}

impl Layout {
    /// The better one of those that this machine can do.
    fn here() -> Self {
        let first = Ipv4Addr::new(127, *OCTETS.start(), 0, 1);
        match TcpListener::bind((first, 0)) {
            Ok(_) => Self::Addresses,
            Err(_) => Self::Ports,
        }
    }

    /// How many blocks there are.
    fn blocks(self) -> u32 {
        match self {
            Self::Addresses => u32::from(OCTETS.end() - OCTETS.start() + 1) * 256,
            Self::Ports => u32::from(PORT_BLOCKS),
        }
    }

    /// The address that holds block `n`: all others are counted from it.
    fn lock(self, n: u32) -> (Ipv4Addr, u16) {
        match self {
            Self::Addresses => {
                let [.., high, low] = n.to_be_bytes();
                let net = Ipv4Addr::new(127, OCTETS.start() + high, low, LOCK_HOST);
                (net, ADDRESS_PORT)
            }
            Self::Ports => {
                let [.., low] = n.to_be_bytes();
                let port = PORTS_FROM + u16::from(low) * PORTS_PER_BLOCK;
                (Ipv4Addr::LOCALHOST, port)
            }
        }
    }
}

/// Runs that start together begin to look at different places (Knuth's multiplicative hash).
fn first_look() -> u32 {
    std::process::id().wrapping_mul(0x9e37_79b1) >> 8
}

/// The addresses of one run, as long as this (or the guard's copy of its lock) lives.
#[derive(Debug)]
pub struct Block {
    layout: Layout,
    ip: Ipv4Addr,
    port: u16,
    lock: TcpListener,
}

impl Block {
    /// Takes a free block of the given layout, by default the best that this machine can do.
    ///
    /// # Errors
    /// If every block is taken, or loopback addresses cannot be bound.
    pub fn reserve(layout: Option<Layout>) -> io::Result<Self> {
        let layout = layout.unwrap_or_else(Layout::here);
        Self::first_free(layout, first_look(), layout.blocks())
    }

    /// The first free one of `count` blocks from `start`, counted in a circle.
    fn first_free(layout: Layout, start: u32, count: u32) -> io::Result<Self> {
        for n in start..start + count {
            let (ip, port) = layout.lock(n % layout.blocks());
            match TcpListener::bind((ip, port)) {
                Ok(lock) => {
                    return Ok(Self {
                        layout,
                        ip,
                        port,
                        lock,
                    });
                }
                Err(taken) if taken.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        let all = format!(
            "all {count} blocks of loopback addresses are taken: end other runs, and whatever \
             listens on every address at port {ADDRESS_PORT}"
        );
        Err(io::Error::new(io::ErrorKind::AddrInUse, all))
    }

    /// Where node `i` (from 1) listens.
    ///
    /// # Panics
    /// If `i` is not in `1..=NODES_MAX`.
    pub fn node(&self, i: usize) -> SocketAddr {
        self.slot(i, 0)
    }

    /// Where a proxy listens for what `from` (0 = clients, i = node i) dials to node `to`.
    ///
    /// # Panics
    /// If `from` is above [`NODES_MAX`], or `to` is not in `1..=NODES_MAX`.
    pub fn link(&self, from: usize, to: usize) -> SocketAddr {
        assert!(from <= NODES_MAX, "node {from} of at most {NODES_MAX}");
        self.slot(to, 1 + from)
    }

    /// The address that holds the block.
    pub fn lock(&self) -> SocketAddr {
        SocketAddr::from((self.ip, self.port))
    }

    /// Another descriptor of the lock, closed on exec: whoever has it holds the block too.
    pub(super) fn share(&self) -> io::Result<OwnedFd> {
        self.lock.try_clone().map(OwnedFd::from)
    }

    fn slot(&self, node: usize, slot: usize) -> SocketAddr {
        assert!(
            (1..=NODES_MAX).contains(&node),
            "node {node} of at most {NODES_MAX}"
        );
        let (host, slot) = (node as u8, slot as u16);
        match self.layout {
            Layout::Addresses => {
                let [a, b, c, _] = self.ip.octets();
                SocketAddr::from(([a, b, c, host], self.port + slot))
            }
            Layout::Ports => {
                let port = self.port + 1 + (u16::from(host) - 1) * SLOTS + slot;
                SocketAddr::from((self.ip, port))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn every_address(block: &Block) -> Vec<SocketAddr> {
        let mut all = vec![block.lock()];
        for to in 1..=NODES_MAX {
            all.push(block.node(to));
            all.extend((0..=NODES_MAX).map(|from| block.link(from, to)));
        }
        all
    }

    #[test]
    fn blocks_held_at_once_share_no_address() {
        for layout in [Layout::Addresses, Layout::Ports] {
            let blocks: Vec<_> = (0..3)
                .map(|_| Block::reserve(Some(layout)).unwrap())
                .collect();
            let all: Vec<_> = blocks.iter().flat_map(every_address).collect();
            let distinct: HashSet<_> = all.iter().collect();
            assert_eq!(distinct.len(), all.len(), "{layout:?}");
        }
    }

    #[test]
    fn ports_stay_below_those_of_outgoing_connections() {
        for layout in [Layout::Addresses, Layout::Ports] {
            for n in [0, layout.blocks() - 1] {
                let (ip, port) = layout.lock(n);
                let lock = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                let block = Block {
                    layout,
                    ip,
                    port,
                    lock,
                };
                for address in every_address(&block) {
                    assert!((1024..32768).contains(&address.port()), "{address}");
                    assert!(address.ip().is_loopback(), "{address}");
                }
            }
        }
    }

    /// Far from where [`Block::reserve`] looks in this process, so that no test is in the way.
    fn elsewhere() -> u32 {
        first_look() + 20_000
    }

    #[test]
    fn a_block_is_taken_while_any_copy_of_its_lock_is_open() {
        let block = Block::first_free(Layout::Addresses, elsewhere(), 100).unwrap();
        let address = block.lock();
        let copy = block.share().unwrap();
        drop(block);
        let taken = TcpListener::bind(address).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(copy);
        TcpListener::bind(address).unwrap();
    }

    #[test]
    fn if_every_block_is_taken_that_is_said() {
        let start = elsewhere() + 1000;
        let _held = Block::first_free(Layout::Addresses, start, 1);
        let error = Block::first_free(Layout::Addresses, start, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("end other runs"), "{error}");
    }
}
