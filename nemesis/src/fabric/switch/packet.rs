//! IPv4 packets as TUN devices hand them over: a `virtio_net_hdr` of ten bytes, then the packet.
//!
//! Only what the switch needs: whose it is, whether it is a TCP segment, and how to spoil it.

use std::net::Ipv4Addr;

/// Bytes before each packet: flags, kind of super-packet, and four numbers of two bytes.
pub(super) const PREFIX: usize = 10;
/// The longest packet with its prefix.
pub(super) const BYTES_MAX: usize = PREFIX + 65_535;

/// The checksum is to be completed by whoever needs it: it covers the rest from `csum_start`.
const NEEDS_CHECKSUM: u8 = 1;
/// Offset of the kind of super-packet in the prefix; 0 is a packet of its own.
const KIND: usize = 1;
const CSUM_START: usize = 6;
const CSUM_OFFSET: usize = 8;

const IP_BYTES: usize = 20;
const TCP_BYTES: usize = 20;
const UDP_BYTES: usize = 8;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Flags of a TCP segment.
pub(super) mod flag {
    pub(in super::super) const FIN: u8 = 1;
    pub(in super::super) const SYN: u8 = 2;
    pub(in super::super) const RST: u8 = 4;
    pub(in super::super) const ACK: u8 = 16;
}

/// What a TCP segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) sequence: u32,
    pub(super) acknowledged: u32,
    pub(super) flags: u8,
    /// The sequence number after it.
    pub(super) next: u32,
}

impl Segment {
    pub(super) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether it asks for a connection.
    pub(super) const fn is_attempt(&self) -> bool {
        self.has(flag::SYN) && !self.has(flag::ACK)
    }
}

/// A packet with its prefix, whose headers are complete.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    bytes: &'a mut [u8],
    /// Where the header after that of IP begins.
    body: usize,
}

impl<'a> Packet<'a> {
    /// `None` if it is not IPv4, or not whole.
    pub(super) fn parse(bytes: &'a mut [u8]) -> Option<Self> {
        let ip = bytes.get(PREFIX..)?;
        let first = *ip.first()?;
        let header = usize::from(first & 15) * 4;
        let whole = first >> 4 == 4 && header >= IP_BYTES && ip.len() >= header;
        whole.then_some(Self {
            bytes,
            body: PREFIX + header,
        })
    }

