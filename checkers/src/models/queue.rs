//! FIFO queues.
//!
//! A drain is not one step: it takes elements one by one and finds the queue empty at last, each
//! at a time of its own within the call, in that order. One of unknown end may have taken any
//! number of elements.

use rustc_hash::FxHashSet;
use tribunal_results::{Answer, Call, Operation, Outcome, Scalar};

use super::{Element, Entry, Group, Numbers, Object, UNSEEN, entry};
use crate::model::{Model, Op};

/// What happens to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// This was put at the end.
    Enqueue(Element),
    /// This was taken from the front.
    Dequeue(Element),
    /// The front was taken, whatever it was, if there was any.
    TakeAny,
    /// It was empty.
    Empty,
    /// Part of a drain that others overlap: which drain, which of its parts, and what was taken;
    /// `None` if it was found empty, which is the last part.
    Drain(u32, u32, Option<Element>),
}

/// A queue's elements, and the drains that are under way with what they did so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    elements: Vec<Element>,
    drains: Vec<(u32, u32)>,
}

/// A queue that is empty at first.
pub(crate) struct Queue;

impl Model for Queue {
    type State = State;
    type Step = Step;

    fn initial(&self) -> State {
        State {
            elements: Vec::new(),
            drains: Vec::new(),
        }
    }

    fn apply(&self, state: &State, step: &Step) -> Option<State> {
        let mut after = state.clone();
        match *step {
            Step::Enqueue(element) => after.elements.push(element),
            Step::Dequeue(element) => take(&mut after, element)?,
            Step::TakeAny if state.elements.is_empty() => {}
            Step::TakeAny => {
                after.elements.remove(0);
            }
            Step::Empty if state.elements.is_empty() => {}
            Step::Empty => return None,
            Step::Drain(drain, part, taken) => {
                let place = after.drains.binary_search_by_key(&drain, |(id, _)| *id);
                let done = place.map_or(Some(0), |at| Some(after.drains.get(at)?.1))?;
                if done != part || (taken.is_none() && !state.elements.is_empty()) {
                    return None;
                }
                match (taken, place) {
                    (Some(element), place) => {
                        take(&mut after, element)?;
                        match place {
                            Ok(at) => after.drains.get_mut(at)?.1 += 1,
                            Err(at) => after.drains.insert(at, (drain, 1)),
                        }
                    }
                    (None, Ok(at)) => drop(after.drains.remove(at)),
                    (None, Err(_)) => {}
                }
            }
        }
        Some(after)
    }

    fn observes(&self, step: &Step) -> bool {
        matches!(step, Step::Empty | Step::Drain(_, 0, None))
    }

    /// An element of which nothing is certain, and what took it out, can be left out together;
    /// but not a part of a drain, for which the next part waits.
    fn relevant(&self, ops: &[Op<Step>]) -> Vec<bool> {
        let certain: FxHashSet<Element> = ops
            .iter()
            .filter(|op| op.ret.is_some() || matches!(op.step, Step::Drain(..)))
            .filter_map(|op| element(op.step))
            .filter(|element| *element != UNSEEN)
            .collect();
        let blind = |op: &Op<Step>| op.ret.is_some() && op.step == Step::TakeAny;
        if ops.iter().any(blind) {
            return vec![true; ops.len()];
        }
        let all_taken = |op: &Op<Step>| element(op.step).is_none_or(|e| certain.contains(&e));
        ops.iter()
            .map(|op| op.ret.is_some() || all_taken(op))
            .collect()
    }

    fn weight(&self, state: &State) -> usize {
        size_of_val(state) + 4 * state.elements.capacity() + 8 * state.drains.capacity()
    }
}

fn take(state: &mut State, element: Element) -> Option<()> {
    if state.elements.first() != Some(&element) {
        return None;
    }
    state.elements.remove(0);
    Some(())
}

const fn element(step: Step) -> Option<Element> {
    match step {
        Step::Enqueue(element) | Step::Dequeue(element) | Step::Drain(_, _, Some(element)) => {
            Some(element)
        }
        Step::TakeAny | Step::Empty | Step::Drain(_, _, None) => None,
    }
}

/// What a call that is no drain did, or may have done.
pub(super) fn step<'a>(
    call: &'a Call,
    mut number: impl FnMut(&'a Scalar) -> Element,
) -> Option<Step> {
    Some(match (&call.operation, &call.outcome) {
        (_, Outcome::Fail(_)) => return None,
        (Operation::Enqueue { value, .. }, _) => Step::Enqueue(number(value)),
        (Operation::Dequeue { .. }, Outcome::Ok(Answer::Value(Some(value)))) => {
            Step::Dequeue(number(value))
        }
        (Operation::Dequeue { .. }, Outcome::Ok(Answer::Value(None))) => Step::Empty,
        (Operation::Dequeue { .. }, _) => Step::TakeAny,
        _ => return None,
    })
}

