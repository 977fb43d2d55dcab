//! Clocks: the events that an anomaly names, and their past, walked backwards.

use std::collections::{BTreeMap, BTreeSet};

use tribunal_results::message::{Act, MessageEvent};
use tribunal_results::{Anomaly, Messages, Record};

/// Derives the contradiction again from the events that the facts name as `n1#4`.
pub(super) fn contradiction(record: &Record, anomaly: &Anomaly) -> Result<(), String> {
    let journal = Journal::new(&record.messages);
    let mut events: Vec<&MessageEvent> = Vec::new();
    for word in anomaly
        .facts
        .iter()
        .flat_map(|fact| fact.split_whitespace())
    {
        let name = word.trim_end_matches([',', '.', ':']);
        if let Some(event) = journal.by_name.get(name)
            && !events.contains(event)
        {
            events.push(event);
        }
    }
    let name = anomaly.name.as_str();
    let holds = match events.as_slice() {
        [first, second] if name.ends_with("-not-rising") => {
            let same = first.node == second.node && first.step < second.step;
            same && journal.falls(name, first, second)
        }
        [first, second] if name.ends_with("-not-after-send") => {
            journal.causes(second).contains(&key(first))
                && sends(first).is_some()
                && journal.falls(name, first, second)
        }
        [.., event] if name == "lamport-clock-not-exact" => journal.inexact(event),
        [event] if name.starts_with("hybrid-clock") => drifts(record, name, event),
        [event] => journal.miscounts(name, event),
        [first, second] => journal.misjudges(name, first, second),
        [cause, effect, early, late] if name == "delivered-before-cause" => {
            let delivers = |event: &MessageEvent, sent: &MessageEvent| {
                matches!((event.act, sent.act), (Act::Deliver { message: a },
                    Act::Send { message: b, .. }) if a == b)
            };
            let order = early.node == late.node && early.step < late.step;
            let past = journal.past(effect);
            order && delivers(early, effect) && delivers(late, cause) && past.contains(&key(cause))
        }
        _ => return Err("the facts do not name the events".into()),
    };
    match holds {
        true => Ok(()),
        false => Err("the events do not contradict each other".into()),
    }
}

type Key = (u32, u64);

const fn key(event: &MessageEvent) -> Key {
    (event.node, event.step)
}

/// The number of the message that an event sends.
const fn sends(event: &MessageEvent) -> Option<u64> {
    match event.act {
        Act::Send { message, .. } => Some(message),
        _ => None,
    }
}

fn drifts(record: &Record, name: &str, event: &MessageEvent) -> bool {
    let (Some(hybrid), Some(physical)) = (event.clocks.hybrid, event.clocks.physical) else {
        return false;
    };
    let allowed = record
        .assume
        .hybrid_drift_ms
        .map(|ms| ms.saturating_mul(1_000_000));
    match name {
        "hybrid-clock-behind" => hybrid.wall < physical,
        _ => allowed.is_some_and(|allowed| hybrid.wall.saturating_sub(physical) > allowed),
    }
}

struct Journal<'a> {
    by_name: BTreeMap<String, &'a MessageEvent>,
    by_key: BTreeMap<Key, &'a MessageEvent>,
    sent: BTreeMap<u64, Key>,
    nodes: usize,
}

impl<'a> Journal<'a> {
    fn new(messages: &'a Messages) -> Self {
        let name = |event: &MessageEvent| {
            let node = messages.nodes.get(event.node as usize);
            format!("{}#{}", node.map_or("", |node| node), event.step)
        };
        let events = || messages.events.iter();
        Self {
            by_name: events().map(|event| (name(event), event)).collect(),
            by_key: events().map(|event| (key(event), event)).collect(),
            sent: events()
                .filter_map(|event| Some((sends(event)?, key(event))))
                .collect(),
            nodes: messages.nodes.len(),
        }
    }

    /// The event before it at its node, and the sending of its message.
    fn causes(&self, event: &MessageEvent) -> Vec<Key> {
        let before = self.by_key.range((event.node, 0)..key(event)).next_back();
        let sending = match event.act {
            Act::Receive { message } | Act::Deliver { message } => self.sent.get(&message),
            _ => None,
        };
        before
            .map(|(key, _)| *key)
            .into_iter()
            .chain(sending.copied())
            .collect()
    }

    /// What happened before an event, and the event.
    fn past(&self, event: &MessageEvent) -> BTreeSet<Key> {
        let mut past = BTreeSet::from([key(event)]);
        let mut open = vec![event];
        while let Some(event) = open.pop() {
            for cause in self.causes(event) {
                if past.insert(cause) {
                    open.extend(self.by_key.get(&cause));
                }
            }
        }
        past
    }

    fn falls(&self, name: &str, first: &MessageEvent, second: &MessageEvent) -> bool {
        let (first, second) = (&first.clocks, &second.clocks);
        match name.starts_with("lamport") {
            true => first
                .lamport
                .zip(second.lamport)
                .is_some_and(|(a, b)| a >= b),
            false => {
                let pair = first.hybrid.zip(second.hybrid);
                pair.is_some_and(|(a, b)| (a.wall, a.logical) >= (b.wall, b.logical))
            }
        }
    }

    fn inexact(&self, event: &MessageEvent) -> bool {
        let times = self.causes(event).into_iter();
        let times = times.map(|key| self.by_key.get(&key)?.clocks.lamport);
        let largest: Option<Vec<u64>> = times.collect();
        let due = largest.map(|times| times.into_iter().max().unwrap_or(0) + 1);
        due.zip(event.clocks.lamport)
            .is_some_and(|(due, is)| due != is)
    }

    /// Whether an exact clock counts fewer or more events of some node than happened.
    fn miscounts(&self, name: &str, event: &MessageEvent) -> bool {
        let mut counts = vec![0; self.nodes];
        for (node, _) in self.past(event) {
            if let Some(count) = counts.get_mut(node as usize) {
                *count += 1;
            }
        }
        let Some(clock) = event.clocks.vector.as_deref() else {
            return false;
        };
        let mut pairs = clock.iter().zip(&counts);
        match name {
            "missed-causality" => pairs.any(|(is, due)| is < due),
            "false-causality" => pairs.any(|(is, due)| is > due),
            _ => false,
        }
    }

    /// Whether the clocks of two events say something else of their order than messages do.
    fn misjudges(&self, name: &str, first: &MessageEvent, second: &MessageEvent) -> bool {
        let vectors = first
            .clocks
            .vector
            .as_deref()
            .zip(second.clocks.vector.as_deref());
        let Some((before, after)) = vectors else {
            return false;
        };
        let said = before.iter().zip(after).all(|(a, b)| a <= b);
        let happened = self.past(second).contains(&key(first));
        match name {
            "missed-causality" => happened && !said,
            "false-causality" => said && !happened && self.ticked(first),
            _ => false,
        }
    }

    fn ticked(&self, event: &MessageEvent) -> bool {
        let own = |event: &MessageEvent| {
            let vector = event.clocks.vector.as_deref()?;
            vector.get(event.node as usize).copied()
        };
        let before = self.by_key.range((event.node, 0)..key(event)).next_back();
        let was = before.map_or(Some(0), |(_, event)| own(event));
        was.zip(own(event)).is_some_and(|(was, is)| is > was)
    }
}
