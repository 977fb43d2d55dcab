//! The message journal in the order of cause and effect.
//!
//! One event happens before another if it comes earlier in the order of their node, or is the
//! sending of the message that the other receives or delivers, or by a chain of both (Lamport
//! 1978). [`Trace`] is the journal in an order that respects this.

pub(crate) mod causes;
pub(crate) mod scalar;

use rustc_hash::FxHashMap;
use tribunal_results::message::{Act, MessageEvent};
use tribunal_results::verdict::ANOMALIES_LISTED_MAX;
use tribunal_results::{Anomaly, Messages, Record, Verdict};

/// An event, as its place in the journal.
pub(crate) type Place = u32;

/// A journal that can be.
pub(crate) struct Trace<'a> {
    /// The journal.
    pub(crate) messages: &'a Messages,
    /// The events of each node, in its order.
    pub(crate) by_node: Vec<Vec<Place>>,
    /// Of each event, how many of its node come before it.
    pub(crate) rank: Vec<u32>,
    /// Of each event that receives or delivers, the sending.
    pub(crate) cause: Vec<Option<Place>>,
    /// All events, causes first.
    pub(crate) order: Vec<Place>,
}

impl<'a> Trace<'a> {
    /// Orders a journal.
    ///
    /// # Errors
    /// Why the journal cannot be: in one sentence.
    pub(crate) fn new(messages: &'a Messages) -> Result<Self, String> {
        let by_node = by_node(messages)?;
        let cause = causes(messages)?;
        let mut rank = vec![0; messages.events.len()];
        for places in &by_node {
            for (at, place) in (0..).zip(places) {
                if let Some(slot) = rank.get_mut(*place as usize) {
                    *slot = at;
                }
            }
        }
        let mut trace = Self {
            messages,
            by_node,
            rank,
            cause,
            order: Vec::new(),
        };
        trace.order = trace.causal_order()?;
        Ok(trace)
    }

    /// The event at a place.
    pub(crate) fn event(&self, place: Place) -> Option<&'a MessageEvent> {
        self.messages.events.get(place as usize)
    }

    /// The event before it at its node.
    pub(crate) fn previous(&self, place: Place) -> Option<Place> {
        let node = self.event(place)?.node as usize;
        let rank = (*self.rank.get(place as usize)?).checked_sub(1)?;
        self.by_node.get(node)?.get(rank as usize).copied()
    }

    /// The sending of what it receives or delivers.
    pub(crate) fn sending(&self, place: Place) -> Option<Place> {
        self.cause.get(place as usize).copied().flatten()
    }

    /// What people call it: `n1#4`.
    pub(crate) fn name(&self, place: Place) -> String {
        self.event(place).map_or_else(String::new, |event| {
            format!("{}#{}", self.node(event.node), event.step)
        })
    }

    /// A node's name.
    pub(crate) fn node(&self, node: u32) -> &str {
        self.messages
            .nodes
            .get(node as usize)
            .map_or("", |name| name)
    }

    /// An anomaly of two events, or of one.
    pub(crate) fn anomaly(
        &self,
        name: &str,
        events: &[Place],
        sentence: String,
        facts: Vec<String>,
    ) -> Anomaly {
        let times = || events.iter().filter_map(|at| Some(self.event(*at)?.time));
        Anomaly {
            name: name.into(),
            sentence,
            key: None,
            calls: Vec::new(),
            facts,
            span: (
                times().min().unwrap_or_default(),
                times().max().unwrap_or_default(),
            ),
        }
    }

    /// Walks all nodes at once: each goes on until it receives what was not sent yet.
    fn causal_order(&self) -> Result<Vec<Place>, String> {
        let events = self.messages.events.len();
        let mut order = Vec::with_capacity(events);
        let mut done = vec![false; events];
        let mut next = vec![0_usize; self.by_node.len()];
        let mut waiting: FxHashMap<Place, Vec<usize>> = FxHashMap::default();
        let mut ready: Vec<usize> = (0..self.by_node.len()).rev().collect();
        while let Some(node) = ready.pop() {
            let (Some(places), Some(at)) = (self.by_node.get(node), next.get_mut(node)) else {
                continue;
            };
            while let Some(&place) = places.get(*at) {
                let is_done = |sending: &Place| done.get(*sending as usize) == Some(&true);
                if let Some(sending) = self.sending(place).filter(|sending| !is_done(sending)) {
                    waiting.entry(sending).or_default().push(node);
                    break;
                }
                if let Some(done) = done.get_mut(place as usize) {
                    *done = true;
                }
                order.push(place);
                *at += 1;
                ready.extend(waiting.remove(&place).unwrap_or_default());
            }
        }
        if order.len() == events {
            return Ok(order);
        }
        let stuck = waiting.keys().min().copied().unwrap_or_default();
        Err(format!(
            "the message that {} sends is received before it can have been sent",
            self.name(stuck)
        ))
    }
}

