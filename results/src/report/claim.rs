//! What one run lets one say of the system, in the words of statistics.

use super::text::{count, percent};
use crate::proof::Rate;
use crate::{ResultClass, RunVerdict};

/// The chance with which the bounds here hold.
const CONFIDENCE: f64 = 0.95;
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
    let bound = upper_bound(answered);
    format!(
        "No contradiction in {} operations that took effect: were each wrong by an independent \
         chance, that chance would be below {} at 95 % confidence. One seed shows few of the \
         possible schedules: {} clean runs with different seeds would show that fewer than {} of \
         runs fail.",
        count(answered),
        small_percent(bound),
        count(runs_for(RARE)),
        percent(RARE),
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

/// The chance below which something that did not happen in so many trials lies: the p for which
/// (1 − p)ⁿ = 1 − confidence.
fn upper_bound(trials: u64) -> f64 {
    if trials == 0 {
        return 1.0;
    }
    -((1.0 - CONFIDENCE).ln() / trials as f64).exp_m1()
}

/// How many trials without it show that something happens in less than such a share.
fn runs_for(share: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few hundred"
    )]
    let runs = ((1.0 - CONFIDENCE).ln() / (-share).ln_1p()).ceil() as u64;
    runs
}

/// A share with two significant digits, also below one percent.
fn small_percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 10.0 {
        return format!("{percent:.0} %");
    }
    let digits = (-percent.max(1e-12).log10()).ceil().clamp(0.0, 9.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 9"
    )]
    let digits = digits as usize + 1;
    format!("{percent:.digits$} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_binomial() {
        // The "rule of three": about 3/n.
        assert_eq!(small_percent(upper_bound(1_000)), "0.30 %");
        assert_eq!(small_percent(upper_bound(8_405)), "0.036 %");
        assert_eq!(small_percent(upper_bound(1)), "95 %");
        assert_eq!(small_percent(upper_bound(0)), "100 %");
        assert_eq!(runs_for(0.01), 299);
        assert_eq!(small_percent(0.025), "2.5 %");
    }
}
