//! Events paired into calls.
//!
//! A [`History`] is well-formed by construction: indexes count up from 0, time never runs
//! backwards, no process has two operations at once, nothing completes that was not invoked, and
//! a process whose operation ended unknown is never heard of again. A checker may rely on it.

use std::collections::{HashMap, HashSet};

use crate::event::{Body, Event, Process};
use crate::fault::{FaultEvent, FaultSpan, LeaderEvent, NodeEvent, Phase, Standstill, covered};
use crate::operation::{Operation, Outcome, Reason};
use crate::{Nanos, NodeId};

/// A place in the history: its position and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stamp {
    /// Index of the event. Orders everything; checkers compare these, never times.
    pub index: u64,
    /// Nanoseconds since the run's origin.
    pub time: Nanos,
}

/// One operation of one client from invocation to completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The client.
    pub process: u64,
    /// The node that the client is bound to, if it is.
    pub node: Option<NodeId>,
    /// What it asked.
    pub operation: Operation,
    /// When it asked.
    pub invoked: Stamp,
    /// When the outcome was recorded; `None` if the record ends first.
    pub completed: Option<Stamp>,
    /// How it ended: [`Outcome::Info`] with code `open` if the record ends first.
    pub outcome: Outcome,
}

impl Call {
    /// Index of the event after which the operation can no longer take effect: its completion
    /// if that was `ok` or `fail`; `None`, the end of time, if nobody knows.
    pub fn returned(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Info(_) => None,
            Outcome::Ok(_) | Outcome::Fail(_) => self.completed.map(|stamp| stamp.index),
        }
    }

    /// Whether it took effect for certain.
    pub const fn is_ok(&self) -> bool {
        matches!(self.outcome, Outcome::Ok(_))
    }

    /// Whether it definitely had no effect.
    pub const fn is_fail(&self) -> bool {
        matches!(self.outcome, Outcome::Fail(_))
    }

    /// Whether nobody knows if it took effect.
    pub const fn is_info(&self) -> bool {
        matches!(self.outcome, Outcome::Info(_))
    }
}

/// Why events are not a history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {index}: {reason}")]
pub struct HistoryError {
    /// Index of the event that cannot be.
    pub index: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// What happened in a run, ready to be judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    calls: Vec<Call>,
    faults: Vec<FaultEvent>,
    fault_times: Vec<Nanos>,
    nodes: Vec<(Nanos, NodeEvent)>,
    standstills: Vec<(Nanos, Standstill)>,
    leaders: Vec<(Nanos, LeaderEvent)>,
    end: Option<Stamp>,
}

impl History {
    /// Pairs events.
    ///
    /// # Errors
    /// The first event that breaks a rule of the module's description.
    pub fn from_events(events: impl IntoIterator<Item = Event>) -> Result<Self, HistoryError> {
        let mut builder = HistoryBuilder::default();
        for event in events {
            builder.push(event)?;
        }
        Ok(builder.finish())
    }

    /// Every call, in the order of invocation.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The call that was invoked by the event of that index.
    pub fn call_at(&self, index: u64) -> Option<&Call> {
        let at = self
            .calls
            .binary_search_by_key(&index, |call| call.invoked.index)
            .ok()?;
        self.calls.get(at)
    }

    /// Goes over every call once more, to settle what only the end of a file tells: kinds of
    /// objects, numbers of clients. If nothing was timed, times become positions.
    pub(crate) fn settle(&mut self, timed: bool, mut settle: impl FnMut(&mut Call)) {
        let position = |stamp: &mut Stamp| stamp.time = stamp.index;
        for call in &mut self.calls {
            settle(call);
            if !timed {
                position(&mut call.invoked);
                call.completed.as_mut().map(position);
            }
        }
        if !timed {
            self.end.as_mut().map(position);
        }
    }

    /// The moments of all faults, in order, each with its time.
    pub fn fault_events(&self) -> impl Iterator<Item = (Nanos, &FaultEvent)> {
        self.fault_times.iter().copied().zip(&self.faults)
    }

    /// The states that nodes entered, in order.
    pub fn node_events(&self) -> &[(Nanos, NodeEvent)] {
        &self.nodes
    }

    /// How long the machine stood still between two times. Standstills of several kinds at once
    /// count once.
    pub fn stood_still(&self, from: Nanos, to: Nanos) -> Nanos {
        let spans = self.standstills.iter();
        let spans = spans.map(|(end, still)| (end.saturating_sub(still.lasted), *end));
        covered(spans.collect(), from, to)
    }

    /// Which nodes began to lead or ceased to, in order.
    pub fn leader_events(&self) -> &[(Nanos, LeaderEvent)] {
        &self.leaders
    }

    /// The last event's stamp; `None` if nothing happened.
    pub const fn end(&self) -> Option<Stamp> {
        self.end
    }