/// The events of each node by step.
fn by_node(messages: &Messages) -> Result<Vec<Vec<Place>>, String> {
    let mut by_node: Vec<Vec<(u64, Place)>> = vec![Vec::new(); messages.nodes.len()];
    for (place, event) in (0..).zip(&messages.events) {
        let events = by_node.get_mut(event.node as usize);
        let events = events.ok_or_else(|| format!("there is no node {}", event.node))?;
        events.push((event.step, place));
    }
    for (node, events) in messages.nodes.iter().zip(&mut by_node) {
        events.sort_unstable();
        let mut pairs = events.iter().zip(events.iter().skip(1));
        if let Some(((step, _), _)) = pairs.find(|(left, right)| left.0 == right.0) {
            return Err(format!("there are two events {node}#{step}"));
        }
    }
    let places = |events: Vec<(u64, Place)>| events.into_iter().map(|(_, at)| at).collect();
    Ok(by_node.into_iter().map(places).collect())
}

/// Of each event, the sending of its message.
fn causes(messages: &Messages) -> Result<Vec<Option<Place>>, String> {
    let mut sent: FxHashMap<u64, (Place, Option<u32>)> = FxHashMap::default();
    for (place, event) in (0..).zip(&messages.events) {
        if let Act::Send { message, to } = event.act
            && sent.insert(message, (place, to)).is_some()
        {
            return Err(format!("message {message} is sent twice"));
        }
    }
    let cause = |event: &MessageEvent| {
        let (Act::Receive { message } | Act::Deliver { message }) = event.act else {
            return Ok(None);
        };
        match sent.get(&message) {
            None => Err(format!("message {message} was received, but never sent")),
            Some((_, Some(to))) if *to != event.node => Err(format!(
                "message {message} was received by another node than it was sent to"
            )),
            Some((place, _)) => Ok(Some(*place)),
        }
    };
    messages.events.iter().map(cause).collect()
}

/// What a checker of the journal finds.
#[derive(Default)]
pub(crate) struct Findings {
    /// How many comparisons were made.
    pub(crate) compared: usize,
    /// The contradictions to list.
    pub(crate) anomalies: Vec<Anomaly>,
    /// All of them.
    pub(crate) total: u64,
}

impl Findings {
    /// Counts a contradiction, and makes it if there is room for it.
    pub(crate) fn add(&mut self, anomaly: impl FnOnce() -> Anomaly) {
        self.total += 1;
        if self.anomalies.len() < ANOMALIES_LISTED_MAX {
            self.anomalies.push(anomaly());
        }
    }
}

/// Judges the journal of a record, or says why that cannot be done.
pub(crate) fn judge(
    record: &Record,
    name: &str,
    what: &str,
    find: impl FnOnce(&Trace<'_>) -> Findings,
) -> Verdict {
    if record.messages.events.is_empty() {
        return Verdict::unknown(name, "vacuous", "no messages were recorded");
    }
    let trace = match Trace::new(&record.messages) {
        Ok(trace) => trace,
        Err(why) => {
            let text = format!("the message journal cannot be: {why}");
            return Verdict::unknown(name, "malformed-journal", text);
        }
    };
    let found = find(&trace);
    let events = record.messages.events.len();
    let verdict = if found.total > 0 {
        Verdict::invalid(name, found.anomalies, found.total)
    } else if found.compared == 0 {
        Verdict::unknown(name, "vacuous", format!("no {what} were recorded"))
    } else {
        let text = format!("the {what} of {events} events agree with cause and effect");
        Verdict::valid(name, text)
    };
    verdict
        .figure("events", events)
        .figure("messages-lost", record.messages.losses.len())
        .figure("comparisons", found.compared)
}
