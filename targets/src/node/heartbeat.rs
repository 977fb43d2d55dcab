//! Who is there: pings to peers, and who answered of late. It serves readiness and early refusal
//! only; nothing that must hold depends on it.

use std::collections::BTreeMap;

use tribunal_results::NodeId;

use super::machine::{MILLISECOND, Nanos, Outbox};
use crate::wire::Body;

/// The number of the heartbeat's timer; machines number theirs from 0.
pub const HEARTBEAT_TIMER: u64 = u64::MAX;
const PING_EVERY: Nanos = 100 * MILLISECOND;
/// A peer that has not answered for so long counts as gone: a few pings, and short enough that
/// clients are refused at once instead of running into their timeouts one by one.
const SILENCE_MAX: Nanos = 500 * MILLISECOND;

/// Pings some peers and remembers when each answered last.
#[derive(Debug)]
pub struct Heartbeat {
    peers: Vec<NodeId>,
    heard: BTreeMap<NodeId, Nanos>,
}

impl Heartbeat {
    /// Will ping `peers`.
    pub fn new(peers: Vec<NodeId>) -> Self {
        Self {
            peers,
            heard: BTreeMap::new(),
        }
    }

    /// Pings everyone and sets the timer for the next time.
    pub fn beat(&self, now: Nanos, out: &mut Outbox) {
        for peer in &self.peers {
            out.send(peer, Body::new("ping"));
        }
        out.timer(now + PING_EVERY, HEARTBEAT_TIMER);
    }

    /// A peer answered a ping.
    pub fn heard(&mut self, peer: &NodeId, now: Nanos) {
        if self.peers.contains(peer) {
            self.heard.insert(peer.clone(), now);
        }
    }

    /// The connection to a peer changed. A new one is pinged at once; what an old one had proved
    /// is forgotten.
    pub fn link(&mut self, peer: &NodeId, up: bool, out: &mut Outbox) {
        self.heard.remove(peer);
        if up && self.peers.contains(peer) {
            out.send(peer, Body::new("ping"));
        }
    }

    /// Whether the peer answered of late.
    pub fn is_alive(&self, peer: &NodeId, now: Nanos) -> bool {
        self.heard
            .get(peer)
            .is_some_and(|&at| now.saturating_sub(at) < SILENCE_MAX)
    }

    /// How many peers answered of late.
    pub fn alive(&self, now: Nanos) -> usize {
        self.peers
            .iter()
            .filter(|peer| self.is_alive(peer, now))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_alive_from_its_answer_until_silence_or_a_lost_connection() {
        let peer: NodeId = "n2".into();
        let mut heartbeat = Heartbeat::new(vec![peer.clone()]);
        let mut out = Outbox::default();
        assert_eq!(heartbeat.alive(0), 0);
        heartbeat.heard(&peer, 0);
        heartbeat.heard(&"n9".into(), 0);
        assert_eq!(heartbeat.alive(SILENCE_MAX - 1), 1);
        assert_eq!(heartbeat.alive(SILENCE_MAX), 0);
        heartbeat.heard(&peer, SILENCE_MAX);
        heartbeat.link(&peer, false, &mut out);
        assert_eq!(heartbeat.alive(SILENCE_MAX), 0);
        assert!(out.messages.is_empty());
        heartbeat.link(&peer, true, &mut out);
        assert_eq!(out.messages.len(), 1);
    }
}
