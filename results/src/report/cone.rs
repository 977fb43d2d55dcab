//! The messages that a contradiction may come from: those in the causal past of its calls, and
//! those that were to be but were lost, late or doubled.
//!
//! An event is in the past of another if it comes before it at the same node, or sent a message
//! that arrived in its past (Lamport, *Time, clocks, and the ordering of events in a distributed
//! system*, 1978). The past is cut off a little before the first call.

use rustc_hash::FxHashMap;

use super::text::clip;
use crate::message::{Act, MessageEvent, Messages};
use crate::{Anomaly, Call, Nanos};

/// The most messages of one contradiction that are shown.
const PASSAGES_MAX: usize = 64;
/// How much of what was before the first call is looked at: its least and its most.
const BEFORE: (Nanos, Nanos) = (2_000_000, 50_000_000);
/// How long before that a message may have been sent that arrives in it.
const SENT_BEFORE: Nanos = 2_000_000_000;
/// How long after the last call a message may arrive that was sent before.
const AFTER: Nanos = 200_000_000;
/// A message is late if it took longer than this, and this many times as long as half of them.
const LATE: Nanos = 2_000_000;
const LATE_TIMES: Nanos = 10;

/// A stretch of one node's time that the contradiction is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed {
    pub node: u32,
    pub from: Nanos,
    pub to: Nanos,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Arrived,
    /// It arrived long after it was sent, or after the last call.
    Late,
    /// It arrived once more.
    Twice,
    Lost,
}

/// One message on its way.
#[derive(Clone, Debug)]
pub(super) struct Passage<'a> {
    pub message: u64,
    pub kind: &'a str,
    pub from: u32,
    pub sent: Nanos,
    /// `None` if it was for all, and never arrived.
    pub to: Option<u32>,
    /// When it arrived or was lost; `None` if neither was seen.
    pub ended: Option<Nanos>,
    pub fate: Fate,
    /// Why it was lost.
    pub why: &'a str,
}

/// The past of a contradiction, in messages.
pub(super) struct Cone<'a> {
    /// In the order in which they were sent.
    pub passages: Vec<Passage<'a>>,
    pub left_out: usize,
}

/// Where a contradiction is, by its calls, or by the events that it names as `n1#4`.
pub(super) fn seeds(messages: &Messages, anomaly: &Anomaly, calls: &[&Call]) -> Vec<Seed> {
    let place = |name: &str| {
        let at = messages.nodes.iter().position(|node| &**node == name)?;
        u32::try_from(at).ok()
    };
    let of_call = |call: &&Call| {
        let from = call.invoked.time;
        let to = call.completed.map_or(from, |stamp| stamp.time);
        Some(Seed {
            node: place(call.node.as_deref()?)?,
            from,
            to,
        })
    };
    let seeds: Vec<Seed> = calls.iter().filter_map(of_call).collect();
    if !seeds.is_empty() {
        return seeds;
    }
    let texts = anomaly.facts.iter().chain([&anomaly.sentence]).take(20);
    let named: Vec<(u32, u64)> = texts
        .flat_map(|text| text.split(|c: char| !(c.is_alphanumeric() || "#-_.".contains(c))))
        .filter_map(|word| word.rsplit_once('#'))
        .filter_map(|(node, step)| Some((place(node)?, step.trim_end_matches('.').parse().ok()?)))
        .take(32)
        .collect();
    let events = messages.events.iter();
    let events = events.filter(|event| named.contains(&(event.node, event.step)));
    events
        .map(|event| Seed {
            node: event.node,
            from: event.time,
            to: event.time,
        })
        .collect()
}

