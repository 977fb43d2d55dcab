//! The part of a campaign that one of several machines does.

use std::str::FromStr;

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
    fn what_is_no_shard_is_refused() {
        for text in ["", "1", "0/4", "5/4", "1/0", "a/b", "1/2/3", "-1/2"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