    /// The faults from injection to cure, in the order of injection.
    pub fn fault_spans(&self) -> Vec<FaultSpan> {
        let mut spans: Vec<FaultSpan> = Vec::new();
        let mut by_id: HashMap<u64, usize> = HashMap::new();
        for (time, event) in self.fault_events() {
            let at = *by_id.entry(event.id).or_insert_with(|| {
                spans.push(FaultSpan {
                    fault: event.fault.clone(),
                    id: event.id,
                    from: time,
                    to: None,
                    nodes: Vec::new(),
                    links: Vec::new(),
                    what: String::new(),
                    skipped: None,
                    bit: None,
                    proof: Vec::new(),
                });
                spans.len() - 1
            });
            if let Some(span) = spans.get_mut(at) {
                extend_span(span, time, event);
            }
        }
        spans
    }
}

/// Adds a moment to a span. Healing is idempotent and repeated at the end of a run: what follows
/// the first cure tells nothing more of the fault.
fn extend_span(span: &mut FaultSpan, time: Nanos, event: &FaultEvent) {
    if span.to.is_some() {
        return;
    }
    if !event.nodes.is_empty() {
        span.nodes.clone_from(&event.nodes);
    }
    if !event.links.is_empty() {
        span.links.clone_from(&event.links);
    }
    if !event.what.is_empty() {
        span.what.clone_from(&event.what);
    }
    if event.skipped.is_some() {
        span.skipped.clone_from(&event.skipped);
    }
    if !event.proof.is_null() {
        span.proof.push(event.proof.clone());
    }
    span.bit = event.bit.or(span.bit);
    if event.phase == Phase::Healed {
        span.to = Some(time);
    }
}

/// Builds a [`History`] event by event.
#[derive(Debug, Default)]
pub struct HistoryBuilder {
    history: History,
    open: HashMap<u64, usize>,
    retired: HashSet<u64>,
}

impl HistoryBuilder {
    /// The operation that a client has outstanding, if any.
    pub fn outstanding(&self, process: Process) -> Option<&Operation> {
        let Process::Client(n) = process else {
            return None;
        };
        self.open
            .get(&n)
            .and_then(|&at| self.history.calls.get(at))
            .map(|call| &call.operation)
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// If the event breaks a rule; the builder is then as before.
    pub fn push(&mut self, event: Event) -> Result<(), HistoryError> {
        let stamp = Stamp {
            index: event.index,
            time: event.time,
        };
        let refuse = |reason: String| {
            Err(HistoryError {
                index: stamp.index,
                reason,
            })
        };
        let expected = self.history.end.map_or(0, |end| end.index + 1);
        if stamp.index != expected {
            return refuse(format!("index {} where {expected} was due", stamp.index));
        }
        if let Some(end) = self.history.end.filter(|end| end.time > stamp.time) {
            let (was, is) = (end.time, stamp.time);
            return refuse(format!("time runs backwards, from {was} ns to {is} ns"));
        }
        match (event.process, event.body) {
            (Process::Client(process), Body::Invoke(operation)) => {
                self.invoke(process, event.node, operation, stamp)
            }
            (Process::Client(process), Body::Complete(operation, outcome)) => {
                self.complete(process, &operation, outcome, stamp)
            }
            (Process::Nemesis, Body::Fault(fault)) => {
                self.history.fault_times.push(stamp.time);
                self.history.faults.push(fault);
                Ok(())
            }
            (Process::Nemesis, Body::Node(node)) => {
                self.history.nodes.push((stamp.time, node));
                Ok(())
            }
            (Process::Nemesis, Body::Machine(standstill)) => {
                self.history.standstills.push((stamp.time, standstill));
                Ok(())
            }
            (Process::Nemesis, Body::Leader(leader)) => {
                self.history.leaders.push((stamp.time, leader));
                Ok(())
            }
            (process, _) => Err(format!("not an event that {process} can have")),
        }
        .or_else(refuse)?;
        self.history.end = Some(stamp);
        Ok(())
    }

    /// The history so far, in which what is outstanding has not completed.
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// The history so far. What is outstanding stays open to the end of time.
    pub fn finish(self) -> History {
        self.history
    }

    fn invoke(
        &mut self,
        process: u64,
        node: Option<NodeId>,
        operation: Operation,
        invoked: Stamp,
    ) -> Result<(), String> {
        if self.retired.contains(&process) {
            return Err(format!(
                "p{process} goes on after an operation whose end is unknown"
            ));
        }
        if self.open.contains_key(&process) {
            return Err(format!(
                "p{process} invokes while its last operation is outstanding"
            ));
        }
        self.open.insert(process, self.history.calls.len());
        let outcome = Outcome::Info(Reason::new("open", "the record ends before its completion"));
        let call = Call {
            process,
            node,
            operation,
            invoked,
            completed: None,
            outcome,
        };
        self.history.calls.push(call);
        Ok(())
    }

    fn complete(
        &mut self,
        process: u64,
        operation: &Operation,
        outcome: Outcome,
        completed: Stamp,
    ) -> Result<(), String> {
        let at = self.open.get(&process).copied();
        let call = at
            .and_then(|at| self.history.calls.get_mut(at))
            .ok_or_else(|| format!("p{process} completes what it did not invoke"))?;
        if call.operation != *operation {
            return Err(format!(
                "p{process} invoked {}, but {operation} completes",
                call.operation
            ));
        }
        if matches!(outcome, Outcome::Info(_)) {
            self.retired.insert(process);
        }
        call.completed = Some(completed);
        call.outcome = outcome;
        self.open.remove(&process);
        Ok(())
    }
}
