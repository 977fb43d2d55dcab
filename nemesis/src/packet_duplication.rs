//! Packets of some links arrive twice.

use crate::fabric::{Counters, Packets};
use crate::network::PacketFault;

/// The fault `packet-duplication`.
#[derive(Debug)]
pub struct PacketDuplication;

impl PacketFault for PacketDuplication {
    const NAME: &'static str = "packet-duplication";
    const ABOUT: &'static str = "delivers some packets of links twice; only on a switch";
    const COLOUR: &'static str = "#a9a35a";

    fn packets(probability: f64) -> Packets {
        Packets {
            duplication: probability,
            ..Packets::default()
        }
    }

    fn effect(did: &Counters) -> u64 {
        did.packets_duplicated
    }
}
