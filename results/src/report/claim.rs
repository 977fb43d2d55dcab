//! What one run lets one say of the system, in the words of statistics.

use super::text::{count, percent, small_percent};
use crate::rate::{Rate, trials_for};
use crate::{ResultClass, RunVerdict};

/// The share of failing runs that many clean runs are to exclude.
const RARE: f64 = 0.01;

/// The claim in one sentence, and what it rests on.
pub(super) fn of(verdict: &RunVerdict) -> Option<String> {
    match verdict.class {
        ResultClass::Pass if verdict.expected.is_empty() => Some(clean(verdict)),
        ResultClass::Violation | ResultClass::Pass if verdict.headline().is_some() => Some(found()),
        ResultClass::Inconclusive | ResultClass::Insufficient => {
            Some("Nothing: neither that the system is right nor that it is wrong.".into())
        }
        _ => None,
    }
}

fn clean(verdict: &RunVerdict) -> String {
    let total = verdict.evidence.total;
    let answered = total.ok;
    let bound = Rate::of(0, answered).below();
    format!(
        "No contradiction in {} operations that took effect: were each wrong by an independent \
         chance, that chance would be below {} at 95 % confidence. One seed shows few of the \
         possible schedules: {} clean runs with different seeds would show that fewer than {} of \
         runs fail.",
        count(answered),
        small_percent(bound),
        count(trials_for(RARE)),
        percent(RARE),
    )
}

/// What runs that came to a verdict let one say, of which so many failed.
pub fn of_runs(failed: Rate) -> String {
    let Rate { hits, trials, .. } = failed;
    let runs = format!("{} of {} runs failed", count(hits), count(trials));
    match (hits, trials) {
        (_, 0) => "no run came to a verdict, so nothing can be claimed".into(),
        (0, _) => format!(
            "{runs}: a failure rate below {} at 95 % confidence",
            small_percent(failed.below())
        ),
        _ => format!("{runs}: {}", interval(failed)),
    }
}

/// A rate as it was measured, with its interval: `25 % (95 % interval 14–39 %)`.
pub fn interval(rate: Rate) -> String {
    let bound = |share: f64| small_percent(share).trim_end_matches(" %").to_owned();
    let (low, high) = (bound(rate.low), bound(rate.high));
    format!(
        "{} (95 % interval {low}–{high} %)",
        small_percent(rate.share())
    )
}

fn found() -> String {
    let rate = Rate::of(1, 1);
    format!(
        "One contradiction is proof: the answers above fit no correct execution, however often \
         the run is repeated. How often it shows is open: 1 of 1 runs means {:.0}–{:.0} % of runs \
         at 95 % confidence.",
        rate.low * 100.0,
        rate.high * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_binomial() {
        // The "rule of three": about 3/n.
        assert_eq!(small_percent(Rate::of(0, 1_000).below()), "0.30 %");
        assert_eq!(small_percent(Rate::of(0, 8_405).below()), "0.036 %");
        assert_eq!(small_percent(Rate::of(0, 1).below()), "95 %");
        assert_eq!(small_percent(Rate::of(0, 0).below()), "100 %");
        assert_eq!(trials_for(0.01), 299);
        assert_eq!(small_percent(0.025), "2.5 %");
    }
}
