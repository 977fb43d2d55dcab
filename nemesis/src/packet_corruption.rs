//! Packets of some links arrive with a bit flipped.
//!
//! TCP notices, and has the segment sent again; a UDP datagram has its checksum taken away, so that
//! the program gets what arrived.

use crate::fabric::{Counters, Packets};
use crate::network::PacketFault;

/// The fault `packet-corruption`.
#[derive(Debug)]
pub struct PacketCorruption;

impl PacketFault for PacketCorruption {
    const NAME: &'static str = "packet-corruption";
    const ABOUT: &'static str = "flips a bit in some packets of links; only on a switch";
    const COLOUR: &'static str = "#8f7ab0";

    fn packets(probability: f64) -> Packets {
        Packets {
            corruption: probability,
            ..Packets::default()
        }
    }

    fn effect(did: &Counters) -> u64 {
        did.packets_corrupted
    }
}
