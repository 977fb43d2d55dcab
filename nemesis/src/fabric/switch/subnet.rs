//! The addresses of one switch: a network `10.x.0.0/16`.
//!
//! | address | whose |
//! |---|---|
//! | `10.x.0.i` | node i |
//! | `10.x.1.i` | node i once more, as the controller calls it where no rule is to apply |
//! | `10.x.254.1` | the controller, and with it the clients |
//! | `10.x.255.1` | the controller, as a node sees it where no rule is to apply |
//!
//! What the controller sends to `10.x.1.i` the switch delivers to `10.x.0.i`, from `10.x.255.1`,
//! and answers the other way round. Source and destination change by the same amount in opposite
//! directions, so that every checksum stays right (the idea of RFC 6296).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};

use super::packet::Packet;

/// The most nodes that a switch has room for.
pub(super) const NODES_MAX: usize = 254;
/// Where nodes listen.
const PORT: u16 = 21_000;
/// Third octets.
const NODE: u8 = 0;
const ALIAS: u8 = 1;
const CLIENTS: u8 = 254;
const CONTROL: u8 = 255;
/// Networks begin at this second octet, and there are so many.
const OCTETS_FROM: u8 = 64;
const OCTETS: u8 = 128;

/// Where a packet goes. Ports of the switch are numbered: 0 is the controller, i node i.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To that port, by the rules of the link.
    Link(usize),
    /// To that port, by no rule.
    Control(usize),
}

/// The network of one switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subnet {
    octet: u8,
}

impl Subnet {
    /// Another than the last of this process.
    pub(super) fn next() -> Self {
        static USED: AtomicU8 = AtomicU8::new(0);
        let used = USED.fetch_add(1, Ordering::Relaxed);
        Self {
            octet: OCTETS_FROM + used % OCTETS,
        }
    }

    pub(super) const fn netmask() -> Ipv4Addr {
        Ipv4Addr::new(255, 255, 0, 0)
    }

    const fn address(self, third: u8, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, self.octet, third, host)
    }

    /// The address of the interface at a port.
    pub(super) const fn of_port(self, port: usize) -> Ipv4Addr {
        match port {
            0 => self.address(CLIENTS, 1),
            node => self.address(NODE, node as u8),
        }
    }

    /// Where node `i` (from 1) listens.
    pub(super) const fn listen(self, i: usize) -> SocketAddr {
        SocketAddr::new(std::net::IpAddr::V4(self.of_port(i)), PORT)
    }

    /// Where the controller reaches it whatever rules are in force.
    pub(super) const fn probe(self, i: usize) -> SocketAddr {
        let alias = self.address(ALIAS, i as u8);
        SocketAddr::new(std::net::IpAddr::V4(alias), PORT)
    }

    /// Where a packet from a port goes, with its addresses translated if need be; `None` if
    /// nowhere. Which ports exist the caller knows.
    pub(super) fn route(self, from: usize, packet: &mut Packet<'_>) -> Option<Way> {
        let [ten, octet, third, host] = packet.destination().octets();
        if (ten, octet) != (10, self.octet) {
            return None;
        }
        match (from, third) {
            (_, NODE) if host > 0 => Some(Way::Link(usize::from(host))),
            (1.., CLIENTS) if host == 1 => Some(Way::Link(0)),
            (0, ALIAS) if host > 0 => {
                packet.set_addresses(self.address(CONTROL, 1), self.address(NODE, host));
                Some(Way::Control(usize::from(host)))
            }
            (1.., CONTROL) if host == 1 => {
                packet.set_addresses(self.address(ALIAS, from as u8), self.address(CLIENTS, 1));
                Some(Way::Control(0))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::tests::{datagram, has_right_checksums};
    use super::*;

    const NET: Subnet = Subnet { octet: 70 };

    fn routed(from: usize, source: Ipv4Addr, destination: Ipv4Addr) -> (Option<Way>, Vec<u8>) {
        let mut bytes = datagram(source, destination, b"hello");
        let way = NET.route(from, &mut Packet::parse(&mut bytes).unwrap());
        (way, bytes)
    }

    #[test]
    fn packets_go_by_their_destination() {
        let (clients, n2) = (NET.of_port(0), NET.of_port(2));
        assert_eq!(routed(0, clients, n2).0, Some(Way::Link(2)));
        assert_eq!(routed(2, n2, clients).0, Some(Way::Link(0)));
        assert_eq!(routed(1, NET.of_port(1), n2).0, Some(Way::Link(2)));
        let elsewhere = [
            [10, 71, 0, 2],
            [192, 168, 0, 1],
            [10, 70, 0, 0],
            [10, 70, 9, 9],
        ];
        for destination in elsewhere {
            assert_eq!(routed(1, n2, destination.into()).0, None, "{destination:?}");
        }
        // Only the controller may go round the rules.
        assert_eq!(routed(1, NET.of_port(1), NET.address(ALIAS, 2)).0, None);
    }

    #[test]
    fn the_controllers_own_way_is_translated_forth_and_back_and_checksums_stay_right() {
        let SocketAddr::V4(probe) = NET.probe(3) else {
            panic!("IPv4 only");
        };
        let (way, mut there) = routed(0, NET.of_port(0), *probe.ip());
        assert_eq!(way, Some(Way::Control(3)));
        assert!(has_right_checksums(&there));
        let seen = Packet::parse(&mut there).unwrap();
        assert_eq!(seen.destination(), NET.of_port(3));
        let answer_to = seen.source();
        assert_ne!(answer_to, NET.of_port(0));
        let (way, mut back) = routed(3, NET.of_port(3), answer_to);
        assert_eq!(way, Some(Way::Control(0)));
        assert!(has_right_checksums(&back));
        let seen = Packet::parse(&mut back).unwrap();
        assert_eq!(
            (seen.source(), seen.destination()),
            (*probe.ip(), NET.of_port(0))
        );
    }

    #[test]
    fn switches_of_one_process_have_networks_of_their_own() {
        assert_ne!(Subnet::next(), Subnet::next());
    }
}