    /// All of it, with its prefix.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Its length over the wire.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - PREFIX
    }

    fn address(&self, at: usize) -> Ipv4Addr {
        let mut octets = [0; 4];
        octets.copy_from_slice(&self.bytes[PREFIX + at..PREFIX + at + 4]);
        octets.into()
    }

    pub(super) fn source(&self) -> Ipv4Addr {
        self.address(12)
    }

    pub(super) fn destination(&self) -> Ipv4Addr {
        self.address(16)
    }

    /// Changes both addresses; the caller sees to it that no checksum changes.
    pub(super) fn set_addresses(&mut self, source: Ipv4Addr, destination: Ipv4Addr) {
        self.bytes[PREFIX + 12..PREFIX + 16].copy_from_slice(&source.octets());
        self.bytes[PREFIX + 16..PREFIX + 20].copy_from_slice(&destination.octets());
    }

    fn protocol(&self) -> u8 {
        self.bytes[PREFIX + 9]
    }

    /// Whether it is a part of a larger datagram.
    fn is_fragment(&self) -> bool {
        // All but the flag "don't fragment".
        let fragment = u16_at(self.bytes, PREFIX + 6).unwrap_or_default();
        fragment & 0xbfff != 0
    }

    fn is_super_packet(&self) -> bool {
        self.bytes[KIND] != 0
    }

    /// What it says as a TCP segment, if it is one.
    pub(super) fn segment(&self) -> Option<Segment> {
        let tcp = self.bytes.get(self.body..)?;
        if self.protocol() != TCP || self.is_fragment() || tcp.len() < TCP_BYTES {
            return None;
        }
        let flags = tcp[13];
        let data = tcp.len().checked_sub(usize::from(tcp[12] >> 4) * 4)?;
        let spare = u32::from(flags & flag::SYN != 0) + u32::from(flags & flag::FIN != 0);
        let sequence = u32_at(tcp, 4)?;
        Some(Segment {
            source_port: u16_at(tcp, 0)?,
            destination_port: u16_at(tcp, 2)?,
            sequence,
            acknowledged: u32_at(tcp, 8)?,
            flags,
            next: sequence.wrapping_add(data as u32).wrapping_add(spare),
        })
    }

    /// Flips one bit of its payload, chosen by `choice`; returns whether it has one to flip. TCP
    /// sees a wrong checksum, and has the segment sent again; a UDP datagram loses its checksum,
    /// so that the program gets it as it is.
    pub(super) fn corrupt(&mut self, choice: u64) -> bool {
        let Some(payload) = self.payload() else {
            return false;
        };
        let bits = (self.bytes.len() - payload) as u64 * 8;
        if bits == 0 {
            return false;
        }
        self.complete_checksum();
        if self.protocol() == UDP {
            self.bytes[self.body + 6..self.body + 8].fill(0);
        }
        let bit = choice % bits;
        self.bytes[payload + (bit / 8) as usize] ^= 1 << (bit % 8);
        true
    }

    /// Where the payload begins that can be spoilt.
    fn payload(&self) -> Option<usize> {
        if self.is_fragment() || self.is_super_packet() {
            return None;
        }
        let rest = self.bytes.get(self.body..)?;
        let header = match self.protocol() {
            TCP => usize::from(rest.get(12)? >> 4) * 4,
            UDP => UDP_BYTES,
            _ => return None,
        };
        (rest.len() >= header).then_some(self.body + header)
    }

    /// Does what the kernel has left to be done.
    fn complete_checksum(&mut self) {
        if self.bytes[0] & NEEDS_CHECKSUM == 0 {
            return;
        }
        let number =
            |at: usize| usize::from(u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]));
        let start = PREFIX + number(CSUM_START);
        let at = start + number(CSUM_OFFSET);
        self.bytes[0] = 0;
        let Some(covered) = self.bytes.get(start..) else {
            return;
        };
        // What stands in the field already covers the addresses.
        let sum = checksum(covered);
        if let Some(field) = self.bytes.get_mut(at..at + 2) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes(two.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

/// The internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| {
        let low = word.get(1).copied().unwrap_or_default();
        u32::from(u16::from_be_bytes([word[0], low]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// One end of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Socket {
    pub(super) address: Ipv4Addr,
    pub(super) port: u16,
}

/// A segment that resets a connection, with its prefix: as from `from`, to `to`, at the sequence
/// number that `to` expects.
pub(super) fn reset(from: Socket, to: Socket, sequence: u32, acknowledged: u32) -> Vec<u8> {
    let mut tcp = Vec::with_capacity(TCP_BYTES);
    tcp.extend(from.port.to_be_bytes());
    tcp.extend(to.port.to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(acknowledged.to_be_bytes());
    // Five words of header; no window, checksum and urgent pointer.
    tcp.extend([5 << 4, flag::RST | flag::ACK, 0, 0, 0, 0, 0, 0]);
    packet(from.address, to.address, TCP, tcp, 16)
}

/// Puts headers before `body`, whose own checksum is at `sum_at`.
fn packet(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, mut body: Vec<u8>, sum_at: usize) -> Vec<u8> {
    const HOPS: u8 = 64;
    let length = (body.len() as u16).to_be_bytes();
    let total = ((IP_BYTES + body.len()) as u16).to_be_bytes();
    let (from, to) = (from.octets(), to.octets());
    let pseudo = [&from[..], &to, &[0, protocol], &length, &body].concat();
    body[sum_at..sum_at + 2].copy_from_slice(&checksum(&pseudo).to_be_bytes());
    let start = [
        0x45, 0, total[0], total[1], 0, 0, 0x40, 0, HOPS, protocol, 0, 0,
    ];
    let mut ip = [&start[..], &from, &to].concat();
    let sum = checksum(&ip).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);
    [&[0; PREFIX][..], &ip, &body].concat()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 70, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 70, 254, 1);

    /// A UDP datagram from port 7 to port 9, with its prefix.
    pub(in super::super) fn datagram(from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
        let length = (UDP_BYTES + payload.len()) as u16;
        let header = [7, 9, length, 0].map(u16::to_be_bytes).concat();
        packet(from, to, UDP, [&header, payload].concat(), 6)
    }

    /// A TCP segment, with its prefix.
    pub(in super::super) fn segment(
        (from, to): (Socket, Socket),
        flags: u8,
        (sequence, acknowledged): (u32, u32),
        payload: &[u8],
    ) -> Vec<u8> {
        let mut bytes = reset(from, to, sequence, acknowledged);
        let mut tcp = bytes.split_off(PREFIX + IP_BYTES);
        tcp[13] = flags;
        tcp[16..18].fill(0);
        tcp.extend(payload);
        packet(from.address, to.address, TCP, tcp, 16)
    }

    /// Whether a receiver would take both checksums for right.
    pub(in super::super) fn has_right_checksums(bytes: &[u8]) -> bool {
        let (ip, body) = bytes[PREFIX..].split_at(IP_BYTES);
        let length = (body.len() as u16).to_be_bytes();
        let pseudo = [&ip[12..20], &[0, ip[9]], &length, body].concat();
        checksum(ip) == 0 && checksum(&pseudo) == 0
    }

    fn sockets() -> (Socket, Socket) {
        let socket = |address, port| Socket { address, port };
        (socket(A, 1000), socket(B, 2000))
    }

    #[test]
    fn what_is_not_a_whole_ipv4_packet_is_not_parsed() {
        assert!(Packet::parse(&mut []).is_none());
        assert!(Packet::parse(&mut [0; PREFIX]).is_none());
        let mut six = datagram(A, B, b"");
        six[PREFIX] = 0x65;
        assert!(Packet::parse(&mut six).is_none());
        let mut cut = datagram(A, B, b"");
        assert!(Packet::parse(&mut cut[..PREFIX + IP_BYTES - 1]).is_none());
    }

    #[test]
    fn a_segment_says_what_comes_after_it() {
        let syn_data = segment(sockets(), flag::SYN, (u32::MAX, 5), b"abc");
        let said = Packet::parse(&mut syn_data.clone())
            .unwrap()
            .segment()
            .unwrap();
        assert_eq!((said.source_port, said.destination_port), (1000, 2000));
        assert_eq!((said.sequence, said.next), (u32::MAX, 3));
        assert!(said.is_attempt());
        assert!(has_right_checksums(&syn_data));
        let mut datagram = datagram(A, B, &[0; 40]);
        assert_eq!(Packet::parse(&mut datagram).unwrap().segment(), None);
    }

    #[test]
    fn a_reset_is_a_right_segment() {
        let (from, to) = sockets();
        let mut bytes = reset(from, to, 77, 88);
        assert!(has_right_checksums(&bytes));
        let said = Packet::parse(&mut bytes).unwrap().segment().unwrap();
        assert!(said.has(flag::RST));
        assert_eq!((said.sequence, said.acknowledged), (77, 88));
    }

    #[test]
    fn a_spoilt_datagram_reaches_the_program_and_a_spoilt_segment_does_not() {
        for choice in [0, 1, 77, u64::MAX] {
            let whole = datagram(A, B, b"payload");
            let mut bytes = whole.clone();
            assert!(Packet::parse(&mut bytes).unwrap().corrupt(choice));
            let header = PREFIX + IP_BYTES + UDP_BYTES;
            assert_eq!(bytes[header - 2..header], [0, 0], "no checksum");
            let flipped: u32 = bytes[header..]
                .iter()
                .zip(&whole[header..])
                .map(|(a, b)| (a ^ b).count_ones())
                .sum();
            assert_eq!(flipped, 1);

            let mut bytes = segment(sockets(), flag::ACK, (1, 1), b"payload");
            assert!(Packet::parse(&mut bytes).unwrap().corrupt(choice));
            assert!(!has_right_checksums(&bytes));
        }
        let mut empty = segment(sockets(), flag::ACK, (1, 1), b"");
        assert!(!Packet::parse(&mut empty).unwrap().corrupt(3));
    }

    #[test]
    fn a_checksum_that_was_left_open_is_completed_first() {
        let whole = segment(sockets(), flag::ACK, (1, 1), b"payload");
        let mut open = whole.clone();
        let body = PREFIX + IP_BYTES;
        // As the kernel leaves it: the sum of the pseudo-header, not inverted.
        let length = (open.len() - body) as u16;
        let pseudo = [&open[PREFIX + 12..body], &[0, TCP], &length.to_be_bytes()].concat();
        open[body + 16..body + 18].copy_from_slice(&(!checksum(&pseudo)).to_be_bytes());
        open[0] = NEEDS_CHECKSUM;
        open[CSUM_START..CSUM_START + 2].copy_from_slice(&(IP_BYTES as u16).to_ne_bytes());
        open[CSUM_OFFSET..CSUM_OFFSET + 2].copy_from_slice(&16_u16.to_ne_bytes());
        Packet::parse(&mut open).unwrap().complete_checksum();
        assert!(has_right_checksums(&open));
        assert_eq!(open[body..], whole[body..]);
    }
}