/// The queue of these calls.
pub(crate) fn object<'a>(group: &Group<'a>) -> Object<'a, Queue> {
    let mut numbers = Numbers::default();
    let longest = group.calls.iter().map(|call| taken(call).len()).max();
    // Room between events for the parts of a drain.
    let scale = longest.unwrap_or(0) as u64 + 2;
    let mut entries = Vec::new();
    let mut drains = 0;
    for call in &group.calls {
        for value in taken(call) {
            numbers.of(value);
        }
    }
    for (at, &call) in group.calls.iter().enumerate() {
        match (&call.operation, &call.outcome) {
            (_, Outcome::Fail(_)) => {}
            (Operation::Drain { .. }, Outcome::Ok(Answer::Values(values))) => {
                let taken = values.iter().map(|value| Some(numbers.of(value)));
                let parts: Vec<Option<Element>> = taken.chain([None]).collect();
                let alone = !overlapped(&group.calls, at);
                drain(
                    call,
                    &parts,
                    scale,
                    (!alone).then_some(drains),
                    &mut entries,
                );
                drains += 1;
            }
            (Operation::Drain { .. }, _) => any_number(group, call, scale, &mut entries),
            _ => {
                let step = step(call, |value| numbers.put(value));
                entries.extend(step.map(|step| entry(call, step, scale)));
            }
        }
    }
    Object {
        name: group.name(),
        key: group.key(),
        model: Queue,
        entries,
        scale,
        tells: |step| matches!(step, Step::Dequeue(_) | Step::Drain(_, _, Some(_))),
    }
}

/// The elements that a call certainly took.
fn taken(call: &Call) -> &[Scalar] {
    match (&call.operation, &call.outcome) {
        (Operation::Drain { .. }, Outcome::Ok(Answer::Values(values))) => values,
        (Operation::Dequeue { .. }, Outcome::Ok(Answer::Value(value))) => value.as_slice(),
        _ => &[],
    }
}

/// Whether a call overlaps others that took effect for certain.
fn overlapped(calls: &[&Call], at: usize) -> bool {
    let Some(drain) = calls.get(at) else {
        return false;
    };
    let end = drain.returned().unwrap_or(u64::MAX);
    let live = |call: &&&Call| call.is_ok();
    let after = calls
        .iter()
        .skip(at + 1)
        .take_while(|c| c.invoked.index < end);
    let before = calls.iter().take(at);
    after.filter(live).count() > 0
        || before
            .filter(live)
            .any(|c| c.returned() > Some(drain.invoked.index))
}

/// Adds the parts of a drain. Alone, it has nothing to interleave with but operations of unknown
/// end: its parts follow each other at its end, when most of those were called. Otherwise each
/// may happen at any time within the call, and the state sees to their order.
fn drain<'a>(
    call: &'a Call,
    parts: &[Option<Element>],
    scale: u64,
    number: Option<u32>,
    entries: &mut Vec<Entry<'a, Step>>,
) {
    for (part, &taken) in parts.iter().enumerate() {
        let step = match (number, taken) {
            (Some(drain), taken) => Step::Drain(drain, part as u32, taken),
            (None, Some(element)) => Step::Dequeue(element),
            (None, None) => Step::Empty,
        };
        let mut entry = entry(call, step, scale);
        if number.is_none() {
            let ret = entry.op.ret.unwrap_or_default();
            let place = ret + part as u64 + 1 - parts.len() as u64;
            (entry.op.call, entry.op.ret) = (place, Some(place));
        }
        entries.push(entry);
    }
}

/// Adds a drain of unknown end: it may have taken as many as were ever put in. One such drain does
/// for all that come later.
fn any_number<'a>(
    group: &Group<'a>,
    call: &'a Call,
    scale: u64,
    entries: &mut Vec<Entry<'a, Step>>,
) {
    let before = |entry: &Entry<'_, Step>| {
        matches!(entry.call.operation, Operation::Drain { .. }) && entry.op.ret.is_none()
    };
    if entries.iter().any(before) {
        return;
    }
    let puts = |call: &&&Call| matches!(call.operation, Operation::Enqueue { .. });
    for _ in group.calls.iter().filter(puts) {
        entries.push(entry(call, Step::TakeAny, scale));
    }
}
