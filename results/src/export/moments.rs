//! The events of a history, in their order, made of its calls again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::{Call, FaultEvent, History, LeaderEvent, Nanos, NodeEvent};

/// One event.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'a> {
    /// A client asks.
    Invoke(&'a Call),
    /// What it asked ends.
    Complete(&'a Call),
    /// The nemesis does something.
    Fault(Nanos, &'a FaultEvent),
    /// A node changes state.
    Node(Nanos, &'a NodeEvent),
    /// A node begins to lead or ceases to.
    Leader(Nanos, &'a LeaderEvent),
}

/// Goes over a history event by event; keeps no more than what is outstanding.
#[derive(Debug)]
pub struct Moments<'a> {
    calls: &'a [Call],
    /// The completions of calls that were invoked: index of the event, place of the call.
    outstanding: BinaryHeap<Reverse<(u64, usize)>>,
    invoked: usize,
    faults: Vec<(Nanos, &'a FaultEvent)>,
    nodes: &'a [(Nanos, NodeEvent)],
    leaders: &'a [(Nanos, LeaderEvent)],
    index: u64,
}

impl<'a> Moments<'a> {
    /// From the first event on.
    pub fn of(history: &'a History) -> Self {
        let mut faults: Vec<_> = history.fault_events().collect();
        faults.reverse();
        Self {
            calls: history.calls(),
            outstanding: BinaryHeap::new(),
            invoked: 0,
            faults,
            nodes: history.node_events(),
            leaders: history.leader_events(),
            index: 0,
        }
    }

    /// The next event of a client, with its index.
    fn client(&self) -> Option<(u64, Moment<'a>)> {
        let invoke = self.calls.get(self.invoked);
        let invoke = invoke.map(|call| (call.invoked.index, Moment::Invoke(call)));
        let complete = self.outstanding.peek().and_then(|Reverse((index, at))| {
            Some((*index, Moment::Complete(self.calls.get(*at)?)))
        });
        match (invoke, complete) {
            (Some(invoke), Some(complete)) if complete.0 < invoke.0 => Some(complete),
            (Some(invoke), _) => Some(invoke),
            (None, complete) => complete,
        }
    }

    /// The next event of the nemesis. Of those at one instant faults come first.
    fn nemesis(&mut self) -> Option<Moment<'a>> {
        let fault = self.faults.last().map(|(time, _)| *time);
        let node = self.nodes.first().map(|(time, _)| *time);
        let leader = self.leaders.first().map(|(time, _)| *time);
        let first = [fault, node, leader].into_iter().flatten().min()?;
        if fault == Some(first) {
            let (time, fault) = self.faults.pop()?;
            return Some(Moment::Fault(time, fault));
        }
        if node == Some(first) {
            let ((time, node), rest) = self.nodes.split_first()?;
            self.nodes = rest;
            return Some(Moment::Node(*time, node));
        }
        let ((time, leader), rest) = self.leaders.split_first()?;
        self.leaders = rest;
        Some(Moment::Leader(*time, leader))
    }

    fn take(&mut self, moment: Moment<'a>) -> Moment<'a> {
        match moment {
            Moment::Invoke(call) => {
                if let Some(completed) = call.completed {
                    self.outstanding
                        .push(Reverse((completed.index, self.invoked)));
                }
                self.invoked += 1;
            }
            Moment::Complete(_) => {
                self.outstanding.pop();
            }
            Moment::Fault(..) | Moment::Node(..) | Moment::Leader(..) => {}
        }
        moment
    }
}

impl<'a> Iterator for Moments<'a> {
    type Item = Moment<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let client = self.client();
        // An index that no client's event has is the nemesis's.
        let nemesis = match client {
            Some((index, _)) if index <= self.index => None,
            _ => self.nemesis(),
        };
        self.index += 1;
        match (nemesis, client) {
            (Some(moment), _) => Some(moment),
            (None, Some((_, moment))) => Some(self.take(moment)),
            (None, None) => None,
        }
    }
}
