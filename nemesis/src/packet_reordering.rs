//! Packets of some links are overtaken by those sent after them.

use crate::fabric::{Counters, Packets};
use crate::network::PacketFault;

/// The fault `packet-reordering`.
#[derive(Debug)]
pub struct PacketReordering;

impl PacketFault for PacketReordering {
    const NAME: &'static str = "packet-reordering";
    const ABOUT: &'static str = "lets packets of links overtake each other; only on a switch";
    const COLOUR: &'static str = "#6f9f8a";

    fn packets(probability: f64) -> Packets {
        Packets {
            reordering: probability,
            ..Packets::default()
        }
    }

    fn effect(did: &Counters) -> u64 {
        did.packets_overtaken
    }
}
