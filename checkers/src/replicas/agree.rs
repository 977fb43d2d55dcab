//! Whether the final reads of all nodes agree.
//!
//! What an update of unknown end put there, or took away, may have landed between two reads: a
//! difference in nothing else is no contradiction. So the parts of the states are compared that
//! no such update can touch, and then the states themselves.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;
use tribunal_results::{Anomaly, Call, Scalar};

use super::{Family, Object, State, anomaly, answer, put, taken};
use crate::explain;

/// What a comparison comes to.
pub(crate) enum Agreement {
    /// All nodes show the same.
    Agreed,
    /// Only late updates of unknown end explain the differences.
    PerhapsLate,
    /// Two nodes differ for good.
    Diverged(Box<Anomaly>),
}

/// Compares the final reads of an object.
pub(crate) fn compare<'a>(
    object: &Object<'a>,
    finals: &BTreeMap<&'a str, (&'a Call, &State<'a>)>,
) -> Agreement {
    let mut states = finals.values().map(|(_, state)| state);
    let first = states.next();
    if states.all(|state| Some(state) == first) {
        return Agreement::Agreed;
    }
    let unknown = unknown(object);
    let counts = object.updates.iter().any(|update| update.is_info());
    let mut certain: Option<(&Call, State<'a>)> = None;
    for (call, state) in finals.values() {
        let Some(state) = untouched(object.family, state, &unknown, counts) else {
            continue;
        };
        match &certain {
            None => certain = Some((call, state)),
            Some((other, expected)) if *expected != state => {
                let found = diverged(object, (other, expected), (call, &state));
                return Agreement::Diverged(Box::new(found));
            }
            Some(_) => {}
        }
    }
    Agreement::PerhapsLate
}

/// The values and elements that updates of unknown end are about.
fn unknown<'a>(object: &Object<'a>) -> FxHashSet<&'a Scalar> {
    let unknown = object.updates.iter().filter(|update| update.is_info());
    unknown
        .filter_map(|update| put(update).or(taken(update)))
        .collect()
}

/// The part of a state that no update of unknown end can have touched.
fn untouched<'a>(
    family: Family,
    state: &State<'a>,
    unknown: &FxHashSet<&Scalar>,
    any_unknown: bool,
) -> Option<State<'a>> {
    let without = |elements: &[&'a Scalar]| {
        let kept = elements
            .iter()
            .filter(|element| !unknown.contains(**element));
        kept.copied().collect::<Vec<_>>()
    };
    match state {
        State::Value(Some(value)) if unknown.contains(value) => None,
        State::Count(_) if any_unknown => None,
        State::Set(elements) => Some(State::Set(without(elements))),
        State::List(elements) => Some(State::List(without(elements))),
        State::Value(_) | State::Count(_) => {
            debug_assert!(matches!(family, Family::Register | Family::Counter));
            Some(state.clone())
        }
    }
}

fn diverged<'a>(
    object: &Object<'a>,
    (left, left_state): (&Call, &State<'a>),
    (right, right_state): (&Call, &State<'a>),
) -> Anomaly {
    let (is_left, is_right) = difference(left_state, right_state);
    let (noun, key) = (object.family.noun(), object.key);
    let (left_node, right_node) = (super::node(left), super::node(right));
    let sentence = format!(
        "{left_node} and {right_node} did not come to agree on {noun} {key}: {left_node} {is_left} \
         at {}, {right_node} {is_right} at {}",
        explain::seconds(explain::ended(left)),
        explain::seconds(explain::ended(right)),
    );
    let updates = object.updates.iter().filter(|update| !update.is_fail());
    let last = updates.max_by_key(|update| update.completed);
    let mut facts = vec![
        format!("By {}, it {is_left}.", answer(left)),
        format!("By {}, it {is_right}.", answer(right)),
    ];
    facts.extend(last.map(|update| {
        format!(
            "The last update of {key} had ended at {}, and all faults were healed.",
            explain::seconds(explain::ended(update))
        )
    }));
    anomaly("diverged", object, sentence, &[left, right], facts)
}

/// The smallest difference between two states that differ, in words for each.
fn difference(left: &State<'_>, right: &State<'_>) -> (String, String) {
    let value = |value: &Option<&Scalar>| match value {
        Some(value) => format!("has {value}"),
        None => "has nothing".to_owned(),
    };
    match (left, right) {
        (State::Value(left), State::Value(right)) => (value(left), value(right)),
        (State::Count(left), State::Count(right)) => {
            (format!("is at {left}"), format!("is at {right}"))
        }
        (State::List(left), State::List(right)) => {
            let pairs = left.iter().zip(right).take_while(|(l, r)| l == r);
            let at = pairs.count();
            let there = |list: &[&Scalar]| match list.get(at) {
                Some(element) => format!("has {element} at place {at}"),
                None => format!("ends before place {at}"),
            };
            (there(left), there(right))
        }
        (left, right) => smallest(left.elements(), right.elements()),
    }
}

/// The smallest element that only one of two sorted sets has.
fn smallest(left: &[&Scalar], right: &[&Scalar]) -> (String, String) {
    let only = |these: &[&Scalar], those: &[&Scalar]| {
        let missing = these.iter().find(|e| those.binary_search(e).is_err());
        missing.map(|element| (*element).clone())
    };
    let (has, lacks) = (
        |e: &Scalar| format!("has {e}"),
        |e: &Scalar| format!("lacks {e}"),
    );
    match (only(left, right), only(right, left)) {
        (Some(l), Some(r)) if r < l => (lacks(&r), has(&r)),
        (Some(l), _) => (has(&l), lacks(&l)),
        (None, Some(r)) => (lacks(&r), has(&r)),
        (None, None) => (String::new(), String::new()),
    }
}
