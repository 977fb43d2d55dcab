//! Replicas of lattice types never go back.
//!
//! What a node showed of a set that nothing was ever removed from, or of a counter that was never
//! decremented, only grows: a read that one node answers after another of its answers was complete
//! shows at least as much.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use tribunal_results::{Anomaly, Call, Operation, Scalar};

use super::{Family, Object, State, anomaly, answer, node, taken};

/// The first read of each node that shows less than one before it.
pub(crate) fn went_back(object: &Object<'_>) -> Vec<Anomaly> {
    if !only_grows(object) {
        return Vec::new();
    }
    let mut by_node: BTreeMap<&str, Vec<(&Call, &State<'_>)>> = BTreeMap::new();
    for (call, state) in &object.reads {
        if call.node.is_some() {
            by_node.entry(node(call)).or_default().push((call, state));
        }
    }
    let found = by_node.values();
    found
        .filter_map(|reads| first_back(object, reads))
        .collect()
}

fn only_grows(object: &Object<'_>) -> bool {
    let shrinks = |update: &&&Call| match update.operation {
        Operation::Increment { by, .. } => by < 0,
        _ => taken(update).is_some(),
    };
    let mut updates = object.updates.iter().filter(|update| !update.is_fail());
    matches!(object.family, Family::Set | Family::Counter) && !updates.any(|u| shrinks(&u))
}

/// What the complete answers of a node have shown until now, and which was the first to.
#[derive(Default)]
struct Shown<'a> {
    elements: FxHashMap<&'a Scalar, &'a Call>,
    count: Option<(i64, &'a Call)>,
}

fn first_back<'a>(object: &Object<'a>, reads: &[(&'a Call, &State<'a>)]) -> Option<Anomaly> {
    let mut ended = reads.to_vec();
    ended.sort_by_key(|(call, _)| call.returned());
    let mut ended = ended.into_iter().peekable();
    let mut shown = Shown::default();
    for (call, state) in reads {
        let before = |(other, _): &(&Call, _)| other.returned() < Some(call.invoked.index);
        while let Some((other, state)) = ended.next_if(before) {
            shown.add(other, state);
        }
        if let Some((other, what)) = shown.more_than(state) {
            let (at, noun, key) = (node(call), object.family.noun(), object.key);
            let sentence = format!(
                "{at} went back on {noun} {key}: it showed {what} in {}, but not in {}",
                answer(other),
                answer(call)
            );
            let facts = vec![
                format!("{} showed {what}.", answer(other)),
                format!("{}, asked for after that, did not.", answer(call)),
                format!("Nothing was ever taken from {noun} {key}."),
            ];
            let calls = [other, *call];
            return Some(anomaly(
                "replica-went-back",
                object,
                sentence,
                &calls,
                facts,
            ));
        }
    }
    None
}

impl<'a> Shown<'a> {
    fn add(&mut self, call: &'a Call, state: &State<'a>) {
        for element in state.elements() {
            self.elements.entry(element).or_insert(call);
        }
        if let State::Count(count) = state
            && self.count.is_none_or(|(most, _)| most < *count)
        {
            self.count = Some((*count, call));
        }
    }

    /// What a state lacks of this, with the read that showed it.
    fn more_than(&self, state: &State<'a>) -> Option<(&'a Call, String)> {
        match state {
            State::Count(count) => {
                let (most, call) = self.count.filter(|(most, _)| most > count)?;
                Some((call, format!("{most}")))
            }
            _ => {
                let elements = state.elements();
                let kept = elements.iter().filter(|e| self.elements.contains_key(*e));
                if kept.count() == self.elements.len() {
                    return None;
                }
                let lacks = |e: &&&Scalar| elements.binary_search(e).is_err();
                let missing = self.elements.keys().filter(lacks).min()?;
                Some((self.elements.get(missing)?, format!("{missing}")))
            }
        }
    }
}