/// The past of some seeds; `None` if there are none.
pub(super) fn of<'a>(messages: &'a Messages, seeds: &[Seed]) -> Option<Cone<'a>> {
    let first = seeds.iter().map(|seed| seed.from).min()?;
    let until = seeds.iter().map(|seed| seed.to).max()?;
    let since = first.saturating_sub(((until - first) / 4).clamp(BEFORE.0, BEFORE.1));
    let seen = Seen::of(messages, since, until);
    let mut passages = seen.passages(&Past {
        seeds,
        upto: seen.past(seeds, since),
        since,
        until,
        late: seen.late(),
    });
    let left_out = passages.len().saturating_sub(PASSAGES_MAX);
    if left_out > 0 {
        // What was lost or doubled tells the most, then what was closest to the beginning or end
        // of a call.
        let close = |passage: &Passage<'_>| {
            let ends = seeds.iter().flat_map(|seed| [seed.from, seed.to]);
            let distance = ends.map(|time| time.abs_diff(passage.ended.unwrap_or(passage.sent)));
            let common = matches!(passage.fate, Fate::Arrived | Fate::Late);
            (common, distance.min())
        };
        passages.sort_by_cached_key(close);
        passages.truncate(PASSAGES_MAX);
    }
    passages.sort_by_key(|passage| (passage.sent, passage.message, passage.to));
    Some(Cone { passages, left_out })
}

/// The part of a journal around a contradiction.
struct Seen<'a> {
    messages: &'a Messages,
    /// The events of each node, in its own order.
    nodes: Vec<Vec<&'a MessageEvent>>,
    sends: FxHashMap<u64, &'a MessageEvent>,
    receives: FxHashMap<u64, Vec<&'a MessageEvent>>,
}

impl<'a> Seen<'a> {
    fn of(messages: &'a Messages, since: Nanos, until: Nanos) -> Self {
        let from = since.saturating_sub(SENT_BEFORE);
        let to = until.saturating_add(AFTER);
        let mut seen = Self {
            messages,
            nodes: vec![Vec::new(); messages.nodes.len()],
            sends: FxHashMap::default(),
            receives: FxHashMap::default(),
        };
        let events = messages.events.iter();
        for event in events.filter(|event| (from..=to).contains(&event.time)) {
            match event.act {
                Act::Send { message, .. } => {
                    seen.sends.insert(message, event);
                }
                Act::Receive { message } => {
                    seen.receives.entry(message).or_default().push(event);
                }
                Act::Deliver { .. } | Act::Local => {}
            }
            if let Some(events) = seen.nodes.get_mut(event.node as usize) {
                events.push(event);
            }
        }
        for events in &mut seen.nodes {
            events.sort_by_key(|event| event.step);
        }
        for receives in seen.receives.values_mut() {
            receives.sort_by_key(|event| event.time);
        }
        seen
    }

    /// For each node the step up to which its events are in the past of the seeds.
    fn past(&self, seeds: &[Seed], since: Nanos) -> Vec<Option<u64>> {
        let mut upto: Vec<Option<u64>> = vec![None; self.nodes.len()];
        let mut raise: Vec<(u32, u64)> = Vec::new();
        for seed in seeds {
            let events = self.nodes.get(seed.node as usize);
            let last = events.and_then(|e| e.iter().rfind(|event| event.time <= seed.to));
            raise.extend(last.map(|event| (event.node, event.step)));
        }
        while let Some((node, step)) = raise.pop() {
            let (Some(known), Some(events)) =
                (upto.get_mut(node as usize), self.nodes.get(node as usize))
            else {
                continue;
            };
            let first = known.map_or(0, |known| events.partition_point(|e| e.step <= known));
            let last = events.partition_point(|e| e.step <= step);
            *known = (*known).max(Some(step));
            let fresh = events.get(first..last).unwrap_or_default().iter();
            for event in fresh.filter(|event| event.time >= since) {
                if let Act::Receive { message } = event.act {
                    let send = self.sends.get(&message);
                    raise.extend(send.map(|send| (send.node, send.step)));
                }
            }
        }
        upto
    }

