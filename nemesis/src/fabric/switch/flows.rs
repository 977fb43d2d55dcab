//! TCP connections that pass through the switch: what each end expects next, so that both can be
//! told that the other has reset the connection.

use std::collections::HashMap;

use super::packet::{Packet, Segment, Socket, flag, reset};

/// The most connections that are followed; those beyond cannot be reset.
const FLOWS_MAX: usize = 65_536;

/// The ends of a connection in order, whoever dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ends([Socket; 2]);

impl Ends {
    /// The ends of a connection, and which of them sent the segment.
    fn of(packet: &Packet<'_>, segment: &Segment) -> (Self, usize) {
        let socket = |address, port| Socket { address, port };
        let from = socket(packet.source(), segment.source_port);
        let to = socket(packet.destination(), segment.destination_port);
        if from < to {
            (Self([from, to]), 0)
        } else {
            (Self([to, from]), 1)
        }
    }
}

/// A connection of that generation: its ends may have had others before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Connection {
    ends: Ends,
    generation: u64,
}

#[derive(Clone, Copy, Debug)]
struct Flow {
    generation: u64,
    /// By end: the port of the switch at which it is.
    ports: [usize; 2],
    /// By end: the sequence number after what it sent last.
    next: [u32; 2],
    ended: [bool; 2],
    accepted: bool,
    reset: bool,
}

/// What becomes of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It passes.
    Pass,
    /// It passes, and asks for a connection.
    Opens(Connection),
    /// It passes, and is the first to say that the connection is accepted.
    Accepts,
    /// It does not pass, as its connection was reset; its sender is told so.
    Answer(Vec<u8>),
}

/// A packet to be delivered at a port.
pub(super) type Delivery = (usize, Vec<u8>);

/// The connections of a switch.
#[derive(Debug, Default)]
pub(super) struct Flows {
    flows: HashMap<Ends, Flow>,
    generations: u64,
}

impl Flows {
    /// Takes note of a segment on its way from port `from` to port `to`.
    pub(super) fn pass(&mut self, from: usize, to: usize, packet: &Packet<'_>) -> Fate {
        let Some(segment) = packet.segment() else {
            return Fate::Pass;
        };
        let (ends, end) = Ends::of(packet, &segment);
        if segment.is_attempt() {
            return self.open(ends, end, (from, to), &segment);
        }
        let Some(flow) = self.flows.get_mut(&ends) else {
            return Fate::Pass;
        };
        if segment.has(flag::RST) {
            self.flows.remove(&ends);
            return Fate::Pass;
        }
        if flow.reset {
            // What it acknowledges is what it expects.
            let [from, to] = [ends.0[1 - end], ends.0[end]];
            return Fate::Answer(reset(from, to, segment.acknowledged, segment.next));
        }
        if segment.has(flag::SYN) && !flow.accepted {
            flow.accepted = true;
            flow.next[end] = segment.next;
            return Fate::Accepts;
        }
        flow.next[end] = later(flow.next[end], segment.next);
        flow.ended[end] |= segment.has(flag::FIN);
        Fate::Pass
    }

    fn open(&mut self, ends: Ends, end: usize, link: (usize, usize), segment: &Segment) -> Fate {
        if let Some(flow) = self.flows.get(&ends)
            && !flow.reset
            && flow.next[end] == segment.next
        {
            // The same attempt again.
            return Fate::Pass;
        }
        if self.flows.len() >= FLOWS_MAX {
            self.flows
                .retain(|_, flow| !flow.reset && flow.ended != [true; 2]);
        }
        if self.flows.len() >= FLOWS_MAX {
            return Fate::Pass;
        }
        self.generations += 1;
        let (from, to) = link;
        let mut flow = Flow {
            generation: self.generations,
            ports: if end == 0 { [from, to] } else { [to, from] },
            next: [0; 2],
            ended: [false; 2],
            accepted: false,
            reset: false,
        };
        flow.next[end] = segment.next;
        self.flows.insert(ends, flow);
        Fate::Opens(Connection {
            ends,
            generation: self.generations,
        })
    }

    /// Every connection between two ports, whichever dialled, that was not reset.
    pub(super) fn between(&self, a: usize, b: usize) -> Vec<Connection> {
        let of_link = |(ends, flow): (&Ends, &Flow)| {
            let here = flow.ports == [a, b] || flow.ports == [b, a];
            let hit = here && !flow.reset && flow.ended != [true; 2];
            hit.then_some(Connection {
                ends: *ends,
                generation: flow.generation,
            })
        };
        self.flows.iter().filter_map(of_link).collect()
    }

    /// Resets a connection: what to deliver to which ports; nothing if it is no more.
    pub(super) fn reset(&mut self, connection: Connection) -> Vec<Delivery> {
        let Connection { ends, generation } = connection;
        let Some(flow) = self.flows.get_mut(&ends) else {
            return Vec::new();
        };
        if flow.generation != generation || flow.reset {
            return Vec::new();
        }
        flow.reset = true;
        let Ends([a, b]) = ends;
        let [at_a, at_b] = flow.ports;
        vec![
            (at_a, reset(b, a, flow.next[1], flow.next[0])),
            (at_b, reset(a, b, flow.next[0], flow.next[1])),
        ]
    }
}

