//! One direction between two nodes: its rules, what it counted, and its stream of chance.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use tokio::sync::watch;
use tokio::time::Instant;
use tribunal_results::NodeId;

use super::counters::{Counters, Tally};
use super::fate::{Fate, Receivers, fate};
use super::rule::{Bandwidth, Rule};
use super::spread::{Delay, Wave};
use super::tap::Tapped;
use super::timer::Timer;

/// What a lane is from the beginning.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) to: NodeId,
    /// What it does while no other rule is in force.
    pub(super) base: Rule,
    /// Who listens to its lines.
    pub(super) tapped: Option<Tapped>,
    /// Whether it carries lines of the wire protocol.
    pub(super) is_framed: bool,
    /// Every node, and the seed of what they are told: the same for all lanes.
    pub(super) receivers: Arc<Receivers>,
    /// Its own stream.
    pub(super) chance: Pcg64Mcg,
    pub(super) timer: Arc<Timer>,
}

/// One direction between two nodes, shared by every connection that carries its bytes.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) origin: Origin,
    /// All rules at once.
    rule: watch::Sender<Rule>,
    imposed: Mutex<BTreeMap<String, Imposed>>,
    dice: Mutex<Dice>,
    /// Until when the bandwidth is used up.
    busy: Mutex<Option<Instant>>,
    pub(super) tally: Tally,
}

/// What somebody asked for.
#[derive(Debug)]
struct Imposed {
    /// `None` once it was lifted.
    rule: Option<Rule>,
    /// The counters when it was set.
    mark: Counters,
}

#[derive(Debug)]
struct Dice {
    chance: Pcg64Mcg,
    wave: Wave,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lane {
    pub(super) fn new(origin: Origin) -> Self {
        let dice = Dice {
            chance: origin.chance.clone(),
            wave: Wave::default(),
        };
        Self {
            rule: watch::Sender::new(origin.base),
            imposed: Mutex::default(),
            dice: Mutex::new(dice),
            busy: Mutex::default(),
            tally: Tally::default(),
            origin,
        }
    }

    /// Puts somebody's rule in force, in place of the one of theirs before, together with those of
    /// others and the lane's own, and marks the counters.
    pub(super) fn set(&self, by: &str, rule: Rule) {
        let mut imposed = lock(&self.imposed);
        let rule = Imposed {
            rule: Some(rule),
            mark: self.tally.read(),
        };
        imposed.insert(by.to_owned(), rule);
        self.rule.send_replace(self.together(&imposed));
    }

    /// Lifts somebody's rule. The mark stays, so that what the rule did can still be read.
    pub(super) fn clear(&self, by: &str) {
        let mut imposed = lock(&self.imposed);
        if let Some(theirs) = imposed.get_mut(by) {
            theirs.rule = None;
        }
        self.change(&imposed);
    }

    /// Lifts everybody's rule, down to the lane's own.
    pub(super) fn clear_all(&self) {
        let mut imposed = lock(&self.imposed);
        imposed.values_mut().for_each(|one| one.rule = None);
        self.change(&imposed);
    }

    fn change(&self, imposed: &BTreeMap<String, Imposed>) {
        let together = self.together(imposed);
        self.rule.send_if_modified(|rule| {
            let changes = *rule != together;
            *rule = together;
            changes
        });
    }

    fn together(&self, imposed: &BTreeMap<String, Imposed>) -> Rule {
        let rules = imposed.values().filter_map(|one| one.rule);
        rules.fold(self.origin.base, |all, one| one.over(&all))
    }

    /// The rule in force.
    pub(super) fn now(&self) -> Rule {
        *self.rule.borrow()
    }

    /// The rule as it changes.
    pub(super) fn rule(&self) -> watch::Receiver<Rule> {
        self.rule.subscribe()
    }

    pub(super) fn counters(&self) -> Counters {
        self.tally.read()
    }

    /// What it did since somebody's rule was last set; all that it did, if none was.
    pub(super) fn since_set(&self, by: &str) -> Counters {
        let mark = lock(&self.imposed).get(by).map(|theirs| theirs.mark);
        self.tally.read() - mark.unwrap_or_default()
    }

    /// The next delay.
    pub(super) fn draw_delay(&self, delay: &Delay) -> Duration {
        let Dice { chance, wave } = &mut *lock(&self.dice);
        wave.next(delay, chance)
    }

    /// A number of its stream of chance.
    pub(super) fn draw(&self) -> u64 {
        lock(&self.dice).chance.random()
    }

    /// Whether something of that probability happens.
    pub(super) fn happens(&self, probability: f64) -> bool {
        probability > 0.0 && super::fate::happens(&mut lock(&self.dice).chance, probability)
    }

    /// What becomes of the next message.
    pub(super) fn fate(&self, rule: &Rule, line: &[u8]) -> Fate {
        let Origin { to, receivers, .. } = &self.origin;
        let chance = &mut lock(&self.dice).chance;
        fate(&rule.messages, line, to, receivers, chance)
    }

    /// Uses up bandwidth for so many bytes: when they will have passed, if they have to wait.
    pub(super) fn pace(
        &self,
        bandwidth: &Bandwidth,
        bytes: usize,
        now: Instant,
    ) -> Option<Instant> {
        let mut busy = lock(&self.busy);
        let credit = bandwidth.time_of(bandwidth.burst);
        // What wasn't used lately may be used now, as far as the bucket is deep.
        let rested = now.checked_sub(credit).unwrap_or(now);
        let start = busy.map_or(rested, |until| until.max(rested));
        let end = start + bandwidth.time_of(bytes as u64);
        *busy = Some(end);
        (end > now).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::stream;

    fn lane(base: Rule) -> Lane {
        Lane::new(Origin {
            to: "b".into(),
            base,
            tapped: None,
            is_framed: false,
            receivers: Arc::default(),
            chance: stream(1, &[]),
            timer: Timer::start().unwrap(),
        })
    }

    #[test]
    fn rules_of_several_hold_together_and_are_lifted_one_by_one() {
        let ms = Duration::from_millis;
        let lane = lane(Rule::delay(ms(1), ms(0)));
        let rule = lane.rule();
        lane.set("delay", Rule::delay(ms(20), ms(5)));
        lane.set("partition", Rule::cut());
        let both = *rule.borrow();
        assert!(both.cut);
        assert_eq!((both.delay.base, both.delay.jitter), (ms(21), ms(5)));
        lane.clear("partition");
        lane.clear("nobody");
        assert_eq!(*rule.borrow(), Rule::delay(ms(21), ms(5)));
        lane.set("delay", Rule::delay(ms(3), ms(0)));
        assert_eq!(rule.borrow().delay.base, ms(4));
        lane.clear_all();
        assert_eq!(*rule.borrow(), Rule::delay(ms(1), ms(0)));
    }

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_its_rate() {
        let lane = lane(Rule::default());
        let bandwidth = Bandwidth {
            rate: 1000,
            burst: 500,
        };
        let now = Instant::now() + Duration::from_secs(10);
        let ms = |ms| Some(now + Duration::from_millis(ms));
        assert_eq!(lane.pace(&bandwidth, 500, now), None);
        assert_eq!(lane.pace(&bandwidth, 100, now), ms(100));
        assert_eq!(lane.pace(&bandwidth, 100, now), ms(200));
        let later = now + Duration::from_millis(200);
        assert_eq!(lane.pace(&bandwidth, 100, later), ms(300));
        let rested = now + Duration::from_secs(60);
        assert_eq!(lane.pace(&bandwidth, 500, rested), None);
        assert!(lane.pace(&bandwidth, 1, rested).is_some());
    }
}
