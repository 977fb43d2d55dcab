//! Figures that are lists: bounded, and the last entry says how many more there are.

use serde_json::{Map, Value as Json, json};
use tribunal_results::{Nanos, Scalar};

/// The most entries of a list in the figures of a verdict.
const LISTED_MAX: usize = 32;

/// The first entries, and how many more there are.
pub(crate) fn bounded(entries: impl IntoIterator<Item = Json>, total: usize) -> Json {
    let mut listed: Vec<Json> = entries.into_iter().take(LISTED_MAX).collect();
    if total > listed.len() {
        listed.push(json!(format!("and {} more", total - listed.len())));
    }
    Json::Array(listed)
}

/// Elements of several objects, to be listed in order with neighbouring integers as one entry.
#[derive(Default)]
pub(crate) struct Listing<'a>(Vec<(&'a Scalar, &'a Scalar)>);

impl<'a> Listing<'a> {
    /// One more element of that object.
    pub(crate) fn add(&mut self, key: &'a Scalar, element: &'a Scalar) {
        self.0.push((key, element));
    }

    /// How many elements were added.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// `["1..3", "7"]`; with the object before each where there are several.
    pub(crate) fn json(mut self) -> Json {
        self.0.sort();
        let several = self.0.first().map(|pair| pair.0) != self.0.last().map(|pair| pair.0);
        let mut entries = Vec::new();
        let mut listed = 0;
        let follows = |one: &(&Scalar, &Scalar), next: &(&Scalar, &Scalar)| {
            one.0 == next.0
                && matches!((one.1, next.1), (Scalar::Int(a), Scalar::Int(b))
                    if a.checked_add(1) == Some(*b))
        };
        for run in self.0.chunk_by(follows).take(LISTED_MAX) {
            let (Some((key, first)), Some((_, last))) = (run.first(), run.last()) else {
                continue;
            };
            let object = if several {
                format!("{key}: ")
            } else {
                String::new()
            };
            entries.push(json!(match run.len() {
                1 => format!("{object}{first}"),
                _ => format!("{object}{first}..{last}"),
            }));
            listed += run.len();
        }
        if self.0.len() > listed {
            entries.push(json!(format!("and {} more", self.0.len() - listed)));
        }
        Json::Array(entries)
    }
}

/// Jepsen's quantiles of durations, in milliseconds: the smallest, the half, 95 and 99 percent,
/// the largest.
pub(crate) fn quantiles(mut durations: Vec<Nanos>) -> Json {
    durations.sort_unstable();
    let quantile = |percent: usize| {
        let last = durations.len().checked_sub(1)?;
        let at = (durations.len() * percent / 100).min(last);
        durations.get(at).map(|nanos| nanos / 1_000_000)
    };
    let named = [
        ("0", 0),
        ("0.5", 50),
        ("0.95", 95),
        ("0.99", 99),
        ("1", 100),
    ];
    let figures = named
        .into_iter()
        .filter_map(|(name, percent)| Some((name.to_owned(), json!(quantile(percent)?))));
    Json::Object(figures.collect::<Map<_, _>>())
}
