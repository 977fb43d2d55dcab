//! The part of a campaign that one of several machines does.

use std::path::Path;
use std::str::FromStr;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Every `of`th run, from the `index`th on, counted from 1: written `2/4`. The same for ever for
/// the same suite and options, and no run is in two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    of: u64,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Self = Self { index: 1, of: 1 };

    /// What is this shard's of a sequence.
    pub fn of<T>(self, all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        let (first, step) = (self.index - 1, self.of);
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        all.skip(first)
            .step_by(usize::try_from(step).unwrap_or(usize::MAX))
    }

    /// How many of so many runs are this shard's.
    pub const fn share_of(self, total: u64) -> u64 {
        (total + self.of - self.index) / self.of
    }
}

/// What a part of a campaign says of itself, beside its runs: so that a part that never ran, or was
/// cut off, is missed when all are put together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The suite, by its name or file.
    pub suite: String,
    /// Which part, counted from 1.
    pub index: u64,
    /// Of how many.
    pub of: u64,
    /// Whether it came to its end.
    pub ended: bool,
}

impl Part {
    /// What the names of these files begin with.
    const STEM: &'static str = "tribunal-shard-";

    /// The part of a suite that a shard is; none if it is everything.
    pub fn begin(shard: Shard, suite: &str) -> Option<Self> {
        (shard != Shard::WHOLE).then(|| Self {
            suite: suite.to_owned(),
            index: shard.index,
            of: shard.of,
            ended: false,
        })
    }

    /// Writes it beside the runs.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, out: &Path) -> anyhow::Result<()> {
        let name = format!("{}{}-of-{}.json", Self::STEM, self.index, self.of);
        let path = out.join(name);
        let json = serde_json::to_vec_pretty(self)?;
        std::fs::write(&path, json).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Whether a file is one of these.
    pub fn is_file(path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(Self::STEM) && name.ends_with(".json")
    }

    /// What parts lack to be everything, in words.
    pub fn missing(parts: &[Self]) -> Vec<String> {
        let of = parts.iter().map(|part| part.of).max().unwrap_or(0);
        let state = |index| {
            let mut these = parts.iter().filter(|part| part.index == index);
            match (these.next(), these.all(|part| part.ended)) {
                (None, _) => Some(format!("shard {index}/{of} left nothing")),
                (Some(first), rest) if !(first.ended && rest) => {
                    Some(format!("shard {index}/{of} did not come to its end"))
                }
                _ => None,
            }
        };
        let mut missing: Vec<String> = (1..=of).filter_map(state).collect();
        if parts.iter().any(|part| part.of != of) {
            missing.push("the shards are not of the same campaign: their numbers differ".into());
        }
        missing
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no shard; write 1/4 to 4/4 for the four quarters");
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let number = |part: &str| part.trim().parse::<u32>().map(u64::from);
        let shard = Self {
            index: number(index).map_err(|_| wrong())?,
            of: number(of).map_err(|_| wrong())?,
        };
        let valid = shard.index >= 1 && shard.index <= shard.of;
        valid.then_some(shard).ok_or_else(wrong)
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_cover_everything_once() {
        for (of, total) in [(1, 7), (3, 7), (4, 3), (5, 100)] {
            let mut all = Vec::new();
            for index in 1..=of {
                let shard: Shard = format!("{index}/{of}").parse().unwrap();
                let part: Vec<u64> = shard.of(0..total).collect();
                assert_eq!(
                    part.len() as u64,
                    shard.share_of(total),
                    "{shard} of {total}"
                );
                all.extend(part);
            }
            all.sort_unstable();
            assert_eq!(
                all,
                (0..total).collect::<Vec<_>>(),
                "{of} shards of {total}"
            );
        }
    }

    #[test]
    fn a_part_that_is_missing_or_was_cut_off_is_told() {
        let part = |index, of, ended| Part {
            suite: "s".into(),
            index,
            of,
            ended,
        };
        assert!(Part::missing(&[]).is_empty());
        assert!(Part::missing(&[part(2, 2, true), part(1, 2, true)]).is_empty());
        let told = Part::missing(&[part(1, 3, true), part(3, 3, false)]);
        assert_eq!(
            told,
            [
                "shard 2/3 left nothing",
                "shard 3/3 did not come to its end"
            ]
        );
        assert_eq!(
            Part::missing(&[part(1, 2, true), part(1, 1, true)]).len(),
            2
        );
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for text in ["", "1", "0/4", "5/4", "1/0", "a/b", "1/2/3", "-1/2"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
