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
pub(crate) struct Listing<'a> {
    /// Neighbours differ in their keys.
    objects: Vec<Elements<'a>>,
    len: usize,
}

/// Elements of one object.
struct Elements<'a> {
    key: &'a Scalar,
    integers: Vec<i64>,
    texts: Vec<&'a str>,
}

impl<'a> Elements<'a> {
    fn add(&mut self, element: &'a Scalar) {
        match element {
            Scalar::Int(n) => self.integers.push(*n),
            Scalar::Text(text) => self.texts.push(text),
        }
    }

    /// What they are called in order, neighbouring integers together, with how many these are.
    fn sorted(&mut self) -> impl Iterator<Item = (String, usize)> + '_ {
        self.integers.sort_unstable();
        self.texts.sort_unstable();
        let follows = |one: &i64, next: &i64| one.checked_add(1) == Some(*next);
        let runs = self.integers.chunk_by(follows).map(|run| match run {
            [first, .., last] => (format!("{first}..{last}"), run.len()),
            _ => (run.iter().map(i64::to_string).collect(), run.len()),
        });
        runs.chain(self.texts.iter().map(|text| ((*text).to_owned(), 1)))
    }
}

impl<'a> Listing<'a> {
    /// One more element of that object.
    pub(crate) fn add(&mut self, key: &'a Scalar, element: &'a Scalar) {
        self.len += 1;
        if self.objects.last().is_none_or(|object| object.key != key) {
            self.objects.push(Elements {
                key,
                integers: Vec::new(),
                texts: Vec::new(),
            });
        }
        if let Some(object) = self.objects.last_mut() {
            object.add(element);
        }
    }

    /// How many elements were added.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// `["1..3", "7"]`; with the object before each where there are several.
    pub(crate) fn json(mut self) -> Json {
        // Each key once, however often it came back.
        self.objects.sort_by(|one, other| one.key.cmp(other.key));
        self.objects.dedup_by(|next, kept| {
            let is_same = next.key == kept.key;
            if is_same {
                kept.integers.append(&mut next.integers);
                kept.texts.append(&mut next.texts);
            }
            is_same
        });
        let several = self.objects.len() > 1;
        let mut entries = Vec::new();
        let mut listed = 0;
        for object in &mut self.objects {
            let key = object.key;
            let left = LISTED_MAX.saturating_sub(entries.len());
            if left == 0 {
                break;
            }
            for (name, count) in object.sorted().take(left) {
                entries.push(json!(match several {
                    true => format!("{key}: {name}"),
                    false => name,
                }));
                listed += count;
            }
        }
        if self.len > listed {
            entries.push(json!(format!("and {} more", self.len - listed)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_integers_are_one_entry_and_texts_stand_alone() {
        let key = Scalar::from("s");
        let elements: Vec<Scalar> = vec![3.into(), 1.into(), "a".into(), 2.into(), 7.into()];
        let mut listing = Listing::default();
        for element in &elements {
            listing.add(&key, element);
        }
        assert_eq!(listing.json(), json!(["1..3", "7", "a"]));
    }

    #[test]
    fn elements_of_several_objects_are_told_apart() {
        let (s, t, one, two) = ("s".into(), "t".into(), 1.into(), 2.into());
        let mut listing = Listing::default();
        listing.add(&t, &two);
        listing.add(&s, &one);
        assert_eq!(listing.json(), json!(["s: 1", "t: 2"]));
    }

    #[test]
    fn a_long_list_says_how_many_more_there_are() {
        let key = Scalar::from("s");
        let odd: Vec<Scalar> = (0..100).map(|n| Scalar::Int(2 * n)).collect();
        let mut listing = Listing::default();
        for element in &odd {
            listing.add(&key, element);
        }
        let entries = listing.json();
        assert_eq!(entries[LISTED_MAX], json!("and 68 more"));
        assert_eq!(bounded([json!(1)], 3), json!([1, "and 2 more"]));
    }

    #[test]
    fn quantiles_are_those_of_jepsen_in_milliseconds() {
        let durations = (1..=100).rev().map(|ms| ms * 1_000_000).collect();
        let expected = json!({"0": 1, "0.5": 51, "0.95": 96, "0.99": 100, "1": 100});
        assert_eq!(quantiles(durations), expected);
        assert_eq!(quantiles(Vec::new()), json!({}));
    }
}