    /// The messages to show, each time that one arrived, or did not.
    fn passages(&self, past: &Past<'_>) -> Vec<Passage<'a>> {
        let losses = self.messages.losses.iter().map(|loss| (loss.message, loss));
        let losses: FxHashMap<u64, _> = losses
            .filter(|(message, _)| self.sends.contains_key(message))
            .collect();
        let mut passages = Vec::new();
        for (&message, send) in &self.sends {
            let to = match send.act {
                Act::Send { to, .. } => to,
                _ => None,
            };
            let passage = |to, ended, fate, why| Passage {
                message,
                kind: self.messages.kinds.of(message).unwrap_or_default(),
                from: send.node,
                sent: send.time,
                to,
                ended,
                fate,
                why,
            };
            let receives = self.receives.get(&message).map_or(&[][..], Vec::as_slice);
            for (at, receive) in receives.iter().enumerate() {
                let fate = past.fate(send, receive, receives.get(..at).unwrap_or_default());
                if past.shows(send, receive, fate) {
                    passages.push(passage(Some(receive.node), Some(receive.time), fate, ""));
                }
            }
            if receives.is_empty() && past.was_due(send, to) {
                passages.push(match losses.get(&message) {
                    Some(loss) => passage(to, Some(loss.time), Fate::Lost, loss.why.as_str()),
                    None => passage(to, None, Fate::Late, ""),
                });
            }
        }
        passages
    }

    /// How long a message takes that is late.
    fn late(&self) -> Nanos {
        let took = self.receives.iter().filter_map(|(message, receives)| {
            let sent = self.sends.get(message)?.time;
            Some(receives.first()?.time.saturating_sub(sent))
        });
        let mut took: Vec<Nanos> = took.collect();
        let middle = took.len() / 2;
        if took.is_empty() {
            return LATE;
        }
        let median = *took.select_nth_unstable(middle).1;
        median.saturating_mul(LATE_TIMES).max(LATE)
    }
}

/// What is in the past of the seeds, and what should have been.
struct Past<'s> {
    seeds: &'s [Seed],
    /// For each node the step up to which its events are.
    upto: Vec<Option<u64>>,
    since: Nanos,
    until: Nanos,
    /// How long a message takes that is late.
    late: Nanos,
}

impl Past<'_> {
    fn holds(&self, event: &MessageEvent) -> bool {
        let upto = self.upto.get(event.node as usize).copied().flatten();
        event.time >= self.since && upto.is_some_and(|upto| event.step <= upto)
    }

    /// Whether a message would be in the past, had it arrived in time.
    fn was_due(&self, send: &MessageEvent, to: Option<u32>) -> bool {
        let to_seed = to.is_some_and(|to| self.seeds.iter().any(|seed| seed.node == to));
        self.holds(send) || (to_seed && (self.since..=self.until).contains(&send.time))
    }

    fn fate(&self, send: &MessageEvent, receive: &MessageEvent, before: &[&MessageEvent]) -> Fate {
        let took = receive.time.saturating_sub(send.time);
        match receive.time {
            _ if before.iter().any(|r| r.node == receive.node) => Fate::Twice,
            time if took > self.late || time > self.until => Fate::Late,
            _ => Fate::Arrived,
        }
    }

    fn shows(&self, send: &MessageEvent, receive: &MessageEvent, fate: Fate) -> bool {
        self.holds(receive)
            || match fate {
                Fate::Arrived => false,
                Fate::Twice => self.holds(send),
                Fate::Late | Fate::Lost => self.was_due(send, Some(receive.node)),
            }
    }
}

