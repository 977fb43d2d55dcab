//! One direction between two nodes: its rule, what it counted, and its stream of chance.

use std::ops::{AddAssign, Sub};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::rule::{Bandwidth, Rule};
use super::tap::Tapped;

/// What a directed link (from, to) did since the fabric was opened: the proof that a fault bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Bytes delivered to `to`.
    pub bytes_forwarded: u64,
    /// Bytes that arrived late because of a delay.
    pub bytes_delayed: u64,
    /// Bytes that were held back by a cut.
    pub bytes_held: u64,
    /// Connections that `from` dialled and `to` accepted.
    pub opened: u64,
    /// Connections that `from` dialled and that were refused.
    pub refused: u64,
    /// Connections that were reset by the rule of this link, whichever side dialled.
    pub reset: u64,
    /// Connections that `from` dialled while either direction was cut.
    pub attempts_while_cut: u64,
    /// Bytes that had to wait because the bandwidth was used up.
    pub bytes_throttled: u64,
    /// Packets that were dropped by chance, on a switch.
    pub packets_lost: u64,
    /// Packets that were delivered twice.
    pub packets_duplicated: u64,
    /// Packets that were held back and that others overtook.
    pub packets_overtaken: u64,
    /// Packets of which a bit was flipped.
    pub packets_corrupted: u64,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, more: Self) {
        self.bytes_forwarded += more.bytes_forwarded;
        self.bytes_delayed += more.bytes_delayed;
        self.bytes_held += more.bytes_held;
        self.opened += more.opened;
        self.refused += more.refused;
        self.reset += more.reset;
        self.attempts_while_cut += more.attempts_while_cut;
        self.bytes_throttled += more.bytes_throttled;
        self.packets_lost += more.packets_lost;
        self.packets_duplicated += more.packets_duplicated;
        self.packets_overtaken += more.packets_overtaken;
        self.packets_corrupted += more.packets_corrupted;
    }
}

impl Sub for Counters {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            bytes_forwarded: self.bytes_forwarded.saturating_sub(earlier.bytes_forwarded),
            bytes_delayed: self.bytes_delayed.saturating_sub(earlier.bytes_delayed),
            bytes_held: self.bytes_held.saturating_sub(earlier.bytes_held),
            opened: self.opened.saturating_sub(earlier.opened),
            refused: self.refused.saturating_sub(earlier.refused),
            reset: self.reset.saturating_sub(earlier.reset),
            attempts_while_cut: self
                .attempts_while_cut
                .saturating_sub(earlier.attempts_while_cut),
            bytes_throttled: self.bytes_throttled.saturating_sub(earlier.bytes_throttled),
            packets_lost: self.packets_lost.saturating_sub(earlier.packets_lost),
            packets_duplicated: self
                .packets_duplicated
                .saturating_sub(earlier.packets_duplicated),
            packets_overtaken: self
                .packets_overtaken
                .saturating_sub(earlier.packets_overtaken),
            packets_corrupted: self
                .packets_corrupted
                .saturating_sub(earlier.packets_corrupted),
        }
    }
}

/// The counters while they count.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) bytes_forwarded: AtomicU64,
    pub(super) bytes_delayed: AtomicU64,
    pub(super) bytes_held: AtomicU64,
    pub(super) opened: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) reset: AtomicU64,
    pub(super) attempts_while_cut: AtomicU64,
    pub(super) bytes_throttled: AtomicU64,
    pub(super) packets_lost: AtomicU64,
    pub(super) packets_duplicated: AtomicU64,
    pub(super) packets_overtaken: AtomicU64,
    pub(super) packets_corrupted: AtomicU64,
}

impl Tally {
    fn read(&self) -> Counters {
        Counters {
            bytes_forwarded: self.bytes_forwarded.load(Relaxed),
            bytes_delayed: self.bytes_delayed.load(Relaxed),
            bytes_held: self.bytes_held.load(Relaxed),
            opened: self.opened.load(Relaxed),
            refused: self.refused.load(Relaxed),
            reset: self.reset.load(Relaxed),
            attempts_while_cut: self.attempts_while_cut.load(Relaxed),
            bytes_throttled: self.bytes_throttled.load(Relaxed),
            packets_lost: self.packets_lost.load(Relaxed),
            packets_duplicated: self.packets_duplicated.load(Relaxed),
            packets_overtaken: self.packets_overtaken.load(Relaxed),
            packets_corrupted: self.packets_corrupted.load(Relaxed),
        }
    }
}

/// Counts `amount` more. A statistic orders nothing else, so no stronger ordering is needed.
pub(super) fn count(counter: &AtomicU64, amount: usize) {
    counter.fetch_add(amount as u64, Relaxed);
}

/// One direction between two nodes, shared by every connection that carries its bytes.
#[derive(Debug)]
pub(super) struct Lane {
    /// What it does while no other rule is in force.
    base: Rule,
    /// Who listens to its lines.
    pub(super) tapped: Option<Tapped>,
    rule: watch::Sender<Rule>,
    chance: Mutex<Pcg64Mcg>,
    /// The counters when the last rule was set.
    mark: Mutex<Counters>,
    /// Until when the bandwidth is used up.
    busy: Mutex<Option<Instant>>,
    pub(super) tally: Tally,
}

impl Lane {
    pub(super) fn new(chance: Pcg64Mcg, base: Rule, tapped: Option<Tapped>) -> Self {
        Self {
            base,
            tapped,
            rule: watch::Sender::new(base),
            chance: Mutex::new(chance),
            mark: Mutex::default(),
            busy: Mutex::default(),
            tally: Tally::default(),
        }
    }

    /// Puts a rule in force, on top of the lane's own, and marks the counters.
    pub(super) fn set(&self, rule: Rule) {
        let rule = rule.over(&self.base);
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner) = self.tally.read();
        self.rule.send_replace(rule);
    }

    /// Lifts the rule down to the lane's own. The mark stays, so that what the rule did can still be read.
    pub(super) fn clear(&self) {
        self.rule.send_if_modified(|rule| {
            let changes = *rule != self.base;
            *rule = self.base;
            changes
        });
    }

    /// The rule as it changes.
    pub(super) fn rule(&self) -> watch::Receiver<Rule> {
        self.rule.subscribe()
    }

    pub(super) fn counters(&self) -> Counters {
        self.tally.read()
    }

    pub(super) fn since_set(&self) -> Counters {
        self.tally.read() - *self.mark.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The delay of the next chunk under `rule`.
    pub(super) fn draw_delay(&self, rule: &Rule) -> Duration {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        rule.delay.at(chance.random::<f64>())
    }

    /// A number of its stream of chance.
    pub(super) fn draw(&self) -> u64 {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        chance.random()
    }

    /// Whether something of that probability happens.
    pub(super) fn happens(&self, probability: f64) -> bool {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        probability > 0.0 && chance.random::<f64>() < probability
    }

    /// Uses up bandwidth for so many bytes: when they will have passed, if they have to wait.
    pub(super) fn pace(
        &self,
        bandwidth: &Bandwidth,
        bytes: usize,
        now: Instant,
    ) -> Option<Instant> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        // What wasn't used lately may be used now, as far as the bucket is deep.
        let credit = bandwidth.time_of(bandwidth.burst);
        let rested = now.checked_sub(credit).unwrap_or(now);
        let start = busy.map_or(rested, |until| until.max(rested));
        let end = start + bandwidth.time_of(bytes as u64);
        *busy = Some(end);
        (end > now).then_some(end)
    }
}
