//! How fast operations were, and how much was answered while nothing was broken.

use tribunal_results::verdict::{Answered, Latency};
use tribunal_results::{Call, History, Nanos};

use super::recovery::is_answer;

/// How long the operations that took effect took; nothing if there were none.
pub(super) fn latency(history: &History) -> Option<Latency> {
    let ok = history.calls().iter().filter(|call| call.is_ok());
    let took = ok.filter_map(|call| Some(call.completed?.time - call.invoked.time));
    let mut took: Vec<Nanos> = took.collect();
    took.sort_unstable();
    Some(Latency {
        median: quantile(&took, 1, 2)?,
        p99: quantile(&took, 99, 100)?,
    })
}

/// The smallest of sorted values that a share `part / whole` of them does not exceed (nearest rank);
/// nothing of none.
pub(super) fn quantile(sorted: &[Nanos], part: usize, whole: usize) -> Option<Nanos> {
    let rank = (sorted.len() * part).div_ceil(whole);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// What was asked, and answered, by calls that no fault overlapped.
pub(super) fn calm<'a>(
    history: &'a History,
    overlaps: impl Fn(&&'a Call) -> bool,
) -> Option<Answered> {
    let calm = history.calls().iter().filter(|call| !overlaps(call));
    let mut answered = Answered::default();
    for call in calm {
        answered.asked += 1;
        answered.answered += u64::from(is_answer(&call.outcome));
    }
    (answered.asked > 0).then_some(answered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let sorted: Vec<Nanos> = (1..=200).collect();
        assert_eq!(quantile(&sorted, 1, 2), Some(100));
        assert_eq!(quantile(&sorted, 99, 100), Some(198));
        assert_eq!(quantile(&[7], 99, 100), Some(7));
        assert_eq!(quantile(&[], 99, 100), None);
    }
}
