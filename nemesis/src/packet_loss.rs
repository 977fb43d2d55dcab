//! Packets of some links are lost.

use crate::fabric::{Counters, Packets};
use crate::network::PacketFault;

/// The fault `packet-loss`.
#[derive(Debug)]
pub struct PacketLoss;

impl PacketFault for PacketLoss {
    const NAME: &'static str = "packet-loss";
    const ABOUT: &'static str = "loses some packets of links; only on a switch";
    const COLOUR: &'static str = "#c76b5a";

    fn packets(probability: f64) -> Packets {
        Packets {
            loss: probability,
            ..Packets::default()
        }
    }

    fn effect(did: &Counters) -> u64 {
        did.packets_lost
    }
}