/// The answer to an attempt that nobody accepts.
pub(super) fn refusal(attempt: &Packet<'_>) -> Option<Vec<u8>> {
    let segment = attempt.segment()?;
    let (Ends(ends), end) = Ends::of(attempt, &segment);
    Some(reset(ends[1 - end], ends[end], 0, segment.next))
}

/// The later of two sequence numbers.
const fn later(a: u32, b: u32) -> u32 {
    if (b.wrapping_sub(a) as i32) > 0 { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::super::packet::tests::segment;
    use super::*;

    const CLIENT: Socket = Socket {
        address: std::net::Ipv4Addr::new(10, 70, 254, 1),
        port: 40_000,
    };
    const NODE: Socket = Socket {
        address: std::net::Ipv4Addr::new(10, 70, 0, 2),
        port: 21_000,
    };

    /// Where the node's numbers begin: more than half way round.
    const ISN: u32 = 3_000_000_200;

    /// A segment of the client (port 0) or the node (port 2), and what becomes of it.
    fn say(flows: &mut Flows, from_client: bool, flags: u8, at: (u32, u32), data: &[u8]) -> Fate {
        let (sockets, ports) = match from_client {
            true => ((CLIENT, NODE), (0, 2)),
            false => ((NODE, CLIENT), (2, 0)),
        };
        let mut bytes = segment(sockets, flags, at, data);
        flows.pass(ports.0, ports.1, &Packet::parse(&mut bytes).unwrap())
    }

    /// A connection on which the client has sent 5 bytes and the node 3.
    fn connected() -> (Flows, Connection) {
        let mut flows = Flows::default();
        let Fate::Opens(connection) = say(&mut flows, true, flag::SYN, (100, 0), b"") else {
            panic!("not opened");
        };
        let answer = flag::SYN | flag::ACK;
        let fate = say(&mut flows, false, answer, (ISN, 101), b"");
        assert_eq!(fate, Fate::Accepts);
        let again = say(&mut flows, false, answer, (ISN, 101), b"");
        assert_eq!(again, Fate::Pass);
        say(&mut flows, true, flag::ACK, (101, ISN + 1), b"hello");
        say(&mut flows, false, flag::ACK, (ISN + 1, 106), b"abc");
        (flows, connection)
    }

    fn told(delivery: &Delivery) -> (usize, u32) {
        let mut bytes = delivery.1.clone();
        let segment = Packet::parse(&mut bytes).unwrap().segment().unwrap();
        assert!(segment.has(flag::RST));
        (delivery.0, segment.sequence)
    }

    #[test]
    fn a_reset_tells_each_end_at_the_number_that_it_expects() {
        let (mut flows, connection) = connected();
        assert_eq!(flows.between(2, 0), [connection]);
        assert!(flows.between(1, 2).is_empty());
        let mut deliveries: Vec<_> = flows.reset(connection).iter().map(told).collect();
        deliveries.sort_unstable();
        assert_eq!(deliveries, [(0, ISN + 4), (2, 106)]);
        assert!(flows.reset(connection).is_empty(), "once");
        assert!(flows.between(0, 2).is_empty());
    }

    #[test]
    fn whoever_goes_on_after_a_reset_is_told_so_at_the_number_that_it_gives() {
        let (mut flows, connection) = connected();
        flows.reset(connection);
        let fate = say(&mut flows, true, flag::ACK, (106, ISN + 7), b"more");
        let Fate::Answer(bytes) = fate else {
            panic!("{fate:?}");
        };
        let to = Packet::parse(&mut bytes.clone()).unwrap().destination();
        assert_eq!(to, CLIENT.address);
        assert_eq!(told(&(0, bytes)), (0, ISN + 7));
    }

    #[test]
    fn ends_that_connect_anew_are_another_connection() {
        let (mut flows, old) = connected();
        flows.reset(old);
        let fate = say(&mut flows, true, flag::SYN, (900, 0), b"");
        assert!(matches!(fate, Fate::Opens(_)), "{fate:?}");
        assert_eq!(say(&mut flows, true, flag::SYN, (900, 0), b""), Fate::Pass);
        assert!(flows.reset(old).is_empty());
        assert_eq!(flows.between(0, 2).len(), 1);
    }

    #[test]
    fn a_connection_that_has_ended_is_not_reset() {
        let (mut flows, _) = connected();
        say(&mut flows, true, flag::FIN | flag::ACK, (106, ISN + 4), b"");
        assert_eq!(flows.between(0, 2).len(), 1);
        say(
            &mut flows,
            false,
            flag::FIN | flag::ACK,
            (ISN + 4, 107),
            b"",
        );
        assert!(flows.between(0, 2).is_empty());
        let (mut flows, _) = connected();
        say(&mut flows, false, flag::RST, (ISN + 4, 0), b"");
        assert!(flows.between(0, 2).is_empty());
    }

    #[test]
    fn sequence_numbers_wrap() {
        assert_eq!(later(5, u32::MAX), 5);
        assert_eq!(later(u32::MAX, 5), 5);
        assert_eq!(later(7, 9), 9);
    }
}
