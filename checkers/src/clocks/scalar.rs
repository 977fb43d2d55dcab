//! The clock condition of clocks whose times are in one order: if one event happens before
//! another, its time is smaller.
//!
//! Along the events of a node, and from the sending of a message to its arrival, is enough: all
//! else follows, as long as every event has a time; where some have none, their neighbours are
//! compared.

use tribunal_results::message::MessageEvent;

use super::{Findings, Place, Trace};

/// A kind of clock.
pub(crate) struct Clock<T> {
    /// Its time at an event, if it was recorded.
    pub(crate) read: fn(&MessageEvent) -> Option<T>,
    /// The time in words.
    pub(crate) show: fn(T) -> String,
    /// What the clock is called.
    pub(crate) noun: &'static str,
    /// The anomaly of a node whose clock did not rise.
    pub(crate) not_rising: &'static str,
    /// The anomaly of a receiver whose clock is not after the sender's.
    pub(crate) not_after: &'static str,
}

impl<T: Ord + Copy> Clock<T> {
    /// Checks the clock condition.
    pub(crate) fn check(&self, trace: &Trace<'_>, findings: &mut Findings) {
        let mut last: Vec<Option<(Place, T)>> = vec![None; trace.by_node.len()];
        for &place in &trace.order {
            let Some(event) = trace.event(place) else {
                continue;
            };
            let Some(time) = (self.read)(event) else {
                continue;
            };
            let last = last.get_mut(event.node as usize);
            if let Some((before, was)) = last.and_then(|last| last.replace((place, time))) {
                findings.compared += 1;
                if was >= time {
                    findings.add(|| self.not_rising(trace, (before, was), (place, time)));
                }
            }
            let sending = trace.sending(place);
            let sent = sending.and_then(|at| Some((at, (self.read)(trace.event(at)?)?)));
            if let Some((sending, was)) = sent {
                findings.compared += 1;
                if was >= time {
                    findings.add(|| self.not_after(trace, (sending, was), (place, time)));
                }
            }
        }
    }

    fn not_rising(
        &self,
        trace: &Trace<'_>,
        (before, was): (Place, T),
        (place, time): (Place, T),
    ) -> tribunal_results::Anomaly {
        let (before_name, name) = (trace.name(before), trace.name(place));
        let (was, is) = ((self.show)(was), (self.show)(time));
        let sentence = format!(
            "the {} did not rise from {before_name} to {name}: it was {was}, then {is}",
            self.noun
        );
        let facts = vec![
            format!("{before_name} comes before {name} at the same node."),
            format!("The {} was {was} after {before_name}.", self.noun),
            format!("The {} was {is} after {name}.", self.noun),
        ];
        trace.anomaly(self.not_rising, &[before, place], sentence, facts)
    }

    fn not_after(
        &self,
        trace: &Trace<'_>,
        (sending, was): (Place, T),
        (place, time): (Place, T),
    ) -> tribunal_results::Anomaly {
        let (sent, name) = (trace.name(sending), trace.name(place));
        let (was, is) = ((self.show)(was), (self.show)(time));
        let sentence = format!(
            "{name} has a message that was sent at {was} by the {} of its sender ({sent}), at {is} \
             by its own",
            self.noun
        );
        let facts = vec![
            format!("{sent} sends the message that {name} receives."),
            format!("The {} was {was} after {sent}.", self.noun),
            format!(
                "The {} was {is} after {name}, which is not later.",
                self.noun
            ),
        ];
        trace.anomaly(self.not_after, &[sending, place], sentence, facts)
    }
}
