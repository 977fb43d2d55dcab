//! How long it took until what was acknowledged could be seen at each node.
//!
//! From the acknowledgement of an update until the first read by the node that showed it was
//! complete. What was never seen at a node, because it was overwritten or nobody looked, tells
//! nothing; so these are figures, and no verdict rests on them.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde_json::{Value as Json, json};
use tribunal_results::Nanos;

use super::stale::Versions;
use super::{Object, State};

/// By node, the times that updates took to be seen, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Visibility<'a>(BTreeMap<&'a str, Vec<Nanos>>);

impl<'a> Visibility<'a> {
    /// Adds those of an object.
    pub(crate) fn learn(&mut self, object: &Object<'a>, versions: &Versions<'a>) {
        let mut seen: FxHashMap<&str, Vec<Option<Nanos>>> = FxHashMap::default();
        for (read, state) in &object.reads {
            let (Some(node), Some(end)) = (read.node.as_deref(), read.completed) else {
                continue;
            };
            let first = seen
                .entry(node)
                .or_insert_with(|| vec![None; versions.all.len()]);
            let value = match state {
                State::Value(value) => *value,
                _ => None,
            };
            for value in state.elements().iter().copied().chain(value) {
                let place = versions.place(value);
                if let Some(slot) = place.and_then(|place| first.get_mut(place)) {
                    *slot = Some(slot.map_or(end.time, |time| time.min(end.time)));
                }
            }
        }
        for (node, first) in seen {
            let delays = self.0.entry(node).or_default();
            for (version, seen) in versions.all.iter().zip(first) {
                if let (Some(seen), Some(end), true) =
                    (seen, version.update.completed, version.update.is_ok())
                {
                    delays.push(seen.saturating_sub(end.time));
                }
            }
        }
    }

    /// For each node, how many updates were seen there, and after how many milliseconds.
    pub(crate) fn figure(self) -> Json {
        let of_node = |(node, mut delays): (&str, Vec<Nanos>)| {
            delays.sort_unstable();
            let figures = json!({
                "seen": delays.len(),
                "p50": milliseconds(quantile(&delays, 0, 50)),
                "p99": milliseconds(quantile(&delays, 0, 99)),
                "max": milliseconds(delays.last().copied().unwrap_or(0)),
            });
            (node.to_owned(), figures)
        };
        Json::Object(self.0.into_iter().map(of_node).collect())
    }
}

/// The least number that at least so many of a hundred do not exceed, where so many zeros stand
/// before the sorted numbers.
pub(crate) fn quantile(sorted: &[Nanos], zeros: usize, percent: usize) -> Nanos {
    let rank = ((sorted.len() + zeros) * percent).div_ceil(100);
    let at = rank.checked_sub(zeros + 1);
    at.and_then(|at| sorted.get(at)).copied().unwrap_or(0)
}

/// Nanoseconds in milliseconds, with three decimals.
pub(crate) fn milliseconds(nanos: Nanos) -> f64 {
    (nanos / 1000) as f64 / 1000.0
}
