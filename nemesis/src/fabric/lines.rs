//! The same lanes without sockets: single lines that somebody else carries are told their fate.
//!
//! Here a cut loses what it hits, as a network of datagrams would: nobody sends it again but the
//! nodes themselves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::watch;
use tokio::time::Instant;
use tribunal_results::NodeId;
use tribunal_targets::network::{CLIENTS, Fate, Network, Way};

use super::counters::count;
use super::lane::Lane;
use super::{Fabric, Maker, Nature, Pair, fate};

/// What a cut does to a line.
const CUT: &str = "the link was cut";

/// One direction.
#[derive(Debug)]
struct LineWay {
    lane: Arc<Lane>,
    /// How many lines set out.
    entered: AtomicU64,
    /// The latest of those that arrived.
    latest: AtomicU64,
}

impl LineWay {
    fn tapped(&self, number: Option<u64>, tell: impl FnOnce(&dyn super::Tap, u64)) {
        if let (Some(tapped), Some(number)) = (&self.lane.origin.tapped, number) {
            tell(&*tapped.tap, number);
        }
    }

    fn is_cut(&self, fate: &Fate, bytes: usize) -> bool {
        let is_cut = self.lane.now().cut;
        if is_cut {
            count(&self.lane.tally.bytes_held, bytes);
            self.lose(fate, CUT);
        }
        is_cut
    }

    /// What the rules of single messages do to it.
    fn meet(&self, fate: fate::Fate, mine: &mut Fate) {
        let tally = &self.lane.tally;
        let altered = |how| self.tapped(mine.number, |tap, number| tap.altered(number, how));
        if let Some((mut changed, lie)) = fate.lie {
            count(&tally.corrupted, 1);
            altered(lie.text());
            changed.truncate(changed.trim_ascii_end().len());
            mine.altered = Some(changed);
        }
        if fate.held.is_some() {
            altered("it was held back");
            mine.is_held = true;
        }
        if fate.again.is_some() {
            count(&tally.duplicated, 1);
            altered("it was duplicated");
        }
        let late = mine.arrives.unwrap_or_default();
        mine.again = fate.again.map(|more| late + more);
        mine.arrives = Some(late + fate.held.unwrap_or_default());
    }
}

impl Way for LineWay {
    fn enter(&self, line: &[u8]) -> Fate {
        let (rule, lane) = (self.lane.now(), &self.lane);
        let tapped = lane.origin.tapped.as_ref();
        let mut mine = Fate {
            number: tapped.and_then(|to| to.tap.sent(&to.from, &to.to, line)),
            turn: self.entered.fetch_add(1, Relaxed) + 1,
            ..Fate::default()
        };
        if self.is_cut(&mine, line.len()) {
            return mine;
        }
        mine.arrives = Some(std::time::Duration::ZERO);
        if !rule.makes_late() {
            return mine;
        }
        if let Some(bandwidth) = rule.bandwidth {
            let now = Instant::now();
            if let Some(passed) = lane.pace(&bandwidth, line.len(), now) {
                count(&lane.tally.bytes_throttled, line.len());
                mine.arrives = Some(passed.saturating_duration_since(now));
            }
        }
        if !rule.delay.is_zero() {
            count(&lane.tally.bytes_delayed, line.len());
            let late = lane.draw_delay(&rule.delay);
            mine.arrives = mine.arrives.map(|arrives| arrives + late);
        }
        if rule.messages.is_none() {
            return mine;
        }
        let fate = lane.fate(&rule, line);
        if fate.is_dropped {
            count(&lane.tally.omitted, 1);
            self.lose(&mine, "it was omitted");
            mine.arrives = None;
            return mine;
        }
        self.meet(fate, &mut mine);
        mine
    }

    fn leave(&self, fate: &Fate, bytes: usize) -> bool {
        if self.is_cut(fate, bytes) {
            return false;
        }
        let tally = &self.lane.tally;
        if self.latest.fetch_max(fate.turn, Relaxed) > fate.turn {
            count(&tally.overtook, 1);
        }
        count(&tally.bytes_forwarded, bytes);
        self.tapped(fate.number, |tap, number| tap.delivered(number));
        true
    }

    fn lose(&self, fate: &Fate, why: &'static str) {
        self.tapped(fate.number, |tap, number| tap.lost(number, why));
    }
}

impl Fabric {
    /// Tells the fates of lines between those ends, which somebody else carries. Some ends have
    /// addresses, as others know them; nobody listens there.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn open_lines(
        nature: Nature,
        ends: &[NodeId],
        addresses: &[(NodeId, SocketAddr)],
        seed: u64,
    ) -> std::io::Result<Arc<Self>> {
        // Nodes have addresses.
        let is_node = |id: &NodeId| addresses.iter().any(|(node, _)| node == id);
        let is_service = |id: &&NodeId| ***id != *CLIENTS && !is_node(id);
        let maker = Maker::new(nature, ends.to_vec(), seed)?;
        let pairs = ends
            .iter()
            .flat_map(|from| ends.iter().map(move |to| (from, to)));
        let mut known: BTreeMap<Pair, SocketAddr> = BTreeMap::new();
        let mut lanes = BTreeMap::new();
        for (from, to) in pairs.filter(|(from, to)| from != to) {
            let pair: Pair = (from.clone(), to.clone());
            if let Some((_, address)) = addresses.iter().find(|(id, _)| id == to) {
                known.insert(pair.clone(), *address);
            }
            lanes.insert(pair, Arc::new(maker.lane(from, to)));
        }
        Ok(Arc::new(Self {
            addresses: known,
            lanes,
            is_framed: true,
            carries: super::Carries::Lines,
            services: ends.iter().filter(is_service).cloned().collect(),
            stop: watch::Sender::new(false),
            servers: std::sync::Mutex::default(),
            switch: None,
        }))
    }
}

impl Network for Fabric {
    fn way(&self, from: &NodeId, to: &NodeId) -> Option<Arc<dyn Way>> {
        let lane = self.lanes.get(&(from.clone(), to.clone()))?;
        Some(Arc::new(LineWay {
            lane: Arc::clone(lane),
            entered: AtomicU64::new(0),
            latest: AtomicU64::new(0),
        }))
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