/// A message in words.
pub(super) fn title(messages: &Messages, passage: &Passage<'_>) -> String {
    use super::text::{duration, instant_fine};
    let name = |at: Option<u32>| {
        let node = at.and_then(|at| messages.nodes.get(at as usize));
        node.map_or_else(|| "all".to_owned(), |node| clip(node, 40).into_owned())
    };
    let kind = clip(passage.kind, 60);
    let what = if kind.is_empty() { "message" } else { &*kind };
    let way = format!("{} → {}", name(Some(passage.from)), name(passage.to));
    let sent = instant_fine(passage.sent);
    let took = passage
        .ended
        .map(|ended| duration(ended.saturating_sub(passage.sent)));
    let end = match (passage.fate, took) {
        (Fate::Arrived, Some(took)) => format!("arrived after {took}"),
        (Fate::Late, Some(took)) => format!("late: arrived after {took}"),
        (Fate::Twice, Some(took)) => format!("arrived once more after {took}"),
        (Fate::Lost, _) if !passage.why.is_empty() => format!("lost: {}", clip(passage.why, 100)),
        (Fate::Lost, _) => "lost".into(),
        (_, None) => "not seen to arrive".into(),
    };
    format!("{what} {way}, sent at {sent}, {end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Clocks, Loss};

    const MS: Nanos = 1_000_000;

    fn event(node: u32, step: u64, time: Nanos, act: Act) -> MessageEvent {
        let clocks = Clocks::default();
        MessageEvent {
            node,
            step,
            time,
            act,
            clocks,
        }
    }

    fn send(node: u32, step: u64, time: Nanos, message: u64, to: u32) -> MessageEvent {
        let to = Some(to);
        event(node, step, time, Act::Send { message, to })
    }

    /// n1 tells n2, which tells n3; what n1 tells n3 is lost, and what n3 then tells n1 is no
    /// part of the past.
    fn journal() -> Messages {
        Messages {
            nodes: vec!["n1".into(), "n2".into(), "n3".into()],
            events: vec![
                send(0, 1, 100 * MS, 1, 1),
                send(0, 2, 101 * MS, 2, 2),
                event(1, 1, 102 * MS, Act::Receive { message: 1 }),
                send(1, 2, 103 * MS, 3, 2),
                event(2, 1, 104 * MS, Act::Receive { message: 3 }),
                event(2, 2, 105 * MS, Act::Receive { message: 3 }),
                send(2, 3, 106 * MS, 4, 0),
                event(0, 3, 107 * MS, Act::Receive { message: 4 }),
            ],
            losses: vec![Loss {
                message: 2,
                time: 102 * MS,
                why: "partition".into(),
            }],
            ..Messages::default()
        }
    }

    #[test]
    fn the_past_is_what_led_there_and_what_was_lost_on_the_way() {
        let journal = journal();
        let seed = Seed {
            node: 2,
            from: 102 * MS,
            to: 105 * MS,
        };
        let cone = of(&journal, &[seed]).unwrap();
        let fates: Vec<_> = cone.passages.iter().map(|p| (p.message, p.fate)).collect();
        let (arrived, twice) = (Fate::Arrived, Fate::Twice);
        assert_eq!(
            fates,
            [(1, arrived), (2, Fate::Lost), (3, arrived), (3, twice)]
        );
        assert!(title(&journal, &cone.passages[1]).ends_with("lost: partition"));
    }

    #[test]
    fn what_arrives_after_the_last_call_is_late() {
        let journal = journal();
        let seed = Seed {
            node: 0,
            from: 99 * MS,
            to: 101 * MS,
        };
        let cone = of(&journal, &[seed]).unwrap();
        let fates: Vec<_> = cone.passages.iter().map(|p| (p.message, p.fate)).collect();
        assert_eq!(fates, [(1, Fate::Late), (2, Fate::Lost)]);
    }

    #[test]
    fn events_named_in_words_are_where_the_contradiction_is() {
        let anomaly = Anomaly {
            name: "clock".into(),
            sentence: "n3#2 comes before (n2#1).".into(),
            key: None,
            calls: vec![],
            facts: vec![],
            span: (0, 0),
        };
        let nodes: Vec<u32> = seeds(&journal(), &anomaly, &[])
            .iter()
            .map(|s| s.node)
            .collect();
        assert_eq!(nodes, [1, 2]);
        assert!(of(&journal(), &[]).is_none());
    }
}
